//! A private Kerberos realm: MIT's own KDC on a port of its own, with its own files.
//!
//! The Kerberos library takes its configuration from the environment, so a test that needs a realm
//! runs a second time in a process of its own, whose environment names that realm.

use std::ffi::OsString;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use symbolon_tickets::kerberos::{Keytab, ServicePrincipal};

pub(crate) const REALM: &str = "SYM.TEST";
pub(crate) const PASSWORD: &str = "ticket-canary-pw";

/// Where the realm of this process is.
const DIRECTORY: &str = "SYMBOLON_TEST_REALM";
/// Which part of the test runs in this process.
const PART: &str = "SYMBOLON_TEST_PART";

/// The realm as a test sees it.
pub(crate) struct Realm {
    directory: PathBuf,
}

/// Runs `test`, whose name in this binary is `name`, in a realm of its own.
pub(crate) fn in_a_realm(name: &str, test: impl FnOnce(&Realm)) {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        let realm = Realm { directory: directory.into() };
        std::fs::write(realm.path("ran"), name).unwrap();
        test(&realm);
    } else {
        let directory = tempfile::tempdir().unwrap();
        let realm = Realm { directory: directory.path().to_owned() };
        let _kdc = realm.start_kdc();
        realm.run_part(name, "", &[]);
    }
}

impl Realm {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Which part of its test this process runs; the first has no name.
    pub(crate) fn part(&self) -> String {
        std::env::var(PART).unwrap_or_default()
    }

    /// Runs the test once more, as its part `part`, by the program `under` (as in `faketime +2h`).
    pub(crate) fn run_part(&self, name: &str, part: &str, under: &[&str]) {
        let this = std::env::current_exe().unwrap().into_os_string();
        let mut line: Vec<OsString> = under.iter().map(Into::into).collect();
        line.extend([this, "--exact".into(), name.into(), "--nocapture".into()]);
        let _ = std::fs::remove_file(self.path("ran"));
        // What it says of itself would be taken for what this test says; why it fails it says elsewhere.
        let mut again = self.command(&line[0]);
        let status = again.args(&line[1..]).env(PART, part).stdout(Stdio::null()).status().unwrap();
        assert!(status.success(), "{name}, part {part:?}: {status}");
        assert_eq!(std::fs::read_to_string(self.path("ran")).unwrap(), name, "the test was not found");
    }

    pub(crate) fn service(host: &str) -> ServicePrincipal {
        ServicePrincipal::parse(&format!("host/{host}@{REALM}")).unwrap()
    }

    pub(crate) fn keytab(&self) -> Keytab {
        Keytab::new(&self.path("gateway.keytab"), &self.path("replays")).unwrap()
    }

    /// Runs a program in the realm, and gives what it said.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output();
        let output = output.unwrap_or_else(|e| {
            panic!("{program}: {e} (Debian: krb5-user, krb5-kdc, krb5-admin-server, krb5-gss-samples)")
        });
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
        said
    }

    /// Signs a person in, as `kinit` does at a terminal.
    pub(crate) fn kinit(&self, principal: &str) {
        let password = self.path("password");
        std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
        let input = std::fs::File::open(password).unwrap();
        let mut kinit = self.command("kinit");
        let status = kinit.arg(principal).stdin(input).stdout(Stdio::null()).status().unwrap();
        assert!(status.success(), "kinit {principal}");
    }

    pub(crate) fn kadmin(&self, query: &str) {
        self.run("kadmin.local", &["-r", REALM, "-q", query]);
    }

    /// Stops the KDC for good.
    pub(crate) fn stop_kdc(&self) {
        let pid = std::fs::read_to_string(self.path("kdc.pid")).unwrap();
        self.run("kill", &["-KILL", pid.trim()]);
        let port = self.port();
        until("the KDC is gone", || TcpStream::connect(("127.0.0.1", port)).is_err());
    }

    fn port(&self) -> u16 {
        std::fs::read_to_string(self.path("port")).unwrap().parse().unwrap()
    }

    /// Writes the configuration of clients, who look for the KDC at `port`.
    pub(crate) fn write_client_configuration(&self, port: u16) {
        let text = format!(
            "[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n \
             rdns = false\n dns_canonicalize_hostname = false\n udp_preference_limit = 1\n\
             [realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n"
        );
        std::fs::write(self.path("krb5.conf"), text).unwrap();
    }

    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .env("PATH", format!("/usr/sbin:/sbin:{path}"))
            .env("KRB5_CONFIG", self.path("krb5.conf"))
            .env("KRB5_KDC_PROFILE", self.path("kdc.conf"))
            .env("KRB5CCNAME", self.cache())
            .env(DIRECTORY, &self.directory);
        command
    }

    fn cache(&self) -> String {
        format!("FILE:{}", self.path("tickets").display())
    }

    fn start_kdc(&self) -> Kdc {
        let port = free_port();
        std::fs::write(self.path("port"), port.to_string()).unwrap();
        self.write_client_configuration(port);
        let place = |name| self.path(name).display().to_string();
        let text = format!(
            "[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n\
             [realms]\n {REALM} = {{\n  database_name = {}\n  key_stash_file = {}\n  acl_file = {}\n  \
             max_life = 1h\n  supported_enctypes = aes256-cts-hmac-sha384-192:normal aes256-cts:normal\n }}\n",
            place("principal"),
            place("stash"),
            place("acl")
        );
        std::fs::write(self.path("kdc.conf"), text).unwrap();
        self.run("kdb5_util", &["create", "-s", "-r", REALM, "-P", "master-of-tests"]);
        for person in ["alice", "alice/admin", "Bob"] {
            self.kadmin(&format!("addprinc -pw {PASSWORD} {person}"));
        }
        let keytab = place("gateway.keytab");
        for host in ["gw.sym.test", "other.sym.test"] {
            self.kadmin(&format!("addprinc -randkey host/{host}"));
            self.kadmin(&format!("ktadd -k {keytab} host/{host}"));
        }
        let pid = place("kdc.pid");
        let log = std::fs::File::create(self.path("kdc.log")).unwrap();
        let child = self
            .command("krb5kdc")
            .args(["-n", "-r", REALM, "-P", &pid])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("Debian: krb5-kdc");
        let kdc = Kdc(child);
        until("the KDC answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        until("the KDC wrote its id", || Path::new(&pid).exists());
        kdc
    }
}

struct Kdc(Child);

impl Drop for Kdc {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody has just now. It is below those that the kernel gives to clients, and each
/// process of tests begins to look elsewhere.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let mut places = std::iter::repeat_with(|| ASKED.fetch_add(1, Ordering::Relaxed));
    let port = places.find_map(|n| {
        let place = std::process::id().wrapping_mul(7919).wrapping_add(n) % COUNT;
        let port = u16::try_from(FIRST + place).ok()?;
        TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
    });
    port.unwrap()
}

/// Asks again and again, for ten seconds at most.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
