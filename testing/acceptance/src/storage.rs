//! A web server that keeps what it is sent.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use tempfile::TempDir;

use crate::{Running, program};

/// Python's web server over a directory, which takes files too, and keeps connections open (HTTP/1.1).
#[derive(Debug)]
pub struct Storage {
    running: Running,
    directory: TempDir,
    port: u16,
}

impl Storage {
    /// Starts it with an empty directory on a port of its own choice.
    ///
    /// # Errors
    /// When `python3` is missing or does not start.
    pub fn start() -> Result<Self> {
        Self::placed(tempfile::tempdir()?, &[])
    }

    /// The same at a Unix socket, `socket` in its directory; the port is 0.
    ///
    /// # Errors
    /// As [`Storage::start`].
    pub fn at_unix_socket() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let socket = directory.path().join("socket");
        Self::placed(directory, &[OsStr::new("unix"), socket.as_os_str()])
    }

    /// The same, and it speaks TLS with this certificate and key.
    ///
    /// # Errors
    /// As [`Storage::start`].
    pub fn behind_tls(certificate: &Path, key: &Path) -> Result<Self> {
        Self::placed(tempfile::tempdir()?, &[OsStr::new("tls"), certificate.as_os_str(), key.as_os_str()])
    }

    fn placed(directory: TempDir, place: &[&OsStr]) -> Result<Self> {
        let mut command = Command::new(program("python3")?);
        command.args(["-c", include_str!("storage.py")]).arg(directory.path()).args(place);
        let running = Running::start("storage", &mut command)?;
        let port = running.wait_value(|line| line.strip_prefix("at port ")?.parse().ok())?;
        Ok(Self { running, directory, port })
    }

    /// The TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process.
    #[must_use]
    pub fn process(&self) -> &Running {
        &self.running
    }

    /// Where the files lie.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// One of them.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// How many connections it has accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.running.output().lines().filter(|l| *l == "connection").count()
    }

    /// Puts a file of so many bytes there in which a missing, doubled or moved block shows.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn fill(&self, name: &str, bytes: u64) -> Result<PathBuf> {
        let path = self.path(name);
        let mut file = BufWriter::new(File::create(&path)?);
        for n in 0..bytes / 8 {
            file.write_all(&n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes())?;
        }
        file.into_inner()?.set_len(bytes)?;
        Ok(path)
    }
}
