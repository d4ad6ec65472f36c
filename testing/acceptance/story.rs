//! The main job as people live it: bring a gateway up, enrol, and use applications that know nothing of it.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use symbolon_acceptance::{
    Behaviour, Finished, Gateway, HttpServer, LIMIT, Machine, OddServer, Person, Postgres, Running, Signal,
    Sshd, Via, curl, finish, free_port, program, scenario, sha256, step, transcript, until,
};

/// More than the buffers of all sockets on the way hold, so that a reader who pauses holds the sender.
const LONG: u64 = 400 * 1024 * 1024;

#[test]
fn chapter_1_a_whole_system_comes_up_by_one_command_and_its_advice_works() -> Result<()> {
    scenario!("Somebody tries Symbolon for the first time");
    let machine = Machine::new("laptop")?;
    let listen = format!("127.0.0.1:{}", free_port()?);
    let quickstart = ["quickstart", "--dir", "try", "--listen", &listen];
    let once = [&quickstart[..], &["--once"]].concat();

    step!("the whole job at once, for a program to read");
    for _ in 0..2 {
        let finished = machine.run([&once[..], &["--json"]].concat())?.success()?;
        let done = finished.json()?;
        assert_eq!(finished.text().lines().count(), 1, "one object on one line");
        assert_eq!((&done["ok"], &done["http"]["status"]), (&Value::Bool(true), &Value::from(200)));
        let steps = done["steps"].as_array().context("no steps")?;
        assert!(steps.len() > 3 && steps.iter().all(|s| s["step"].is_string() && s["ms"].is_u64()), "{done}");
        step!("and once more in the same directory");
    }
    let text = machine.ok(&once)?;
    let advised = text.lines().rfind(|l| l.starts_with("  /")).context("no advice")?.trim();

    step!("the port is taken");
    let other = std::net::TcpListener::bind(&listen)?;
    let complaint = machine.refused(1, &once)?;
    assert!(complaint.contains("fix:") && complaint.contains("--listen"), "{complaint}");
    let told = machine.run([&once[..], &["--json"]].concat())?;
    assert_eq!((told.code, &told.json()?["ok"]), (Some(1), &Value::Bool(false)));
    drop(other);

    step!("it stays up, and what it advises is pasted into other terminals");
    let mut command = pasted(&machine, &format!("exec {advised}"))?;
    let mut up = Running::start("quickstart", &mut command)?.ended_by(Signal::INT);
    up.wait_line(|line| line.contains("quickstart") && line.contains("--clean"))?;
    let said = up.output();
    transcript::output(&said);
    // Progress is told on the other output, whose last line may arrive in the middle of this.
    let is_command = |c: &&str| c.starts_with(|first: char| first == '/' || first.is_ascii_lowercase());
    let advice: Vec<&str> = said
        .lines()
        .skip_while(|l| !l.contains("Try in another terminal"))
        .filter_map(|l| l.strip_prefix("  ").filter(is_command))
        .collect();
    ensure!(advice.len() >= 8, "only {advice:?}");
    let mut terminals = Vec::new();
    let mut clean = None;
    for line in advice {
        if line.contains("--clean") {
            clean = Some(line);
        } else if line.contains(" connect ") {
            let terminal = Running::start(line, &mut pasted(&machine, &format!("exec {line}"))?)?;
            terminal.wait_line(|l| l.contains(" is at "))?;
            terminals.push(terminal);
        } else {
            let finished = finish(&mut pasted(&machine, line)?, b"", LIMIT)?;
            transcript::answer(&finished);
            let text = finished.success()?.text();
            assert!(!line.starts_with("curl") || text.contains("behind the gateway"), "{text}");
        }
    }
    drop(terminals);
    up.signal(Signal::INT)?;
    assert_eq!(up.wait_exit()?.code(), Some(0), "{}", up.output());

    step!("and nothing is left of it");
    let clean = clean.context("no advice how to remove it")?;
    transcript::answer(&finish(&mut pasted(&machine, clean)?, b"", LIMIT)?.success()?);
    assert!(!machine.home().join("try").exists());
    Ok(())
}

