//! A private PostgreSQL server for one test binary: a Unix socket, no network, gone at the end.

use crate::home::{Home, NODE_KEY};
use sqlx::AnyPool;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use symbolon_store::StoreError;
use tempfile::TempDir;

/// Where Debian's package `postgresql-15` puts its programs.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

pub(crate) struct Server {
    dir: TempDir,
    account: Option<(u32, u32)>,
}

impl Server {
    /// Starts a server with an empty cluster.
    ///
    /// # Panics
    /// When PostgreSQL is not installed: these tests are never skipped.
    pub(crate) fn start() -> Self {
        sqlx::any::install_default_drivers();
        let dir = TempDir::new().unwrap();
        // initdb refuses to run as root
        let root = std::fs::metadata(dir.path()).unwrap().uid() == 0;
        let account = root.then(|| account("postgres"));
        if let Some((uid, gid)) = account {
            chown(dir.path(), Some(uid), Some(gid)).unwrap();
        }
        let server = Self { dir, account };
        server.run("initdb", &["-U", "tests", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8", "-D"]);
        let options = format!("-k {} -c listen_addresses='' -c fsync=off", server.dir.path().display());
        let log = server.dir.path().join("log");
        server.run("pg_ctl", &["start", "-w", "-s", "-l", log.to_str().unwrap(), "-o", &options, "-D"]);
        server
    }

    /// A fresh database.
    pub(crate) async fn database(&self, name: &str) -> Home {
        let admin = AnyPool::connect(&self.url("postgres")).await.unwrap();
        let create = format!("CREATE DATABASE {name} TEMPLATE template0");
        sqlx::query(sqlx::AssertSqlSafe(create)).execute(&admin).await.unwrap();
        admin.close().await;
        Home::database(self.url(name))
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://tests@localhost/{database}?host={}", self.dir.path().display())
    }

    /// Runs a program of PostgreSQL on the cluster; the last argument is its directory.
    fn run(&self, program: &str, arguments: &[&str]) {
        let path = PathBuf::from(PROGRAMS).join(program);
        let mut command = Command::new(&path);
        if let Some((uid, gid)) = self.account {
            command.uid(uid).gid(gid);
        }
        // not captured: the server would keep the pipe open
        let status = command
            .args(arguments)
            .arg(self.dir.path().join("data"))
            .current_dir(self.dir.path())
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .status();
        match status {
            Ok(status) => assert!(status.success(), "{program}: {status}"),
            Err(e) => panic!("{}: {e}: install postgresql-15", path.display()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() || self.dir.path().join("data/postmaster.pid").exists() {
            self.run("pg_ctl", &["stop", "-w", "-s", "-m", "immediate", "-D"]);
        }
    }
}

/// User and group id of an account of this machine.
fn account(name: &str) -> (u32, u32) {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let fields: Vec<&str> =
        passwd.lines().map(|l| l.split(':').collect::<Vec<_>>()).find(|f| f[0] == name).unwrap_or_else(
            || {
                panic!("no account {name}: install postgresql-15");
            },
        );
    (fields[2].parse().unwrap(), fields[3].parse().unwrap())
}

pub(crate) async fn a_database_that_may_only_be_read_is_reported(server: &Server) {
    server.database("read_only").await.open().await.close().await;
    let url = format!("{}&options=-c%20default_transaction_read_only=on", server.url("read_only"));
    let refused = Home::database(url).try_open(NODE_KEY).await;
    assert_eq!(refused.err(), Some(StoreError::ReadOnly));
}
