//! A gateway whose own certificate its issuer revoked is told nothing any more (A1).

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use symbolon_acceptance::middleman::{HELLO, Middleman, OFFER};
use symbolon_acceptance::{Gateway, LIMIT, Person, finish, program, scenario, step, until};

use crate::stage::{Stage, keys_from};

/// Copies what a node keeps, as whoever breaks into its machine would.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut cp = Command::new(program("cp")?);
    cp.arg("-r").arg(from).arg(to);
    finish(&mut cp, b"", LIMIT)?.success().map(drop)
}

fn identity(gateway: &Gateway) -> String {
    gateway.dir().join("identity.crt").display().to_string()
}

#[test]
fn a_stolen_gateway_is_told_nothing_once_it_is_revoked() -> Result<()> {
    scenario!("Somebody steals a gateway's keys; the administrator revokes its certificate");
    let gateway = Gateway::start("gw.example")?;
    let ann = Person::enrolled("ann", &gateway)?;
    ann.login()?;
    let mut thief = Gateway::prepared("gw.example")?;
    copy(&gateway.dir(), &thief.dir())?;
    for file in ["admin.sock", "node.id"] {
        // of the running node alone
        let _ = std::fs::remove_file(thief.dir().join(file));
    }

    step!("the gateway has another certificate at once, and its clients end their sessions");
    let told = gateway.admin(&["ca", "revoke-gateway", &identity(&gateway), "--reason", "key-compromise"])?;
    assert!(told.contains("gw.example is revoked") && told.contains("has another one"), "{told}");
    until(LIMIT, "the end of Ann's session", || (!ann.has_agent().ok()?).then_some(()))?;
    let why = ann.machine().refused(4, ["whoami"])?;
    assert!(why.contains("revoked"), "{why}");
    step!("with the new one everything is as before");
    ann.login()?;
    assert_eq!(keys_from(&ann)?, "sent");
    ann.machine().ok(["logout"])?;

    step!("the thief shows the old one, and hears a greeting and nothing else");
    thief.up()?;
    let listener = Middleman::before(thief.port())?;
    let refused = ann.try_login(&["--address", listener.address()], &[])?;
    assert_eq!(refused.code, Some(3));
    assert!(refused.complaint().contains("revoked by its issuer"), "{}", refused.complaint());
    let greeted = listener.newest(HELLO).context("the thief was not asked")?;
    assert!(greeted.order.iter().all(|(kind, _)| [HELLO, OFFER].contains(kind)), "{:02x?}", greeted.order);
    let doctor =
        ann.symbolon(&["doctor", "--address", listener.address(), "--gateway", "gw.example"], &[])?;
    assert!(doctor.text().contains("revoked by its issuer"), "{}", doctor.text());
    Ok(())
}

#[test]
fn a_live_session_ends_when_the_directory_says_that_its_gateway_is_revoked() -> Result<()> {
    scenario!("One gateway of two is given up; the other one's directory says so");
    let stage = Stage::set("", &[])?;
    let other = Gateway::of_the_issuer_of(&stage.gateway, "two.example")?;
    let paul = Person::enrolled("paul", &other)?;
    paul.configure(&format!("key_sets = {:?}\n", stage.published().display().to_string()))?;
    paul.login()?;

    let certificate = identity(&other);
    stage.gateway.admin(&["ca", "revoke-gateway", &certificate, "--reason", "cessation-of-operation"])?;
    let again = stage.gateway.admin(&["ca", "revoke-gateway", &certificate])?;
    assert!(again.contains("was revoked before. Another list names it."), "{again}");
    until(LIMIT, "the end of Paul's session", || (!paul.has_agent().ok()?).then_some(()))?;

    step!("and none is opened any more, also when the directory is gone: the list is kept");
    paul.configure("")?;
    let listener = Middleman::before(other.port())?;
    let refused = paul.try_login(&["--address", listener.address()], &[])?;
    assert_eq!(refused.code, Some(3));
    assert!(refused.complaint().contains("revoked by its issuer"), "{}", refused.complaint());
    let passed = listener.passed();
    assert!(passed.iter().all(|p| p.order.iter().all(|(kind, _)| [HELLO, OFFER].contains(kind))));

    step!("the gateway that revoked it is not concerned");
    let ann = Person::enrolled("ann", &stage.gateway)?;
    ann.login()
}

#[test]
fn a_gateway_is_revoked_where_the_issuers_key_has_no_network() -> Result<()> {
    scenario!("The issuer's key lies in a safe");
    let mut gateway = Gateway::start("gw.example")?;
    let safe = tempfile::tempdir()?;
    std::fs::copy(gateway.dir().join("issuer.crt"), safe.path().join("issuer.crt"))?;
    gateway.stop()?;
    std::fs::rename(gateway.dir().join("issuer.key"), safe.path().join("issuer.key"))?;
    gateway.up()?;
    let ann = Person::enrolled("ann", &gateway)?;
    ann.login()?;
    let told = gateway.admin(&["ca", "revoke-gateway", "--reason", "key-compromise", &"ab".repeat(16)])?;
    assert!(told.contains("is to be signed where the issuer's key is"), "{told}");
    let told = gateway.admin(&["ca", "revoke-gateway", &identity(&gateway)])?;
    assert!(told.contains("gateway-request"), "{told}");
    let at = |name: &str| safe.path().join(name).display().to_string();
    gateway.admin(&["ca", "requests", "--out", &at("requests")])?;
    let dir = safe.path().display().to_string();
    gateway.admin(&[
        "ca",
        "sign-requests",
        &at("requests"),
        "--issuer",
        &dir,
        "--out",
        &at("signed"),
        "--yes",
    ])?;
    assert!(ann.has_agent()?, "nobody knows yet");
    gateway.admin(&["ca", "take", &at("signed"), "--out", &dir])?;
    until(LIMIT, "the end of Ann's session", || (!ann.has_agent().ok()?).then_some(()))?;
    let refused = ann.try_login(&[], &[])?;
    assert!(refused.complaint().contains("revoked by its issuer"), "{}", refused.complaint());
    Ok(())
}