#[test]
fn chapter_2_a_person_enrols_and_uses_three_unchanged_applications_by_name() -> Result<()> {
    scenario!("An administrator sets a gateway up; Alice enrols on her own machine");
    let gateway = Gateway::start("gw.example")?;
    let link = gateway.first_invitation()?;
    step!("the first invitation is in a file for its owner's eyes, and in no journal");
    let mode = fs::metadata(gateway.dir().join("invitation"))?.permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!gateway.log().contains(&link), "{}", gateway.log());
    let secret = link.rsplit('#').next().context("no fragment")?;
    assert!(!gateway.log().contains(secret));

    let alice = Person::new("alice")?;
    let enrolled = alice.try_enrol(&link)?.success()?;
    assert!(enrolled.complaint().contains("gw.example"), "the verified name is shown");
    assert!(enrolled.text().contains("registered with gw.example as alice"));
    let token = alice.machine().home().join(".local/share/symbolon/token");
    assert_eq!(fs::metadata(&token)?.permissions().mode() & 0o777, 0o600);

    let (web, postgres, sshd) = (HttpServer::start()?, Postgres::start()?, Sshd::start()?);
    gateway.publish("web", web.port(), "http")?;
    gateway.publish("db", postgres.port(), "postgresql")?;
    gateway.publish("shell", sshd.port(), "ssh")?;
    for app in ["web", "db", "shell"] {
        gateway.grant("/people", app)?;
    }

    alice.login()?;
    let machine = alice.machine();
    for question in ["status", "ls", "whoami", "doctor"] {
        machine.ok([question])?;
        let told = machine.json([question])?;
        assert_eq!(
            (&told["ok"], &told["schema"]),
            (&Value::Bool(true), &Value::from(1)),
            "{question}: {told}"
        );
    }
    assert_eq!(alice.destinations()?, ["db", "shell", "web"]);
    let who = machine.json(["whoami"])?;
    assert_eq!((&who["user"], &who["access_path"]), (&"alice".into(), &"/people/alice".into()));
    assert_eq!(machine.json(["doctor"])?["healthy"], Value::Bool(true));

    scenario!("Alice fetches a page with curl");
    let (_open, port) = alice.connect("web")?;
    let url = format!("http://127.0.0.1:{port}");
    assert_eq!(curl(&url, &[])?.stdout, HttpServer::GREETING.as_bytes());
    assert!(curl(&format!("{url}/large"), &[])?.stdout == HttpServer::large(), "every byte, in order");
    assert_eq!(curl(&format!("{url}/nothing"), &[])?.code, Some(22));
    assert_eq!(web.requests(), 3);

    scenario!("Alice works in PostgreSQL with psql");
    let (_open, port) = alice.connect("db")?;
    let rows = "select n, md5(n::text) from generate_series(1, 10000) n";
    let query = |port, sql: &str| Postgres::query(port, sql)?.success();
    query(port, &format!("create table sums as {rows}"))?;
    assert_eq!(query(port, "select count(*), sum(n) from sums")?.text(), "10000|50005000");
    let copy = "copy (select * from sums order by n) to stdout";
    let (through, direct) = (query(port, copy)?, query(postgres.port(), copy)?);
    assert_eq!(through.stdout.iter().filter(|b| **b == b'\n').count(), 10_000);
    assert!(through.stdout == direct.stdout, "the same rows as without a gateway");

    scenario!("Alice works on another machine with ssh");
    let proxy = alice.proxy_command("shell");
    let hello = sshd.run(Via::ProxyCommand(&proxy), "cat; exit 3", b"typed")?;
    assert_eq!((hello.text().as_str(), hello.code), ("typed", Some(3)), "{}", hello.complaint());
    step!("20 MB there and back with sftp");
    let there = machine.write("home/film", film())?;
    let (far, back) = (machine.path("far"), machine.path("back"));
    let batch =
        format!("put {} {}\nget {} {}\n", there.display(), far.display(), far.display(), back.display());
    let mut sftp = sshd.sftp(Via::ProxyCommand(&proxy), &[])?;
    finish(&mut sftp, batch.as_bytes(), LIMIT * 2)?.success()?;
    let sums = sha256(&[&there, &far, &back])?;
    assert!(sums[0] == sums[1] && sums[1] == sums[2], "{sums:?}");
    step!("sha256 {} on all three", sums[0]);

    step!("Alice signs out");
    machine.ok(["logout"])?;
    assert!(!alice.has_agent()?);
    assert!(gateway.sessions()?.is_empty());
    Ok(())
}

