//! B10: applications that are down, half-closing, resetting, slow and silent, and what is held back for them.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use symbolon_acceptance::{Behaviour, Gateway, LIMIT, OddServer, Person, free_port, scenario, step, until};

use crate::stage::{dial, port_to};

/// More than all buffers between two programs hold together.
const MUCH: usize = 200 * 1024 * 1024;

/// What a process may grow by, in KiB, while it holds back [`MUCH`].
const GROWTH: u64 = 32 * 1024;

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
    let alice = Person::enrolled("alice", &gateway)?;
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
        gateway.publish(app, port, "tcp")?;
        gateway.grant("alice", app)?;
    }
    let _agent = alice.sign_in(&[])?;

    step!("one that is down is told as such");
    let refused = alice.machine().refused(4, ["connect", "down", "--stdio"])?;
    assert!(refused.contains("does not answer"), "{refused}");
    let (_connect, port) = port_to(&alice, "down")?;
    let mut stream = dial(port)?;
    assert_eq!(stream.read(&mut [0; 1]).map_err(|e| e.kind()), Err(ErrorKind::ConnectionReset));
    let problems = alice.machine().json(["status"])?["problems"].to_string();
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
        let streams = alice.machine().json(["status"]).ok()?["streams"].to_string();
        streams.contains("silent").then_some(())
    })?;
    drop(stream);
    Ok(())
}

#[test]
fn an_application_that_does_not_read_holds_the_client_back() -> Result<()> {
    scenario!("B10: 200 MB for an application that reads nothing");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    let silent = OddServer::start(Behaviour::Silent)?;
    gateway.publish("sink", silent.port(), "tcp")?;
    gateway.grant("alice", "sink")?;
    let agent = alice.sign_in(&[])?;
    let (_connect, port) = port_to(&alice, "sink")?;
    let mut stream = dial(port)?;
    let pids = [gateway.node_pid()?, agent.pid()];
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
    alice.destinations()?;
    Ok(())
}

#[test]
fn a_client_that_does_not_read_holds_the_application_back() -> Result<()> {
    scenario!("B10: 200 MB from an application, for a client that reads nothing, then all");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    gateway.publish("source", listener.local_addr()?.port(), "tcp")?;
    gateway.grant("alice", "source")?;
    let agent = alice.sign_in(&[])?;
    let (_connect, port) = port_to(&alice, "source")?;
    let mut stream = dial(port)?;
    let pids = [gateway.node_pid()?, agent.pid()];
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
