//! PAM stacks that must let nobody in, and modules that never return.

use std::process::Command;
use std::time::{Duration, Instant};

use symbolon_directory::{BackendError, Checked};

use crate::pam::{Services, ask};
use crate::slapd::right;

const SHORT: Duration = Duration::from_millis(400);

#[tokio::test]
async fn an_empty_password_is_wrong_even_where_everybody_is_let_in() {
    let services = Services::with("auth required pam_permit.so\naccount required pam_permit.so\n");
    let pam = services.pam();
    assert_eq!(ask(&pam, "alice", "anything").await, right());
    assert_eq!(ask(&pam, "alice", "").await, Ok(Checked::Wrong));
}

#[tokio::test]
async fn a_password_that_c_would_cut_is_wrong() {
    let services = Services::with("auth required MATRIX\naccount required MATRIX\n");
    let pam = services.pam();
    assert_eq!(ask(&pam, "alice", "alice-pw\0and more").await, Ok(Checked::Wrong));
    assert_eq!(ask(&pam, "alice", &"x".repeat(100_000)).await, Ok(Checked::Wrong));
}

#[tokio::test]
async fn a_user_whose_account_is_closed_is_refused_with_the_right_password_only() {
    let services = Services::with("auth required MATRIX\naccount required MATRIX\n");
    let pam = services.pam();
    // The account of bob is for another service.
    assert!(matches!(ask(&pam, "bob", "bob-pw").await, Err(BackendError::Denied(_))));
    assert_eq!(ask(&pam, "bob", "wrong").await, Ok(Checked::Wrong));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_not_replaced_by_another() {
    let services = Services::with("");
    services.write_service("other", "auth required pam_permit.so\naccount required pam_permit.so\n");
    std::fs::remove_file(services.path("symbolon")).unwrap();
    let refused = ask(&services.pam(), "alice", "anything").await;
    assert!(matches!(refused, Err(BackendError::Misconfigured(_))), "{refused:?}");
}

#[tokio::test]
async fn a_service_that_is_empty_or_broken_lets_nobody_in() {
    for text in [
        "",
        "nonsense\n",
        "auth required pam_permit.so\n",
        "auth required /nonexistent/module.so\naccount required pam_permit.so\n",
        "auth required pam_permit.so\naccount required /nonexistent/module.so\n",
    ] {
        let services = Services::with(text);
        // What is not said is asked of `other`.
        services.write_service("other", "auth required pam_deny.so\naccount required pam_deny.so\n");
        let checked = ask(&services.pam(), "alice", "alice-pw").await;
        assert!(!checked.is_ok_and(|c| c.is_right()), "{text}");
    }
}

#[tokio::test]
async fn a_question_that_is_not_for_a_password_is_not_answered_with_it() {
    let services = Services::with("auth required MATRIX echo\naccount required MATRIX\n");
    let refused = ask(&services.pam(), "alice", "alice-pw").await;
    assert!(matches!(refused, Err(BackendError::Misconfigured(_))), "{refused:?}");
}

#[test]
fn cve_identity_mapping_a_module_puts_another_user_in_place() {
    const NAME: &str = "pam_faults::cve_identity_mapping_a_module_puts_another_user_in_place";
    const STACK: &str = "auth required WRAPPER/pam_set_items.so\nauth required pam_permit.so\n\
                         account required pam_permit.so\n";
    // The module takes the other user from the environment.
    if std::env::var_os("PAM_USER").is_none() {
        let this = std::env::current_exe().unwrap();
        let output = Command::new(this)
            .args(["--exact", NAME, "--nocapture"])
            .env("PAM_USER", "root")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let services = Services::with(STACK);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let refused = runtime.block_on(ask(&services.pam(), "alice", "anything"));
    assert!(matches!(refused, Err(BackendError::Denied(_))), "{refused:?}");
}

#[tokio::test]
async fn a_wrong_password_keeps_no_thread_waiting() {
    let services = Services::with("auth required pam_unix.so\naccount required pam_permit.so\n");
    let begun = Instant::now();
    for _ in 0..3 {
        assert_eq!(ask(&services.pam(), "root", "certainly-wrong").await, Ok(Checked::Wrong));
    }
    // The module asks for two seconds of penance each time.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

/// A service whose program goes on as long as the file `hang` is there.
fn hanging() -> Services {
    let services = Services::with(
        "auth required pam_exec.so quiet HERE/wait\nauth required MATRIX\naccount required MATRIX\n",
    );
    services.write("hang", "");
    services.write_program("wait", "#!/bin/sh\nwhile [ -e \"${0%/*}/hang\" ]; do sleep 0.02; done\n");
    services
}

#[tokio::test]
async fn cve_pam_slow_is_waited_for_no_longer_than_the_limit() {
    let services = hanging();
    let healthy = Services::with("auth required MATRIX\naccount required MATRIX\n");
    let pam = services.pam_with(SHORT, 2);
    for _ in 0..5 {
        let begun = Instant::now();
        let refused = ask(&pam, "alice", "alice-pw").await;
        assert!(matches!(refused, Err(BackendError::Unavailable(_))), "{refused:?}");
        assert!(begun.elapsed() < SHORT * 10, "{:?}", begun.elapsed());
        assert_eq!(ask(&healthy.pam(), "alice", "alice-pw").await, right());
    }
}

#[tokio::test]
async fn a_module_that_hung_is_used_again_when_it_has_returned() {
    let services = hanging();
    let pam = services.pam_with(SHORT, 1);
    assert!(matches!(ask(&pam, "alice", "alice-pw").await, Err(BackendError::Unavailable(_))));
    std::fs::remove_file(services.path("hang")).unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while ask(&pam, "alice", "alice-pw").await != right() {
        assert!(Instant::now() < end, "the module is not used again");
    }
}
