//! B10, and what goes wrong around it: odd applications, full and read-only disks, signals, two nodes in one place.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use symbolon_acceptance::middleman::{CONTEXT_FIRST, CONTEXT_SECOND, Middleman, OFFER, Sender, Tamper};
use symbolon_acceptance::{Behaviour, LIMIT, OddServer, Running, Signal, free_port, scenario, step, until};

use crate::disk::SmallDisk;
use crate::stage::{Gateway, Person};

/// More than all buffers between two programs hold together.
const MUCH: usize = 200 * 1024 * 1024;

/// What a process may grow by, in KiB, while it holds back [`MUCH`].
const GROWTH: u64 = 32 * 1024;

/// `symbolon connect APP` with its port.
fn port_to(person: &Person, app: &str) -> Result<(Running, u16)> {
    let connect = person.machine.start(["connect", app, "--json"])?;
    let line = connect.wait_line(|l| l.contains("\"address\""))?;
    let told: Value = serde_json::from_str(&line)?;
    let address = told["address"].as_str().context("no address")?;
    let port = address.rsplit_once(':').context("no port")?.1.parse()?;
    Ok((connect, port))
}

fn dial(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// Waits until the gateway has no session left.
fn until_no_session(gateway: &Gateway) -> Result<()> {
    until(LIMIT, "the sessions to end", || {
        let sessions = gateway.admin(&["sessions", "list"]).ok()?;
        sessions["sessions"].as_array().is_some_and(Vec::is_empty).then_some(())
    })
}

/// Resident memory in KiB.
fn memory(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

#[test]
fn what_an_application_does_wrong_reaches_the_client_as_it_is() -> Result<()> {
    scenario!("B10: applications that are down, half-closing, resetting, slow and silent");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::registered("alice", &gateway)?;
    let half = OddServer::start(Behaviour::HalfClose)?;
    let reset = OddServer::start(Behaviour::Reset)?;
    let silent = OddServer::start(Behaviour::Silent)?;
    let slow = OddServer::start(Behaviour::SlowReader)?;
    let apps = [
        ("down", free_port()?),
        ("half", half.port()),
        ("reset", reset.port()),
        ("silent", silent.port()),
        ("slow", slow.port()),
    ];
    for (app, port) in apps {
        gateway.publish(app, port)?;
        gateway.grant("alice", app, &[])?;
    }
    let _agent = alice.sign_in(&[])?;

    step!("one that is down is told as such");
    let refused = alice.machine.refused(4, ["connect", "down", "--stdio"])?;
    assert!(refused.contains("does not answer"), "{refused}");
    let (_connect, port) = port_to(&alice, "down")?;
    let mut stream = dial(port)?;
    assert_eq!(stream.read(&mut [0; 1]).map_err(|e| e.kind()), Err(ErrorKind::ConnectionReset));
    let problems = alice.machine.json(["status"])?["problems"].to_string();
    assert!(problems.contains("down") && problems.contains("does not answer"), "{problems}");

    step!("one that closes its side still hears the other");
    let (_connect, port) = port_to(&alice, "half")?;
    let mut stream = dial(port)?;
    let mut greeting = Vec::new();
    stream.read_to_end(&mut greeting)?;
    assert_eq!(greeting, OddServer::GREETING);
    stream.write_all(b"after your end")?;
    until(LIMIT, "the late bytes", || (half.received() == 14).then_some(()))?;

    step!("one that resets is a reset, not an orderly end");
    let (_connect, port) = port_to(&alice, "reset")?;
    let mut stream = dial(port)?;
    let mut greeting = vec![0; OddServer::GREETING.len()];
    stream.read_exact(&mut greeting)?;
    stream.write_all(b"x")?;
    assert_eq!(stream.read(&mut [0; 1]).map_err(|e| e.kind()), Err(ErrorKind::ConnectionReset));
    let refused = alice.talk("reset", b"x")?;
    assert_eq!(refused.stdout, OddServer::GREETING);
    assert!(refused.code != Some(0) && refused.complaint().contains("broke off"), "{}", refused.complaint());

    step!("one that reads slowly gets all of it, after the client has long gone");
    let (_connect, port) = port_to(&alice, "slow")?;
    let mut stream = dial(port)?;
    stream.write_all(&[5; 512 * 1024])?;
    drop(stream);
    until(LIMIT, "the slow reader", || (slow.received() == 512 * 1024).then_some(()))?;

    step!("one that says nothing waits as long as the client does, and no longer");
    let (_connect, port) = port_to(&alice, "silent")?;
    let stream = dial(port)?;
    until(LIMIT, "the stream", || {
        let streams = alice.machine.json(["status"]).ok()?["streams"].to_string();
        streams.contains("silent").then_some(())
    })?;
    drop(stream);
    Ok(())
}

#[test]
fn an_application_that_does_not_read_holds_the_client_back() -> Result<()> {
    scenario!("B10: 200 MB for an application that reads nothing");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::registered("alice", &gateway)?;
    let silent = OddServer::start(Behaviour::Silent)?;
    gateway.publish("sink", silent.port())?;
    gateway.grant("alice", "sink", &[])?;
    let agent = alice.sign_in(&[])?;
    let (_connect, port) = port_to(&alice, "sink")?;
    let mut stream = dial(port)?;
    let pids = [gateway.running()?.pid(), agent.pid()];
    let before = [memory(pids[0])?, memory(pids[1])?];
    stream.set_write_timeout(Some(Duration::from_secs(1)))?;
    let block = vec![7; 64 * 1024];
    let mut sent = 0;
    let held = loop {
        match stream.write(&block) {
            Ok(n) => sent += n,
            Err(e) => break e.kind(),
        }
        assert!(sent < MUCH, "nobody holds the sender back");
    };
    assert_eq!(held, ErrorKind::WouldBlock, "after {sent} bytes");
    for (pid, before) in pids.into_iter().zip(before) {
        let now = memory(pid)?;
        assert!(now < before + GROWTH, "{before} KiB became {now} KiB");
    }

    step!("{sent} bytes are on their way, and others are served meanwhile");
    alice.ls()?;
    Ok(())
}

#[test]
fn a_client_that_does_not_read_holds_the_application_back() -> Result<()> {
    scenario!("B10: 200 MB from an application, for a client that reads nothing, then all");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::registered("alice", &gateway)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    gateway.publish("source", listener.local_addr()?.port())?;
    gateway.grant("alice", "source", &[])?;
    let agent = alice.sign_in(&[])?;
    let (_connect, port) = port_to(&alice, "source")?;
    let mut stream = dial(port)?;
    let pids = [gateway.running()?.pid(), agent.pid()];
    let before = [memory(pids[0])?, memory(pids[1])?];
    let (mut application, _) = listener.accept()?;
    application.set_write_timeout(Some(Duration::from_secs(1)))?;
    let written = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&written);
    let held = Arc::new(AtomicU64::new(0));
    let pauses = Arc::clone(&held);
    let source = thread::spawn(move || -> std::io::Result<()> {
        let block = vec![9; 64 * 1024];
        while (counter.load(Ordering::Relaxed) as usize) < MUCH {
            let left = MUCH - counter.load(Ordering::Relaxed) as usize;
            match application.write(&block[..left.min(block.len())]) {
                Ok(n) => counter.fetch_add(n as u64, Ordering::Relaxed),
                Err(e) if e.kind() == ErrorKind::WouldBlock => pauses.fetch_add(1, Ordering::Relaxed),
                Err(e) => return Err(e),
            };
        }
        Ok(())
    });
    until(LIMIT, "the application to be held back", || (held.load(Ordering::Relaxed) > 0).then_some(()))?;
    assert!((written.load(Ordering::Relaxed) as usize) < MUCH);
    for (pid, before) in pids.into_iter().zip(before) {
        let now = memory(pid)?;
        assert!(now < before + GROWTH, "{before} KiB became {now} KiB");
    }

    step!("when the client reads, all of it comes");
    let mut received = 0;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            n => {
                assert!(buffer[..n].iter().all(|b| *b == 9));
                received += n;
            }
        }
    }
    assert_eq!(received, MUCH);
    source.join().map_err(|_| anyhow::anyhow!("the application failed"))??;
    for (pid, before) in pids.into_iter().zip(before) {
        assert!(memory(pid)? < before + GROWTH);
    }
    Ok(())
}

