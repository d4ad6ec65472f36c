//! B8, B9, B11: one round trip proves both sides, and what a person may reach follows place, machine and network.

use std::io::Write as _;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use serde_json::Value;
use symbolon_acceptance::middleman::{CONTEXT_FIRST, CONTEXT_SECOND, Middleman, Sender, WRAPPED};
use symbolon_acceptance::{Behaviour, Gateway, LIMIT, OddServer, Person, Running, scenario, step, until};

fn sessions(gateway: &Gateway) -> Result<usize> {
    let sessions = gateway.admin_json(&["sessions", "list"])?;
    Ok(sessions["sessions"].as_array().context("no sessions")?.len())
}

/// Waits until `ls` shows these and nothing else.
fn until_ls(person: &Person, apps: &[&str]) -> Result<()> {
    until(LIMIT, &format!("{} to reach {apps:?}", person.name()), || {
        person.destinations().is_ok_and(|ls| ls == apps).then_some(())
    })
}

fn echo(gateway: &Gateway, apps: &[&str]) -> Result<OddServer> {
    let echo = OddServer::start(Behaviour::Echo)?;
    for app in apps {
        gateway.publish(app, echo.port(), "tcp")?;
    }
    Ok(echo)
}

#[test]
fn a_sign_in_is_one_round_trip_between_the_two_alone() -> Result<()> {
    scenario!("B8: alice signs in");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    let proxy = Middleman::before(gateway.port())?;
    let agent = alice.sign_in(&["--address", proxy.address()])?;
    assert_eq!(alice.machine().json(["whoami"])?["signed_in_by"], "challenge");
    agent.stop()?;

    step!("a number encrypted with a second one goes there, its answer comes back, and all else is wrapped");
    let passed = proxy.passed();
    assert_eq!(passed.len(), 1, "no other connection");
    let (there, back) = (passed[0].kinds(Sender::Client), passed[0].kinds(Sender::Gateway));
    assert_eq!((there[0], back[0]), (CONTEXT_FIRST, CONTEXT_SECOND));
    assert!(there[1..].iter().chain(&back[1..]).all(|kind| *kind == WRAPPED), "{there:x?} {back:x?}");
    for clear in ["alice", "/people", "uid ", "Linux"] {
        assert!(!passed[0].shows(clear), "{clear} went by in clear");
    }
    Ok(())
}

#[test]
fn what_was_recorded_opens_nothing() -> Result<()> {
    scenario!("B8: somebody plays alice's messages again, and the gateway's");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    let proxy = Middleman::before(gateway.port())?;
    alice.sign_in(&["--address", proxy.address()])?.stop()?;
    until(LIMIT, "the session to end", || sessions(&gateway).is_ok_and(|n| n == 0).then_some(()))?;
    let recorded = proxy.passed().into_iter().next().context("nothing recorded")?;

    step!("to the gateway: no session comes of it");
    let answer = recorded.replay_to(gateway.port())?;
    assert_ne!(answer.first(), Some(&CONTEXT_SECOND), "{answer:x?}");
    assert_eq!(sessions(&gateway)?, 0);

    step!("to alice: she does not take it for her gateway");
    let impostor = Middleman::playing(recorded.from_gateway)?;
    alice.sign_in_refused(1, &["--address", impostor.address()])?;
    alice.sign_in(&[])?.stop()?;
    Ok(())
}

