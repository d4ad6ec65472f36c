//! Certificates of our issuer, whose keys sign or open envelopes, and those of an authority that policy admits.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use symbolon_acceptance::middleman::{CONTEXT_FIRST, Middleman};
use symbolon_acceptance::{
    Authority, Finished, Gateway, HttpServer, LIMIT, Person, clock_from, scenario, step, until,
};

use crate::scene::{GATEWAY, Scene, reaches_the_web_server, refused, signed_in_by};

const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256";

fn login(person: &Person, certificate: &Path, key: &Path, further: &[&str]) -> Result<Finished> {
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    person.symbolon(&[&["login", "--certificate", &certificate, "--key", &key], further].concat(), &[])
}

/// The length of the first message among frames: kind (1), version (1), length (3), body.
fn first_message(mut frames: &[u8]) -> Option<usize> {
    while let [kind, _, a, b, c, rest @ ..] = frames {
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        if *kind == CONTEXT_FIRST {
            return Some(length);
        }
        frames = rest.get(length..)?;
    }
    None
}

/// A certificate of our issuer, made by an administrator: its file and its key's.
fn issue(gateway: &Gateway, user: &str, kind: &str) -> Result<[std::path::PathBuf; 2]> {
    let file = gateway.machine().path(format!("{user}-{kind}.pem"));
    gateway.admin(&["ca", "issue", user, "--key", kind, "--out", &file.display().to_string()])?;
    let key = file.with_extension("key");
    ensure!(file.exists() && key.exists(), "no certificate or no key");
    Ok([file, key])
}

#[test]
fn a_certificate_signs_in_whether_its_key_signs_or_opens_envelopes() -> Result<()> {
    scenario!("Ann has certificates with keys of four kinds");
    let mut scene = Scene::with("", &[])?;
    let ann = scene.person("ann", "")?;
    for kind in ["x-wing", "x25519", "p256", "ed25519"] {
        step!("{kind}");
        let [certificate, key] = issue(&scene.gateway, "ann", kind)?;
        let listener = Middleman::before(scene.gateway.port())?;
        let through = ["--address", listener.address()];
        let first_message = || {
            let size = listener.passed().iter().rev().find_map(|p| first_message(&p.from_client));
            size.context("no first message")
        };
        login(&ann, &certificate, &key, &through)?.success()?;
        reaches_the_web_server(&ann, "certificate", "certificate", "substantial")?;
        let whole = first_message()?;
        ann.machine().ok(["logout"])?;
        step!("the gateway knows it now, so that its hash is enough");
        login(&ann, &certificate, &key, &through)?.success()?;
        let named = first_message()?;
        ensure!(named < whole, "{named} bytes, {whole} before");
        ann.machine().ok(["logout"])?;
        if kind == "p256" {
            step!("a node that was started anew finds it in its register");
            scene.gateway.stop()?;
            scene.gateway.up()?;
            login(&ann, &certificate, &key, &through)?.success()?;
            ensure!(first_message()? == named, "it was sent again");
            signed_in_by(&ann, "certificate", "certificate", "substantial")?;
            ann.machine().ok(["logout"])?;
        }
    }
    step!("with another's key it proves nothing");
    scene.gateway.admin(&["users", "add", "eve"])?;
    for kind in ["x-wing", "p256"] {
        let [_, other_key] = issue(&scene.gateway, "eve", kind)?;
        let certificate = scene.gateway.machine().path(format!("ann-{kind}.pem"));
        let refused = login(&ann, &certificate, &other_key, &[])?;
        ensure!(matches!(refused.code, Some(1 | 3)), "{:?}: {}", refused.code, refused.complaint());
    }
    ensure!(scene.gateway.sessions()?.is_empty());
    Ok(())
}

#[test]
fn a_device_gets_its_certificate_over_its_session_and_needs_no_pin_any_more() -> Result<()> {
    scenario!("Ann, signed in by her token, asks for a certificate for her laptop");
    let scene = Scene::with("", &[])?;
    let ann = Person::enrolled("ann", &scene.gateway)?;
    scene.gateway.grant("user:ann", "web")?;
    ann.machine().refused(2, ["certificate", "show"])?;
    ann.login()?;
    for kind in ["x-wing", "p256"] {
        let given = ann.machine().json(["certificate", "request", "--key", kind, "--device", "laptop"])?;
        ensure!(given["key"] == kind && given["over"] == false, "{given}");
        ensure!(given["subject"].as_str().is_some_and(|s| s.ends_with(":laptop")), "{given}");
        ensure!(ann.machine().json(["certificate", "show"])? == given);
        let listed = scene.gateway.admin(&["ca", "list"])?;
        ensure!(listed.contains("laptop"), "{listed}");
        ann.machine().ok(["logout"])?;
        step!("it knows its gateway, so nothing else is said");
        ann.machine().ok(["login", "--with", "certificate"])?;
        reaches_the_web_server(&ann, "certificate", "certificate", "substantial")?;
        ann.machine().ok(["logout"])?;
        ann.login()?;
    }
    step!("a certificate alone gets no other one for another device");
    ann.machine().ok(["logout"])?;
    ann.machine().ok(["login", "--with", "certificate"])?;
    let told = ann.machine().refused(3, ["certificate", "request", "--device", "spare"])?;
    ensure!(told.contains("token"), "{told}");
    ann.machine().ok(["certificate", "remove"])?;
    ann.machine().refused(2, ["certificate", "show"]).map(drop)
}

