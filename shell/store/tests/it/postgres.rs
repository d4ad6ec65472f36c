//! A private PostgreSQL server for one test binary: a Unix socket, no network, gone at the end.

use crate::home::{Home, NODE_KEY};
use crate::run;
use sqlx::AnyPool;
use std::fmt::Display;
use std::fs::Permissions;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
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
        let server = Self::make();
        server.serve("-c listen_addresses=''");
        server
    }

    /// An empty cluster that nobody serves.
    fn make() -> Self {
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
        server
    }

    fn serve(&self, options: &str) {
        assert!(self.try_serve(options), "PostgreSQL does not start");
    }

    fn try_serve(&self, options: &str) -> bool {
        let options = format!("-k {} -c fsync=off {options}", self.dir.path().display());
        let log = self.dir.path().join("log");
        self.try_run("pg_ctl", &["start", "-w", "-s", "-l", log.to_str().unwrap(), "-o", &options, "-D"])
    }

    /// Gives a file to the account of the server, which reads no key that others may.
    fn hand_over(&self, file: &Path) {
        std::fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
        if let Some((uid, gid)) = self.account {
            chown(file, Some(uid), Some(gid)).unwrap();
        }
    }

    /// Starts a server that others reach on 127.0.0.1, and that lets in by TLS alone who shows a certificate for the
    /// name of the user: `ca.pem`, `own.pem` and `key.pem` lie in its directory.
    pub(crate) fn start_with_tls() -> (Self, u16) {
        let server = Self::make();
        crate::redis::certificates(server.dir.path());
        for file in ["ca.pem", "own.pem", "key.pem"] {
            server.hand_over(&server.dir.path().join(file));
        }
        let data = server.dir.path().join("data");
        let rules = "local all all trust\nhostssl all all 127.0.0.1/32 cert map=nodes\n";
        std::fs::write(data.join("pg_hba.conf"), rules).unwrap();
        std::fs::write(data.join("pg_ident.conf"), "nodes node tests\n").unwrap();
        let home = server.dir.path().display();
        let tls = format!(
            "-c ssl=on -c ssl_ca_file={home}/ca.pem -c ssl_cert_file={home}/own.pem -c ssl_key_file={home}/key.pem"
        );
        // a port that another process takes first is tried again with another
        for _ in 0..5 {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            if server.try_serve(&format!("-p {port} -c listen_addresses=127.0.0.1 {tls}")) {
                return (server, port);
            }
        }
        panic!("no port is free");
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
        assert!(self.try_run(program, arguments), "{program}");
    }

    fn try_run(&self, program: &str, arguments: &[&str]) -> bool {
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
            Ok(status) => status.success(),
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

#[test]
fn a_node_shows_its_certificate_and_checks_the_servers() {
    let (server, port) = Server::start_with_tls();
    let other = tempfile::TempDir::new().unwrap();
    crate::redis::certificates(other.path());
    let (home, other) = (server.dir.path().display(), other.path().display());
    let url = |host: &str, authority: &dyn Display, own: &dyn Display| {
        let own = format!("&sslcert={own}/own.pem&sslkey={own}/key.pem");
        format!(
            "postgres://tests@{host}:{port}/postgres?sslmode=verify-full&sslrootcert={authority}/ca.pem{own}"
        )
    };
    run(async {
        let store = Home::database(url("127.0.0.1", &home, &home)).open().await;
        assert!(store.is_there().await.is_ok());
        store.close().await;
        let refused = async |what: &str, url: String, because: &str| {
            let error = Home::database(url).try_open(NODE_KEY).await.expect_err(what).to_string();
            assert!(error.contains(because), "{what}: {error}");
        };
        refused("a server of another authority", url("127.0.0.1", &other, &home), "invalid peer certificate")
            .await;
        refused("a node of another authority", url("127.0.0.1", &home, &other), "").await;
        let without = format!(
            "postgres://tests@127.0.0.1:{port}/postgres?sslmode=verify-full&sslrootcert={home}/ca.pem"
        );
        refused("a node without a certificate", without, "certificate").await;
        refused(
            "no TLS",
            format!("postgres://tests@127.0.0.1:{port}/postgres?sslmode=disable"),
            "no encryption",
        )
        .await;
    });
}