#[test]
fn a_session_is_renewed_by_proving_both_sides_anew() -> Result<()> {
    scenario!("B8: a session of six seconds, on which alice goes on working");
    let settings = tempfile::NamedTempFile::new()?;
    std::fs::write(settings.path(), "session_lifetime_secs = 6\n")?;
    let settings = settings.path().display().to_string();
    let gateway = Gateway::set("gw.example", &["--config", &settings])?;
    let alice = Person::enrolled("alice", &gateway)?;
    let _echo = echo(&gateway, &["db"])?;
    gateway.grant("alice", "db")?;
    let _agent = alice.sign_in(&[])?;
    let (stream, mut input) =
        Running::start_with_input("connect db", &mut alice.machine().symbolon(["connect", "db", "--stdio"]))?;
    writeln!(input, "before")?;
    stream.wait_line(|l| l == "before")?;
    let session = || anyhow::Ok(alice.machine().json(["status"])?["session"].clone());
    let first = session()?;
    for _ in 0..2 {
        let expires = session()?["expires"].clone();
        until(LIMIT, "the session to be renewed", || {
            session().is_ok_and(|s| s["expires"] != expires).then_some(())
        })?;
    }
    let now = session()?;
    assert_eq!((&now["id"], &now["since"]), (&first["id"], &first["since"]), "it is the same session");
    writeln!(input, "after")?;
    stream.wait_line(|l| l == "after")?;
    Ok(())
}

#[test]
fn a_token_that_is_unknown_revoked_or_of_a_locked_user_is_denied_in_the_same_words() -> Result<()> {
    scenario!("B8: whoever may not come in is not told why");
    let mut gateway = Gateway::start("gw.example")?;
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| Person::enrolled(name, &gateway));
    let (alice, bob, carol) = (alice?, bob?, carol?);
    gateway.admin_json(&["users", "lock", "alice"])?;
    gateway.admin_json(&["users", "remove", "carol"])?;
    let tokens = gateway.admin_json(&["tokens", "list"])?;
    let tokens = tokens["tokens"].as_array().context("no tokens")?;
    let of_bob =
        tokens.iter().find(|t| t["user"] == "bob").and_then(|t| t["id"].as_str()).context("no token")?;
    gateway.admin_json(&["tokens", "revoke", of_bob])?;
    let complaints =
        [alice.sign_in_refused(3, &[])?, bob.sign_in_refused(3, &[])?, carol.sign_in_refused(3, &[])?];
    assert!(complaints.iter().all(|c| c.contains("denied") && *c == complaints[0]), "{complaints:?}");

    step!("the operator is told");
    let audit = gateway.admin(&["audit", "list"])?;
    for reason in ["user alice is locked", "unknown or revoked token"] {
        assert!(audit.contains(reason), "{reason}: {audit}");
    }

    step!("an unlocked user comes in again");
    gateway.admin_json(&["users", "unlock", "alice"])?;
    alice.sign_in(&[])?.stop()?;
    gateway.stop()
}

#[test]
fn a_change_of_place_changes_what_can_be_reached_without_a_restart() -> Result<()> {
    scenario!("B9, B11: alice carries her machine from the office to her home");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    let _echo = echo(&gateway, &["archive", "mail", "printer"])?;
    gateway.grant("alice", "mail")?;
    gateway.grant_where("alice", "printer", &["--place", "office"])?;
    gateway.grant_where("alice", "archive", &["--place", "home", "--place", "train"])?;
    let agent = alice.sign_in(&["--place", "office"])?;
    let pid = alice.machine().json(["status"])?["pid"].clone();
    until_ls(&alice, &["mail", "printer"])?;
    assert_eq!(alice.talk("printer", b"a page")?.success()?.text(), "a page");
    alice.machine().refused(3, ["connect", "archive", "--stdio"])?;

    step!("a page is still printing when she leaves");
    let (mut printing, mut input) = Running::start_with_input(
        "connect printer",
        &mut alice.machine().symbolon(["connect", "printer", "--stdio"]),
    )?;
    writeln!(input, "page one")?;
    printing.wait_line(|l| l == "page one")?;
    alice.machine().ok(["place", "home"])?;
    until_ls(&alice, &["archive", "mail"])?;
    assert_eq!(printing.wait_exit()?.code(), Some(3), "{}", printing.output());
    assert!(printing.output().contains("withdrawn"), "{}", printing.output());
    alice.machine().refused(3, ["connect", "printer", "--stdio"])?;
    assert_eq!(alice.talk("archive", b"a file")?.success()?.text(), "a file");
    assert_eq!(alice.machine().json(["status"])?["pid"], pid, "nothing was started again");
    drop(input);

    step!("the administrator sees what the gateway was told");
    let told = gateway.admin_json(&["sessions", "list"])?.to_string();
    assert!(told.contains("home"), "{told}");
    agent.stop()?;

    step!("the place may also stand in her configuration file");
    alice.machine().write("home/.config/symbolon/config.toml", "place = \"train\"\n")?;
    let _agent = alice.sign_in(&[])?;
    assert_eq!(alice.machine().json(["whoami"])?["reported"]["place"], "train");
    until_ls(&alice, &["archive", "mail"])
}

