//! A gateway's keys: sent by it, published in a directory, or at hand in the token (A1).

use anyhow::Result;
use symbolon_acceptance::middleman::{CONTEXT_FIRST, HELLO, Middleman};
use symbolon_acceptance::{Gateway, HttpServer, LIMIT, Person, clock_from, scenario, step, until};

use crate::stage::{GATEWAY, Stage, keys_from};

#[test]
fn a_gateways_keys_come_in_three_ways() -> Result<()> {
    scenario!("Paul and Ann sign in; somebody looks whether the gateway is asked for its keys first");
    let stage = Stage::set("", &[])?;
    let paul = stage.person("paul")?;

    step!("sent: nobody has told Paul of them, so the gateway is asked");
    stage.sign_in(&paul)?.success()?;
    assert_eq!(stage.since(0)[0], HELLO);
    assert_eq!(keys_from(&paul)?, "sent");
    paul.machine().ok(["logout"])?;

    step!("published in a folder: the first message is that of the sign-in");
    let folder = stage.published();
    assert!(folder.join("gw.example.keyset").exists());
    let web = HttpServer::start()?;
    std::fs::copy(folder.join("gw.example.keyset"), web.directory().join("gw.example.keyset"))?;
    for place in [folder.display().to_string(), format!("http://127.0.0.1:{}/", web.port())] {
        step!("the directory is {place}");
        stage.trust(&paul, &format!("key_sets = {place:?}"))?;
        let before = stage.listener.passed().len();
        stage.sign_in(&paul)?.success()?;
        let kinds = stage.since(before);
        assert!(kinds[0] == CONTEXT_FIRST && !kinds.contains(&HELLO), "{kinds:02x?}");
        assert_eq!(keys_from(&paul)?, "directory");
        assert!(paul.machine().ok(["status"])?.contains("from the directory"));
        assert!(paul.machine().ok(["doctor"])?.contains("has the keys of gw.example"));
        paul.machine().ok(["logout"])?;
    }
    assert!(web.requests() > 0);

    step!("at hand, in a token");
    let ann = Person::enrolled("ann", &stage.gateway)?;
    let before = stage.listener.passed().len();
    ann.try_login(&["--address", stage.listener.address()], &[])?.success()?;
    assert_eq!(stage.since(before)[0], CONTEXT_FIRST);
    assert_eq!(keys_from(&ann)?, "pinned");
    Ok(())
}

#[test]
fn a_directory_that_is_wrong_is_refused_before_anything_is_sent() -> Result<()> {
    scenario!("Somebody puts other keys into the directory");
    let stage = Stage::set("", &[])?;
    let folder = stage.published();
    let right = std::fs::read(folder.join("gw.example.keyset"))?;
    let paul = stage.person("paul")?;
    let place = tempfile::tempdir()?;
    let file = place.path().join("gw.example.keyset");
    stage.trust(&paul, &format!("key_sets = {:?}", place.path().display().to_string()))?;

    let publishing = |name: &str, further: &[&str]| -> Result<(Vec<u8>, Gateway)> {
        let at = place.path().join("others").display().to_string();
        let environment = [("SYMBOLON_PUBLISH_KEY_SETS".into(), at.clone().into())];
        let other = Gateway::with(name, symbolon_acceptance::free_port()?, further, &environment)?;
        Ok((std::fs::read(format!("{at}/{name}.keyset"))?, other))
    };
    let (other_issuer, _one) = publishing(GATEWAY, &[])?;
    let of_ours = stage.gateway.dir().display().to_string();
    let (other_name, _two) = publishing("other.example", &["--issuer-of", &of_ours])?;
    let mut forged = right.clone();
    if let Some(last) = forged.last_mut() {
        *last ^= 1;
    }
    for (what, bytes, told) in [
        ("those of a gateway of another issuer", other_issuer, "issuer"),
        ("those of another gateway of the issuer", other_name, "not for gw.example"),
        ("ones that were altered", forged, "not signed"),
        ("nonsense", b"nonsense".to_vec(), "wrong"),
        ("more than keys have", vec![0; 100_000], "too large"),
    ] {
        step!("{what}");
        std::fs::write(&file, bytes)?;
        let before = stage.listener.passed().len();
        let refused = stage.sign_in(&paul)?;
        assert_ne!(refused.code, Some(0));
        assert!(refused.complaint().contains(told), "{}", refused.complaint());
        assert_eq!(stage.listener.passed().len(), before, "nobody was told anything");
        let doctor = paul.symbolon(&["doctor"], &[])?;
        assert!(doctor.text().contains("directory"), "{}", doctor.text());
    }
    let before = stage.listener.passed().len();
    step!("none at all: the gateway is asked, whose keys are checked alike");
    std::fs::remove_file(&file)?;
    stage.sign_in(&paul)?.success()?;
    assert_eq!(stage.since(before)[0], HELLO);
    assert_eq!(keys_from(&paul)?, "sent");
    paul.machine().ok(["logout"])?;

    step!("a server that is away is none at all");
    stage.trust(&paul, "key_sets = \"http://127.0.0.1:9/keysets\"")?;
    stage.sign_in(&paul)?.success()?;
    assert_eq!(keys_from(&paul)?, "sent");
    Ok(())
}

