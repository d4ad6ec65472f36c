//! Keys in SoftHSM tokens.

use anyhow::{Context, Result, ensure};
use symbolon_acceptance::{Gateway, HttpServer, LIMIT, Person, curl, scenario, step, until};

use crate::devices::{Drawer, MODULE, PIN, enrol_words, person};

/// Somebody who is registered with the key in a token.
pub(crate) fn registered(name: &str, gateway: &Gateway, drawer: &Drawer, token: &str) -> Result<Person> {
    let person = person(name)?;
    drawer.plug_into(person.machine())?;
    let uri = format!("pkcs11:token={token}");
    let link = gateway.invite(&[])?;
    person.machine().run(enrol_words(&link, &["--pkcs11", &uri]))?.success()?;
    Ok(person)
}

#[test]
fn a_key_in_a_device_signs_in_like_any_other() -> Result<()> {
    scenario!("B7: alice's key is in her SoftHSM token; bob's is in a file");
    let gateway = Gateway::start("gw.example")?;
    let web = HttpServer::start()?;
    gateway.publish("web", web.port(), "http")?;
    gateway.publish("vault", web.port(), "http")?;
    let drawer = Drawer::with(&["work"])?;
    let alice = registered("alice", &gateway, &drawer, "work")?;
    let bob = Person::enrolled("bob", &gateway)?;
    for user in ["alice", "bob"] {
        gateway.grant(user, "web")?;
        gateway.grant_where(user, "vault", &["--class", "hardware"])?;
    }
    alice.login()?;
    bob.login()?;
    assert_eq!(alice.machine().json(["whoami"])?["user"], "alice");

    step!("what asks for a key in hardware shows itself to her alone");
    alice.until_destinations(&["vault", "web"])?;
    bob.until_destinations(&["web"])?;
    let (_connect, port) = alice.connect("vault")?;
    assert_eq!(
        curl(&format!("http://127.0.0.1:{port}/"), &[])?.success()?.stdout,
        HttpServer::GREETING.as_bytes()
    );

    step!("her file names the device and holds neither key nor name");
    let file = std::fs::read(alice.machine().home().join(".local/share/symbolon/token"))?;
    let text = String::from_utf8_lossy(&file);
    ensure!(text.contains("pkcs11:token=work") && !text.contains("alice"), "{text}");
    let info = alice.machine().json(["token", "info", "--unlock", "--pin-file", "pin"])?;
    assert_eq!(info["registrations"][0]["token_class"], "hardware");
    ensure!(info["device"].as_str().context("no device")?.contains("serial="), "{info}");
    let keys = drawer.keys("work")?;
    ensure!(keys.contains("alice at gw.example") && !keys.contains("extractable"), "{keys}");

    step!("on another machine with the same token the file is enough");
    alice.machine().ok(["token", "export", "copy"])?;
    alice.machine().ok(["logout"])?;
    let elsewhere = person("alice")?;
    drawer.plug_into(elsewhere.machine())?;
    std::fs::copy(alice.machine().home().join("copy"), elsewhere.machine().home().join("copy"))?;
    elsewhere.machine().ok(["token", "import", "copy"])?;
    elsewhere.login()?;
    elsewhere.until_destinations(&["vault", "web"])?;

    step!("without the token it is worth nothing");
    let thief = person("mallory")?;
    let another = Drawer::with(&["work"])?;
    another.plug_into(thief.machine())?;
    std::fs::copy(alice.machine().home().join("copy"), thief.machine().home().join("copy"))?;
    thief.machine().ok(["token", "import", "copy"])?;
    let refused = thief.machine().refused(4, ["login", "--pin-file", "pin"])?;
    ensure!(refused.contains("is not there") && refused.contains("plug it in"), "{refused}");
    Ok(())
}

#[test]
fn the_pin_is_the_devices_own() -> Result<()> {
    scenario!("B7: wrong PINs for a device, and where a PIN comes from");
    let gateway = Gateway::start("gw.example")?;
    let drawer = Drawer::with(&["work"])?;
    let alice = registered("alice", &gateway, &drawer, "work")?;
    alice.secret_file("wrong", "9999\n")?;
    for _ in 0..12 {
        let refused = alice.machine().refused(3, ["login", "--pin-file", "wrong"])?;
        ensure!(refused.contains("wrong PIN for the token work"), "{refused}");
        ensure!(refused.contains("counts wrong attempts"), "{refused}");
    }
    let told = alice.machine().json(["token", "info"])?;
    assert_eq!((&told["failed_attempts"], &told["locked"]), (&0.into(), &false.into()), "the device counts");
    alice.login()?;
    alice.machine().ok(["logout"])?;

    step!("an enrolment with a wrong PIN registers nobody, and the invitation is still good");
    let bob = person("bob")?;
    let drawer = Drawer::with(&["bobs"])?;
    drawer.plug_into(bob.machine())?;
    bob.secret_file("pin", "9999\n")?;
    let link = gateway.invite(&[])?;
    let enrol = enrol_words(&link, &["--pkcs11", "pkcs11:token=bobs"]);
    let refused = bob.machine().refused(3, &enrol)?;
    ensure!(refused.contains("wrong PIN for the token bobs"), "{refused}");
    assert_eq!(gateway.users()?, ["alice"]);
    ensure!(!drawer.keys("bobs")?.contains("symbolon"), "nothing stays in the device");

    step!("it may come from a file that the URI names, and never from the URI");
    let right = bob.secret_file("right", &format!("{PIN}\n"))?.display().to_string();
    let with_value = format!("pkcs11:token=bobs?pin-value={PIN}");
    let refused = bob.machine().refused(2, enrol_words(&link, &["--pkcs11", &with_value]))?;
    ensure!(refused.contains("pin-source=file:"), "{refused}");
    let with_source = format!("pkcs11:token=bobs?pin-source=file:{right}");
    bob.machine().run(enrol_words(&link, &["--pkcs11", &with_source]))?.success()?;
    let refused = bob.machine().refused(2, ["token", "change-pin", "--pin-file", "right"])?;
    ensure!(refused.contains("pkcs11-tool --change-pin"), "{refused}");
    bob.machine().run(["login", "--pin-file", "right"])?.success()?;

    step!("at a terminal it is asked for by its name");
    bob.machine().ok(["logout"])?;
    let mut terminal = bob.machine().at_terminal(["login"])?;
    terminal.expect("PIN of the device: ")?;
    terminal.type_line(PIN)?;
    let (status, said) = terminal.wait_exit()?;
    ensure!(status.success() && !said.contains(PIN), "{said}");
    Ok(())
}