#[test]
fn a_token_that_cannot_be_written_costs_no_invitation() -> Result<()> {
    scenario!("B7: alice enrols on a full disk, then on a read-only one");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::new("alice")?;
    let dir = alice.token().parent().context("no directory")?.to_owned();
    let disk = SmallDisk::at(&dir, 256)?;
    let link = gateway.invite(&[])?;
    let enrol = alice.machine.symbolon(alice.enrol_args(&link, &[])?);
    disk.fill()?;
    let refused = disk.run(&enrol)?;
    assert_eq!(refused.code, Some(1), "{}", refused.complaint());
    assert!(refused.complaint().contains("make room"), "{}", refused.complaint());
    disk.free()?;
    disk.remount("ro")?;
    let refused = disk.run(&enrol)?;
    assert_eq!(refused.code, Some(1), "{}", refused.complaint());
    assert!(refused.complaint().contains("for writing"), "{}", refused.complaint());
    assert_eq!(gateway.users()?, Vec::<String>::new());
    disk.remount("rw")?;

    step!("with room the same invitation is good");
    disk.run(&enrol)?.success()?;
    let token = disk.read(&alice.token())?;

    step!("on a full disk no attempt at the PIN can be counted, so none is made, and the token stays");
    disk.fill()?;
    let unlock = alice.machine.symbolon(alice.with_my_pin(&["token", "info", "--unlock"]));
    let refused = disk.run(&unlock)?;
    assert!(refused.complaint().contains("the PIN is not tried"), "{}", refused.complaint());
    let second = alice.machine.symbolon(alice.enrol_args(&gateway.invite(&["alice"])?, &[])?);
    assert_eq!(disk.run(&second)?.code, Some(1));
    assert_eq!(disk.read(&alice.token())?, token);
    disk.free()?;
    disk.run(&unlock)?.success()?;
    Ok(())
}

