//! Told to stop: a node with people at work, and what those people run.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};

use anyhow::Result;
use symbolon_acceptance::middleman::{CONTEXT_FIRST, CONTEXT_SECOND, Middleman, OFFER, Sender, Tamper};
use symbolon_acceptance::{
    Behaviour, Gateway, LIMIT, OddServer, Person, Running, Signal, scenario, step, until,
};

use crate::stage::{dial, port_to};

/// Waits until the gateway has no session left.
fn until_no_session(gateway: &Gateway) -> Result<()> {
    until(LIMIT, "the sessions to end", || {
        let sessions = gateway.admin_json(&["sessions", "list"]).ok()?;
        sessions["sessions"].as_array().is_some_and(Vec::is_empty).then_some(())
    })
}

#[test]
fn a_node_told_to_stop_lets_go_in_order_and_comes_back_to_its_people() -> Result<()> {
    scenario!("SIGTERM to a node, with a stream open and a registration half done");
    let mut gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    let echo = OddServer::start(Behaviour::Echo)?;
    gateway.publish("echo", echo.port(), "tcp")?;
    gateway.grant("alice", "echo")?;
    let agent = alice.sign_in(&[])?;
    let session = alice.machine().json(["status"])?["session"]["id"].clone();
    let (mut talking, mut input) = Running::start_with_input(
        "connect echo",
        &mut alice.machine().symbolon(["connect", "echo", "--stdio"]),
    )?;
    writeln!(input, "hello")?;
    talking.wait_line(|l| l == "hello")?;
    let bob = Person::new("bob")?;
    let proxy = Middleman::before(gateway.port())?;
    proxy.tamper(Tamper::Withhold(OFFER));
    let link = crate::stage::at_address(&gateway.invite(&[])?, proxy.address())?;
    let mut enrol = bob.machine().start(bob.enrol_words(&link, &[]))?;
    proxy.wait_for(OFFER)?;
    gateway.stop()?;
    assert_ne!(talking.wait_exit()?.code(), Some(0));
    assert!(talking.output().contains("is stopping"), "{}", talking.output());
    assert_eq!(enrol.wait_exit()?.code(), Some(4), "{}", enrol.output());

    step!("the agent waits for it, and its session goes on");
    gateway.up()?;
    until(LIMIT, "the agent to be back", || {
        alice.machine().json(["status"]).is_ok_and(|s| s["link"] == "connected").then_some(())
    })?;
    assert_eq!(alice.machine().json(["status"])?["session"]["id"], session);
    assert_eq!(alice.talk("echo", b"again")?.success()?.text(), "again");
    assert_eq!(agent.stop()?.code(), Some(0));
    Ok(())
}

#[test]
fn a_command_told_to_stop_leaves_nothing_behind() -> Result<()> {
    scenario!("SIGTERM to what a person started");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    let echo = OddServer::start(Behaviour::Echo)?;
    gateway.publish("echo", echo.port(), "tcp")?;
    gateway.grant("alice", "echo")?;

    step!("an agent that waits for the gateway's answer");
    let proxy = Middleman::before(gateway.port())?;
    proxy.tamper(Tamper::Withhold(CONTEXT_SECOND));
    let token = alice.token_info()?["token_id"].clone();
    let mut waiting = alice.machine().start(alice.with_pin_file(&["agent", "--address", proxy.address()]))?;
    proxy.wait_for(CONTEXT_SECOND)?;
    waiting.signal(Signal::TERM)?;
    assert_eq!(waiting.wait_exit()?.code(), Some(1), "{}", waiting.output());
    let said: Vec<u8> = proxy.passed().iter().flat_map(|p| p.kinds(Sender::Client)).collect();
    assert_eq!(said, [CONTEXT_FIRST]);
    assert_eq!(alice.token_info()?["token_id"], token);

    step!("an agent that has just come in, and has not said so yet");
    let mut hasty = alice.machine().start(alice.with_pin_file(&["agent"]))?;
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
    alice.machine().refused(4, ["status"])?;

    step!("killed, it leaves a socket that hinders nobody");
    let mut agent = alice.sign_in(&[])?;
    agent.signal(Signal::KILL)?;
    agent.wait_exit()?;
    alice.machine().refused(4, ["status"])?;
    alice.sign_in(&[])?.stop()?;
    Ok(())
}
