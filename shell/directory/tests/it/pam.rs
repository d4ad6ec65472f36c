//! PAM knows the passwords: a private directory of services, with Debian's modules and the test
//! modules of pam_wrapper.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use symbolon_crypto::SecretBytes;
use symbolon_directory::{BackendError, Checked, Pam, PamConfig, PamService, PasswordBackend as _};
use symbolon_policy::CanonName;
use tempfile::TempDir;

use crate::slapd::right;

pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// A directory of PAM services, and of what its modules read.
pub(crate) struct Services(TempDir);

impl Services {
    /// With one service, `symbolon`. In its text `MATRIX` stands for a module that knows alice's
    /// password, and `WRAPPER` and `HERE` for the directories of test modules and of this.
    pub(crate) fn with(text: &str) -> Self {
        let services = Self(tempfile::tempdir().unwrap());
        services.write("passwords", "alice:alice-pw:symbolon\nbob:bob-pw:elsewhere\n");
        services.write_service("symbolon", text);
        services
    }

    pub(crate) fn write_service(&self, name: &str, text: &str) {
        let (wrapper, here) = (wrapper(), self.0.path().display().to_string());
        let matrix = format!("{wrapper}/pam_matrix.so passdb={here}/passwords");
        let text = text.replace("MATRIX", &matrix).replace("WRAPPER", &wrapper).replace("HERE", &here);
        self.write(name, &text);
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn write_program(&self, name: &str, text: &str) {
        self.write(name, text);
        std::fs::set_permissions(self.path(name), PermissionsExt::from_mode(0o755)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn pam(&self) -> Pam {
        self.pam_with(LIMIT, 4)
    }

    pub(crate) fn pam_with(&self, limit: Duration, threads: usize) -> Pam {
        let service = PamService::new("symbolon", self.0.path()).unwrap();
        Pam::new(PamConfig { service, limit, threads })
    }
}

/// Where Debian's libpam-wrapper puts its modules.
fn wrapper() -> String {
    let found = std::fs::read_dir("/usr/lib").unwrap().find_map(|entry| {
        let directory = entry.ok()?.path().join("pam_wrapper");
        directory.join("pam_matrix.so").exists().then(|| directory.display().to_string())
    });
    found.expect("Debian: libpam-wrapper")
}

pub(crate) async fn ask(pam: &Pam, user: &str, password: &str) -> Result<Checked, BackendError> {
    let user = CanonName::parse(user).unwrap();
    pam.check(&user, &SecretBytes::from(password.to_owned())).await
}

#[tokio::test]
async fn the_right_password_is_right_and_another_is_wrong() {
    let services = Services::with("auth required MATRIX\naccount required MATRIX\n");
    let pam = services.pam();
    assert_eq!(pam.ready(), Ok(()));
    assert_eq!(ask(&pam, "alice", "alice-pw").await, right());
    for wrong in ["alice-pW", "alice-pw ", "alice-p", "bob-pw"] {
        assert_eq!(ask(&pam, "alice", wrong).await, Ok(Checked::Wrong), "{wrong}");
    }
}

#[tokio::test]
async fn an_unknown_user_looks_like_a_wrong_password() {
    let services = Services::with("auth required pam_unix.so\naccount required pam_permit.so\n");
    assert_eq!(ask(&services.pam(), "no-such-person", "any-pw").await, Ok(Checked::Wrong));
}

#[tokio::test]
async fn a_program_of_the_administrator_can_check_the_password() {
    let services = Services::with(
        "auth [success=1 default=ignore] pam_exec.so expose_authtok quiet HERE/check\n\
         auth requisite pam_deny.so\nauth required pam_permit.so\naccount required pam_permit.so\n",
    );
    services.write_program("check", "#!/bin/sh\ntest \"$PAM_USER:$(tr -d '\\0')\" = alice:sesame\n");
    let pam = services.pam();
    assert_eq!(ask(&pam, "alice", "sesame").await, right());
    assert_eq!(ask(&pam, "alice", "alice-pw").await, Ok(Checked::Wrong));
    assert_eq!(ask(&pam, "bob", "sesame").await, Ok(Checked::Wrong));
}

#[tokio::test]
async fn two_modules_may_ask_for_the_password() {
    let services = Services::with("auth required MATRIX\nauth required MATRIX\naccount required MATRIX\n");
    assert_eq!(ask(&services.pam(), "alice", "alice-pw").await, right());
}

#[tokio::test]
async fn what_modules_have_to_say_is_listened_to() {
    let services = Services::with(
        "auth required WRAPPER/pam_chatty.so info error num_lines=40\n\
         auth required MATRIX verbose\naccount required MATRIX verbose\n",
    );
    assert_eq!(ask(&services.pam(), "alice", "alice-pw").await, right());
    assert_eq!(ask(&services.pam(), "alice", "wrong").await, Ok(Checked::Wrong));
}

#[tokio::test]
async fn many_checks_at_once_share_the_threads() {
    let services = Services::with("auth required MATRIX\naccount required MATRIX\n");
    let pam = std::sync::Arc::new(services.pam_with(LIMIT, 2));
    let mut checks = tokio::task::JoinSet::new();
    for i in 0..40 {
        let pam = std::sync::Arc::clone(&pam);
        checks.spawn(async move {
            let (password, expected) = if i % 2 == 0 { ("alice-pw", true) } else { ("wrong", false) };
            ask(&pam, "alice", password).await.unwrap().is_right() == expected
        });
    }
    assert!(checks.join_all().await.into_iter().all(|as_expected| as_expected));
}
