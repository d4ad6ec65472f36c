//! Clients and applications that read slowly, not at all for a while, or have ended one direction; and many at once.

use std::io::Write;
use std::process::Command;

use anyhow::{Result, ensure};
use symbolon_acceptance::{Behaviour, LIMIT, OddServer, Running, program, scenario, step, until};

use crate::counts::Counts;
use crate::crowd::Crowd;
use crate::killer::{kill_leader, through_kills};
use crate::stage::{Stage, VERSIONS};
use crate::talk::Talk;

/// More than all buffers on the way hold.
const FILM: u64 = 40_000_000;

/// Bytes that go the way that is still open.
const LATE: usize = 6_000_000;

#[test]
fn every_line_comes_back_through_kills_and_key_updates() -> Result<()> {
    scenario!("Ann talks by openssl s_client, and changes keys meanwhile");
    let stage = Stage::start("", 0)?;
    let echo = OddServer::start(Behaviour::Echo)?;
    stage.publish("echo", echo.port())?;
    let mut talk = Talk::by_tls(&stage.front, "echo.example", &["-tls1_3"])?;
    let mut older = Talk::by_tls(&stage.front, "echo.example", &["-tls1_2", "-quiet"])?;
    let mut updates = 0;
    through_kills(&stage.front.gateway, Counts::of_this_run().few_kills * 2, |_| {
        for _ in 0..3 {
            talk.say()?;
            older.say()?;
        }
        // K asks the gateway to change its keys too, k does not
        talk.type_line(if updates % 2 == 0 { "K" } else { "k" })?;
        updates += 1;
        until(LIMIT, "the client to have changed its keys", || {
            let output = talk.running().output();
            (output.matches("KEYUPDATE").count() >= updates).then_some(())
        })
    })?;
    step!("after {updates} changes of keys");
    ensure!(echo.connections() == 2, "{} connections", echo.connections());
    Ok(())
}

#[test]
fn a_slow_reader_and_one_that_stops_for_a_while_miss_nothing() -> Result<()> {
    scenario!("one curl takes its time, another hangs with a full window");
    let counts = Counts::of_this_run();
    let stage = Stage::start("", FILM)?;
    let port = stage.front.port;
    through_kills(&stage.front.gateway, counts.few_kills, |kills| {
        let calm = kills.calm();
        let mut all = Vec::new();
        for (version, words) in &VERSIONS {
            let slow = [&words[..], &["--limit-rate", "10M"]].concat();
            all.push(stage.download(port, &format!("slow-{version}"), &slow)?);
            let mut hangs = stage.download(port, &format!("hangs-{version}"), words)?;
            hangs.running().hang()?;
            ensure!(hangs.arrived() < FILM, "it was too quick");
            all.push(hangs);
        }
        step!("and an application that hangs with a full window");
        let held = stage.upload(port, "held", &[])?;
        stage.storage.process().hang()?;
        drop(calm);
        kills.wait_for_more(2)?;
        stage.storage.process().go_on()?;
        all.push(held);
        for transfer in &mut all {
            // one that did not hang does not mind
            transfer.running().go_on().unwrap_or_default();
        }
        all.into_iter().try_for_each(|t| t.demand_whole(counts.patience()))
    })
}

#[test]
fn a_connection_with_one_direction_ended_keeps_the_other() -> Result<()> {
    scenario!("close_notify from the client, or the application's end, long before the rest");
    let stage = Stage::start("", 0)?;
    let (late, half) = (OddServer::start(Behaviour::LateEcho)?, OddServer::start(Behaviour::HalfClose)?);
    stage.publish("late", late.port())?;
    stage.publish("half", half.port())?;
    halves_through_kills(&stage, &late, &half)
}

/// Clients with one direction ended, of `late.example` and `half.example`, while workers are killed.
pub(crate) fn halves_through_kills(stage: &Stage, late: &OddServer, half: &OddServer) -> Result<()> {
    let start = |mode: &str, name: &str, version: &str| -> Result<_> {
        let mut python = Command::new(program("python3")?);
        let place = [stage.front.port.to_string(), format!("{name}.example")];
        python.args(["-c", include_str!("halves.py"), mode, version, &LATE.to_string()]).args(place);
        python.args(["issuer.pem", "ann.pem", "ann.key"]).current_dir(stage.front.directory());
        let (running, input) = Running::start_with_input("halves", &mut python)?;
        running.wait_line(|line| line == "half")?;
        Ok((running, input))
    };
    let mut rounds = 0;
    through_kills(&stage.front.gateway, Counts::of_this_run().few_kills, |kills| {
        let calm = kills.calm();
        let mut all = Vec::new();
        for (version, _) in &VERSIONS {
            all.push(start("client-first", "late", version)?);
            all.push(start("application-first", "half", version)?);
        }
        drop(calm);
        kills.wait_for_more(2)?;
        for (running, input) in &mut all {
            input.write_all(b"go on\n")?;
            let ended = running.wait_exit()?;
            ensure!(ended.success(), "{}", running.output());
        }
        rounds += 1;
        until(LIMIT, "all bytes after the application's end", || {
            (half.received() == 2 * rounds * LATE).then_some(())
        })
    })?;
    ensure!(late.connections() == 2 * rounds, "{} connections", late.connections());
    Ok(())
}

#[test]
fn all_of_a_crowd_go_on_after_a_kill() -> Result<()> {
    let counts = Counts::of_this_run();
    scenario!("{} connections at once", counts.connections);
    // each is written down before it is let in, which takes its time on a disk that others use
    let stage = Stage::start("[limits]\nstranger_secs = 60\n", 0)?;
    let echo = OddServer::start(Behaviour::Echo)?;
    stage.publish("echo", echo.port())?;
    let place = format!("tls:{}:echo.example", stage.front.port);
    let mut crowd = Crowd::start(&stage.front, counts.connections, &[place])?;
    for _ in 0..counts.few_kills.div_ceil(2) {
        step!("the worker that has them all, and the next while it takes them over");
        kill_leader(&stage.front.gateway)?;
        kill_leader(&stage.front.gateway)?;
        crowd.round()?;
    }
    ensure!(echo.connections() == counts.connections, "{} connections", echo.connections());
    step!("all of them are listed, also those that were taken over last");
    until(LIMIT, "the list to be whole", || {
        let open = stage.front.gateway.admin_json(&["connections", "list"]).ok()?;
        (open["connections"].as_array()?.len() == counts.connections).then_some(())
    })?;
    crowd.stop()
}
