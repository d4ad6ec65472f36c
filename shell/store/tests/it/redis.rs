//! Private Redis servers: TLS with certificates on both sides, users with few rights, gone at the end.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use symbolon_store::HotUrl;
use tempfile::TempDir;

/// What a node may do, as docs/hot-store.md tells operators.
pub(crate) const RIGHTS: &str = "resetchannels -@all +select +info +wait +script|load +evalsha +hset +hget +hmget +hgetall \
                      +hdel +hincrby +exists +del +get +set +pexpire +pttl +time +zadd +zrem +zrangebyscore +sadd +srem +smembers +scard";

/// The password of the nodes' user.
pub(crate) const PASSWORD: &str = "canary/of:the@nodes";
const ADMIN_PASSWORD: &str = "admin";

pub(crate) struct Server {
    dir: Arc<TempDir>,
    port: u16,
    process: Mutex<Child>,
}

impl Server {
    /// Starts an empty server.
    ///
    /// # Panics
    /// When Redis is not installed: these tests are never skipped.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// Starts an empty server with more lines of configuration.
    pub(crate) fn with(more: &str) -> Self {
        let dir = TempDir::new().unwrap();
        certificates(dir.path());
        Self::beside(dir, more)
    }

    /// Starts a replica of `primary` and waits until it is in step.
    pub(crate) fn replica_of(primary: &Self) -> Self {
        let dir = TempDir::new().unwrap();
        for file in ["ca.pem", "own.pem", "key.pem"] {
            std::fs::copy(primary.dir.path().join(file), dir.path().join(file)).unwrap();
        }
        let replica = Self::beside(dir, &format!("replicaof 127.0.0.1 {}", primary.port));
        let in_step = || primary.admin(&["INFO", "replication"]).contains("state=online");
        until("a replica is in step", in_step);
        replica
    }

    fn beside(dir: TempDir, more: &str) -> Self {
        let dir = Arc::new(dir);
        // a port that another process takes first is tried again with another
        for _ in 0..5 {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            let home = dir.path().display();
            let secret = PASSWORD;
            let configuration = format!(
                "port 0\ntls-port {port}\nbind 127.0.0.1\ndir {home}\n\
                 tls-cert-file {home}/own.pem\ntls-key-file {home}/key.pem\ntls-ca-cert-file {home}/ca.pem\n\
                 tls-auth-clients yes\ntls-replication yes\nmasteruser admin\nmasterauth {ADMIN_PASSWORD}\n\
                 save \"\"\nappendonly yes\nappendfsync always\nrepl-diskless-sync-delay 0\n\
                 user default off ~* &* +@all\nuser admin on >{ADMIN_PASSWORD} ~* &* +@all\n\
                 user node on >{secret} ~symbolon:* ~behaviour-* {RIGHTS}\n{more}\n"
            );
            std::fs::write(dir.path().join("redis.conf"), configuration).unwrap();
            let server = Self { process: Mutex::new(spawn(dir.path())), port, dir: dir.clone() };
            if server.comes_up() {
                return server;
            }
        }
        panic!("no port is free");
    }

    fn comes_up(&self) -> bool {
        let mut ended = false;
        until("the server answers", || {
            ended = self.process().try_wait().unwrap().is_some();
            ended || self.try_admin(&["PING"]).as_deref() == Ok("PONG")
        });
        !ended
    }

    /// Where the store finds it.
    pub(crate) fn url(&self, prefix: &str, parameters: &str) -> HotUrl {
        self.text(prefix, parameters).parse().unwrap()
    }

    /// The same as an operator writes it.
    pub(crate) fn text(&self, prefix: &str, parameters: &str) -> String {
        let (home, port) = (self.dir.path().display(), self.port);
        let password = PASSWORD.replace('/', "%2f").replace(':', "%3a").replace('@', "%40");
        format!(
            "rediss://node:{password}@127.0.0.1:{port}/0?sslrootcert={home}/ca.pem&sslcert={home}/own.pem\
             &sslkey={home}/key.pem&prefix={prefix}{parameters}"
        )
    }

    /// What the operator sees who asks the server with its own client.
    pub(crate) fn admin(&self, words: &[&str]) -> String {
        self.try_admin(words).unwrap()
    }

    fn try_admin(&self, words: &[&str]) -> Result<String, String> {
        let home = self.dir.path();
        let output = Command::new("redis-cli")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "--user", "admin", "-e", "--tls"])
            .arg("--cacert")
            .arg(home.join("ca.pem"))
            .arg("--cert")
            .arg(home.join("own.pem"))
            .arg("--key")
            .arg(home.join("key.pem"))
            .args(words)
            .env("REDISCLI_AUTH", ADMIN_PASSWORD)
            .stdin(Stdio::null())
            .output();
        let output = output.unwrap_or_else(|e| panic!("redis-cli: {e}: install redis-tools"));
        let said = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        if output.status.success() {
            Ok(said)
        } else {
            Err(format!("{said} {}", String::from_utf8_lossy(&output.stderr)))
        }
    }

    /// As a machine that loses its power.
    pub(crate) fn kill(&self) {
        let mut process = self.process();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Starts it again on what it kept.
    pub(crate) fn start_again(&self) {
        *self.process() = spawn(self.dir.path());
        assert!(self.comes_up(), "it does not start again");
    }

    /// Stops the process, which keeps its sockets and answers nobody.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Child> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(dir: &Path) -> Child {
    let log = std::fs::File::create(dir.join("log")).unwrap();
    Command::new("redis-server")
        .arg(dir.join("redis.conf"))
        .stdin(Stdio::null())
        .stdout(log)
        .spawn()
        .unwrap_or_else(|e| panic!("redis-server: {e}: install redis-server"))
}

/// Asks again and again, for ten seconds.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(10), "after ten seconds not yet: {what}");
        // each question is a process of its own
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An authority, and what it issued to servers and nodes alike.
pub(crate) fn certificates(dir: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "Authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "node");
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let own = params.signed_by(&key, &authority).unwrap();
    std::fs::write(dir.join("ca.pem"), authority.pem()).unwrap();
    std::fs::write(dir.join("own.pem"), own.pem()).unwrap();
    std::fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
}

/// Bytes as Lua writes them.
pub(crate) fn lua_text(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, b| {
        let _ = write!(text, "\\{b:03}");
        text
    })
}
