//! The holder: what it keeps, and what ends with it.

use std::path::Path;

use anyhow::{Result, ensure};
use symbolon_acceptance::{Behaviour, LIMIT, OddServer, Person, Signal, scenario, step, until};

use crate::killer::{kill, kill_leader, leader, status, workers};
use crate::stage::Stage;
use crate::talk::Talk;

fn is_there(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn when_the_holder_is_killed_everything_ends_and_a_new_start_finds_its_place_free() -> Result<()> {
    scenario!("the whole of it is lost, as by a power cut");
    let mut stage = Stage::start("", 4096)?;
    let echo = OddServer::start(Behaviour::Echo)?;
    stage.publish("echo", echo.port())?;
    let bob = Person::enrolled("bob", &stage.front.gateway)?;
    stage.front.gateway.grant("user:bob", "echo")?;
    bob.login()?;
    let mut by_tls = Talk::by_tls(&stage.front, "echo.example", &["-quiet"])?;
    let mut native =
        Talk::start("connect --stdio", &mut bob.machine().symbolon(["connect", "echo", "--stdio"]))?;
    kill_leader(&stage.front.gateway)?;
    by_tls.say()?;
    native.say()?;

    let gateway = &mut stage.front.gateway;
    let workers = workers(gateway)?;
    gateway.kill()?;
    for talk in [&mut by_tls, &mut native] {
        talk.running().wait_exit()?;
    }
    until(LIMIT, "the workers to end", || (!workers.iter().any(|w| is_there(*w))).then_some(()))?;
    step!("the same directory and ports");
    gateway.up()?;
    stage.download(stage.front.port, "again", &[])?.demand_whole(LIMIT)?;
    Talk::by_tls(&stage.front, "echo.example", &["-quiet"])?.say()
}

#[test]
fn a_stop_in_order_takes_the_workers_with_it() -> Result<()> {
    scenario!("SIGTERM to the holder");
    let mut stage = Stage::start("", 0)?;
    let gateway = &mut stage.front.gateway;
    let told = status(gateway)?;
    ensure!(told["holder"]["pid"] == gateway.pid()?, "{told}");
    ensure!(told["worker"]["successions"] == 0 && told["worker"]["leads_since"].is_string(), "{told}");
    kill_leader(gateway)?;
    ensure!(status(gateway)?["worker"]["successions"] == 1, "{}", status(gateway)?);
    let both = || workers(gateway).ok().filter(|w| w.len() == 2);
    let workers = until(LIMIT, "two workers again", both)?;
    gateway.stop()?;
    ensure!(!workers.iter().any(|w| is_there(*w)), "a worker is left");
    Ok(())
}

#[test]
fn a_worker_that_only_waits_may_die_too() -> Result<()> {
    scenario!("the other worker is killed, and then the one that leads");
    let stage = Stage::start("", 0)?;
    let gateway = &stage.front.gateway;
    let echo = OddServer::start(Behaviour::Echo)?;
    stage.publish("echo", echo.port())?;
    let mut talk = Talk::by_tls(&stage.front, "echo.example", &["-quiet"])?;
    for _ in 0..3 {
        let leads = leader(gateway)?;
        let waits = || workers(gateway).ok()?.into_iter().find(|w| *w != leads);
        let waits = until(LIMIT, "a worker that waits", waits)?;
        kill(waits)?;
        talk.say()?;
        ensure!(leader(gateway)? == leads, "it still leads");
        kill_leader(gateway)?;
        talk.say()?;
    }
    Ok(())
}

#[test]
fn a_configuration_is_read_again_and_no_connection_ends() -> Result<()> {
    scenario!("an administrator switches certificates off, and sends SIGHUP");
    let stage = Stage::start("", 4096)?;
    let gateway = &stage.front.gateway;
    let echo = OddServer::start(Behaviour::Echo)?;
    stage.front.publish(
        "echo",
        &crate::stage::local(echo.port()),
        "tcp",
        &["--tls-name", "echo.example", "--tls-clients", "anyone"],
    )?;
    let mut talk = Talk::start("s_client", stage.front.s_client("echo.example", None)?.arg("-quiet"))?;
    stage.download(stage.front.port, "before", &[])?.demand_whole(LIMIT)?;
    let file = stage.front.settings();
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(&file, format!("{text}\n[credentials]\ncertificates = false\n"))?;
    gateway.signal(Signal::HUP)?;
    until(LIMIT, "Ann's certificate not to count", || {
        let page = stage.curl(stage.front.port, "film", &["--no-fail"]).ok()?.output().ok()?;
        String::from_utf8_lossy(&page.stdout).contains("Not permitted").then_some(())
    })?;
    talk.say()?;
    ensure!(echo.connections() == 1, "{} connections", echo.connections());
    step!("a file that is wrong changes nothing");
    std::fs::write(&file, "lisen = 7\n")?;
    gateway.signal(Signal::HUP)?;
    gateway.wait_line(|line| line.contains("stays as it was") && line.contains("lisen"))?;
    talk.say()?;
    gateway.admin(&["status"]).map(drop)
}