#[test]
fn a_certificate_is_for_the_one_gateway_that_is_known_here() -> Result<()> {
    scenario!(
        "Ann has signed in with her token before, and then does with a certificate, of which she says nothing else"
    );
    let scene = Scene::with("", &[])?;
    let ann = Person::enrolled("ann", &scene.gateway)?;
    scene.gateway.grant("user:ann", "web")?;
    let [certificate, key] = issue(&scene.gateway, "ann", "ed25519")?;
    refused(login(&ann, &certificate, &key, &[])?, 2, "--gateway NAME")?;
    ann.login()?;
    ann.machine().ok(["logout"])?;
    login(&ann, &certificate, &key, &[])?.success()?;
    reaches_the_web_server(&ann, "certificate", "certificate", "substantial")
}

#[test]
fn a_revoked_certificate_ends_its_session_and_opens_no_other() -> Result<()> {
    scenario!("Ann's certificate is revoked while she works with it");
    let scene = Scene::with("", &[])?;
    let ann = scene.person("ann", "")?;
    let [certificate, key] = issue(&scene.gateway, "ann", "x-wing")?;
    login(&ann, &certificate, &key, &[])?.success()?;
    let listed = scene.gateway.admin_json(&["ca", "list"])?;
    let serial = listed["certificates"][0]["serial"].as_str().context("no serial number")?.to_owned();
    scene.gateway.admin(&["ca", "revoke", &serial, "--reason", "key-compromise"])?;
    let ended = || (!ann.has_agent().ok()? || ann.status().ok()?["link"] != "connected").then_some(());
    until(LIMIT, "the session to end", ended)?;
    let _ = ann.symbolon(&["logout"], &[])?;
    refused(login(&ann, &certificate, &key, &[])?, 3, "denied")?;
    step!("another of hers, with another key, is as good as before");
    let [certificate, key] = issue(&scene.gateway, "ann", "ed25519")?;
    login(&ann, &certificate, &key, &[])?.success()?;
    reaches_the_web_server(&ann, "certificate", "certificate", "substantial")
}

#[test]
fn another_issuer_follows_and_nobody_enrols_again() -> Result<()> {
    scenario!("the issuer is replaced while Ann is signed in");
    let scene = Scene::with("", &[])?;
    let ann = Person::enrolled("ann", &scene.gateway)?;
    scene.gateway.grant("user:ann", "web")?;
    ann.login()?;
    ann.machine().ok(["certificate", "request", "--device", "laptop"])?;
    let session = ann.status()?["session"]["id"].clone();
    scene.gateway.admin(&["ca", "rotate"])?;
    let told = ann.machine().home().join(".local/share/symbolon/issuer.changes");
    until(LIMIT, "Ann's agent to follow", || told.exists().then_some(()))?;
    reaches_the_web_server(&ann, "challenge", "software", "substantial")?;
    ensure!(ann.status()?["session"]["id"] == session, "her session went on");

    step!("the old issuer is gone for good, in the middle of a request and without a start of the node");
    let (_open, port) = ann.connect("web")?;
    let mut request = TcpStream::connect(("127.0.0.1", port))?;
    request.write_all(b"GET / HTTP/1.0\r\n")?;
    ann.until_status("a stream", |s| s["streams"].as_array().filter(|all| !all.is_empty()).map(drop))?;
    let sent = scene.gateway.admin_json(&["ca", "rotate", "--finish"])?;
    ensure!(scene.gateway.admin_json(&["status"])?["issuer"] == sent["new"], "{sent}");
    request.write_all(b"\r\n")?;
    let mut answer = String::new();
    request.read_to_string(&mut answer)?;
    ensure!(answer.ends_with(HttpServer::GREETING), "{answer}");
    ensure!(ann.status()?["session"]["id"] == session, "her session went on");
    reaches_the_web_server(&ann, "challenge", "software", "substantial")?;
    ensure!(!scene.gateway.log().contains("stopped"), "{}", scene.gateway.log());
    ann.machine().ok(["logout"])?;
    ann.login()?;
    reaches_the_web_server(&ann, "challenge", "software", "substantial")?;
    ann.machine().ok(["doctor"])?;
    Ok(())
}