#[test]
fn a_node_whose_disk_is_full_loses_nothing_and_goes_on_when_there_is_room() -> Result<()> {
    scenario!("B5: the node's disk is full");
    let mut gateway = Gateway::on_small_disk("gw.example", 8 * 1024)?;
    let alice = Person::registered("alice", &gateway)?;
    let agent = alice.sign_in(&[])?;
    let link = gateway.invite(&[])?;
    let bob = Person::new("bob")?;
    let invitations = (0..30).map(|_| gateway.invite(&[])).collect::<Result<Vec<_>>>()?;
    gateway.disk()?.fill()?;
    // the store's files have room of their own for a while: people come until it is used up
    let mut came = vec!["alice".to_owned()];
    let mut invitations = invitations.into_iter();
    let refused = loop {
        let guest = Person::new(&format!("guest-{}", came.len()))?;
        let invitation = invitations.next().context("the disk never gets full")?;
        let outcome = guest.machine.run_with(guest.enrol_args(&invitation, &[])?, b"", LIMIT)?;
        if outcome.code != Some(0) {
            break outcome;
        }
        came.push(guest.name.clone());
    };
    assert_eq!(refused.code, Some(1), "{}", refused.complaint());
    assert!(refused.complaint().contains("nothing was changed"), "{}", refused.complaint());
    gateway.running()?.wait_line(|l| l.contains("no space left"))?;

    step!("it is killed, and what it had acknowledged is there: {} users", came.len());
    gateway.kill()?;
    gateway.disk()?.free()?;
    gateway.start_again()?;
    let mut users = gateway.users()?;
    users.sort();
    came.sort();
    assert_eq!(users, came);
    gateway.admin(&["audit", "verify"])?;
    bob.enrol(&link, &[])?;
    agent.stop()?;
    alice.sign_in(&[])?.stop()?;
    Ok(())
}

