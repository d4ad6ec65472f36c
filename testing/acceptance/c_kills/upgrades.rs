//! A new program takes over from the old one under load.

use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result, ensure};
use symbolon_acceptance::{Behaviour, Gateway, LIMIT, OddServer, Person, Signal, scenario, step, until};

use crate::counts::Counts;
use crate::crowd::Crowd;
use crate::killer::{leader, status, workers};
use crate::stage::Stage;

#[test]
fn upgrades_under_load_drop_no_stream() -> Result<()> {
    let counts = Counts::of_this_run();
    scenario!("{} streams talk while the program is replaced {} times", counts.streams, counts.upgrades);
    let mut stage = Stage::start("", 0)?;
    let gateway = &mut stage.front.gateway;
    gateway.stop()?;
    gateway.install_program()?;
    gateway.up()?;
    let echo = OddServer::start(Behaviour::Echo)?;
    stage.publish("echo", echo.port())?;
    let bob = Person::enrolled("bob", &stage.front.gateway)?;
    stage.front.gateway.grant("user:bob", "echo")?;
    bob.login()?;
    let (_open, port) = bob.connect("echo")?;
    let places = [format!("tls:{}:echo.example", stage.front.port), format!("tcp:{port}")];
    let mut crowd = Crowd::start(&stage.front, counts.streams, &places)?;
    for n in 1..=counts.upgrades {
        step!("upgrade {n}, by command; and once more, by a signal");
        upgrade(&mut stage.front.gateway, |gateway| gateway.admin(&["upgrade"]).map(drop))?;
        crowd.round()?;
        upgrade(&mut stage.front.gateway, |gateway| {
            let leads = leader(gateway)?;
            gateway.signal(Signal::USR2)?;
            let next = || leader(gateway).ok().filter(|next| *next != leads).map(drop);
            until(LIMIT * 2, "another worker to lead", next)
        })?;
        crowd.round()?;
    }
    ensure!(echo.connections() == counts.streams, "{} connections", echo.connections());
    crowd.stop()
}

/// Replaces the program's file, has the new one take over, and demands that nothing of the old one runs.
fn upgrade(gateway: &mut Gateway, ask: impl FnOnce(&Gateway) -> Result<()>) -> Result<()> {
    let (before, holder) = (workers(gateway)?, gateway.pid()?);
    gateway.install_program()?;
    ask(gateway)?;
    ensure!(status(gateway)?["holder"]["pid"] == holder, "{}", status(gateway)?);
    let leads = leader(gateway)?;
    ensure!(!before.contains(&leads), "{leads} leads, who was there before: {before:?}");
    let file = std::fs::metadata(gateway.machine().program())?.ino();
    let runs = |pid: u32| -> Result<u64> {
        let program = format!("/proc/{pid}/exe");
        Ok(std::fs::metadata(&program).context(program)?.ino())
    };
    ensure!(runs(holder)? == file && runs(leads)? == file, "an old program runs");
    until(LIMIT * 2, "two workers, both new", || {
        let now = workers(gateway).ok()?;
        (now.len() == 2 && now.iter().all(|w| !before.contains(w))).then_some(())
    })
}
