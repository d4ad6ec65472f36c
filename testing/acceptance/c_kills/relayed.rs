//! Applications of which the kernel counts nothing, here behind a Unix socket. A relay carries them, so they outlive the
//! worker like all others.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use symbolon_acceptance::{Behaviour, LIMIT, OddServer, Signal, Storage, scenario, step, until};

use crate::counts::Counts;
use crate::killer::{kill, kill_leader, last_words, leader, relays};
use crate::native::streams_through_kills;
use crate::readers::halves_through_kills;
use crate::stage::{FILES, Stage};
use crate::talk::Talk;
use crate::transfers::files_through_kills;

/// A stage before a storage behind a Unix socket.
fn unix_stage(film: u64) -> Result<Stage> {
    let storage = Storage::at_unix_socket()?;
    let target = unix(&storage.path("socket"));
    Stage::before(storage, &target, &[], "", film)
}

fn unix(path: &std::path::Path) -> String {
    format!("unix:{}", path.display())
}

/// An application of this behaviour, published as `NAME.example` at a Unix socket.
fn odd_at_unix(stage: &Stage, name: &str, behaviour: Behaviour) -> Result<(OddServer, PathBuf)> {
    let path = stage.storage.path(name);
    let server = OddServer::at_unix_socket(&path, behaviour)?;
    stage.publish_at(name, &unix(&path), &[])?;
    Ok((server, path))
}

#[test]
fn files_of_an_application_behind_a_unix_socket_are_whole_after_every_kill() -> Result<()> {
    scenario!("Ann's curls fetch and send a film, whose application listens on a Unix socket");
    files_by_one_relay(&unix_stage(Counts::of_this_run().film)?)
}

pub(crate) fn files_by_one_relay(stage: &Stage) -> Result<()> {
    files_through_kills(stage, Counts::of_this_run().few_kills * 2)?;
    ensure!(relays(&stage.front.gateway)?.len() == 1, "{}", last_words(&stage.front.gateway));
    Ok(())
}

#[test]
fn an_agents_streams_to_a_unix_socket_are_whole_after_every_kill() -> Result<()> {
    scenario!("Bob has an agent, and curl that knows nothing of it");
    streams_through_kills(&unix_stage(Counts::of_this_run().film / 2)?).map(drop)
}

#[test]
fn an_end_of_one_direction_reaches_a_unix_socket_and_comes_from_it() -> Result<()> {
    scenario!("close_notify from the client, or the application's end, long before the rest");
    let stage = unix_stage(0)?;
    let (late, _) = odd_at_unix(&stage, "late", Behaviour::LateEcho)?;
    let (half, _) = odd_at_unix(&stage, "half", Behaviour::HalfClose)?;
    halves_through_kills(&stage, &late, &half)
}

#[test]
fn a_reset_of_an_application_behind_a_unix_socket_is_no_end_in_order() -> Result<()> {
    scenario!("an application says something, and breaks off with something unread");
    let stage = unix_stage(0)?;
    odd_at_unix(&stage, "resets", Behaviour::Reset)?;
    demand_reset(&stage, "resets.example")
}

pub(crate) fn demand_reset(stage: &Stage, name: &str) -> Result<()> {
    let mut client = stage.front.s_client(name, Some("ann"))?;
    let (mut running, mut input) =
        symbolon_acceptance::Running::start_with_input("s_client", client.arg("-quiet"))?;
    running.wait_line(|line| line.as_bytes() == OddServer::GREETING.trim_ascii_end())?;
    std::io::Write::write_all(&mut input, b"are you there?\n")?;
    running.wait_line(|line| line.contains("alert internal error"))?;
    running.wait_exit()?;
    Ok(())
}

#[test]
fn a_relay_that_is_killed_ends_what_it_carries_and_is_replaced() -> Result<()> {
    scenario!("a download and an upload are under way when the relay is killed");
    let stage = unix_stage(Counts::of_this_run().film)?;
    relay_is_killed(&stage)
}

