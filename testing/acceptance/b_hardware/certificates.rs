//! Keys of certificates in SoftHSM tokens and in a TPM.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use symbolon_acceptance::{Authority, Gateway, HttpServer, LIMIT, Person, curl, scenario, step, until};
use tempfile::NamedTempFile;

use crate::devices::{Drawer, PIN, Tpm};
use crate::softhsm::registered;

/// A gateway with these settings and a web server behind it, and Ann, who is registered with a token in a file and
/// has the PIN of a device in the file `device-pin`.
struct Scene {
    gateway: Gateway,
    ann: Person,
    _settings: NamedTempFile,
    _web: HttpServer,
}

impl Scene {
    fn with(settings: &str) -> Result<Self> {
        let file = NamedTempFile::new()?;
        std::fs::write(file.path(), settings)?;
        let gateway = Gateway::set("gw.example", &["--config", &file.path().display().to_string()])?;
        let web = HttpServer::start()?;
        gateway.publish("web", web.port(), "http")?;
        let ann = Person::enrolled("ann", &gateway)?;
        gateway.grant("user:ann", "web")?;
        ann.secret_file("device-pin", &format!("{PIN}\n"))?;
        Ok(Self { gateway, ann, _settings: file, _web: web })
    }

    /// `certificate request` with a key in a device.
    fn request(&self, place: &[&str]) -> Result<Value> {
        let words = ["certificate", "request", "--device", "laptop", "--pin-file", "device-pin"];
        self.ann.machine().json([&words[..], place].concat())
    }

    /// Signs in by the certificate, with the PIN in a file.
    fn by_certificate(&self) -> Result<()> {
        self.ann.machine().ok(["login", "--with", "certificate", "--pin-file", "device-pin"]).map(drop)
    }

    /// Ann reaches the web server; she signed in by a certificate.
    fn reaches_the_web_server(&self) -> Result<Value> {
        let who = self.ann.machine().json(["whoami"])?;
        ensure!(who["signed_in_by"] == "certificate" && who["token_class"] == "certificate", "{who}");
        let (_open, port) = self.ann.connect("web")?;
        let answer = curl(&format!("http://127.0.0.1:{port}"), &[])?.success()?;
        ensure!(answer.stdout == HttpServer::GREETING.as_bytes(), "{}", answer.text());
        Ok(who)
    }
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().context("no text")
}

