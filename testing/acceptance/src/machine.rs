//! A person's computer, or a server, as far as `symbolon` can tell.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{Finished, LIMIT, Running, Terminal, finish, transcript};

/// A home, a run-time directory and an environment of its own, all gone on drop.
#[derive(Debug)]
pub struct Machine {
    name: String,
    directory: TempDir,
    binary: PathBuf,
}

impl Machine {
    /// A machine that nobody has used yet.
    ///
    /// # Errors
    /// When the disk refuses, or no release binary is there (`SYMBOLON_BIN`, or where `cargo build --release` puts it).
    pub fn new(name: &str) -> Result<Self> {
        // Short, because a path of a Unix socket has at most 107 bytes.
        let directory = tempfile::Builder::new().prefix("sy-").tempdir()?;
        for dir in ["home", "run"] {
            std::fs::create_dir(directory.path().join(dir))?;
        }
        Ok(Self { name: name.to_owned(), directory, binary: binary()? })
    }

    /// Puts a copy of the program where this machine has its own; again, it replaces it as an installation does.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn install_program(&mut self) -> Result<()> {
        let (at, beside) = (self.path("symbolon"), self.path("symbolon.new"));
        std::fs::copy(&self.binary, &beside)?;
        std::fs::rename(&beside, &at)?;
        self.binary = at;
        Ok(())
    }

    /// The program that runs here as `symbolon`.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.binary
    }

    /// The home directory.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// A path on this machine.
    #[must_use]
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(relative)
    }

    /// Writes a file on this machine and returns its path.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, relative: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.path(relative);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, content)?;
        Ok(path)
    }

    /// `symbolon` with these arguments, not started yet.
    pub fn symbolon<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(args);
        self.place(&mut command);
        command
    }

    /// Gives any command this machine's home and environment.
    pub fn place(&self, command: &mut Command) {
        for (key, _) in std::env::vars_os() {
            let name = key.to_string_lossy();
            if name.starts_with("XDG_") || name.starts_with("SYMBOLON_") {
                command.env_remove(key);
            }
        }
        command
            .current_dir(self.home())
            .env("HOME", self.home())
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("NO_COLOR", "1")
            .env("LC_ALL", "C.UTF-8");
    }

    /// Runs `symbolon` to its end and shows it in the transcript.
    ///
    /// # Errors
    /// When it cannot be started or takes longer than [`LIMIT`].
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Finished> {
        self.run_with(args, b"", LIMIT)
    }

    /// Runs `symbolon` to its end with `input` on its standard input.
    ///
    /// # Errors
    /// When it cannot be started or takes longer than `limit`.
    pub fn run_with<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
        input: &[u8],
        limit: Duration,
    ) -> Result<Finished> {
        let mut command = self.symbolon(args);
        transcript::command(&command);
        let finished = finish(&mut command, input, limit).with_context(|| format!("on {}", self.name))?;
        transcript::answer(&finished);
        Ok(finished)
    }

    /// Runs `symbolon`, demands success and returns what it said.
    ///
    /// # Errors
    /// As [`Machine::run`], and when it does not succeed.
    pub fn ok<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String> {
        Ok(self.run(args)?.success()?.text())
    }

    /// Runs `symbolon … --json`, demands success and returns the value it printed.
    ///
    /// # Errors
    /// As [`Machine::ok`], and when it printed no JSON.
    pub fn json<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<serde_json::Value> {
        let mut command = self.symbolon(args);
        command.arg("--json");
        transcript::command(&command);
        let finished = finish(&mut command, b"", LIMIT)?;
        transcript::answer(&finished);
        finished.success()?.json()
    }

    /// Runs `symbolon`, demands that it fails with `code` and returns its complaint.
    ///
    /// # Errors
    /// As [`Machine::run`], and when it ends otherwise.
    pub fn refused<S: AsRef<OsStr>>(&self, code: i32, args: impl IntoIterator<Item = S>) -> Result<String> {
        let finished = self.run(args)?;
        ensure!(finished.code == Some(code), "expected exit code {code}, got {:?}", finished.code);
        Ok(finished.complaint())
    }

    /// Starts `symbolon` and lets it run.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Running> {
        let mut command = self.symbolon(args);
        transcript::command(&command);
        Running::start(&format!("symbolon on {}", self.name), &mut command)
    }

    /// Starts `symbolon` on a terminal, for questions that it asks only a person.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn at_terminal<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Terminal> {
        let mut command = self.symbolon(args);
        transcript::command(&command);
        Terminal::start(&mut command)
    }
}

fn binary() -> Result<PathBuf> {
    let path = match std::env::var_os("SYMBOLON_BIN") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release/symbolon"),
    };
    path.canonicalize()
        .with_context(|| format!("{} is missing: run `cargo build --release` first", path.display()))
}
