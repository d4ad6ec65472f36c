//! Told to end in the middle: whatever a person or an administrator runs ends soon, with the exit code that is
//! documented, leaves nothing in the way of the next try, and loses nothing that it had acknowledged.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result};
use symbolon_acceptance::middleman::{CONTEXT_FIRST, CONTEXT_SECOND, Middleman, OFFER, Sender, Tamper};
use symbolon_acceptance::{
    Behaviour, Gateway, HttpServer, LIMIT, Machine, OddServer, Person, Running, Signal, Terminal, free_port,
    program, scenario, step, transcript, until,
};

/// What a shell shows of a program that `SIGTERM` ended.
const TERMINATED: i32 = 128 + 15;

/// Whether a shell would show 143.
fn was_terminated(status: ExitStatus) -> bool {
    status.code() == Some(TERMINATED) || status.signal() == Some(15)
}

/// `symbolon` on a terminal, under a shell that says its process, its exit code and how the terminal is left.
fn at_shell(machine: &Machine, words: &[&str]) -> Result<(Terminal, i32)> {
    let symbolon = machine.symbolon(words);
    let mut shell = Command::new(program("sh")?);
    shell.args(["-c", "\"$@\" & echo process=$!; wait $!; echo code=$?; stty -a", "sh"]);
    shell.arg(symbolon.get_program()).args(symbolon.get_args());
    machine.place(&mut shell);
    transcript::command(&symbolon);
    let mut terminal = Terminal::start(&mut shell)?;
    terminal.expect("process=")?;
    let process = terminal.expect("\n")?.trim().parse()?;
    Ok((terminal, process))
}

/// Ends the process on the terminal, and reads there what a person would.
fn terminate_at_shell(mut terminal: Terminal, process: i32) -> Result<()> {
    let process = rustix::process::Pid::from_raw(process).context("no process")?;
    rustix::process::kill_process(process, Signal::TERM)?;
    terminal.expect("code=143")?;
    let (_, modes) = terminal.wait_exit()?;
    let word = |word: &str| modes.split_whitespace().any(|w| w.trim_end_matches(';') == word);
    assert!(word("echo") && word("icanon") && word("isig"), "the terminal is as it was: {modes}");
    Ok(())
}

fn terminate(running: &mut Running) -> Result<ExitStatus> {
    running.signal(Signal::TERM)?;
    running.wait_exit()
}

#[test]
fn an_enrolment_told_to_stop_costs_neither_invitation_nor_terminal() -> Result<()> {
    scenario!("SIGTERM to `enrol`, wherever it waits");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::new("alice")?;
    let token = alice.machine().home().join(".local/share/symbolon/token");
    let link = gateway.invite(&[])?;

    step!("while it waits for an answer");
    let (mut terminal, process) = at_shell(alice.machine(), &["enrol", &link, "--pin-file", "pin", "--yes"])?;
    terminal.expect("User name")?;
    terminate_at_shell(terminal, process)?;

    step!("while it waits for a PIN, which nobody sees");
    let (mut terminal, process) = at_shell(alice.machine(), &["enrol", &link, "--answers", "answers.toml"])?;
    terminal.expect("PIN: ")?;
    terminate_at_shell(terminal, process)?;

    step!("while the gateway takes its time");
    let proxy = Middleman::before(gateway.port())?;
    proxy.tamper(Tamper::Withhold(OFFER));
    let slow = link.replace(&format!("127.0.0.1:{}", gateway.port()), proxy.address());
    assert_ne!(slow, link);
    let mut enrol =
        alice.machine().start(["enrol", &slow, "--answers", "answers.toml", "--pin-file", "pin"])?;
    proxy.wait_for(OFFER)?;
    assert!(was_terminated(terminate(&mut enrol)?), "{}", enrol.output());

    step!("nothing is left, and the same link is good");
    assert!(!token.exists());
    assert!(gateway.admin_json(&["users", "list"])?["users"].as_array().is_some_and(Vec::is_empty));
    alice.try_enrol(&link)?.success()?;
    alice.login()
}

