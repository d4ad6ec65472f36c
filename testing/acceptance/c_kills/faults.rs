//! What goes wrong beside kills: damaged memory, want of descriptors and of memory, clients and applications that
//! misbehave. Each costs those whom it concerns, and nobody else.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use symbolon_acceptance::{Behaviour, Gateway, LIMIT, OddServer, Running, finish, scenario, step, until};

use crate::killer::{kill_leader, leader, status};
use crate::stage::Stage;
use crate::talk::Talk;

/// Clients that say nothing more.
const STALLED: usize = 2000;

/// How the first record of a client begins.
const HALF_A_HELLO: [u8; 9] = [22, 3, 1, 2, 0, 1, 0, 1, 252];

/// Descriptors that a holder keeps for itself, and those of each connection (`docs/decisions/0014`).
const RESERVE: u64 = 64;
const EACH: u64 = 3;

#[test]
fn a_damaged_ledger_ends_its_connection_and_no_other() -> Result<()> {
    scenario!("somebody overwrites the memory of one of two connections, and their worker is killed");
    let stage = Stage::start("", 0)?;
    let gateway = &stage.front.gateway;
    let echo = OddServer::start(Behaviour::Echo)?;
    stage.publish("echo", echo.port())?;
    for (at, bytes) in [(0, 512), (512, 512), (1024, 76)] {
        let mut damaged = Talk::by_tls(&stage.front, "echo.example", &["-quiet"])?;
        let held = || memory_files(gateway).ok()?.pop();
        let file = until(LIMIT, "the holder to have the connection", held)?;
        let mut sound = Talk::by_tls(&stage.front, "echo.example", &["-quiet"])?;
        step!("{bytes} bytes from {at}");
        OpenOptions::new().write(true).open(file)?.write_all_at(&vec![0xa5; bytes], at)?;
        kill_leader(gateway)?;
        damaged.running().wait_exit()?;
        sound.say()?;
        kill_leader(gateway)?;
        sound.say()?;
        drop(sound);
        until(LIMIT, "both to be over", || memory_files(gateway).ok()?.is_empty().then_some(()))?;
    }
    Ok(())
}

#[test]
fn without_descriptors_those_who_are_in_go_on() -> Result<()> {
    scenario!("the holder has descriptors for two connections, then a worker has none at all");
    let stage = Stage::start("", 0)?;
    let gateway = &stage.front.gateway;
    let echo = OddServer::start(Behaviour::Echo)?;
    stage.publish("echo", echo.port())?;
    let talk = || Talk::by_tls(&stage.front, "echo.example", &["-quiet"]);
    let before = limit(gateway.pid()?, Resource::Nofile, RESERVE + 2 * EACH)?;
    let (mut first, mut second) = (talk()?, talk()?);
    let mut third = talk()?;
    let told = || gateway.log().contains("the holder has no room").then_some(());
    until(LIMIT, "the log to say that the third is without a net", told)?;
    kill_leader(gateway)?;
    first.say()?;
    second.say()?;
    third.running().wait_exit()?;
    limit(gateway.pid()?, Resource::Nofile, before.context("a limit")?)?;
    step!("a worker that has as many as it may leaves newcomers in the queue");
    let leads = leader(gateway)?;
    let open = fs::read_dir(format!("/proc/{leads}/fd"))?.count() as u64;
    let before = limit(leads, Resource::Nofile, open)?;
    let newcomers = [(); 8].map(|()| TcpStream::connect((Ipv4Addr::LOCALHOST, stage.front.port)));
    until(LIMIT, "the log to say so", || gateway.log().contains("accept: ").then_some(()))?;
    first.say()?;
    second.say()?;
    limit(leads, Resource::Nofile, before.context("a limit")?)?;
    drop(newcomers);
    until(LIMIT, "newcomers to be let in again", || talk().ok()).map(drop)
}

