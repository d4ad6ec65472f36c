//! Rows A1, A2, A4, A6, A8 and B8 as a user can see them: secure contexts in two messages, and everything that may go
//! wrong with them on the way.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use symbolon_acceptance::middleman::Sender::Client;
use symbolon_acceptance::middleman::{
    CONTEXT_FIRST, CONTEXT_SECOND, HELLO, Middleman, OFFER, REFUSAL, RETRY, STREAM_OPEN, STREAM_REPLY,
    Sender, Tamper, WRAPPED,
};
use symbolon_acceptance::{
    Behaviour, Finished, Gateway, HttpServer, LIMIT, OddServer, Person, clock_from, clock_off_by, curl,
    finish, free_port, scenario, step, transcript, until,
};

/// A request whose answer has no end but the connection's.
const REQUEST: &[u8] = b"GET /large HTTP/1.0\r\n\r\n";

/// Strangers at once; a node lets in 4,096 and gives half of them full patience.
const STALLED: usize = 2000;

#[test]
fn two_messages_open_a_context_and_show_no_name() -> Result<()> {
    scenario!("Ann signs in, and somebody listens on the network");
    let mut gateway = Gateway::start("gw.example")?;
    let ann = Person::enrolled("ann", &gateway)?;
    let listener = Middleman::before(gateway.port())?;
    through(&ann, &listener)?.success()?;
    step!("keys and the gateway's number are in the token: one message each way, and nothing before them");
    let passed = listener.newest(CONTEXT_FIRST).context("no first message")?;
    assert_eq!(
        passed.order[..3],
        [(CONTEXT_FIRST, Client), (CONTEXT_SECOND, Sender::Gateway), (WRAPPED, Client)]
    );
    assert_eq!(listener.passed().len(), 1, "one connection");
    step!("the next number came with the session, so the next time is the same");
    ann.machine().ok(["logout"])?;
    through(&ann, &listener)?.success()?;
    assert!(listener.passed().iter().all(|p| p.from_client[0] == CONTEXT_FIRST));

    let who = ann.machine().json(["whoami"])?;
    assert_eq!((&who["signed_in_by"], &who["suite"]), (&"challenge".into(), &"X-Wing".into()));
    step!("what was heard names nobody");
    let code = who["user_code"].as_str().context("no code")?.to_owned();
    for heard in listener.passed().iter().flat_map(|p| [&p.from_client, &p.from_gateway]) {
        for name in ["ann", &code] {
            assert!(!heard.windows(name.len()).any(|w| w == name.as_bytes()), "{name} in clear");
        }
    }
    step!("a node that was started anew has new keys: it says so, and is asked for its certificates");
    ann.machine().ok(["logout"])?;
    gateway.stop()?;
    gateway.up()?;
    let before = listener.passed().len();
    through(&ann, &listener)?.success()?;
    let orders: Vec<_> = listener.passed().drain(before..).map(|p| p.order).collect();
    ensure!(orders.len() == 2, "{orders:02x?}");
    assert_eq!(orders[0], [(CONTEXT_FIRST, Client), (REFUSAL, Sender::Gateway)]);
    let asked = [(HELLO, Client), (OFFER, Sender::Gateway)];
    assert_eq!(
        orders[1][..4],
        [&asked[..], &[(CONTEXT_FIRST, Client), (CONTEXT_SECOND, Sender::Gateway)]].concat()
    );
    Ok(())
}

