//! A plain web server, and `curl` as its client.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{Finished, LIMIT, Running, finish, program, transcript};

/// Python's own web server over a directory with known files.
#[derive(Debug)]
pub struct HttpServer {
    running: Running,
    directory: TempDir,
    port: u16,
}

impl HttpServer {
    /// What `/` answers.
    pub const GREETING: &'static str = "hello from behind the gateway\n";

    /// Starts the server on a port of its own choice; it serves [`HttpServer::GREETING`] and `/large`.
    ///
    /// # Errors
    /// When `python3` is missing or does not start.
    pub fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        std::fs::write(directory.path().join("index.html"), Self::GREETING)?;
        std::fs::write(directory.path().join("large"), Self::large())?;
        let running = Running::start(
            "http.server",
            Command::new(program("python3")?)
                .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"])
                .arg(directory.path())
                .current_dir(directory.path()),
        )?;
        let port = running.wait_value(|line| line.split_once(" port ")?.1.split(' ').next()?.parse().ok())?;
        Ok(Self { running, directory, port })
    }

    /// The content of `/large`: 3 MiB in which a missing, doubled or moved block shows.
    #[must_use]
    pub fn large() -> Vec<u8> {
        (0..3 * 1024 * 1024 / 8).flat_map(|n: u64| n.to_be_bytes()).collect()
    }

    /// The TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the served files lie.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The requests seen so far, as the server logged them.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.running.output().lines().filter(|l| l.contains("\"GET ")).count()
    }
}

/// Fetches `url` with `curl`; further arguments stand in `args`.
///
/// # Errors
/// When `curl` is missing or takes longer than [`LIMIT`]. A refused request is no error: look at the exit code.
pub fn curl(url: &str, args: &[&str]) -> Result<Finished> {
    let mut command = Command::new(program("curl")?);
    command.args(["--silent", "--show-error", "--fail", "--noproxy", "*"]).args(args).arg(url);
    transcript::command(&command);
    let finished = finish(&mut command, b"", LIMIT).context("curl")?;
    if finished.stdout.len() < 4096 {
        transcript::answer(&finished);
    } else {
        transcript::output(&format!("({} bytes)", finished.stdout.len()));
    }
    Ok(finished)
}
