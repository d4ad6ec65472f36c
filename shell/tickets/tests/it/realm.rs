//! A private Kerberos realm for one test.
//!
//! The Kerberos library takes its configuration from the environment, so a test that needs a realm
//! runs a second time in a process of its own, whose environment names that realm.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use symbolon_tickets::kerberos::{Keytab, ServicePrincipal};

pub(crate) const REALM: &str = symbolon_acceptance::Realm::NAME;
pub(crate) const PASSWORD: &str = "ticket-canary-pw";

/// Where the realm of this process is.
const DIRECTORY: &str = "SYMBOLON_TEST_REALM";
/// Which part of the test runs in this process.
const PART: &str = "SYMBOLON_TEST_PART";

/// The realm as a test sees it.
pub(crate) struct Realm(symbolon_acceptance::Realm);

/// Runs `test`, whose name in this binary is `name`, in a realm of its own.
pub(crate) fn in_a_realm(name: &str, test: impl FnOnce(&Realm)) {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        let realm = Realm(symbolon_acceptance::Realm::of(directory.as_ref()).unwrap());
        std::fs::write(realm.path("ran"), name).unwrap();
        test(&realm);
    } else {
        let realm = symbolon_acceptance::Realm::start().unwrap();
        for person in ["alice", "alice/admin", "Bob"] {
            realm.add_person(person, PASSWORD).unwrap();
        }
        for host in ["gw.sym.test", "other.sym.test"] {
            realm.add_service_to(&format!("host/{host}"), &realm.path("gateway.keytab")).unwrap();
        }
        Realm(realm).run_part(name, "", &[]);
    }
}

impl Realm {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
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

    /// Signs a person in, as `kinit` does at a terminal.
    pub(crate) fn kinit(&self, principal: &str) {
        self.0.kinit(principal, PASSWORD, &self.path("tickets")).unwrap();
    }

    pub(crate) fn kadmin(&self, query: &str) {
        self.0.kadmin(query).unwrap();
    }

    /// Stops the KDC for good.
    pub(crate) fn stop_kdc(&self) {
        self.0.kill_kdc().unwrap();
    }

    /// Writes the configuration of clients, who look for the KDC at `port`.
    pub(crate) fn write_client_configuration(&self, port: u16) {
        self.0.point_clients_to(port).unwrap();
    }

    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.envs(self.0.environment_of(&self.path("tickets"))).env(DIRECTORY, self.0.path(""));
        command
    }
}