#[test]
fn a_password_signs_in_where_both_sides_let_it() -> Result<()> {
    scenario!("Paul has a password, and no token");
    let gateway = Gateway::with("gw.example", free_port()?, &["--accept-passwords"], &[])?;
    let web = HttpServer::start()?;
    gateway.publish("web", web.port(), "http")?;
    gateway.grant("user:paul", "web")?;
    gateway.admin(&["users", "add", "paul"])?;
    let paul = Person::new("paul")?;
    let password = "correct horse battery staple";
    let file = paul.secret_file("password", password)?;
    gateway.admin(&["users", "password", "paul", "--password-file", &file.display().to_string()])?;
    let listener = Middleman::before(gateway.port())?;
    let by_password = |name: &str, file: &str, further: &[&str]| {
        let words = ["login", "--user", name, "--gateway", "gw.example", "--address", listener.address()];
        paul.symbolon(&[&words, &["--password-file", file][..], further].concat(), &[])
    };

    step!("his configuration names no gateway that may have it: nothing is sent");
    let issuer = gateway.dir().join("issuer.crt");
    paul.configure(&format!("issuer_certificate = {:?}\n", issuer.display().to_string()))?;
    let refused = by_password("paul", "password", &[])?;
    assert_eq!(refused.code, Some(3));
    assert!(refused.complaint().contains("password_gateways"), "{}", refused.complaint());
    assert!(listener.passed().iter().all(|p| p.order.iter().all(|(kind, _)| *kind != CONTEXT_FIRST)));

    step!("with the gateway named, the password opens a context and an application is used");
    paul.configure(&format!(
        "issuer_certificate = {:?}\npassword_gateways = [\"gw.example\"]\n",
        issuer.display().to_string()
    ))?;
    by_password("paul", "password", &[])?.success()?;
    let who = paul.machine().json(["whoami"])?;
    assert_eq!((&who["user"], &who["signed_in_by"]), (&"paul".into(), &"password".into()));
    let (_open, port) = paul.connect("web")?;
    assert_eq!(curl(&format!("http://127.0.0.1:{port}"), &[])?.stdout, HttpServer::GREETING.as_bytes());
    for heard in listener.passed().iter().map(|p| &p.from_client) {
        assert!(!heard.windows(password.len()).any(|w| w == password.as_bytes()), "the password in clear");
    }
    paul.machine().ok(["logout"])?;

    step!("a wrong password and an unknown user are told the same");
    paul.secret_file("wrong", "incorrect horse")?;
    let wrong = by_password("paul", "wrong", &["--json"])?;
    let unknown = by_password("nobody", "wrong", &["--json"])?;
    assert_eq!((wrong.code, unknown.code), (Some(3), Some(3)));
    assert_eq!(wrong.text(), unknown.text());
    assert!(gateway.sessions()?.is_empty());
    Ok(())
}

#[test]
fn a_gateway_that_is_not_the_right_one_learns_nothing() -> Result<()> {
    scenario!("Somebody else answers at the gateway's address");
    let mut gateway = Gateway::start("gw.example")?;
    let ann = Person::enrolled("annabel", &gateway)?;
    ann.login()?;
    ann.machine().ok(["logout"])?;
    gateway.stop()?;
    for (name, arguments, what) in [
        ("gw.example", Vec::new(), "issuer"),
        ("other.example", vec!["--issuer-of".to_owned(), gateway.dir().display().to_string()], "gw.example"),
    ] {
        step!("it is called {name} and has {arguments:?}");
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut other = Gateway::with(name, gateway.port(), &arguments, &[])?;
        let listener = Middleman::before(gateway.port())?;
        let refused = through(&ann, &listener)?;
        assert_eq!(refused.code, Some(3));
        assert!(refused.complaint().contains(what), "{}", refused.complaint());
        let first = listener.newest(CONTEXT_FIRST).context("what was at hand was not tried")?;
        assert_eq!(
            first.order,
            [(CONTEXT_FIRST, Client), (REFUSAL, Sender::Gateway)],
            "sealed for the right gateway alone"
        );
        let hello = listener.newest(HELLO).context("no greeting")?;
        assert!(hello.order.iter().all(|(kind, by)| *by != Client || *kind == HELLO), "{:?}", hello.order);
        assert!(!other.log().contains("annabel"), "{}", other.log());
        assert!(!other.admin(&["audit", "export"])?.contains("annabel"));
        other.stop()?;
    }
    step!("the right one is back");
    gateway.up()?;
    ann.login()
}