#[test]
fn a_token_that_is_pulled_is_missed_and_goes_on_when_it_is_back() -> Result<()> {
    scenario!("B7: the token is pulled while alice is signed in");
    let settings = tempfile::NamedTempFile::new()?;
    std::fs::write(settings.path(), "session_lifetime_secs = 6\n")?;
    let gateway = Gateway::set("gw.example", &["--config", &settings.path().display().to_string()])?;
    let drawer = Drawer::with(&["work"])?;
    let alice = registered("alice", &gateway, &drawer, "work")?;
    alice.login()?;
    drawer.pull()?;
    until(LIMIT, "the renewal that misses the token", || {
        alice.problems().ok().filter(|p| p.contains("the token work is not there any more"))
    })?;

    step!("it is plugged in again, and nobody types anything");
    let before = alice.status()?["session"]["expires"].clone();
    drawer.plug_in()?;
    alice.until_status("another lifetime", |status| {
        (status["link"] == "connected" && status["session"]["expires"] != before).then_some(())
    })?;
    alice.machine().ok(["logout"])?;

    step!("without it nobody signs in, and it says why");
    drawer.pull()?;
    let refused = alice.machine().refused(4, ["login", "--pin-file", "pin"])?;
    ensure!(refused.contains("pkcs11:token=work") && refused.contains("plug it in"), "{refused}");
    let doctor = alice.machine().run(["doctor"])?;
    ensure!(doctor.code == Some(1) && doctor.text().contains("plug it in"), "{}", doctor.text());
    drawer.plug_in()?;
    let doctor = alice.machine().run(["doctor"])?.text();
    ensure!(doctor.contains("work, which holds the token's keys, is there"), "{doctor}");
    alice.login()
}

#[test]
fn of_several_tokens_the_one_that_is_named_is_taken() -> Result<()> {
    scenario!("B7: several tokens and slots");
    let gateway = Gateway::start("gw.example")?;
    let drawer = Drawer::with(&["twin", "twin", "spare"])?;
    let alice = person("alice")?;
    drawer.plug_into(alice.machine())?;
    let link = gateway.invite(&[])?;
    let refused = alice.machine().refused(2, enrol_words(&link, &["--pkcs11", "pkcs11:token=twin"]))?;
    ensure!(refused.contains("several tokens fit") && refused.contains("add the serial number"), "{refused}");
    let serials: Vec<&str> =
        refused.split("serial=").skip(1).filter_map(|rest| rest.split(';').next()).collect();
    ensure!(serials.len() == 2 && serials[0] != serials[1], "{refused}");
    let refused = alice.machine().refused(4, enrol_words(&link, &["--pkcs11", "pkcs11:token=triplet"]))?;
    ensure!(refused.contains("no token fits") && refused.contains("token=spare"), "{refused}");
    let refused = alice
        .machine()
        .refused(1, enrol_words(&link, &["--pkcs11", "pkcs11:token=twin?module-path=/nowhere/module.so"]))?;
    ensure!(refused.contains("/nowhere/module.so cannot be loaded"), "{refused}");
    assert_eq!(gateway.users()?, Vec::<String>::new());

    let second = format!("pkcs11:serial={}?module-path={MODULE}", serials[1]);
    alice.machine().run(enrol_words(&link, &["--pkcs11", &second]))?.success()?;
    let info = alice.machine().json(["token", "info"])?;
    ensure!(info["device"].as_str().context("no device")?.contains(serials[1]), "{info}");
    alice.login()?;
    alice.machine().ok(["logout"])?;

    step!("one device serves several gateways, and a token keeps its keys in one place");
    let other = Gateway::of_the_issuer_of(&gateway, "two.example")?;
    let link = other.invite(&[])?;
    let spare = enrol_words(&link, &["--pkcs11", "pkcs11:token=spare"]);
    let refused = alice.machine().refused(2, &spare)?;
    ensure!(refused.contains("keeps all its keys in one place"), "{refused}");
    alice.machine().run(enrol_words(&link, &[]))?.success()?;
    for name in ["gw.example", "two.example"] {
        alice.try_login(&["--gateway", name], &[])?.success()?;
        alice.machine().ok(["logout"])?;
    }

    step!("and a file that has keys already takes none into a device");
    let bob = Person::enrolled("bob", &gateway)?;
    drawer.plug_into(bob.machine())?;
    let link = other.invite(&[])?;
    let refused = bob.machine().refused(2, enrol_words(&link, &["--pkcs11", "pkcs11:token=spare"]))?;
    ensure!(refused.contains("in one place") && refused.contains("--replace"), "{refused}");
    Ok(())
}
