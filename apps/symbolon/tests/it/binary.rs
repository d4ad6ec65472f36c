//! Running the binary in a home of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A place where nobody has used the program yet.
pub(crate) struct Place {
    dir: TempDir,
}

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        // short, because a path of a Unix socket has at most 107 bytes
        Self { dir: tempfile::Builder::new().prefix("sy-").tempdir().unwrap() }
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// The binary, with nothing of the environment that could change what it does.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_symbolon"));
        command.args(arguments).env_clear().current_dir(self.dir.path());
        command.env("HOME", self.dir.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs with `--json`; the one object on standard output, and the exit code.
    pub(crate) fn json(&self, arguments: &[&str]) -> (Value, Option<i32>) {
        let ended = self.run(&[arguments, &["--json"]].concat());
        let value: Value = serde_json::from_str(&ended.out)
            .unwrap_or_else(|e| panic!("{arguments:?}: {e}\n{}\n{}", ended.out, ended.err));
        assert_eq!(value["schema"], 1, "{value}");
        assert_eq!(value["ok"], ended.code == Some(0), "{value}");
        (value, ended.code)
    }
}

/// The text of a path.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
