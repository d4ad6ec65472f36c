//! Large files by `curl` in either version, both ways at once.

use anyhow::{Result, ensure};
use symbolon_acceptance::{LIMIT, scenario, step};

use crate::counts::Counts;
use crate::killer::{kill, kill_leader, leader, through_kills};
use crate::stage::{Stage, VERSIONS};
use crate::wire::Wire;

#[test]
fn large_files_both_ways_in_either_version_are_whole_after_every_kill() -> Result<()> {
    scenario!("Ann's curls fetch and send a film while workers are killed");
    let counts = Counts::of_this_run();
    files_through_kills(&Stage::start("", counts.film)?, counts.kills)
}

/// Ann's curls fetch and send the film at once, in either version, until so many leading workers were killed.
pub(crate) fn files_through_kills(stage: &Stage, leaders: usize) -> Result<()> {
    let counts = Counts::of_this_run();
    let wire = Wire::before(stage.front.port)?;
    let mut begun = 0;
    through_kills(&stage.front.gateway, leaders, |kills| {
        let calm = kills.calm();
        let transfers = stage.transfers(&wire, Some(counts.rate))?;
        begun += transfers.len();
        drop(calm);
        transfers.into_iter().try_for_each(|t| t.demand_whole(counts.patience()))
    })?;
    step!("each of {begun} had one handshake and no reset, and one connection to the application");
    wire.demand_one_handshake_each(begun)?;
    ensure!(stage.storage.connections() == begun, "{} connections", stage.storage.connections());
    Ok(())
}

#[test]
fn files_at_full_speed_are_whole_after_every_kill() -> Result<()> {
    scenario!("the same as fast as they can, with segments of 64 KB");
    let counts = Counts::of_this_run();
    let stage = Stage::start("", counts.film)?;
    let wire = Wire::before(stage.front.port)?;
    let mut begun = 0;
    through_kills(&stage.front.gateway, counts.few_kills, |kills| {
        let calm = kills.calm();
        let mut transfers = Vec::new();
        for (version, words) in &VERSIONS {
            // without the relay, which would make segments of its own
            transfers.push(stage.download(stage.front.port, &format!("fast-{version}"), words)?);
        }
        transfers.push(stage.upload(wire.port(), "fast-up", &[])?);
        begun += 1;
        drop(calm);
        transfers.into_iter().try_for_each(|t| t.demand_whole(counts.patience()))
    })?;
    wire.demand_one_handshake_each(begun)
}

#[test]
fn without_carrying_on_a_kill_ends_the_transfers() -> Result<()> {
    scenario!("the negative control: an administrator has switched it off");
    let counts = Counts::of_this_run();
    let stage = Stage::start("carry_on = false", counts.film)?;
    let wire = Wire::before(stage.front.port)?;
    let transfers = stage.transfers(&wire, Some(counts.rate))?;
    kill_leader(&stage.front.gateway)?;
    transfers.into_iter().try_for_each(|t| t.demand_broken(LIMIT))?;
    step!("who comes again is let in by the next worker");
    stage.download(stage.front.port, "again", &[])?.demand_whole(counts.patience())
}

#[test]
fn nobody_who_comes_while_a_worker_dies_is_refused() -> Result<()> {
    scenario!("new connections, one after the other, while workers are killed");
    let stage = Stage::start("", 4096)?;
    let gateway = &stage.front.gateway;
    step!("at once after a kill: they wait until the next worker leads");
    for _ in 0..Counts::of_this_run().few_kills {
        kill(leader(gateway)?)?;
        stage.download(stage.front.port, "at-once", &[])?.demand_whole(LIMIT)?;
        gateway.admin(&["status"])?;
    }
    Ok(())
}
