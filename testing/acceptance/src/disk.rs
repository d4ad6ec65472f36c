//! A file system of a few hundred kilobytes that nobody else sees, to be filled and made read-only.

use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command};

use crate::{Finished, LIMIT, Running, finish, program};
use anyhow::{Context, Result, ensure};

/// A tmpfs in a mount namespace of its own; both are gone when the guard is.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Running,
    /// The holder reads it until its end.
    _input: ChildStdin,
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts one at `at`, which is made.
    ///
    /// # Errors
    /// Without root or user namespaces.
    pub fn at(at: &Path, kibibytes: u32) -> Result<Self> {
        std::fs::create_dir_all(at)?;
        let mut holder = Command::new(program("unshare")?);
        if !is_root() {
            holder.args(["--user", "--map-root-user"]);
        }
        let script =
            format!("mount -t tmpfs -o size={kibibytes}k,mode=0700 none \"$1\" && echo mounted && exec cat");
        holder.args(["--mount", "sh", "-c", &script, "sh"]).arg(at);
        let (holder, input) = Running::start_with_input("unshare", &mut holder)?;
        holder.wait_line(|l| l == "mounted").context("a small disk needs root, or user namespaces")?;
        Ok(Self { holder, _input: input, at: at.to_owned() })
    }

    /// The same command, run where the disk is seen.
    ///
    /// # Errors
    /// When `nsenter` is not installed.
    pub fn enter(&self, command: &Command) -> Result<Command> {
        let mut nsenter = Command::new(program("nsenter")?);
        nsenter.args(["--target", &self.holder.pid().to_string(), "--mount"]);
        if !is_root() {
            nsenter.args(["--user", "--preserve-credentials"]);
        }
        nsenter.arg("--").arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => nsenter.env(key, value),
                None => nsenter.env_remove(key),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            nsenter.current_dir(dir);
        }
        Ok(nsenter)
    }

    /// Runs a command there to its end.
    ///
    /// # Errors
    /// When it does not end.
    pub fn run(&self, command: &Command) -> Result<Finished> {
        finish(&mut self.enter(command)?, b"", LIMIT)
    }

    fn shell(&self, script: &str) -> Result<Finished> {
        let mut sh = Command::new(program("sh")?);
        sh.args(["-c", script, "sh"]).arg(&self.at);
        self.run(&sh)
    }

    /// Takes every byte that is free.
    ///
    /// # Errors
    /// When there is still room.
    pub fn fill(&self) -> Result<()> {
        let full = self.shell("cat /dev/zero > \"$1/filler\"")?;
        ensure!(full.complaint().contains("No space left"), "{}", full.complaint());
        Ok(())
    }

    /// Gives them back.
    ///
    /// # Errors
    /// When it was not filled.
    pub fn free(&self) -> Result<()> {
        self.shell("rm \"$1/filler\"")?.success().map(drop)
    }

    /// `ro` or `rw`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remount(&self, how: &str) -> Result<()> {
        // with type and source, because otherwise `mount` reads options of users that are unknown in the namespace
        self.shell(&format!("mount -t tmpfs -o remount,{how} none \"$1\""))?.success().map(drop)
    }

    /// A file's content.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(&self, file: &Path) -> Result<Vec<u8>> {
        let mut cat = Command::new(program("cat")?);
        Ok(self.run(cat.arg(file))?.success()?.stdout)
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
