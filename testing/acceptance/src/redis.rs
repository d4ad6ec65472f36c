//! A Redis server of this machine alone.

use std::process::Command;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::{LIMIT, Running, finish, free_port, program, until};

/// A running `redis-server` that keeps what it is told.
#[derive(Debug)]
pub struct Redis {
    _directory: TempDir,
    port: u16,
    running: Running,
}

impl Redis {
    /// Starts an empty one.
    ///
    /// # Errors
    /// When `redis-server` is not installed or does not come up.
    pub fn start() -> Result<Self> {
        let (directory, port) = (tempfile::tempdir()?, free_port()?);
        let mut command = Command::new(program("redis-server")?);
        command.args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "yes",
        ]);
        command.arg("--dir").arg(directory.path());
        let redis = Self { _directory: directory, port, running: Running::start("redis", &mut command)? };
        until(LIMIT, "redis", || (redis.ask(&["PING"]).ok()? == "PONG").then_some(()))
            .with_context(|| redis.running.output())?;
        Ok(redis)
    }

    /// What `redis-cli` is told.
    ///
    /// # Errors
    /// When it is not installed, or nobody answers.
    pub fn ask(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new(program("redis-cli")?);
        command.args(["-e", "-h", "127.0.0.1", "-p", &self.port.to_string()]).args(words);
        Ok(finish(&mut command, b"", LIMIT)?.success()?.text())
    }

    /// As a node's configuration names it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }
}
