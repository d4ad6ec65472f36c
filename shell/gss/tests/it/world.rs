//! One issuer, one service and one user for all tests of the process.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use symbolon_crypto::{SecretBytes, Suite};
use symbolon_gss::admin::{self, Account};
use symbolon_gss::now;
use symbolon_policy::CanonName;
use tempfile::TempDir;

pub(crate) const SERVICE: &str = "test@localhost";
pub(crate) const USER: &str = "alice";
pub(crate) const PASSWORD: &str = "correct horse";

/// Makes it once, and lets the mechanism find it.
pub(crate) fn world() -> &'static Path {
    static WORLD: OnceLock<TempDir> = OnceLock::new();
    WORLD.get_or_init(make).path()
}

fn make() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    admin::init_issuer(&path("issuer"), "Example Works", now()).unwrap();
    let suites = [Suite::XWing, Suite::X25519];
    let (issuer, services) = (path("issuer"), path("services"));
    let service =
        admin::init_acceptor(&issuer, &services, SERVICE, Account::own(), &suites, 86_400, now()).unwrap();
    admin::publish(&[service], &path("keysets")).unwrap();
    let user = CanonName::parse(USER).unwrap();
    admin::add_user(&path("users"), &user, &SecretBytes::from(PASSWORD.to_owned()), None).unwrap();
    let here = directory.path().display();
    let config = format!(
        "[initiator]\nissuer = \"{here}/issuer/issuer.crt\"\nkey_sets = \"{here}/keysets\"\n\
         passwords_to = [\"{SERVICE}\"]\nsuites = [\"X25519\"]\n\
         [acceptor]\nservices = \"{here}/services\"\nusers = \"{here}/users\"\n"
    );
    fs::write(path("gss.toml"), config).unwrap();
    // SAFETY: `OnceLock` lets nobody past before it is set, and nothing else reads the environment
    // by other means than Rust's, which lock it.
    #[expect(clippy::disallowed_methods, reason = "the mechanism finds its configuration so")]
    unsafe {
        std::env::set_var("SYMBOLON_GSS_CONFIG", path("gss.toml"));
    }
    directory
}