#[test]
fn chapter_3_a_changed_right_acts_at_once_both_ways() -> Result<()> {
    scenario!("Rights come and go while Bob is signed in");
    let gateway = Gateway::start("gw.example")?;
    let bob = Person::enrolled("bob", &gateway)?;
    let web = HttpServer::start()?;
    File::create(web.directory().join("long"))?.set_len(LONG)?;
    gateway.publish("web", web.port(), "http")?;
    bob.login()?;
    assert!(bob.destinations()?.is_empty());
    let denied = bob.machine().refused(3, ["connect", "web"])?;
    assert!(denied.contains("web"), "{denied}");
    let session = session(&bob.status()?)?;

    step!("granted: it appears without a restart, and works");
    let right = gateway.grant("user:bob", "web")?;
    bob.until_destinations(&["web"])?;
    let (mut open, port) = bob.connect("web")?;
    assert_eq!(curl(&format!("http://127.0.0.1:{port}/"), &[])?.stdout, HttpServer::GREETING.as_bytes());
    let explained = gateway.admin(&["explain", "bob", "web"])?;
    assert!(explained.contains(&right), "{explained}");

    step!("withdrawn in the middle of a download: the stream ends, with the reason");
    let mut download = download(&bob, port)?;
    gateway.admin(&["entitlements", "withdraw", &right])?;
    let ended = download.wait_exit()?;
    transcript::output(&download.output());
    assert!(matches!(ended.code(), Some(18 | 56)), "curl sees that it was cut: {ended}");
    bob.until_destinations(&[])?;
    let reason =
        bob.until_status("the reason", |_| bob.problems().ok().filter(|p| p.contains("withdrawn")))?;
    transcript::output(&reason);
    assert!(reason.contains("web"), "{reason}");
    assert_ne!(curl(&format!("http://127.0.0.1:{port}/"), &[])?.code, Some(0));
    assert_eq!(session, self::session(&bob.status()?)?, "the session itself went on");
    step!("whoever holds a local port open is told there");
    open.wait_line(|line| line.contains("your right to use this application was withdrawn"))?;
    open.wait_line(|line| line.contains("your right to reach web is gone"))?;

    step!("a program that is joined to the application is told the reason too");
    let right = gateway.grant("user:bob", "web")?;
    bob.until_destinations(&["web"])?;
    let mut command = bob.machine().symbolon(["connect", "web", "--stdio"]);
    let (mut joined, _typing) = Running::start_with_input("connect --stdio", &mut command)?;
    bob.until_status("a stream", |s| s["streams"].as_array().filter(|all| !all.is_empty()).map(drop))?;
    gateway.admin(&["entitlements", "withdraw", &right])?;
    assert_eq!(joined.wait_exit()?.code(), Some(3), "{}", joined.output());
    transcript::output(&joined.output());
    assert!(joined.output().contains("withdrawn"), "{}", joined.output());

    scenario!("Bob is locked out");
    gateway.grant("user:bob", "web")?;
    bob.until_destinations(&["web"])?;
    open.wait_line(|line| line.contains("web may be reached again"))?;
    let mut download = self::download(&bob, port)?;
    gateway.admin(&["users", "lock", "bob"])?;
    assert!(gateway.sessions()?.is_empty(), "in force when the command returns");
    assert!(matches!(download.wait_exit()?.code(), Some(18 | 56)), "{}", download.output());
    until(LIMIT, "the agent to give up", || (!bob.has_agent().ok()?).then_some(()))?;
    assert!(bob.agent_log().contains("locked"), "{}", bob.agent_log());
    assert_eq!(open.wait_exit()?.code(), Some(3), "{}", open.output());
    transcript::output(&open.output());
    assert!(open.output().contains("locked by an administrator"), "{}", open.output());
    step!("whatever he asks later, he is told when and why it ended");
    for question in ["status", "ls", "whoami"] {
        let told = bob.machine().refused(4, [question])?;
        assert!(told.contains("ended at 20") && told.contains("locked by an administrator"), "{told}");
        assert!(told.contains("fix: ask an administrator"), "{told}");
        let told = bob.machine().run([question, "--json"])?.json()?;
        assert_eq!(told["error"]["code"], "user-locked", "{told}");
    }
    assert!(bob.machine().run(["doctor"])?.text().contains("locked by an administrator"));
    let refused = bob.try_login(&["--json"], &[])?;
    assert_eq!((refused.code, &refused.json()?["error"]["code"]), (Some(3), &"denied".into()));
    gateway.admin(&["users", "unlock", "bob"])?;
    bob.login()?;
    assert_eq!(bob.destinations()?, ["web"]);
    step!("what had ended before is forgotten");
    bob.machine().ok(["logout"])?;
    let told = bob.machine().refused(4, ["status"])?;
    assert!(!told.contains("locked"), "{told}");
    assert!(!bob.agent_log().contains("panicked"), "{}", bob.agent_log());
    Ok(())
}