#[test]
fn the_key_of_a_certificate_is_made_in_a_device_and_signs_in_from_there() -> Result<()> {
    scenario!(
        "A3, B7: Ann's laptop gets a certificate; its key is made in her SoftHSM token and stays there"
    );
    let scene = Scene::with("")?;
    let (ann, drawer) = (&scene.ann, Drawer::with(&["work", "spare"])?);
    drawer.plug_into(ann.machine())?;
    ann.login()?;

    step!("of several tokens one is named, and a key that opens envelopes is not for a device");
    let request = |further: &[&str]| {
        ann.machine().run([&["certificate", "request", "--pin-file", "device-pin"], further].concat())
    };
    let several = request(&["--pkcs11", "pkcs11:"])?;
    ensure!(
        several.code == Some(2) && several.complaint().contains("name one of them"),
        "{}",
        several.complaint()
    );
    for kind in ["x-wing", "x25519", "ed25519"] {
        let told = request(&["--pkcs11", "pkcs11:token=work", "--key", kind])?;
        ensure!(
            told.code == Some(2) && told.complaint().contains("cannot be in a device"),
            "{}",
            told.complaint()
        );
    }
    ann.secret_file("wrong", "9999\n")?;
    let wrong = ["certificate", "request", "--pkcs11", "pkcs11:token=work", "--pin-file", "wrong"];
    let refused = ann.machine().refused(3, wrong)?;
    ensure!(refused.contains("wrong PIN for the token work"), "{refused}");
    ensure!(!drawer.keys("work")?.contains("Private Key"), "nothing stays of what was refused");

    step!("the device's PIN is asked for at the terminal, once it is known which device is meant");
    let words =
        ["certificate", "request", "--device", "laptop", "--pkcs11", "pkcs11:token=work;object=laptop%20key"];
    let mut terminal = ann.machine().at_terminal(words)?;
    terminal.expect("PIN of the device: ")?;
    terminal.type_line(PIN)?;
    let (status, said) = terminal.wait_exit()?;
    ensure!(status.success() && said.contains("object=laptop%20key") && !said.contains(PIN), "{said}");

    step!("it is sensitive, was made there and was never extractable, and does not come out");
    let given = ann.machine().json(["certificate", "show"])?;
    ensure!(given["key"] == "p256", "{given}");
    let place = text(&given["device"])?;
    ensure!(place.starts_with("pkcs11:token=work;") && place.contains("type=private;id=%"), "{place}");
    let keys = drawer.keys("work")?;
    let private = keys.split("Private Key Object").nth(1).context("no private key")?;
    ensure!(private.contains("laptop key") && private.contains("sensitive"), "{keys}");
    ensure!(private.contains("never extractable") && private.contains("local"), "{keys}");
    ensure!(drawer.private_key("work", "laptop key")?.is_empty(), "the private key came out");
    let file = std::fs::read(text(&given["path"])?)?;
    ensure!(file.len() < 1500 && String::from_utf8_lossy(&file).contains(place), "the file names the key");
    ensure!(!String::from_utf8_lossy(&file).contains("SYMBOLON CERTIFICATE KEY"), "it holds no key");

    step!("it signs in, and whoever asks is told where it is; nothing on the disk opens another session");
    ann.machine().ok(["logout"])?;
    scene.by_certificate()?;
    let who = scene.reaches_the_web_server()?;
    ensure!(who["device"] == place, "{who}");
    let status = ann.status()?;
    ensure!(status["session"]["device"] == place, "{status}");
    ensure!(ann.machine().ok(["whoami"])?.contains(place) && ann.machine().ok(["status"])?.contains(place));
    ensure!(!ann.machine().path("run/symbolon/ticket").exists());
    let doctor = ann.machine().run(["doctor"])?.text();
    ensure!(doctor.contains("work, which holds the certificate's key, is there"), "{doctor}");

    step!("what is made for a certificate that the gateway does not give goes again");
    let spare = ["certificate", "request", "--device", "spare", "--pkcs11", "pkcs11:token=work;object=spare"];
    ensure!(ann.machine().refused(3, spare)?.contains("token"));
    let keys = drawer.keys("work")?;
    ensure!(keys.contains("laptop key") && !keys.contains("spare"), "{keys}");
    ann.machine().ok(["logout"])?;

    step!("wrong PINs, and at the terminal");
    for _ in 0..3 {
        let refused = ann.machine().refused(3, ["login", "--with", "certificate", "--pin-file", "wrong"])?;
        ensure!(
            refused.contains("wrong PIN for the token work; the token counts wrong attempts"),
            "{refused}"
        );
    }
    let mut terminal = ann.machine().at_terminal(["login", "--with", "certificate"])?;
    terminal.expect("PIN of the device: ")?;
    terminal.type_line(PIN)?;
    let (status, said) = terminal.wait_exit()?;
    ensure!(status.success() && !said.contains(PIN), "{said}");
    ann.machine().ok(["logout"])?;

    step!("another certificate in its place takes its own key along, and removal says what stays");
    ann.login()?;
    scene.request(&["--pkcs11", "pkcs11:token=work;object=next"])?;
    let keys = drawer.keys("work")?;
    ensure!(keys.contains("next") && !keys.contains("laptop key"), "{keys}");
    let removed = ann.machine().ok(["certificate", "remove"])?;
    ensure!(removed.contains("pkcs11:token=work") && removed.contains("pkcs11-tool"), "{removed}");
    Ok(())
}

#[test]
fn a_device_that_holds_the_token_too_is_opened_once() -> Result<()> {
    scenario!(
        "A3, B7: Alice signed in by the token in her device, and wants the certificate's key there too"
    );
    let gateway = Gateway::start("gw.example")?;
    let drawer = Drawer::with(&["work"])?;
    let alice = registered("alice", &gateway, &drawer, "work")?;
    alice.login()?;
    let given = alice.machine().json(["certificate", "request", "--pkcs11", "pkcs11:token=work"])?;
    ensure!(text(&given["device"])?.contains("object=symbolon%3Adevice%3A"), "named by its subject: {given}");
    let keys = drawer.keys("work")?;
    ensure!(keys.contains("Private Key") && keys.contains("alice at gw.example"), "{keys}");
    alice.machine().ok(["logout"])?;
    for method in ["certificate", "token"] {
        alice.try_login(&["--with", method], &[])?.success()?;
        ensure!(text(&alice.machine().json(["whoami"])?["device"])?.contains("token=work"));
        alice.machine().ok(["logout"])?;
    }
    Ok(())
}