#[test]
fn the_same_token_on_another_machine_in_another_network_gets_another_configuration() -> Result<()> {
    scenario!("B11: alice signs in from her desk and from a hotel, with one token");
    let gateway = Gateway::start("gw.example")?;
    let desk = Person::enrolled("alice", &gateway)?;
    let _echo = echo(&gateway, &["db", "mail", "shop"])?;
    gateway.grant("alice", "mail")?;
    gateway.grant_where("alice", "db", &["--network", "127.0.0.1/32", "--network", "10.0.0.0/8"])?;
    gateway.grant_where("alice", "shop", &["--network", "127.9.0.0/16"])?;
    let copy = desk.machine().path("copy");
    desk.machine().ok(["token".as_ref(), "export".as_ref(), copy.as_os_str()])?;
    let hotel = Person::new("alice")?;
    let brought = hotel.machine().write("brought", std::fs::read(copy)?)?.display().to_string();
    hotel.machine().ok(hotel.with_pin_file(&["token", "import", &brought]))?;

    let _at_desk = desk.sign_in(&["--place", "office"])?;
    let way = Middleman::from(Ipv4Addr::new(127, 9, 0, 7), gateway.port())?;
    let _at_hotel = hotel.sign_in(&["--place", "hotel", "--address", way.address()])?;
    until_ls(&desk, &["db", "mail"])?;
    until_ls(&hotel, &["mail", "shop"])?;
    assert_eq!(hotel.talk("shop", b"hello")?.success()?.text(), "hello");
    let refused = hotel.machine().refused(3, ["connect", "db", "--stdio"])?;
    assert!(refused.contains("not among your destinations"), "{refused}");

    let [of_desk, of_hotel] = [&desk, &hotel].map(|p| p.machine().json(["whoami"]));
    let (of_desk, of_hotel) = (of_desk?, of_hotel?);
    assert_eq!(of_desk["user_code"], of_hotel["user_code"]);
    assert_eq!(
        (&of_desk["reported"]["place"], &of_hotel["reported"]["place"]),
        (&"office".into(), &"hotel".into())
    );

    step!("she drives to the office: her session comes along, and is entitled to what the office is");
    let session = hotel.machine().json(["status"])?["session"]["id"].clone();
    way.move_to(Ipv4Addr::LOCALHOST);
    until_ls(&hotel, &["db", "mail"])?;
    assert_eq!(hotel.machine().json(["status"])?["session"]["id"], session);
    assert_eq!(hotel.talk("db", b"hello")?.success()?.text(), "hello");
    Ok(())
}

fn explain(gateway: &Gateway, app: &str, circumstances: &[&str]) -> Result<(bool, String)> {
    let explained = gateway.admin_json(&[&["explain", "alice", app], circumstances].concat())?;
    let text = gateway.admin(&[&["explain", "alice", app], circumstances].concat())?;
    Ok((explained["permitted"] == true, text))
}