#[test]
fn chapter_4_a_node_that_died_carries_on_with_the_sessions_it_had() -> Result<()> {
    scenario!("The node loses its power while Carol works");
    let mut gateway = Gateway::start("gw.example")?;
    let carol = Person::enrolled("carol", &gateway)?;
    let web = HttpServer::start()?;
    File::create(web.directory().join("long"))?.set_len(LONG)?;
    let some = 24 * 1024 * 1024;
    File::create(web.directory().join("some"))?.set_len(some)?;
    gateway.publish("web", web.port(), "http")?;
    gateway.grant("user:carol", "web")?;
    carol.login()?;
    let (_open, port) = carol.connect("web")?;
    let url = format!("http://127.0.0.1:{port}/");
    curl(&url, &[])?.success()?;
    let before = carol.status()?;
    let id = session(&before)?;

    let mut download = download(&carol, port)?;
    gateway.kill()?;
    assert!(matches!(download.wait_exit()?.code(), Some(18 | 56)), "no clean end: {}", download.output());
    carol.until_status("the loss", |s| (s["link"] != "connected").then_some(()))?;
    gateway.up()?;
    let after = came_back(&carol, &before)?;
    step!("session {id}: epoch {} → {}", before["session"]["epoch"], after["session"]["epoch"]);
    assert_eq!(session(&after)?, id, "the same session");
    assert_eq!(gateway.sessions()?, [id.as_str()]);
    step!("the local port that was open leads on");
    assert_eq!(curl(&url, &[])?.success()?.stdout, HttpServer::GREETING.as_bytes());

    scenario!("The node is stopped in order while Carol downloads");
    let mut short = curl_to(&carol, port, "some", "12M")?;
    let mut download = self::download(&carol, port)?;
    gateway.signal(Signal::TERM)?;
    step!("what can finish does, and is whole");
    assert_eq!(short.wait_exit()?.code(), Some(0), "{}", short.output());
    assert_eq!(fs::metadata(carol.machine().path("some"))?.len(), some);
    step!("what cannot is cut, with the reason");
    assert_eq!(gateway.gone()?, Some(0), "{}", gateway.log());
    assert!(matches!(download.wait_exit()?.code(), Some(18 | 56)), "{}", download.output());
    let reason = carol.until_status("the reason", |_| {
        let told = carol.problems().ok()?;
        told.lines().find(|l| l.contains("stream to web") && l.contains("is stopping")).map(str::to_owned)
    })?;
    transcript::output(&reason);
    gateway.up()?;
    assert_eq!(session(&came_back(&carol, &after)?)?, id);
    curl(&url, &[])?.success()?;
    gateway.admin(&["audit", "verify"])?;
    assert!(!carol.agent_log().contains("panicked"), "{}", carol.agent_log());
    Ok(())
}

#[test]
fn chapter_5_an_agent_runs_as_a_service_and_scripts_read_exit_codes() -> Result<()> {
    scenario!("A machine without a person: the agent is a service, scripts read exit codes");
    let mut gateway = Gateway::start("gw.example")?;
    let dave = Person::enrolled("dave", &gateway)?;
    let machine = dave.machine();
    let web = HttpServer::start()?;
    gateway.publish("web", web.port(), "http")?;
    gateway.grant("group:none-of-his", "web")?;
    let mut service = machine.start(["agent", "--pin-file", "pin"])?;
    service.wait_line(|line| line.contains("signed in"))?;
    assert_eq!(dave.status()?["pid"].as_u64(), Some(service.pid().into()));

    step!("denied is 3");
    let failed = machine.run(["connect", "web", "--json"])?;
    assert_eq!((failed.code, &failed.json()?["error"]["code"]), (Some(3), &"denied".into()));
    step!("wrong usage is 2");
    for wrong in [&["connect"][..], &["connect", "not a name"], &["admin", "apps", "add", "x"], &["no-such"]]
    {
        let failed = machine.run([wrong, &["--json"]].concat())?;
        assert_eq!((failed.code, &failed.json()?["error"]["code"]), (Some(2), &"usage".into()), "{wrong:?}");
        assert_eq!(machine.run(wrong)?.code, Some(2));
    }
    step!("the service ends in order");
    service.signal(Signal::TERM)?;
    assert_eq!(service.wait_exit()?.code(), Some(0), "{}", service.output());
    assert!(gateway.sessions()?.is_empty());

    step!("unreachable is 4");
    let failed = machine.run(["status", "--json"])?;
    assert_eq!((failed.code, &failed.json()?["error"]["code"]), (Some(4), &"unreachable".into()));
    gateway.stop()?;
    let failed = dave.try_login(&["--json"], &[])?;
    assert_eq!((failed.code, &failed.json()?["error"]["code"]), (Some(4), &"unreachable".into()));
    let failed = gateway.machine().run(gateway.words(&["users", "list", "--json"]))?;
    assert_eq!((failed.code, &failed.json()?["error"]["code"]), (Some(4), &"no-node".into()));

    step!("a service waits for its gateway");
    let mut service = machine.start(["agent", "--pin-file", "pin"])?;
    until(LIMIT, "the agent to answer", || dave.has_agent().ok()?.then_some(()))?;
    gateway.up()?;
    dave.until_status("the sign-in", |s| (s["link"] == "connected").then_some(()))?;
    step!("and `logout` ends it");
    machine.ok(["logout"])?;
    assert_eq!(service.wait_exit()?.code(), Some(0), "{}", service.output());
    Ok(())
}