#[test]
fn a_device_that_is_pulled_is_missed_by_its_certificate_and_signs_again_when_it_is_back() -> Result<()> {
    scenario!("A3, B7: the token with the certificate's key is pulled while Ann is signed in");
    let scene = Scene::with("session_lifetime_secs = 6\n")?;
    let (ann, drawer) = (&scene.ann, Drawer::with(&["work"])?);
    drawer.plug_into(ann.machine())?;
    ann.login()?;
    drawer.pull()?;
    let refused = ["certificate", "request", "--pkcs11", "pkcs11:token=work", "--pin-file", "device-pin"];
    ensure!(ann.machine().refused(4, refused)?.contains("plug the device in"));
    drawer.plug_in()?;
    scene.request(&["--pkcs11", "pkcs11:token=work"])?;
    ann.machine().ok(["logout"])?;
    scene.by_certificate()?;
    scene.reaches_the_web_server()?;
    drawer.pull()?;
    until(LIMIT, "the renewal that misses the token", || {
        ann.problems().ok().filter(|p| p.contains("the token work is not there any more"))
    })?;
    step!("it is plugged in again, and nobody types anything");
    let before = ann.status()?["session"]["expires"].clone();
    drawer.plug_in()?;
    ann.until_status("another session", |status| {
        (status["link"] == "connected" && status["session"]["expires"] != before).then_some(())
    })?;
    scene.reaches_the_web_server()?;
    ann.machine().ok(["logout"])?;

    step!("without it nobody signs in, and it says why");
    drawer.pull()?;
    let refused = ann.machine().refused(4, ["login", "--with", "certificate", "--pin-file", "device-pin"])?;
    ensure!(refused.contains("holds the certificate's key is not there"), "{refused}");
    ensure!(refused.contains("pkcs11:token=work") && refused.contains("plug it in"), "{refused}");
    let doctor = ann.machine().run(["doctor"])?;
    ensure!(doctor.code == Some(1) && doctor.text().contains("plug it in"), "{}", doctor.text());
    drawer.plug_in()?;
    scene.by_certificate()
}

#[test]
fn a_renewal_makes_the_next_key_in_the_same_device_and_removes_the_former_one() -> Result<()> {
    scenario!(
        "A3, B7: certificates are good for 12 seconds, and Ann's agent renews hers from half their life"
    );
    let scene = Scene::with("[credentials]\ncertificate_secs = 12\n")?;
    let (ann, drawer) = (&scene.ann, Drawer::with(&["work"])?);
    drawer.plug_into(ann.machine())?;
    ann.login()?;
    let mut last = scene.request(&["--pkcs11", "pkcs11:token=work;object=laptop"])?;
    for _ in 0..2 {
        let next = until(LIMIT, "the next certificate", || {
            ann.machine().json(["certificate", "show"]).ok().filter(|next| next["until"] != last["until"])
        })?;
        ensure!(next["subject"] == last["subject"] && next["key"] == "p256", "{next}");
        ensure!(next["device"] != last["device"], "the key is another one: {next}");
        last = next;
    }
    // SoftHSM damages objects when another program lists them while they are written
    ann.machine().ok(["logout"])?;
    let one_pair = || -> Result<()> {
        let keys = drawer.keys("work")?;
        ensure!(keys.matches("laptop").count() == 2, "one pair of keys: {keys}");
        Ok(())
    };
    one_pair()?;
    step!("an agent that signed in with it renews it too, and one whose time is over comes back");
    scene.by_certificate()?;
    let next = until(LIMIT, "the next certificate", || {
        ann.machine().json(["certificate", "show"]).ok().filter(|next| next["until"] != last["until"])
    })?;
    scene.reaches_the_web_server()?;
    ann.machine().ok(["logout"])?;
    until(LIMIT, "its end", || {
        ann.machine().json(["certificate", "show"]).ok().filter(|now| now["over"] == true)
    })?;
    // for the rest of its last second the gateway takes it for one that holds
    until(LIMIT, "her coming back with another key", || {
        scene.by_certificate().ok()?;
        let another = scene.reaches_the_web_server().is_ok_and(|who| who["device"] != next["device"]);
        if !another {
            ann.machine().ok(["logout"]).ok()?;
        }
        another.then_some(())
    })?;
    ann.machine().ok(["logout"])?;
    one_pair()?;

    step!("an agent that has not opened the device says so, and goes on");
    ann.login()?;
    until(LIMIT, "the problem", || {
        ann.problems().ok().filter(|p| p.contains("in a device that is not open here"))
    })?;
    ensure!(ann.status()?["link"] == "connected");
    Ok(())
}

