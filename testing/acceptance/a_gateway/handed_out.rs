//! A token that is handed out with the certificate of its gateway in it (B1, claim 1a).

use anyhow::{Context, Result, ensure};
use symbolon_acceptance::middleman::{HELLO, Middleman, OFFER};
use symbolon_acceptance::{Finished, Gateway, Person, scenario, step};

use crate::stage::GATEWAY;

/// Registers the token in the file `name` where the link leads, in the place of any that is there.
fn enrol(person: &Person, name: &str, link: &str, further: &[&str]) -> Result<Finished> {
    let words = ["enrol", link, "--token", name, "--answers", "answers.toml", "--pin-file", "pin"];
    person.symbolon(&[&words, further].concat(), &[])
}

#[test]
fn a_token_for_one_gateway_registers_there_and_nowhere_else() -> Result<()> {
    scenario!("B1: tokens are handed out for one gateway of two");
    let mut gateway = Gateway::start(GATEWAY)?;
    let second = Gateway::of_the_issuer_of(&gateway, "two.example")?;
    let ann = Person::new("ann")?;
    let file = |name: &str| ann.machine().home().join(name).display().to_string();
    gateway.admin(&["tokens", "blank", "--gateway", GATEWAY, "--out", &file("one")])?;
    let certificate = second.dir().join("identity.crt").display().to_string();
    gateway.admin(&["tokens", "blank", "--certificate", &certificate, "--out", &file("two")])?;
    let wrong = ["tokens", "blank", "--gateway", "two.example", "--out", &file("three")];
    let refused = gateway.admin_refused(2, &wrong)?;
    assert!(refused.contains("--certificate"), "{refused}");

    step!("it says whom it is for, and has no secret: two of them differ in their names alone");
    ann.machine().ok(["token", "import", &file("one")])?;
    assert!(ann.machine().ok(["token", "info"])?.contains(GATEWAY));
    let bytes = std::fs::read(file("one"))?;
    let identity = std::fs::read(gateway.dir().join("identity.crt"))?;
    ensure!(bytes.windows(identity.len()).any(|w| w == identity), "the certificate is in it");

    step!("the other gateway of the issuer is greeted and told nothing");
    let listener = Middleman::before(second.port())?;
    let link = second.invite(&[])?.replace(second.address().as_str(), listener.address());
    let refused = enrol(&ann, "one", &link, &[])?;
    assert_eq!(refused.code, Some(3));
    assert!(refused.complaint().contains("handed out for"), "{}", refused.complaint());
    let greeted = listener.newest(HELLO).context("it was not asked")?;
    assert!(greeted.order.iter().all(|(kind, _)| [HELLO, OFFER].contains(kind)), "{:02x?}", greeted.order);

    step!("its own gateway takes it, also when that has another certificate by then");
    let certificate = gateway.dir().join("identity.crt").display().to_string();
    gateway.admin(&["ca", "revoke-gateway", &certificate, "--reason", "superseded"])?;
    gateway.stop()?;
    gateway.up()?;
    enrol(&ann, "one", &gateway.invite(&[])?, &[])?.success()?;
    ann.login()?;
    ann.machine().ok(["logout"])?;
    step!("registered, it registers with others of the issuer as every token does");
    ann.try_enrol(&second.invite(&[])?)?.success()?;

    step!("and a token for the other gateway, which its certificate was put into");
    let bea = Person::new("bea")?;
    std::fs::copy(file("two"), bea.machine().home().join("two"))?;
    enrol(&bea, "two", &second.invite(&[])?, &[])?.success().map(drop)
}

#[test]
fn a_wrong_certificate_in_a_token_is_refused_at_import_and_at_use() -> Result<()> {
    scenario!("B1: somebody alters a token before it is handed out");
    let gateway = Gateway::start(GATEWAY)?;
    let ann = Person::new("ann")?;
    let file = ann.machine().home().join("blank");
    gateway.admin(&["tokens", "blank", "--gateway", GATEWAY, "--out", &file.display().to_string()])?;
    let mut bytes = std::fs::read(&file)?;
    // the signature ends where the checksum begins, which is made right again
    let body = bytes.len() - 32;
    bytes[body - 1] ^= 1;
    let altered = ann.machine().home().join("altered");
    std::fs::write(&altered, &bytes[..body])?;
    let mut sum = std::process::Command::new(symbolon_acceptance::program("sha256sum")?);
    let sum =
        symbolon_acceptance::finish(sum.arg(&altered), b"", symbolon_acceptance::LIMIT)?.success()?.text();
    let digits = sum.split(' ').next().context("no sum")?;
    let sum: Vec<u8> =
        (0..64).step_by(2).filter_map(|i| u8::from_str_radix(&digits[i..i + 2], 16).ok()).collect();
    bytes.splice(body.., sum);
    std::fs::write(&altered, &bytes)?;
    let refused = ann.machine().refused(3, ["token", "import", &altered.display().to_string()])?;
    assert!(refused.contains("handed out for"), "{refused}");
    let refused = enrol(&ann, "altered", &gateway.invite(&[])?, &[])?;
    assert_eq!(refused.code, Some(3));
    assert!(refused.complaint().contains("handed out for"), "{}", refused.complaint());
    Ok(())
}
