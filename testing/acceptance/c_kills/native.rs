//! Native streams: an agent's local port, and standard input and output.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use symbolon_acceptance::{Behaviour, LIMIT, OddServer, Person, program, scenario, step, until};

use crate::counts::Counts;
use crate::killer::{kill_leader, leader, through_kills};
use crate::stage::{Stage, Transfer};
use crate::talk::Talk;

#[test]
fn files_through_an_agent_are_whole_after_every_kill() -> Result<()> {
    scenario!("Bob has an agent, and curl that knows nothing of it");
    let bob = streams_through_kills(&Stage::start("", Counts::of_this_run().film / 2)?)?;
    let problems = bob.problems()?;
    ensure!(!problems.contains("stream to files"), "{problems}");
    Ok(())
}

/// Bob's curl fetches and sends the film through his agent while workers are killed.
pub(crate) fn streams_through_kills(stage: &Stage) -> Result<Person> {
    let counts = Counts::of_this_run();
    let gateway = &stage.front.gateway;
    let bob = Person::enrolled("bob", gateway)?;
    gateway.grant("user:bob", "files")?;
    bob.login()?;
    let (_open, port) = bob.connect("files")?;
    let rate = counts.rate.to_string();
    let curl = |path: &str, further: &[&str]| -> Result<Command> {
        let mut command = Command::new(program("curl")?);
        command.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--limit-rate", &rate]);
        command.args(further).arg(format!("http://127.0.0.1:{port}/{path}"));
        Ok(command)
    };
    let (arrives, film) = (bob.machine().path("down"), stage.film.display().to_string());
    let out = arrives.display().to_string();
    let mut begun = 0;
    through_kills(gateway, counts.few_kills, |kills| {
        let calm = kills.calm();
        let down = Transfer::start(&mut curl("film", &["--output", &out])?, arrives.clone(), &stage.sum)?;
        let up = Transfer::start(
            &mut curl("up", &["--upload-file", &film])?,
            stage.storage.path("up"),
            &stage.sum,
        )?;
        begun += 2;
        drop(calm);
        let adopted = || -> Result<u64> {
            let all = gateway.admin_json(&["sessions", "list"])?;
            all["sessions"][0]["streams_adopted"].as_u64().with_context(|| format!("how often? {all}"))
        };
        kills.wait_for_more(1)?;
        ensure!(adopted()? > 0, "the session's streams were adopted");
        [down, up].into_iter().try_for_each(|t| t.demand_whole(counts.patience()))
    })?;
    ensure!(stage.storage.connections() == begun, "{} connections", stage.storage.connections());
    ensure!(!bob.agent_log().contains("panicked"), "{}", bob.agent_log());
    Ok(bob)
}

#[test]
fn a_right_that_is_withdrawn_after_a_kill_cuts_what_was_adopted() -> Result<()> {
    scenario!("Ann by a certificate and Bob by an agent talk to an application; its worker is killed");
    let stage = Stage::start("", 0)?;
    let gateway = &stage.front.gateway;
    let echo = OddServer::start(Behaviour::Echo)?;
    let anns = stage.publish("echo", echo.port())?;
    let bob = Person::enrolled("bob", gateway)?;
    let bobs = gateway.grant("user:bob", "echo")?;
    bob.login()?;
    let mut by_tls = Talk::by_tls(&stage.front, "echo.example", &["-quiet"])?;
    let mut native =
        Talk::start("connect --stdio", &mut bob.machine().symbolon(["connect", "echo", "--stdio"]))?;
    for kill in 1..=2 {
        let leads = kill_leader(gateway)?;
        by_tls.say()?;
        native.say()?;
        let open = gateway.admin_json(&["connections", "list"])?;
        let anns = &open["connections"][0];
        ensure!(anns["user"] == "ann" && anns["app"] == "echo", "{open}");
        ensure!(anns["adopted"] == kill && anns["adopted_at"].is_string(), "{anns}");
        ensure!(anns["worker"] == leads && leader(gateway)? == leads, "{anns}, and {leads} leads");
    }
    step!("withdrawn: both end, with the reason");
    for right in [anns, bobs] {
        gateway.admin(&["entitlements", "withdraw", &right])?;
    }
    by_tls.running().wait_line(|line| line.contains("access denied"))?;
    by_tls.running().wait_exit()?;
    ensure!(native.running().wait_exit()?.code() == Some(3), "{}", native.running().output());
    ensure!(native.running().output().contains("withdrawn"), "{}", native.running().output());
    let cut = until(LIMIT, "the audit to say why", || {
        let audit = gateway.admin(&["audit", "list"]).ok()?;
        audit.lines().find(|line| line.contains("tls.cut")).map(str::to_owned)
    })?;
    ensure!(cut.contains("withdrawn"), "{cut}");
    let left = gateway.admin_json(&["connections", "list"])?;
    ensure!(left["connections"].as_array().is_some_and(Vec::is_empty), "{left}");
    step!("the audit is one chain over all workers");
    gateway.admin(&["audit", "verify"]).map(drop)
}