#[test]
fn without_memory_those_who_are_in_go_on() -> Result<()> {
    scenario!("the worker that leads gets no more memory");
    let stage = Stage::start("", 0)?;
    let gateway = &stage.front.gateway;
    let echo = OddServer::start(Behaviour::Echo)?;
    stage.publish("echo", echo.port())?;
    let talk = || Talk::by_tls(&stage.front, "echo.example", &["-quiet"]);
    let mut old = talk()?;
    let leads = leader(gateway)?;
    limit(leads, Resource::As, 1)?;
    step!("newcomers are turned away, or the worker dies of it: the next has memory");
    for _ in 0..5 {
        let mut newcomer = stage.front.s_client("echo.example", Some("ann"))?;
        finish(newcomer.arg("-quiet"), b"", LIMIT)?;
        old.say()?;
    }
    if leader(gateway).is_ok_and(|now| now == leads) {
        kill_leader(gateway)?;
    }
    old.say()?;
    talk()?.say()
}

#[test]
fn two_thousand_half_hellos_keep_nobody_out() -> Result<()> {
    scenario!("{STALLED} clients of the TLS port say nothing, or half a hello");
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let stage = Stage::start("", 100_000)?;
    let gateway = &stage.front.gateway;
    let mut stalled = Vec::new();
    for n in 0..STALLED {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, stage.front.port))?;
        socket.write_all(&HALF_A_HELLO[..n % (HALF_A_HELLO.len() + 1)])?;
        stalled.push(socket);
    }
    let strangers = || status(gateway).ok()?["strangers"].as_u64();
    until(LIMIT, "the gateway to have met them", || strangers().filter(|&n| n > 1900).map(drop))?;
    stage.download(stage.front.port, "film", &[])?.demand_whole(LIMIT)?;
    step!("and their time is short");
    until(LIMIT, "the gateway to be rid of them", || strangers().filter(|&n| n == 0).map(drop))?;
    drop(stalled);
    Ok(())
}

#[test]
fn an_application_that_resets_is_no_orderly_end() -> Result<()> {
    scenario!("the application says hello and resets");
    let stage = Stage::start("", 0)?;
    let odd = OddServer::start(Behaviour::Reset)?;
    stage.publish("odd", odd.port())?;
    for version in ["-tls1_2", "-tls1_3"] {
        let mut client = stage.front.s_client("odd.example", Some("ann"))?;
        let (mut running, mut input) =
            Running::start_with_input("s_client", client.args([version, "-quiet"]))?;
        running.wait_line(|line| line == "so long")?;
        input.write_all(b"and now\n")?;
        running.wait_line(|line| line.contains("alert internal error"))?;
        running.wait_exit()?;
    }
    Ok(())
}

#[test]
fn who_renegotiates_is_refused_and_disturbs_nobody() -> Result<()> {
    scenario!("Ann's openssl wants another handshake in the middle (R)");
    let stage = Stage::start("", 0)?;
    let echo = OddServer::start(Behaviour::Echo)?;
    stage.publish("echo", echo.port())?;
    let mut other = Talk::by_tls(&stage.front, "echo.example", &["-tls1_2", "-quiet"])?;
    let mut talk = Talk::by_tls(&stage.front, "echo.example", &["-tls1_2"])?;
    talk.type_line("R")?;
    talk.running().wait_line(|line| line.contains("no renegotiation"))?;
    other.say()
}

/// The memory of each connection, as the holder has it.
fn memory_files(gateway: &Gateway) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(format!("/proc/{}/fd", gateway.pid()?))? {
        let path = entry?.path();
        // one that was closed meanwhile
        let Ok(name) = fs::read_link(&path) else { continue };
        if name.to_string_lossy().starts_with("/memfd:symbolon-connection") {
            found.push(path);
        }
    }
    Ok(found)
}

/// Sets what a process may have now; returns what it might.
fn limit(pid: u32, resource: Resource, most: u64) -> Result<Option<u64>> {
    let process = Pid::from_raw(pid.try_into()?);
    // what it may ask for stays: it was begun by us
    let maximum = getrlimit(resource).maximum;
    Ok(prlimit(process, resource, Rlimit { current: Some(most), maximum })?.current)
}