#[test]
fn a_login_told_to_stop_takes_its_agent_with_it() -> Result<()> {
    scenario!("SIGTERM to `login`");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;

    step!("while it waits for the PIN");
    let (mut terminal, process) = at_shell(alice.machine(), &["login"])?;
    terminal.expect("PIN: ")?;
    terminate_at_shell(terminal, process)?;
    assert!(!alice.has_agent()?);

    step!("while its agent waits for the gateway");
    let proxy = Middleman::before(gateway.port())?;
    proxy.tamper(Tamper::Withhold(CONTEXT_SECOND));
    let mut login = alice.machine().start(["login", "--pin-file", "pin", "--address", proxy.address()])?;
    proxy.wait_for(CONTEXT_SECOND)?;
    assert!(was_terminated(terminate(&mut login)?), "{}", login.output());
    assert!(!alice.has_agent()?, "no agent comes up later");
    let said: Vec<u8> = proxy.passed().iter().flat_map(|p| p.kinds(Sender::Client)).collect();
    assert_eq!(said, [CONTEXT_FIRST]);

    step!("the next login finds the place free");
    alice.login()?;
    let process =
        alice.status()?["pid"].as_i64().and_then(|p| i32::try_from(p).ok()).context("no process")?;

    step!("an agent that can be reached no more ends as well");
    fs::remove_file(alice.machine().path("run/symbolon/agent.sock"))?;
    let process = rustix::process::Pid::from_raw(process).context("no process")?;
    rustix::process::kill_process(process, Signal::TERM)?;
    until(LIMIT, "the agent to end", || {
        (!fs::exists(format!("/proc/{}", process.as_raw_nonzero())).ok()?).then_some(())
    })?;
    assert!(gateway.sessions()?.is_empty());
    alice.login()
}

#[test]
fn a_connection_told_to_stop_in_the_middle_leaves_the_session_alone() -> Result<()> {
    scenario!("SIGTERM to `connect` while much is on its way");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    let (web, slow) = (HttpServer::start()?, OddServer::start(Behaviour::SlowReader)?);
    let size = 24 * 1024 * 1024;
    File::create(web.directory().join("some"))?.set_len(size)?;
    for (app, port) in [("web", web.port()), ("slow", slow.port())] {
        gateway.publish(app, port, "tcp")?;
        gateway.grant("user:alice", app)?;
    }
    alice.login()?;
    let session = alice.status()?["session"]["id"].clone();
    step!("standard input and output, in the middle of an upload");
    let mut command = alice.machine().symbolon(["connect", "slow", "--stdio"]);
    let (mut joined, mut typing) = Running::start_with_input("connect --stdio", &mut command)?;
    let sender = std::thread::spawn(move || typing.write_all(&vec![0; 64 * 1024 * 1024]).is_ok());
    until(LIMIT, "the first bytes", || (slow.received() > 0).then_some(()))?;
    assert!(was_terminated(terminate(&mut joined)?), "{}", joined.output());
    assert!(!sender.join().unwrap_or(true), "not all was taken");

    step!("and in the middle of a download");
    let mut command = alice.machine().symbolon(["connect", "web", "--stdio"]);
    let mut child =
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn()?;
    child.stdin.as_mut().context("no input")?.write_all(b"GET /some HTTP/1.0\r\n\r\n")?;
    let mut output = child.stdout.take().context("no output")?;
    output.read_exact(&mut [0; 64 * 1024])?;
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM)?;
    assert!(was_terminated(child.wait()?));

    step!("a local port: it closes, and what goes through it already is not cut");
    let (mut open, port) = alice.connect("web")?;
    let file = alice.machine().path("some");
    let mut curl = Command::new(program("curl")?);
    curl.args(["--silent", "--show-error", "--noproxy", "*", "--limit-rate", "8M", "--output"]);
    curl.arg(&file).arg(format!("http://127.0.0.1:{port}/some"));
    let mut download = Running::start("curl", &mut curl)?;
    until(LIMIT, "the first bytes", || fs::metadata(&file).ok().filter(|m| m.len() > 0).map(drop))?;
    assert_eq!(terminate(&mut open)?.code(), Some(0), "{}", open.output());
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "the port is closed");
    assert!(download.is_alive()?, "the download goes on");
    assert_eq!(download.wait_exit()?.code(), Some(0), "{}", download.output());
    assert_eq!(fs::metadata(&file)?.len(), size);

    step!("the session is the same, and the same commands work");
    assert_eq!(alice.status()?["session"]["id"], session);
    let request = b"GET / HTTP/1.0\r\n\r\n";
    let answer = alice.machine().run_with(["connect", "web", "--stdio"], request, LIMIT)?.success()?;
    assert!(answer.stdout.ends_with(HttpServer::GREETING.as_bytes()), "{}", answer.text());
    alice.connect("web")?;
    alice.until_status("the end of the streams that were cut", |s| {
        s["streams"].as_array().filter(|all| all.iter().all(|s| s["app"] == "slow")).map(drop)
    })
}