#[test]
fn a_wrong_clock_is_told_by_how_much() -> Result<()> {
    scenario!("Clocks are wrong");
    let gateway = Gateway::start("gw.example")?;
    let ann = Person::enrolled("ann", &gateway)?;
    for (seconds, way) in [(600, "ahead of"), (-600, "behind")] {
        let refused = ann.try_login(&[], &clock_off_by(seconds)?)?;
        let told = refused.complaint();
        assert_eq!(refused.code, Some(1), "{told}");
        let by: i64 = told
            .split(|c: char| !c.is_ascii_digit())
            .find_map(|digits| digits.parse().ok())
            .context("it does not say by how much")?;
        assert!((598..=602).contains(&by) && told.contains(way) && told.contains("fix:"), "{told}");
        assert!(gateway.sessions()?.is_empty());
    }
    step!("half a minute does not matter");
    ann.try_login(&[], &clock_off_by(30)?)?.success()?;
    ann.machine().ok(["logout"])?;

    step!("a certificate that has expired, where both clocks are right");
    let bea = Person::new("bea")?;
    let clock = bea.machine().write("clock", "+0s")?;
    let later = Gateway::with("gw.example", free_port()?, &[], &clock_from(&clock)?)?;
    bea.try_enrol(&later.first_invitation()?)?.success()?;
    std::fs::write(&clock, "+400d")?;
    let refused = bea.try_login(&[], &clock_from(&clock)?)?;
    assert_eq!(refused.code, Some(3), "{}", refused.complaint());
    assert!(refused.complaint().contains("expired"), "{}", refused.complaint());
    assert!(later.sessions()?.is_empty());

    step!("two years off, and it is still the clock that is named");
    let years = 2 * 365 * 24 * 3600;
    let refused = ann.try_login(&[], &clock_off_by(years)?)?;
    assert_ne!(refused.code, Some(0));
    assert!(refused.complaint().contains("ahead of"), "{}", refused.complaint());
    let frozen = Gateway::with("old.example", free_port()?, &[], &clock_off_by(-years)?)?;
    let cleo = Person::new("cleo")?;
    let refused = cleo.try_enrol(&frozen.first_invitation()?)?;
    assert_ne!(refused.code, Some(0));
    assert!(refused.complaint().contains("clock"), "{}", refused.complaint());
    Ok(())
}

#[test]
fn what_was_recorded_and_is_sent_again_does_nothing() -> Result<()> {
    scenario!("Somebody records a sign-in and a stream, and sends them again");
    let mut gateway = Gateway::start("gw.example")?;
    let ann = Person::enrolled("ann", &gateway)?;
    let application = OddServer::start(Behaviour::Echo)?;
    gateway.publish("echo", application.port(), "tcp")?;
    gateway.grant("user:ann", "echo")?;
    let listener = Middleman::before(gateway.port())?;
    through(&ann, &listener)?.success()?;
    let joined = stdio(&ann, "echo", b"pay 100 to Bob\n")?.success()?;
    assert_eq!((joined.text().as_str(), application.connections()), ("pay 100 to Bob", 1));
    let sign_in = listener.newest(CONTEXT_FIRST).context("no sign-in")?.from_client;
    let stream = listener.newest(STREAM_OPEN).context("no stream")?.from_client;
    let sessions = gateway.sessions()?;
    assert_eq!(sessions.len(), 1);

    for when in ["while the session lives", "after it has ended", "after the node was started anew"] {
        step!("{when}");
        let answer = say(&gateway, &sign_in)?;
        step!("the gateway answers the sign-in with {answer:02x?}");
        assert_ne!(answer.first(), Some(&CONTEXT_SECOND));
        say(&gateway, &stream)?;
        assert_eq!(
            (application.connections(), application.received()),
            (1, 15),
            "the application saw nothing"
        );
        let now = gateway.sessions()?;
        if when.starts_with("while") {
            assert_eq!(now, sessions);
            assert_eq!(ann.status()?["link"], Value::from("connected"), "and nobody was disturbed");
            ann.machine().ok(["logout"])?;
        } else {
            assert!(now.is_empty(), "{now:?}");
        }
        if when.ends_with("ended") {
            gateway.stop()?;
            gateway.up()?;
        }
    }
    Ok(())
}