#[test]
fn chapter_6_an_altered_audit_row_is_found() -> Result<()> {
    scenario!("Somebody with access to the disk rewrites history");
    let mut gateway = Gateway::start("gw.example")?;
    gateway.admin(&["users", "add", "eve", "--group", "staff"])?;
    gateway.admin(&["users", "lock", "eve"])?;
    let whole = gateway.admin_json(&["audit", "verify"])?;
    assert_eq!(whole["fault"], Value::Null);
    gateway.stop()?;

    let store = gateway.dir().join("store");
    let database = fs::read_dir(&store)?
        .filter_map(Result::ok)
        .map(|e| e.path())
        .find(|p| fs::read(p).is_ok_and(|b| b.starts_with(b"SQLite format 3")) && holds_audit(p))
        .context("no database with an audit table")?;
    let altered = sqlite(
        &database,
        "update audit set action = 'user.remove' where action = 'user.standing'; select changes()",
    )?;
    assert_eq!(altered, "1");
    gateway.up()?;
    let found = gateway.machine().run(gateway.words(&["audit", "verify", "--json"]))?;
    assert_ne!(found.code, Some(0));
    assert!(found.text().contains("altered"), "{}", found.text());
    let found = gateway.machine().run(gateway.words(&["audit", "verify"]))?;
    assert_ne!(found.code, Some(0));
    Ok(())
}

#[test]
fn chapter_7_an_application_that_misbehaves_is_told_apart_from_the_gateway() -> Result<()> {
    scenario!("Applications that are down, break off, or close one direction");
    let gateway = Gateway::start("gw.example")?;
    let frank = Person::enrolled("frank", &gateway)?;
    let (reset, half) = (OddServer::start(Behaviour::Reset)?, OddServer::start(Behaviour::HalfClose)?);
    let (echo, slow) = (OddServer::start(Behaviour::Echo)?, OddServer::start(Behaviour::SlowReader)?);
    for (app, port) in [
        ("down", free_port()?),
        ("echo", echo.port()),
        ("half", half.port()),
        ("reset", reset.port()),
        ("slow", slow.port()),
    ] {
        gateway.publish(app, port, "tcp")?;
        gateway.grant("user:frank", app)?;
    }
    frank.login()?;
    let joined = |app: &str, input: &[u8]| -> Result<Finished> {
        frank.machine().run_with(["connect", app, "--stdio"], input, LIMIT)
    };
    step!("down: the gateway says that it is the application");
    let finished = joined("down", b"hello")?;
    assert_eq!(finished.code, Some(4));
    assert!(finished.complaint().contains("application"), "{}", finished.complaint());
    step!("it breaks off: what it said arrives, and the end is not taken for a proper one");
    let finished = joined("reset", b"x")?;
    assert_eq!(finished.code, Some(1));
    assert!(OddServer::GREETING.starts_with(&finished.stdout), "{}", finished.text());
    assert!(finished.complaint().contains("broke off"), "{}", finished.complaint());
    step!("it closes its direction: the other one goes on");
    let finished = joined("half", &[7; 100_000])?.success()?;
    assert_eq!(finished.stdout, OddServer::GREETING);
    until(LIMIT, "what was sent after the close", || (half.received() == 100_000).then_some(()))?;
    step!("everything comes back, and both ends");
    let film = film();
    let finished = joined_quietly(&frank, "echo", &film)?.success()?;
    assert!(finished.stdout == film, "{} bytes", finished.stdout.len());
    step!("it reads slowly: whoever sends is held back");
    let mut command = frank.machine().symbolon(["connect", "slow", "--stdio"]);
    let (running, mut typing) = Running::start_with_input("connect --stdio", &mut command)?;
    let sender = std::thread::spawn(move || typing.write_all(&vec![0; 64 * 1024 * 1024]).is_ok());
    let taken = |status: &Value| status["streams"][0]["sent"].as_u64();
    let mut last = None;
    frank.until_status("the sender to be held back", |s| {
        let now = taken(s)?;
        (last.replace(now) == Some(now) && now > 0).then_some(())
    })?;
    assert!(last < Some(48 * 1024 * 1024) && slow.received() > 0, "{last:?}");
    drop(running);
    assert!(!sender.join().unwrap_or(true), "it was still waiting when it was ended");
    assert!(frank.status()?["link"] == "connected", "the session took no harm");
    Ok(())
}