#[test]
fn an_administrator_who_gives_up_on_a_slow_node_loses_nothing() -> Result<()> {
    scenario!("SIGTERM to `admin`, whose node does not answer");
    let gateway = Gateway::start("gw.example")?;
    gateway.admin(&["users", "add", "bob"])?;
    let file = gateway.machine().path("link").display().to_string();
    let rows = gateway.machine().path("rows").display().to_string();
    let commands: [&[&str]; 4] = [
        &["tokens", "invite", "--out", &file],
        &["audit", "export", "--out", &rows],
        &["users", "lock", "bob"],
        &["status"],
    ];
    for words in commands {
        step!("admin {}", words.join(" "));
        gateway.signal_workers(Signal::STOP)?;
        let mut slow = gateway.machine().start(gateway.words(words))?;
        let waits = format!("/proc/{}/wchan", slow.pid());
        until(LIMIT, "the command to wait", || {
            fs::read_to_string(&waits).ok().filter(|w| w.contains("poll")).map(drop)
        })?;
        let status = terminate(&mut slow)?;
        assert!(was_terminated(status), "{status}: {}", slow.output());
        gateway.signal_workers(Signal::CONT)?;
        gateway.admin(words)?;
    }
    assert!(fs::read_to_string(&file)?.starts_with("https://"));
    assert!(fs::read_to_string(&rows)?.lines().count() > 1);
    let users = gateway.admin_json(&["users", "list"])?;
    assert_eq!(users["users"][0]["name"], "bob", "{users}");
    gateway.admin(&["audit", "verify"]).map(drop)
}

#[test]
fn a_quickstart_told_to_stop_can_be_started_again() -> Result<()> {
    scenario!("SIGTERM to `quickstart`, up and on the way there");
    for moment in ["", "node on", "sample application on", "enrolled with", "published as", "signed in as"] {
        let machine = Machine::new("laptop")?;
        let listen = format!("127.0.0.1:{}", free_port()?);
        let words = ["quickstart", "--dir", "try", "--listen", &listen];
        step!("told when it says: {moment:?}");
        let mut starting = machine.start(words)?;
        if moment.is_empty() {
            let marker = machine.home().join("try/made-by-quickstart");
            until(LIMIT, "the first file", || marker.exists().then_some(()))?;
        } else {
            starting.wait_line(|line| line.contains(moment))?;
        }
        let code = terminate(&mut starting)?.code();
        // a machine that is quick enough is up before it is told
        let up = starting.output().contains("Try in another terminal");
        let expected = if moment.is_empty() { [Some(1), Some(TERMINATED)] } else { [Some(1); 2] };
        assert!(expected.contains(&code) || (up && code == Some(0)), "{code:?}: {}", starting.output());
        assert!(!starting.output().contains("panicked"), "{}", starting.output());
        let done = machine.json([&words[..], &["--once"]].concat())?;
        assert_eq!(done["http"]["status"], 200, "{done}");
    }

    step!("while it is up");
    let machine = Machine::new("laptop")?;
    let listen = format!("127.0.0.1:{}", free_port()?);
    let words = ["quickstart", "--dir", "try", "--listen", &listen];
    let mut up = machine.start(words)?;
    up.wait_line(|line| line.contains("Try in another terminal"))?;
    assert_eq!(terminate(&mut up)?.code(), Some(0), "{}", up.output());
    assert!(!up.output().contains("WARN"), "{}", up.output());

    step!("what it had done is there, and it comes up again; no session is left behind");
    let again = machine.run([&words[..], &["--once"]].concat())?.success()?;
    for kept in ["enrolled already", "may reach hello already"] {
        assert!(again.complaint().contains(kept), "{}", again.complaint());
    }
    assert!(!again.complaint().contains("WARN"), "{}", again.complaint());
    let dir = machine.home().join("try/node").display().to_string();
    let node = machine.start(["serve", "--dir", &dir, "--listen", &listen, "--name", "localhost"])?;
    node.wait_line(|line| line.contains(" listens on "))?;
    let left = machine.json(["--dir", &dir, "admin", "sessions", "list"])?;
    assert!(left["sessions"].as_array().is_some_and(Vec::is_empty), "{left}");
    Ok(())
}