#[test]
fn a_flipped_bit_is_noticed_and_the_next_try_works() -> Result<()> {
    scenario!("A network that breaks bits");
    let gateway = Gateway::start("gw.example")?;
    let ann = Person::enrolled("ann", &gateway)?;
    let web = HttpServer::start()?;
    gateway.publish("web", web.port(), "http")?;
    gateway.grant("user:ann", "web")?;
    let network = Middleman::before(gateway.port())?;
    for (message, kind, by) in [("first", CONTEXT_FIRST, Client), ("second", CONTEXT_SECOND, Sender::Gateway)]
    {
        step!("in the {message} message of a context");
        network.tamper(Tamper::FlipIn(kind, by));
        let tried = through(&ann, &network)?;
        assert!(network.has_tampered());
        // A first message that is not understood is followed by a fresh start on a new connection.
        if tried.code != Some(0) {
            assert!(!tried.complaint().is_empty());
            until(LIMIT, "the session that only the gateway has", || {
                Some(gateway.sessions().ok()?.len() <= 1)
            })?;
            through(&ann, &network)?.success()?;
        }
        ann.machine().ok(["logout"])?;
    }

    through(&ann, &network)?.success()?;
    let id = ann.status()?["session"]["id"].clone();
    step!("in a message of the session, either way");
    for by in [Client, Sender::Gateway] {
        let epoch = ann.status()?["session"]["epoch"].as_u64();
        network.tamper(Tamper::FlipIn(WRAPPED, by));
        gateway.admin(&["apps", "add", "other", "127.0.0.1:9"])?;
        let right = gateway.grant("user:ann", "other")?;
        ann.until_status("another connection", |s| {
            (s["link"] == "connected" && s["session"]["epoch"].as_u64() > epoch).then_some(())
        })?;
        assert_eq!(ann.status()?["session"]["id"], id, "the session goes on");
        ann.until_destinations(&["other", "web"])?;
        gateway.admin(&["entitlements", "withdraw", &right])?;
        ann.until_destinations(&["web"])?;
    }

    step!("in a stream, either way: not a wrong byte comes out, and the end is not a proper one");
    for kind in [STREAM_OPEN, STREAM_REPLY] {
        network.tamper(Tamper::FlipBehind(kind));
        let joined = stdio(&ann, "web", REQUEST)?;
        assert!(network.has_tampered());
        assert_ne!(joined.code, Some(0), "{}", joined.complaint());
        transcript::output(&joined.complaint());
        assert!(answer().starts_with(&body(&joined)), "what came was right");
    }
    let whole = stdio(&ann, "web", REQUEST)?.success()?;
    assert!(body(&whole) == answer(), "the next one is whole");
    Ok(())
}

#[test]
fn a_stream_that_is_cut_is_not_taken_for_its_end() -> Result<()> {
    scenario!("A connection ends in the middle of an answer that has no length");
    let gateway = Gateway::start("gw.example")?;
    let ann = Person::enrolled("ann", &gateway)?;
    let web = HttpServer::start()?;
    gateway.publish("web", web.port(), "http")?;
    gateway.grant("user:ann", "web")?;
    let network = Middleman::before(gateway.port())?;
    through(&ann, &network)?.success()?;
    network.tamper(Tamper::CutBehind(STREAM_REPLY, 1024 * 1024));
    let cut = stdio(&ann, "web", REQUEST)?;
    transcript::output(&cut.complaint());
    assert!(network.has_tampered());
    assert_eq!(cut.code, Some(4), "{}", cut.complaint());
    let part = body(&cut);
    assert!(part.len() < answer().len() && answer().starts_with(&part), "{} bytes", part.len());
    assert!(ann.problems()?.contains("web"), "{}", ann.problems()?);
    let whole = stdio(&ann, "web", REQUEST)?.success()?;
    assert!(body(&whole) == answer());
    Ok(())
}