pub(crate) fn relay_is_killed(stage: &Stage) -> Result<()> {
    let gateway = &stage.front.gateway;
    ensure!(relays(gateway)?.is_empty(), "none is begun before it is needed");
    for _ in 0..2 {
        let slow = ["--limit-rate", "5M"];
        let down = stage.download(stage.front.port, "down", &slow)?;
        let up = stage.upload(stage.front.port, "up", &slow)?;
        let leads = leader(gateway)?;
        let all = relays(gateway)?;
        let [relay] = all[..] else { anyhow::bail!("relays: {all:?}") };
        kill(relay)?;
        down.demand_broken(LIMIT)?;
        up.demand_broken(LIMIT)?;
        ensure!(leader(gateway)? == leads, "the worker does not mind");
        step!("who comes again is carried by another");
        stage.download(stage.front.port, "again", &[])?.demand_whole(LIMIT * 2)?;
        ensure!(!relays(gateway)?.contains(&relay), "{relay} is dead");
    }
    Ok(())
}

#[test]
fn a_relay_carries_what_it_has_through_upgrades() -> Result<()> {
    scenario!("Ann talks to an application behind a Unix socket while the program is replaced");
    let mut stage = unix_stage(0)?;
    let gateway = &mut stage.front.gateway;
    gateway.stop()?;
    gateway.install_program()?;
    gateway.up()?;
    let (echo, _) = odd_at_unix(&stage, "echo", Behaviour::Echo)?;
    let mut talk = Talk::by_tls(&stage.front, "echo.example", &["-quiet"])?;
    let one = |stage: &Stage| -> Result<u32> { relays(&stage.front.gateway)?.pop().context("no relay") };
    let old = one(&stage)?;
    stage.front.gateway.install_program()?;
    stage.front.gateway.admin(&["upgrade"])?;
    talk.say()?;
    kill_leader(&stage.front.gateway)?;
    talk.say()?;
    step!("who comes now is carried by a relay of the new program");
    let mut other = Talk::by_tls(&stage.front, "echo.example", &["-quiet"])?;
    let both = relays(&stage.front.gateway)?;
    ensure!(both.len() == 2 && both.contains(&old), "{both:?}, and {old} was before");
    talk.say()?;
    other.say()?;
    step!("the old one ends with its last connection");
    talk.running().signal(Signal::TERM)?;
    until(LIMIT, "the old relay to end", || {
        relays(&stage.front.gateway).ok().filter(|all| !all.contains(&old)).map(drop)
    })?;
    other.say()?;
    ensure!(echo.connections() == 2, "{} connections", echo.connections());
    let new = one(&stage)?;
    step!("when the node stops, nothing is left");
    stage.front.gateway.stop()?;
    ensure!(!is_there(new), "{new} is there");
    Ok(())
}

#[test]
fn a_relay_ends_when_its_holder_is_killed() -> Result<()> {
    scenario!("kill -9 of the holder, with a connection to a Unix socket");
    let stage = unix_stage(0)?;
    odd_at_unix(&stage, "echo", Behaviour::Echo)?;
    let mut talk = Talk::by_tls(&stage.front, "echo.example", &["-quiet"])?;
    let relay = relays(&stage.front.gateway)?.pop().context("no relay")?;
    kill(stage.front.gateway.pid()?)?;
    talk.running().wait_exit()?;
    until(LIMIT, "the relay to end", || (!is_there(relay)).then_some(()))
}

/// Whether a process runs; one that waits to be waited for does not.
fn is_there(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| !words.is_empty())
}

#[test]
fn an_application_behind_a_unix_socket_that_is_gone_is_told_to_be() -> Result<()> {
    scenario!("nobody listens there any more");
    let stage = unix_stage(0)?;
    stage.front.publish("files", "unix:/nowhere/at/all", "http", &["--tls-name", FILES])?;
    let refused =
        stage.front.curl(FILES, Some("ann"), &["--no-fail", "--write-out", "%{http_code}"])?.success()?;
    ensure!(
        refused.text().contains("does not answer") && refused.text().ends_with("502"),
        "{}",
        refused.text()
    );
    stage
        .front
        .gateway
        .wait_line(|line| line.contains("unix:/nowhere/at/all") && line.contains("No such file"))?;
    Ok(())
}