#[test]
fn a_certificate_of_an_authority_that_policy_admits_signs_in() -> Result<()> {
    scenario!("Ann's company has a certification authority of its own");
    let partner = Authority::new("Partner authority")?;
    let scene = Scene::with(
        &format!(
            "[[credentials.authority]]\nalias = \"partner\"\ncertificate = {:?}\nname = {{ email = \"example.org\" }}\n",
            partner.certificate().display().to_string()
        ),
        &[],
    )?;
    let ann = scene.person("ann", "")?;
    for (name, kind) in [("one", P256), ("two", "ed25519"), ("four", "rsa:3072")] {
        let (certificate, key) = partner.issue(name, kind, "clientAuth", "email:ann@example.org")?;
        login(&ann, &certificate, &key, &[])?.success()?;
        reaches_the_web_server(&ann, "certificate", "certificate", "substantial")?;
        ann.machine().ok(["logout"])?;
    }
    step!(
        "for another domain, for another purpose, for nobody here, or by another authority of that name: refused"
    );
    let impostor = Authority::new("Partner authority")?;
    for (authority, name, usage, names) in [
        (&partner, "domain", "clientAuth", "email:ann@example.com"),
        (&partner, "server", "serverAuth", "email:ann@example.org"),
        (&partner, "nobody", "clientAuth", "email:nobody@example.org"),
        (&impostor, "wrong-ca", "clientAuth", "email:ann@example.org"),
    ] {
        let (certificate, key) = authority.issue(name, P256, usage, names)?;
        refused(login(&ann, &certificate, &key, &[])?, 3, "denied")?;
    }
    step!("a gateway that admits no authority takes none");
    let other = Gateway::start(GATEWAY)?;
    other.admin(&["users", "add", "ann"])?;
    ann.configure(&format!(
        "gateway = {GATEWAY:?}\naddress = {:?}\nissuer_certificate = {:?}\n",
        other.address(),
        other.dir().join("issuer.crt").display().to_string()
    ))?;
    let (certificate, key) = partner.issue("three", P256, "clientAuth", "email:ann@example.org")?;
    refused(login(&ann, &certificate, &key, &[])?, 3, "denied")
}

#[test]
fn a_device_that_was_off_for_ten_times_its_certificates_life_comes_back_by_itself() -> Result<()> {
    scenario!("Ann's laptop lies in a drawer for ten days; its certificate is good for one");
    let clocks = tempfile::tempdir()?;
    let clock = clocks.path().join("clock");
    std::fs::write(&clock, "+0d")?;
    let clocks = clock_from(&clock)?;
    let mut scene = Scene::with("", &clocks)?;
    let ann = Person::enrolled("ann", &scene.gateway)?;
    scene.gateway.grant("user:ann", "web")?;
    let by_certificate = ["login", "--with", "certificate"];
    let mut later = |days: &str| -> Result<()> {
        scene.gateway.stop()?;
        std::fs::write(&clock, days)?;
        scene.gateway.up()
    };
    for (kind, days) in [("x-wing", "+10d"), ("ed25519", "+20d")] {
        ann.try_login(&[], &clocks)?.success()?;
        let given = ann.machine().json(["certificate", "request", "--key", kind, "--device", "laptop"])?;
        ann.machine().ok(["logout"])?;
        later(days)?;
        step!("{days}: no administrator, no PIN, no password");
        ann.symbolon(&by_certificate, &clocks)?.success()?;
        reaches_the_web_server(&ann, "certificate", "certificate", "substantial")?;
        let renewed = ann.symbolon(&["certificate", "show", "--json"], &clocks)?.success()?.text();
        let renewed: serde_json::Value = serde_json::from_str(&renewed)?;
        ensure!(renewed["subject"] == given["subject"] && renewed["until"] != given["until"], "{renewed}");
        ann.machine().ok(["logout"])?;
    }
    step!("after eleven times its life it is told the one command that helps");
    later("+40d")?;
    let over = ann.symbolon(&by_certificate, &clocks)?;
    ensure!(over.complaint().contains("symbolon admin tokens invite"), "{}", over.complaint());
    refused(over, 3, "too long ago")?;
    let link = scene.gateway.invite(&["ann"])?;
    let words = ["enrol", &link, "--answers", "answers.toml", "--pin-file", "pin", "--replace"];
    ann.symbolon(&words, &clocks)?.success()?;
    ann.try_login(&[], &clocks)?.success()?;
    reaches_the_web_server(&ann, "challenge", "software", "substantial")
}
