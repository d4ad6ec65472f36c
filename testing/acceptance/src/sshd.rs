//! An OpenSSH server, and `ssh` as its client.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{Finished, LIMIT, Running, finish, free_port, program, transcript};

/// How often another port is tried when somebody was quicker.
const ATTEMPTS: usize = 3;

/// The name under which the client knows the server's key, whatever way leads to it.
const HOST: &str = "behind-the-gateway";

/// A server with keys of its own, for the user who runs the test.
#[derive(Debug)]
pub struct Sshd {
    running: Running,
    directory: TempDir,
    port: u16,
}

/// The way by which `ssh` reaches the server.
#[derive(Clone, Copy, Debug)]
pub enum Via<'a> {
    /// A TCP port on 127.0.0.1.
    Port(u16),
    /// A command whose standard input and output are the connection.
    ProxyCommand(&'a str),
}

impl Sshd {
    /// Makes keys and starts the server.
    ///
    /// # Errors
    /// When OpenSSH is missing or does not start.
    pub fn start() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("sy-sshd-").tempdir()?;
        let here = directory.path();
        for key in ["host_key", "client_key"] {
            make_key(&here.join(key))?;
        }
        fs::copy(here.join("client_key.pub"), here.join("authorized_keys"))?;
        let host_key = fs::read_to_string(here.join("host_key.pub"))?;
        fs::write(here.join("known_hosts"), format!("{HOST} {host_key}"))?;
        if rustix::process::geteuid().is_root() {
            // Where the server's unprivileged part is locked in; the package leaves its making to the service.
            DirBuilder::new().recursive(true).mode(0o755).create("/run/sshd")?;
        }
        let mut attempts = 0;
        loop {
            let port = free_port()?;
            match Self::serve(here, port) {
                Ok(running) => return Ok(Self { running, directory, port }),
                Err(e) if attempts == ATTEMPTS => return Err(e),
                Err(_) => attempts += 1,
            }
        }
    }

    fn serve(here: &Path, port: u16) -> Result<Running> {
        let config = here.join("sshd_config");
        let path = |file: &str| here.join(file).display().to_string();
        fs::write(
            &config,
            format!(
                "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM {}\n\
                 StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
                 PermitRootLogin prohibit-password\nPrintMotd no\nSubsystem sftp internal-sftp\n",
                path("host_key"),
                path("authorized_keys"),
                if is_root_locked() { "yes" } else { "no" },
            ),
        )?;
        let mut sshd = Command::new(program("sshd")?);
        let running = Running::start("sshd", sshd.args(["-D", "-e", "-f"]).arg(config))?;
        running.wait_line(|line| line.starts_with("Server listening on"))?;
        Ok(running)
    }

    /// The TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the server logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.running.output()
    }

    /// `ssh` that accepts this server's key alone, reaches it by `via`, and runs `remote` there.
    ///
    /// # Errors
    /// When `ssh` is missing.
    pub fn ssh(&self, via: Via<'_>, remote: &str) -> Result<Command> {
        let here = self.directory.path();
        let mut command = Command::new(program("ssh")?);
        command.args(["-F", "none", "-i"]).arg(here.join("client_key"));
        let mut option = |text: String| {
            command.args(["-o", &text]);
        };
        for fixed in ["BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes", "LogLevel=ERROR"] {
            option(fixed.to_owned());
        }
        option(format!("HostKeyAlias={HOST}"));
        option(format!("UserKnownHostsFile={}", here.join("known_hosts").display()));
        match via {
            Via::Port(port) => option(format!("Port={port}")),
            Via::ProxyCommand(line) => option(format!("ProxyCommand={line}")),
        }
        command.arg("127.0.0.1").arg(remote);
        Ok(command)
    }

    /// `sftp` by the same way and key, with further options, and its commands on standard input.
    ///
    /// # Errors
    /// When `sftp` is missing.
    pub fn sftp(&self, via: Via<'_>, further: &[&str]) -> Result<Command> {
        let ssh = self.ssh(via, "")?;
        let options: Vec<_> = ssh.get_args().take_while(|a| *a != "127.0.0.1").collect();
        let mut command = Command::new(program("sftp")?);
        command.args(options).args(further).args(["-b", "-", "127.0.0.1"]);
        Ok(command)
    }

    /// Runs `remote` on the server, with `input`, and shows it in the transcript.
    ///
    /// # Errors
    /// When `ssh` is missing or takes longer than [`LIMIT`]. A failing command is no error: look at the exit code.
    pub fn run(&self, via: Via<'_>, remote: &str, input: &[u8]) -> Result<Finished> {
        transcript::step(&format!("ssh by {via}: {remote}"));
        let finished = finish(&mut self.ssh(via, remote)?, input, LIMIT)?;
        transcript::answer(&finished);
        Ok(finished)
    }
}

impl std::fmt::Display for Via<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Port(port) => write!(f, "port {port}"),
            Self::ProxyCommand(line) => write!(f, "`{line}`"),
        }
    }
}

fn make_key(file: &PathBuf) -> Result<()> {
    let mut keygen = Command::new(program("ssh-keygen")?);
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "acceptance", "-f"]).arg(file);
    finish(&mut keygen, b"", LIMIT)?.success().context("ssh-keygen")?;
    Ok(())
}

/// Without PAM the server refuses an account whose password is locked, even with a key.
fn is_root_locked() -> bool {
    rustix::process::geteuid().is_root()
        && fs::read_to_string("/etc/shadow").is_ok_and(|s| s.lines().any(|l| l.starts_with("root:!")))
}