#[test]
fn every_condition_decides_and_the_decision_is_explained() -> Result<()> {
    scenario!("B9: entitlements under conditions");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    let apps = ["class", "group", "hours", "later", "machine", "path", "plain"];
    let echo = echo(&gateway, &apps)?;
    let machine = alice_machine(&gateway, &alice)?;
    gateway.grant_where("alice", "class", &["--class", "hardware"])?;
    gateway.grant("group:staff", "group")?;
    gateway.grant_where("alice", "hours", &["--hours", "mon-sun 00:00-24:00"])?;
    gateway.grant_where("alice", "later", &["--from", "2099-01-01T00:00:00Z"])?;
    gateway.grant_where("alice", "machine", &["--machine", &machine])?;
    gateway.grant_where("/people", "path", &["--class", "software"])?;
    gateway.grant_where("alice", "plain", &["--until", "2099-01-01T00:00:00Z"])?;
    let _agent = alice.sign_in(&[])?;
    until_ls(&alice, &["hours", "machine", "path", "plain"])?;

    step!("a membership acts at once");
    gateway.admin_json(&["users", "groups", "alice", "staff"])?;
    until_ls(&alice, &["group", "hours", "machine", "path", "plain"])?;
    gateway.admin_json(&["users", "groups", "alice", "--none"])?;
    until_ls(&alice, &["hours", "machine", "path", "plain"])?;

    step!("an administrator asks why, here and now and under other circumstances");
    gateway.publish("office", echo.port(), "tcp")?;
    gateway.grant_where("alice", "office", &["--hours", "mon-fri 08:00-18:00"])?;
    let cases: &[(&str, &[&str], bool, &str)] = &[
        ("class", &["--class", "software"], false, "hardware"),
        ("class", &["--class", "hardware"], true, "hardware"),
        ("group", &[], false, "staff"),
        ("later", &["--time", "2098-12-31T23:59:59Z"], false, "2099"),
        ("later", &["--time", "2099-01-01T00:00:01Z"], true, "2099"),
        ("machine", &["--machine", "another"], false, &machine),
        ("machine", &["--machine", &machine], true, &machine),
        ("office", &["--time", "2026-11-18T08:00:00Z"], true, "08:00-18:00"),
        ("office", &["--time", "2026-11-18T18:00:00Z"], false, "08:00-18:00"),
        ("office", &["--time", "2026-11-21T12:00:00Z"], false, "08:00-18:00"),
        ("plain", &["--time", "2099-01-01T00:00:01Z"], false, "2099"),
        ("path", &["--class", "software"], true, "/people"),
    ];
    for (app, circumstances, permitted, because) in cases {
        let (answer, text) = explain(&gateway, app, circumstances)?;
        assert_eq!(answer, *permitted, "{app} {circumstances:?}: {text}");
        assert!(text.contains(because), "{app} {circumstances:?}: {text}");
    }

    step!("who is locked may nothing, and the explanation begins with it");
    gateway.admin_json(&["users", "lock", "alice"])?;
    let (answer, text) = explain(&gateway, "plain", &[])?;
    assert!(!answer && text.contains("locked"), "{text}");
    Ok(())
}

/// What the gateway is told of alice's machine.
fn alice_machine(_gateway: &Gateway, alice: &Person) -> Result<String> {
    let agent = alice.sign_in(&[])?;
    let who: Value = alice.machine().json(["whoami"])?;
    agent.stop()?;
    Ok(who["reported"]["machine"].as_str().context("no machine")?.to_owned())
}

#[test]
fn an_entitlement_that_ends_by_the_clock_ends_its_streams() -> Result<()> {
    scenario!("B9: a contract that ends while alice works");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    let _echo = echo(&gateway, &["db"])?;
    let _agent = alice.sign_in(&[])?;
    let soon = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs() + 6;
    let until_then = crate::stage::utc(soon)?;
    gateway.grant_where("alice", "db", &["--until", &until_then])?;
    until_ls(&alice, &["db"])?;
    let (mut stream, _input) =
        Running::start_with_input("connect db", &mut alice.machine().symbolon(["connect", "db", "--stdio"]))?;
    assert_eq!(stream.wait_exit()?.code(), Some(3), "{}", stream.output());
    until_ls(&alice, &[])
}