#[test]
fn a_node_that_cannot_have_its_directory_or_port_says_why() -> Result<()> {
    scenario!("starting a node where none can start");
    let gateway = Gateway::start("gw.example")?;
    let dir = gateway.dir().display().to_string();
    let serve = |dir: &str, listen: &str| {
        gateway.machine.refused(1, ["--dir", dir, "serve", "--listen", listen, "--name", "gw.example"])
    };
    let free = format!("127.0.0.1:{}", free_port()?);

    step!("where one runs already: its process is named");
    let refused = serve(&dir, &free)?;
    assert!(
        refused.contains(&gateway.running()?.pid().to_string()) && refused.contains("--dir"),
        "{refused}"
    );

    step!("on a port that is taken: how to see by whom, and how to take another");
    let other = gateway.machine.path("other").display().to_string();
    let refused = serve(&other, &gateway.address)?;
    assert!(refused.contains("is taken") && refused.contains("--listen"), "{refused}");

    step!("on a disk that cannot be written");
    let disk = SmallDisk::at(&gateway.machine.path("disk"), 4096)?;
    disk.remount("ro")?;
    let dir = gateway.machine.path("disk/node").display().to_string();
    let serve = gateway.machine.symbolon(["--dir", &dir, "serve", "--listen", &free, "--name", "gw.example"]);
    let refused = disk.run(&serve)?;
    assert_eq!(refused.code, Some(1), "{}", refused.complaint());
    assert!(
        refused.complaint().contains(&dir) && refused.complaint().contains("fix: "),
        "{}",
        refused.complaint()
    );

    step!("under another name than its certificate has");
    let mut gateway = gateway;
    gateway.stop()?;
    let dir = gateway.dir().display().to_string();
    let refused =
        gateway.machine.refused(2, ["--dir", &dir, "serve", "--listen", &free, "--name", "else.example"])?;
    assert!(refused.contains("gw.example"), "{refused}");

    step!("with a file of its keys damaged");
    std::fs::write(gateway.dir().join("identity.key"), "no key")?;
    let refused =
        gateway.machine.refused(1, ["--dir", &dir, "serve", "--listen", &free, "--name", "gw.example"])?;
    assert!(refused.contains("identity.key") && refused.contains("fix: "), "{refused}");
    Ok(())
}

#[test]
fn a_node_told_to_stop_lets_go_in_order_and_comes_back_to_its_people() -> Result<()> {
    scenario!("SIGTERM to a node, with a stream open and a registration half done");
    let mut gateway = Gateway::start("gw.example")?;
    let alice = Person::registered("alice", &gateway)?;
    let echo = OddServer::start(Behaviour::Echo)?;
    gateway.publish("echo", echo.port())?;
    gateway.grant("alice", "echo", &[])?;
    let agent = alice.sign_in(&[])?;
    let session = alice.machine.json(["status"])?["session"]["id"].clone();
    let (mut talking, mut input) = Running::start_with_input(
        "connect echo",
        &mut alice.machine.symbolon(["connect", "echo", "--stdio"]),
    )?;
    writeln!(input, "hello")?;
    talking.wait_line(|l| l == "hello")?;
    let bob = Person::new("bob")?;
    let proxy = Middleman::before(gateway.port())?;
    proxy.tamper(Tamper::Withhold(OFFER));
    let link = crate::stage::at_address(&gateway.invite(&[])?, proxy.address())?;
    let mut enrol = bob.machine.start(bob.enrol_args(&link, &[])?)?;
    proxy.wait_for(OFFER)?;
    gateway.stop()?;
    assert_ne!(talking.wait_exit()?.code(), Some(0));
    assert!(talking.output().contains("is stopping"), "{}", talking.output());
    assert_eq!(enrol.wait_exit()?.code(), Some(4), "{}", enrol.output());

    step!("the agent waits for it, and its session goes on");
    gateway.start_again()?;
    until(LIMIT, "the agent to be back", || {
        alice.machine.json(["status"]).is_ok_and(|s| s["link"] == "connected").then_some(())
    })?;
    assert_eq!(alice.machine.json(["status"])?["session"]["id"], session);
    assert_eq!(alice.talk("echo", b"again")?.success()?.text(), "again");
    assert_eq!(agent.stop()?.code(), Some(0));
    Ok(())
}