#[test]
fn chapter_8_a_directory_has_one_node() -> Result<()> {
    scenario!("Somebody starts a second node in the directory of the first");
    let gateway = Gateway::start("gw.example")?;
    let dir = gateway.dir().display().to_string();
    let listen = format!("127.0.0.1:{}", free_port()?);
    let second = gateway.machine().run(["serve", "--dir", &dir, "--listen", &listen])?;
    assert_eq!(second.code, Some(1));
    assert!(second.complaint().contains("fix:"), "{}", second.complaint());
    step!("the first took no harm");
    gateway.admin(&["status"])?;
    gateway.admin(&["users", "add", "grace"])?;
    Ok(())
}

/// Joins standard input and output to an application, with more of both than anybody wants to read.
fn joined_quietly(person: &Person, app: &str, input: &[u8]) -> Result<Finished> {
    let mut command = person.machine().symbolon(["connect", app, "--stdio"]);
    transcript::command(&command);
    finish(&mut command, input, LIMIT * 2)
}

/// A line that somebody pastes into another terminal.
fn pasted(machine: &Machine, line: &str) -> Result<Command> {
    let mut shell = Command::new(program("sh")?);
    shell.args(["-c", line]);
    machine.place(&mut shell);
    transcript::command(&shell);
    Ok(shell)
}

fn sqlite(database: &std::path::Path, sql: &str) -> Result<String> {
    let mut command = Command::new(program("sqlite3")?);
    command.arg(database).arg(sql);
    transcript::command(&command);
    Ok(finish(&mut command, b"", LIMIT)?.success()?.text())
}

fn holds_audit(database: &std::path::Path) -> bool {
    sqlite(database, ".tables").is_ok_and(|tables| tables.split_whitespace().any(|t| t == "audit"))
}

fn session(status: &Value) -> Result<String> {
    Ok(status["session"]["id"].as_str().with_context(|| format!("no session in {status}"))?.to_owned())
}

/// Waits until the agent's session goes on under a later epoch than it had.
fn came_back(person: &Person, before: &Value) -> Result<Value> {
    let epoch = before["session"]["epoch"].as_u64();
    // The agent's pauses between attempts grow with the time that the node is away.
    until(LIMIT * 3, "the agent to come back", || {
        let status = person.status().ok()?;
        (status["link"] == "connected" && status["session"]["epoch"].as_u64() > epoch).then_some(status)
    })
}

/// A download through `port` that takes longer than any test, well under way.
fn download(person: &Person, port: u16) -> Result<Running> {
    curl_to(person, port, "long", "4M")
}

/// A download with a reader who takes `rate` bytes a second, well under way.
fn curl_to(person: &Person, port: u16, file: &str, rate: &str) -> Result<Running> {
    let is_under_way = |s: &&Value| s["received"].as_u64() > Some(1024 * 1024);
    let under_way = |status: &Value| Some(status["streams"].as_array()?.iter().filter(is_under_way).count());
    let before = under_way(&person.status()?);
    let mut command = Command::new(program("curl")?);
    command
        .args(["--silent", "--show-error", "--noproxy", "*", "--limit-rate", rate, "--output"])
        .arg(person.machine().path(file))
        .arg(format!("http://127.0.0.1:{port}/{file}"));
    transcript::command(&command);
    let running = Running::start("curl", &mut command)?;
    person.until_status("bytes of the download", |status| (under_way(status) > before).then_some(()))?;
    Ok(running)
}

/// 20 MB in which a missing, doubled or moved block shows.
fn film() -> Vec<u8> {
    (0..20 * 1000 * 1000 / 8).flat_map(|n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()).collect()
}