#[test]
fn a_key_that_is_in_a_device_already_signs_in_with_somebody_elses_certificate() -> Result<()> {
    scenario!("A3, B7: Ann's company gave her a token with keys and certified them");
    let company = Authority::new("Partner authority")?;
    let scene = Scene::with(&format!(
        "[[credentials.authority]]\nalias = \"partner\"\ncertificate = {:?}\nname = {{ email = \"example.org\" }}\n",
        company.certificate().display().to_string()
    ))?;
    let (ann, drawer) = (&scene.ann, Drawer::with(&["company"])?);
    drawer.plug_into(ann.machine())?;
    ann.configure(&format!(
        "gateway = \"gw.example\"\naddress = {:?}\nissuer_certificate = {:?}\n",
        scene.gateway.address(),
        scene.gateway.dir().join("issuer.crt").display().to_string()
    ))?;
    let kinds = [("one", "ec -pkeyopt ec_paramgen_curve:P-256", "01"), ("two", "rsa:3072", "02")];
    for (label, kind, id) in kinds {
        let (certificate, key) = company.issue(label, kind, "clientAuth", "email:ann@example.org")?;
        drawer.import("company", &key, label, id)?;
        let certificate = certificate.display().to_string();
        let login = |key: &str| {
            let words = ["login", "--certificate", &certificate, "--key", key, "--pin-file", "device-pin"];
            ann.machine().run(words)
        };
        step!("{label}: by its label, by its id, and by a name that no key has");
        for name in [format!("object={label};type=private"), format!("id=%{id}")] {
            login(&format!("pkcs11:token=company;{name}"))?.success()?;
            let who = scene.reaches_the_web_server()?;
            ensure!(text(&who["device"])?.contains("token=company"), "{who}");
            ann.machine().ok(["logout"])?;
        }
        let missing = login("pkcs11:token=company;object=three")?;
        ensure!(missing.complaint().contains("does not hold the key \"three\""), "{}", missing.complaint());
    }
    step!("which one of two must be said; and the PIN may come from the file that the URI names");
    let (certificate, _) = company.issue("three", "ed25519", "clientAuth", "email:ann@example.org")?;
    let certificate = certificate.display().to_string();
    let words =
        ["login", "--certificate", &certificate, "--key", "pkcs11:token=company", "--pin-file", "device-pin"];
    let refused = ann.machine().refused(2, words)?;
    ensure!(refused.contains("several keys") && refused.contains("id="), "{refused}");
    let pin = ann.machine().home().join("device-pin").display().to_string();
    let key = format!("pkcs11:token=company;object=one?pin-source=file:{pin}");
    let one = company.certificate().with_file_name("one.pem").display().to_string();
    ann.machine().ok(["login", "--certificate", &one, "--key", &key])?;
    scene.reaches_the_web_server().map(drop)
}

#[test]
fn a_tpm_makes_the_key_of_a_certificate_and_signs_in_with_it() -> Result<()> {
    scenario!("A3, B7: the key of the certificate of Ann's laptop is in its TPM");
    let scene = Scene::with("")?;
    let (ann, tpm) = (&scene.ann, Tpm::with("laptop")?);
    let environment = tpm.environment();
    ann.try_login(&[], &environment)?.success()?;
    let given = scene.request(&["--tpm=laptop"])?;
    ensure!(text(&given["device"])?.contains("module-name=tpm2_pkcs11"), "{given}");
    step!("another one takes the place of the first, and its key that of the first one's");
    let next = scene.request(&["--tpm=laptop"])?;
    ensure!(next["device"] != given["device"], "{next}");
    let objects = tpm.tool("tpm2_ptool", &["listobjects", "--label=laptop"])?;
    ensure!(objects.matches("symbolon:device:").count() == 2, "one pair: {objects}");
    ann.machine().ok(["logout"])?;
    let login =
        |pin: &str| ann.symbolon(&["login", "--with", "certificate", "--pin-file", pin], &environment);
    login("device-pin")?.success()?;
    scene.reaches_the_web_server()?;
    ann.machine().ok(["logout"])?;

    step!("wrong PINs lock it, for the right one too, until its owner unlocks it");
    ann.secret_file("wrong", "9999\n")?;
    let locked = (0..40).find_map(|_| {
        let finished = login("wrong").ok()?;
        finished.complaint().contains("is locked").then_some(finished)
    });
    let locked = locked.context("a TPM locks")?;
    ensure!(
        locked.code == Some(3) && locked.complaint().contains("--clear-lockout"),
        "{}",
        locked.complaint()
    );
    let right = login("device-pin")?;
    ensure!(right.code == Some(3) && right.complaint().contains("is locked"), "{}", right.complaint());
    tpm.tool("tpm2_dictionarylockout", &["--clear-lockout"])?;
    login("device-pin")?.success()?;
    scene.reaches_the_web_server().map(drop)
}