#[test]
fn two_thousand_stalled_connections_keep_nobody_out() -> Result<()> {
    scenario!("{STALLED} connections say nothing, or half a message");
    raise_descriptors()?;
    let gateway = Gateway::start("gw.example")?;
    let ann = Person::enrolled("ann", &gateway)?;
    let mut stalled = Vec::new();
    for n in 0..STALLED {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, gateway.port()))?;
        socket.write_all(&[CONTEXT_FIRST, 1, 0, 16, 0, 7][..n % 7])?;
        stalled.push(socket);
    }
    let strangers = |gateway: &Gateway| -> Result<u64> {
        let mut command = gateway.machine().symbolon(gateway.words(&["status", "--json"]));
        let status = finish(&mut command, b"", LIMIT)?.success()?.json()?;
        status["strangers"].as_u64().context("no number of strangers")
    };
    until(LIMIT, "the gateway to have met them", || (strangers(&gateway).ok()? > 1900).then_some(()))?;
    ann.login()?;
    assert_eq!(gateway.sessions()?.len(), 1);
    assert!(strangers(&gateway)? > 1000, "they were still there");
    step!("and their time is short");
    until(LIMIT, "the gateway to be rid of them", || (strangers(&gateway).ok()? == 0).then_some(()))?;
    drop(stalled);
    Ok(())
}

#[test]
fn a_busy_gateway_asks_for_a_cookie_before_any_private_key_work() -> Result<()> {
    scenario!("A gateway that takes every first message for one too many");
    let operator = Person::new("operator")?;
    let config = operator.secret_file("serve.toml", "[limits]\ncookie_above_per_sec = 0\n")?;
    let gateway = Gateway::set("gw.example", &["--config", &config.display().to_string()])?;
    let ann = Person::enrolled("ann", &gateway)?;
    let listener = Middleman::before(gateway.port())?;
    through(&ann, &listener)?.success()?;
    step!("Ann receives where she sends from, so she gets in, one round trip later");
    let order = listener.newest(CONTEXT_FIRST).context("no first message")?.order;
    let asked = [(CONTEXT_FIRST, Client), (RETRY, Sender::Gateway)];
    let answered = [(CONTEXT_FIRST, Client), (CONTEXT_SECOND, Sender::Gateway)];
    assert_eq!(order[..4], [asked, answered].concat());
    assert_eq!(gateway.sessions()?.len(), 1);
    step!("what was heard is worth nothing to another: the cookie is Ann's address and her message");
    let replayed = listener.newest(CONTEXT_FIRST).context("no first message")?.replay_to(gateway.port())?;
    let second = [CONTEXT_SECOND, 1, 0];
    assert!(!replayed.windows(3).any(|w| w == second), "no second answer to one message");
    assert_eq!(gateway.sessions()?.len(), 1);
    Ok(())
}

/// Signs in by way of `network`.
fn through(person: &Person, network: &Middleman) -> Result<Finished> {
    person.try_login(&["--address", network.address()], &[])
}

/// Joins standard input and output to an application.
fn stdio(person: &Person, app: &str, input: &[u8]) -> Result<Finished> {
    let mut command = person.machine().symbolon(["connect", app, "--stdio"]);
    transcript::command(&command);
    finish(&mut command, input, LIMIT)
}

/// What stands behind the head of an HTTP answer.
fn body(finished: &Finished) -> Vec<u8> {
    let head = finished.stdout.windows(4).position(|w| w == b"\r\n\r\n");
    head.map(|at| finished.stdout[at + 4..].to_vec()).unwrap_or_default()
}

fn answer() -> Vec<u8> {
    HttpServer::large()
}

/// Sends bytes to the gateway on a connection of their own, and returns what comes back until its end.
fn say(gateway: &Gateway, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, gateway.port()))?;
    socket.set_read_timeout(Some(Duration::from_secs(15)))?;
    // A gateway that has heard enough closes before the last byte.
    let _ = socket.write_all(bytes);
    let _ = socket.shutdown(std::net::Shutdown::Write);
    let mut heard = Vec::new();
    match socket.read_to_end(&mut heard) {
        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
            ensure!(false, "the gateway kept the connection: {heard:?}");
        }
        _ => {}
    }
    Ok(heard)
}

/// As many descriptors as the system lets this process and its children have.
fn raise_descriptors() -> Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}