#[test]
fn a_command_told_to_stop_leaves_nothing_behind() -> Result<()> {
    scenario!("SIGTERM to what a person started");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::registered("alice", &gateway)?;
    let echo = OddServer::start(Behaviour::Echo)?;
    gateway.publish("echo", echo.port())?;
    gateway.grant("alice", "echo", &[])?;

    step!("an agent that waits for the gateway's answer");
    let proxy = Middleman::before(gateway.port())?;
    proxy.tamper(Tamper::Withhold(CONTEXT_SECOND));
    let token = alice.token_info()?["token_id"].clone();
    let mut waiting = alice.machine.start(alice.with_my_pin(&["agent", "--address", proxy.address()]))?;
    proxy.wait_for(CONTEXT_SECOND)?;
    waiting.signal(Signal::TERM)?;
    assert_eq!(waiting.wait_exit()?.code(), Some(1), "{}", waiting.output());
    let said: Vec<u8> = proxy.passed().iter().flat_map(|p| p.kinds(Sender::Client)).collect();
    assert_eq!(said, [CONTEXT_FIRST]);
    assert_eq!(alice.token_info()?["token_id"], token);

    step!("an agent that has just come in, and has not said so yet");
    let mut hasty = alice.machine.start(alice.with_my_pin(&["agent"]))?;
    hasty.wait_line(|l| l.contains("signed in"))?;
    hasty.signal(Signal::TERM)?;
    hasty.wait_exit()?;
    until_no_session(&gateway)?;

    step!("a local port");
    let agent = alice.sign_in(&[])?;
    let (connect, port) = port_to(&alice, "echo")?;
    dial(port)?;
    assert_eq!(connect.stop()?.code(), Some(0));
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "the port is closed");
    assert_eq!(alice.talk("echo", b"still here")?.success()?.text(), "still here");

    step!("the agent: its session ends with it");
    assert_eq!(agent.stop()?.code(), Some(0));
    until_no_session(&gateway)?;
    alice.machine.refused(4, ["status"])?;

    step!("killed, it leaves a socket that hinders nobody");
    let mut agent = alice.sign_in(&[])?;
    agent.signal(Signal::KILL)?;
    agent.wait_exit()?;
    alice.machine.refused(4, ["status"])?;
    alice.sign_in(&[])?.stop()?;
    Ok(())
}

#[test]
fn every_failure_has_its_exit_code_and_the_same_words_as_json() -> Result<()> {
    scenario!("exit codes: 1 failure, 2 usage, 3 denied, 4 unreachable");
    let mut gateway = Gateway::start("gw.example")?;
    let alice = Person::registered("alice", &gateway)?;
    let bob = Person::new("bob")?;
    let fails = |person: &Person, code: i32, word: &str, args: &[String]| -> Result<()> {
        let args: Vec<&str> = args.iter().map(String::as_str).chain(["--json"]).collect();
        let finished = person.machine.run(&args)?;
        let told = finished.json()?;
        assert_eq!(finished.code, Some(code), "{args:?}: {told}");
        assert_eq!((&told["schema"], &told["ok"]), (&1.into(), &false.into()));
        assert_eq!(told["error"]["code"], word, "{told}");
        assert!(told["error"]["message"].as_str().is_some_and(|m| !m.is_empty()), "{told}");
        Ok(())
    };
    let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    fails(&bob, 2, "usage", &words(&["login"]))?;
    fails(&bob, 2, "usage", &words(&["enrol", "nonsense"]))?;
    fails(&bob, 2, "usage", &words(&["--no-such-flag"]))?;
    fails(&bob, 4, "unreachable", &words(&["ls"]))?;
    fails(&bob, 3, "denied", &bob.enrol_args(&gateway.invite(&["carol"])?, &[])?)?;
    std::fs::create_dir_all(bob.token().parent().context("no directory")?)?;
    std::fs::write(bob.token(), "SYMBOLON TOKEN\n\u{1}")?;
    fails(&bob, 1, "failure", &words(&["token", "info"]))?;
    let link = gateway.invite(&[])?;
    gateway.stop()?;
    fails(&alice, 4, "unreachable", &alice.with_my_pin(&["login"]))?;
    fails(&bob, 4, "unreachable", &bob.enrol_args(&link, &["--replace"])?)?;
    let no_node = gateway.admin_refused(4, &["users", "list"])?;
    assert!(no_node.contains("serve"), "{no_node}");
    Ok(())
}
