//! Keys in a TPM.

use anyhow::{Result, ensure};
use symbolon_acceptance::{Gateway, HttpServer, curl, scenario, step};

use crate::devices::{Tpm, enrol_words, person};

#[test]
fn a_key_in_a_tpm_signs_in_and_its_locked_pin_says_how_to_go_on() -> Result<()> {
    scenario!("B7: alice's key is in her laptop's TPM");
    let gateway = Gateway::start("gw.example")?;
    let web = HttpServer::start()?;
    gateway.publish("web", web.port(), "http")?;
    let tpm = Tpm::with("laptop")?;
    let environment = tpm.environment();
    let alice = person("alice")?;
    let link = gateway.invite(&[])?;
    alice.symbolon(&enrol_words(&link, &["--tpm=laptop"]), &environment)?.success()?;
    gateway.grant_where("alice", "web", &["--class", "hardware"])?;
    alice.try_login(&[], &environment)?.success()?;
    alice.until_destinations(&["web"])?;
    let (_connect, port) = alice.connect("web")?;
    assert_eq!(
        curl(&format!("http://127.0.0.1:{port}/"), &[])?.success()?.stdout,
        HttpServer::GREETING.as_bytes()
    );
    alice.machine().ok(["logout"])?;
    let objects = tpm.tool("tpm2_ptool", &["listobjects", "--label=laptop"])?;
    ensure!(objects.contains("alice at gw.example") && objects.contains("symbolon token seal"), "{objects}");

    step!("wrong PINs lock it, for the right one too");
    alice.secret_file("wrong", "9999\n")?;
    let mut refused = String::new();
    for _ in 0..40 {
        let finished = alice.symbolon(&["login", "--pin-file", "wrong"], &environment)?;
        assert_eq!(finished.code, Some(3));
        refused = finished.complaint();
        if refused.contains("is locked") {
            break;
        }
        ensure!(refused.contains("wrong PIN for the token laptop"), "{refused}");
    }
    ensure!(refused.contains("is locked") && refused.contains("--clear-lockout"), "{refused}");
    let refused = alice.try_login(&[], &environment)?;
    ensure!(refused.code == Some(3) && refused.complaint().contains("is locked"), "{}", refused.complaint());

    step!("its owner unlocks it, and the key is still there");
    tpm.tool("tpm2_dictionarylockout", &["--clear-lockout"])?;
    alice.try_login(&[], &environment)?.success()?;
    Ok(())
}
