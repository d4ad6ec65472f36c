//! A PostgreSQL server, and `psql` as its client.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{Finished, LIMIT, Running, Signal, finish, free_port, program, transcript};

const USER: &str = "app";
const PASSWORD: &str = "a password of the application's own";

/// How often another port is tried when somebody was quicker.
const ATTEMPTS: usize = 3;

/// A server with a fresh cluster: TCP on 127.0.0.1 with a password (SCRAM), a Unix socket without.
#[derive(Debug)]
pub struct Postgres {
    running: Running,
    directory: TempDir,
    port: u16,
}

/// The user that runs the server, when we are root: it refuses to run as root.
#[derive(Clone, Copy, Debug)]
struct Servant {
    uid: u32,
    gid: u32,
}

impl Postgres {
    /// Makes a cluster and starts its server.
    ///
    /// # Errors
    /// When PostgreSQL is missing or does not start.
    pub fn start() -> Result<Self> {
        let servant = Servant::find()?;
        let directory = tempfile::Builder::new().prefix("sy-pg-").tempdir()?;
        let password = directory.path().join("password");
        fs::write(&password, PASSWORD)?;
        if let Some(Servant { uid, gid }) = servant {
            chown(directory.path(), Some(uid), Some(gid))?;
            chown(&password, Some(uid), Some(gid))?;
        }
        let cluster = directory.path().join("cluster");
        let mut initdb = as_servant(program("initdb")?, servant, directory.path());
        initdb
            .args([
                "--no-sync",
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .arg(format!("--username={USER}"))
            .arg(format!("--pwfile={}", password.display()))
            .arg(format!("--pgdata={}", cluster.display()));
        finish(&mut initdb, b"", LIMIT)?.success().context("initdb")?;
        let mut attempts = 0;
        loop {
            let port = free_port()?;
            match Self::serve(servant, directory.path(), &cluster, port) {
                Ok(running) => return Ok(Self { running, directory, port }),
                Err(e) if attempts == ATTEMPTS => return Err(e),
                Err(_) => attempts += 1,
            }
        }
    }

    fn serve(servant: Option<Servant>, directory: &Path, cluster: &Path, port: u16) -> Result<Running> {
        let mut postgres = as_servant(program("postgres")?, servant, directory);
        postgres.arg("-D").arg(cluster).args(["-p", &port.to_string(), "-k"]).arg(directory);
        for setting in
            ["listen_addresses=127.0.0.1", "fsync=off", "shared_buffers=16MB", "log_connections=on"]
        {
            postgres.args(["-c", setting]);
        }
        // "Immediate": nothing of this cluster is wanted afterwards.
        let running = Running::start("postgres", &mut postgres)?.ended_by(Signal::QUIT);
        running.wait_line(|line| line.contains("ready to accept connections"))?;
        Ok(running)
    }

    /// The TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of its Unix socket, where no password is asked.
    #[must_use]
    pub fn socket_directory(&self) -> &Path {
        self.directory.path()
    }

    /// What the server logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.running.output()
    }

    /// `psql` to 127.0.0.1 at `port`, which may be another way to this server; rows come bare, one a line.
    ///
    /// # Errors
    /// When `psql` is missing.
    pub fn psql(port: u16) -> Result<Command> {
        let mut command = Command::new(program("psql")?);
        command
            .args(["--no-psqlrc", "--no-align", "--tuples-only", "--quiet", "--set=ON_ERROR_STOP=1"])
            .args(["--host=127.0.0.1", &format!("--port={port}"), "--username", USER, "--dbname=postgres"])
            .env("PGPASSWORD", PASSWORD)
            .env("PGCONNECT_TIMEOUT", "10");
        Ok(command)
    }

    /// Runs one statement through `port` and shows it in the transcript.
    ///
    /// # Errors
    /// When `psql` is missing or takes longer than [`LIMIT`]. An SQL error is none: look at the exit code.
    pub fn query(port: u16, sql: &str) -> Result<Finished> {
        let mut command = Self::psql(port)?;
        command.args(["--command", sql]);
        transcript::step(&format!("psql to port {port}: {sql}"));
        let finished = finish(&mut command, b"", LIMIT)?;
        transcript::answer(&finished);
        Ok(finished)
    }
}

impl Servant {
    /// `None` when we are an ordinary user, who runs the server as such.
    fn find() -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd")?;
        let line = accounts.lines().find(|l| l.starts_with("postgres:"));
        let line =
            line.context("there is no user postgres: `cargo xtask setup` installs what the tests need")?;
        let fields: Vec<&str> = line.split(':').collect();
        ensure!(fields.len() == 7, "an odd line in /etc/passwd: {line}");
        Ok(Some(Self { uid: fields[2].parse()?, gid: fields[3].parse()? }))
    }
}

fn as_servant(program: PathBuf, servant: Option<Servant>, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory).env("LC_ALL", "C").env("HOME", directory);
    if let Some(Servant { uid, gid }) = servant {
        command.uid(uid).gid(gid);
    }
    command
}
