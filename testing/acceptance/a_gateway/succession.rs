//! A client that was away while another issuer took the place of its own: it learns so before it signs in (A1).

use anyhow::{Context, Result};
use symbolon_acceptance::middleman::{HELLO, Middleman, OFFER};
use symbolon_acceptance::{Gateway, Person, scenario, step};

use crate::stage::{GATEWAY, Stage, keys_from};

#[test]
fn who_was_away_during_a_change_of_issuers_follows_it_before_signing_in() -> Result<()> {
    scenario!("The issuer is replaced while Ann is on holiday");
    let mut gateway = Gateway::start(GATEWAY)?;
    let ann = Person::enrolled("ann", &gateway)?;
    let bea = Person::new("bea")?;
    let blank = bea.machine().home().join("blank").display().to_string();
    gateway.admin(&["tokens", "blank", "--out", &blank])?;
    gateway.admin(&["ca", "rotate", "--overlap", "1s"])?;
    gateway.admin(&["ca", "rotate", "--finish"])?;
    gateway.stop()?;
    gateway.up()?;

    step!(
        "her token knows the old issuer; the statement that the new one follows comes with the gateway's keys"
    );
    ann.login()?;
    assert_eq!(keys_from(&ann)?, "sent");
    ann.machine().ok(["logout"])?;
    step!("and it was kept");
    assert!(ann.machine().home().join(".local/share/symbolon/issuer.changes").exists());
    ann.login()?;

    step!("a token that was handed out before, and an invitation by the new issuer");
    let link = gateway.invite(&[])?;
    let arguments = ["enrol", &link, "--token", &blank, "--answers", "answers.toml", "--pin-file", "pin"];
    bea.symbolon(&arguments, &[])?.success()?;
    bea.login()?;

    step!("a further gateway of the new issuer, with the old token");
    let second = Gateway::of_the_issuer_of(&gateway, "two.example")?;
    ann.try_enrol(&second.invite(&[])?)?.success()?;
    Ok(())
}

#[test]
fn a_change_of_issuers_that_nobody_stated_is_not_followed() -> Result<()> {
    scenario!("Somebody states that his issuer follows");
    let mut gateway = Gateway::start(GATEWAY)?;
    let ann = Person::enrolled("ann", &gateway)?;
    gateway.stop()?;
    // his own statement is about another issuer than Ann's
    let other = Gateway::with(GATEWAY, gateway.port(), &[], &[])?;
    other.admin(&["ca", "rotate", "--overlap", "1h"])?;
    other.admin(&["ca", "rotate", "--finish"])?;
    let listener = Middleman::before(other.port())?;
    for _ in 0..2 {
        let refused = ann.try_login(&["--address", listener.address()], &[])?;
        assert_eq!(refused.code, Some(3));
        assert!(refused.complaint().contains("is not believed"), "{}", refused.complaint());
    }
    let greeted = listener.newest(HELLO).context("he was not asked")?;
    assert!(greeted.order.iter().all(|(kind, _)| [HELLO, OFFER].contains(kind)), "{:02x?}", greeted.order);
    assert!(!ann.machine().home().join(".local/share/symbolon/issuer.changes").exists());
    Ok(())
}

#[test]
fn a_directory_tells_of_another_issuer_too() -> Result<()> {
    scenario!("The issuer is replaced, and Paul looks into the directory first");
    let stage = Stage::set("", &[])?;
    let paul = stage.person("paul")?;
    let kept = paul.machine().home().join("issuer.crt");
    std::fs::copy(stage.gateway.dir().join("issuer.crt"), &kept)?;
    let configure = |further: &str| {
        paul.configure(&format!(
            "gateway = {GATEWAY:?}\naddress = {:?}\nissuer_certificate = {:?}\npassword_gateways = [{GATEWAY:?}]\n\
             {further}\n",
            stage.listener.address(),
            kept.display().to_string(),
        ))
    };
    stage.gateway.admin(&["ca", "rotate", "--overlap", "1h"])?;
    stage.gateway.admin(&["ca", "rotate", "--finish"])?;
    configure(&format!("key_sets = {:?}", stage.published().display().to_string()))?;
    stage.sign_in(&paul)?.success()?;
    assert_eq!(keys_from(&paul)?, "directory");
    assert!(!stage.since(0).contains(&HELLO));
    Ok(())
}