#[test]
fn published_keys_that_are_out_of_date_are_asked_for() -> Result<()> {
    scenario!("A directory that nobody looks after");
    let clock = tempfile::NamedTempFile::new()?;
    std::fs::write(clock.path(), "-5d")?;
    let mut stage = Stage::set("", &clock_from(clock.path())?)?;
    let old = tempfile::tempdir()?;
    std::fs::copy(stage.published().join("gw.example.keyset"), old.path().join("gw.example.keyset"))?;
    stage.gateway.stop()?;
    std::fs::write(clock.path(), "+0s")?;
    stage.gateway.up()?;
    let paul = stage.person("paul")?;
    stage.trust(&paul, &format!("key_sets = {:?}", old.path().display().to_string()))?;
    stage.sign_in(&paul)?.success()?;
    assert_eq!(keys_from(&paul)?, "sent");
    assert!(stage.since(0).contains(&HELLO));
    Ok(())
}

#[test]
fn new_keys_are_published_when_they_are_made() -> Result<()> {
    scenario!("Context keys change");
    let stage = Stage::set("context_key_lifetime_secs = 12", &[])?;
    let paul = stage.person("paul")?;
    stage.trust(&paul, &format!("key_sets = {:?}", stage.published().display().to_string()))?;
    let file = stage.published().join("gw.example.keyset");
    let first = std::fs::read(&file)?;
    until(LIMIT, "new keys in the directory", || (std::fs::read(&file).ok()? != first).then_some(()))?;
    stage.sign_in(&paul)?.success()?;
    assert_eq!(keys_from(&paul)?, "directory");
    assert!(!stage.since(0).contains(&HELLO));
    Ok(())
}

#[test]
fn a_directory_cannot_put_another_gateway_in_the_place_of_one() -> Result<()> {
    scenario!("Whoever keeps the directory has a gateway of the same issuer");
    let stage = Stage::set("", &[])?;
    let paul = stage.person("paul")?;
    let other = Gateway::of_the_issuer_of(&stage.gateway, "other.example")?;
    let listener = Middleman::before(other.port())?;
    let issuer = stage.gateway.dir().join("issuer.crt").display().to_string();
    let folder = stage.published().display().to_string();
    paul.configure(&format!(
        "gateway = {GATEWAY:?}\naddress = {:?}\nissuer_certificate = {issuer:?}\npassword_gateways = [{GATEWAY:?}]\n\
         key_sets = {folder:?}\n",
        listener.address()
    ))?;
    let refused = stage.sign_in(&paul)?;
    assert_ne!(refused.code, Some(0), "what is sealed for one does not open for the other");
    assert!(!other.log().contains("paul"), "{}", other.log());
    assert!(!other.admin(&["audit", "export"])?.contains("paul"));
    Ok(())
}
