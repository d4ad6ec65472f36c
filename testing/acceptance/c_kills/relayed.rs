//! Applications of which the kernel counts nothing: behind a Unix socket, or with TLS of their own. A relay carries
//! them, so they outlive the worker like all others.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use symbolon_acceptance::{
    Authority, Behaviour, LIMIT, OddServer, Person, Signal, Storage, scenario, step, until,
};

use crate::counts::Counts;
use crate::crowd::Crowd;
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

fn files_by_one_relay(stage: &Stage) -> Result<()> {
    files_through_kills(stage, Counts::of_this_run().few_kills * 2)?;
    ensure!(relays(&stage.front.gateway)?.len() == 1, "{}", last_words(&stage.front.gateway));
    Ok(())
}

/// An authority, and files of a server whose certificate is for `app.internal`.
struct Own {
    authority: Authority,
    certificate: PathBuf,
    key: PathBuf,
}

/// For whom the applications' certificates are, which are at 127.0.0.1.
const OWN_NAME: &str = "app.internal";

impl Own {
    fn new() -> Result<Self> {
        let authority = Authority::new("Applications")?;
        let (certificate, key) = authority.issue_to_server("server", &format!("DNS:{OWN_NAME}"))?;
        Ok(Self { authority, certificate, key })
    }

    /// What the gateway is told of them.
    fn words(&self) -> [String; 4] {
        let authority = self.authority.certificate().display().to_string();
        ["--app-name".to_owned(), OWN_NAME.to_owned(), "--app-ca".to_owned(), authority]
    }

    /// A stage before a storage that wants TLS.
    fn stage(&self, film: u64) -> Result<Stage> {
        let storage = Storage::behind_tls(&self.certificate, &self.key)?;
        let target = tls(storage.port());
        Stage::before(storage, &target, &self.words().each_ref().map(String::as_str), "", film)
    }

    /// An application of this behaviour that wants TLS, published as `NAME.example`.
    fn odd(&self, stage: &Stage, name: &str, behaviour: Behaviour) -> Result<OddServer> {
        let server = OddServer::behind_tls(&self.certificate, &self.key, &[], behaviour)?;
        stage.publish_at(name, &tls(server.port()), &self.words().each_ref().map(String::as_str))?;
        Ok(server)
    }
}

fn tls(port: u16) -> String {
    format!("tls:127.0.0.1:{port}")
}

#[test]
fn files_of_an_application_that_wants_tls_are_whole_after_every_kill() -> Result<()> {
    scenario!("Ann's curls fetch and send a film, whose application speaks TLS itself");
    files_by_one_relay(&Own::new()?.stage(Counts::of_this_run().film)?)
}

#[test]
fn an_agents_streams_to_an_application_that_wants_tls_are_whole_after_every_kill() -> Result<()> {
    scenario!("Bob has an agent, and curl that knows of no TLS");
    // Python's server says no close_notify, so that Bob is told that it broke off after the last byte
    streams_through_kills(&Own::new()?.stage(Counts::of_this_run().film / 2)?).map(drop)
}

#[test]
fn an_end_of_one_direction_is_a_close_notify_to_an_application_that_wants_tls() -> Result<()> {
    scenario!("close_notify from the client, or the application's, long before the rest");
    let own = Own::new()?;
    let stage = own.stage(0)?;
    let (late, half) =
        (own.odd(&stage, "late", Behaviour::LateEcho)?, own.odd(&stage, "half", Behaviour::HalfClose)?);
    halves_through_kills(&stage, &late, &half)
}

#[test]
fn a_reset_of_an_application_that_wants_tls_is_no_end_in_order() -> Result<()> {
    scenario!("an application says something, and resets its connection");
    let own = Own::new()?;
    let stage = own.stage(0)?;
    own.odd(&stage, "resets", Behaviour::Reset)?;
    demand_reset(&stage, "resets.example")?;
    step!("and one that closes without a close_notify, which anybody on the way could have done");
    own.odd(&stage, "breaks", Behaviour::BreaksOff)?;
    demand_reset(&stage, "breaks.example")
}

#[test]
fn a_relay_that_is_killed_ends_what_it_carries_by_tls_and_is_replaced() -> Result<()> {
    scenario!("a download and an upload are under way when the relay is killed");
    relay_is_killed(&Own::new()?.stage(Counts::of_this_run().film)?)
}

#[test]
fn an_application_that_wants_tls_is_told_what_its_client_speaks() -> Result<()> {
    scenario!(
        "clients agree on h2 or on something that the application does not know; an agent's on nothing"
    );
    let own = Own::new()?;
    let stage = own.stage(0)?;
    let echo = OddServer::behind_tls(&own.certificate, &own.key, &["h2"], Behaviour::Echo)?;
    let words = own.words();
    let publish = |name: &str, alpn: &str| {
        let words = [&words.each_ref().map(String::as_str)[..], &["--tls-alpn", alpn]].concat();
        stage.publish_at(name, &tls(echo.port()), &words).map(drop)
    };
    publish("agreed", "h2")?;
    publish("unknown", "h3")?;
    Talk::by_tls(&stage.front, "agreed.example", &["-quiet", "-alpn", "h2"])?.say()?;
    let mut client = stage.front.s_client("unknown.example", Some("ann"))?;
    let mut refused = symbolon_acceptance::Running::start("s_client", client.args(["-alpn", "h3"]))?;
    refused.wait_exit()?;
    stage
        .front
        .gateway
        .wait_line(|line| line.contains("not reached") && line.contains("does not speak \"h3\""))?;
    let bob = Person::enrolled("bob", &stage.front.gateway)?;
    stage.front.gateway.grant("user:bob", "agreed")?;
    bob.login()?;
    Talk::start("connect --stdio", &mut bob.machine().symbolon(["connect", "agreed", "--stdio"]))?.say()
}

#[test]
fn an_application_whose_certificate_does_not_fit_gets_nothing() -> Result<()> {
    scenario!("another authority, another name, a certificate of the past, none that the system trusts");
    let (own, other) = (Own::new()?, Authority::new("Others")?);
    let past = own.authority.issue_for_the_past("server")?;
    let stage = own.stage(0)?;
    let old = OddServer::behind_tls(&past, &own.key, &[], Behaviour::Echo)?;
    let (ours, others) = (own.authority.certificate(), other.certificate());
    let (ours, others) = (ours.display().to_string(), others.display().to_string());
    let bob = Person::enrolled("bob", &stage.front.gateway)?;
    stage.front.gateway.grant("user:bob", "files")?;
    bob.login()?;
    let at = tls(stage.storage.port());
    let trusted = "an authority that is trusted";
    for (target, words, why) in [
        (&at, &["--app-name", OWN_NAME, "--app-ca", &others][..], trusted),
        (&at, &["--app-name", OWN_NAME], trusted),
        (&at, &["--app-ca", &ours], "not valid for name"),
        (&at, &["--app-name", "other.internal", "--app-ca", &ours], "not valid for name"),
        (&tls(old.port()), &["--app-name", OWN_NAME, "--app-ca", &ours], "expired"),
    ] {
        step!("{}", words.join(" "));
        stage.front.publish("files", target, "http", &[&["--tls-name", FILES], words].concat())?;
        let refused =
            stage.front.curl(FILES, Some("ann"), &["--no-fail", "--write-out", "%{http_code}"])?.success()?;
        let page = refused.text();
        ensure!(page.contains("not trusted") && page.contains(why) && page.ends_with("502"), "{page}");
        stage.front.gateway.wait_line(|line| line.contains("not reached") && line.contains(why))?;
        let mut stream = symbolon_acceptance::Running::start(
            "connect --stdio",
            &mut bob.machine().symbolon(["connect", "files", "--stdio"]),
        )?;
        ensure!(stream.wait_exit()?.code() == Some(4), "{}", stream.output());
        ensure!(stream.output().contains(why), "{}", stream.output());
    }
    ensure!(old.received() == 0, "nothing was sent");
    step!("with the right ones it is reached, and they stay when it is switched off and on");
    let words = own.words();
    let words = [&["--tls-name", FILES], &words.each_ref().map(String::as_str)[..]].concat();
    stage.front.publish("files", &at, "http", &words)?;
    for word in ["disable", "enable"] {
        stage.front.gateway.admin(&["apps", word, "files"])?;
    }
    ensure!(stage.front.curl(FILES, Some("ann"), &[])?.success()?.text().contains("film"));
    step!("what can be no authority is refused at once");
    let key = own.key.display().to_string();
    for (target, words, why) in [
        (&at[..], ["--app-ca", &key], "private key"),
        (&at, ["--app-ca", "/etc/hostname"], "there is none"),
        (&at, ["--app-name", "no name"], "no certificate can be for"),
        ("127.0.0.1:80", ["--app-name", OWN_NAME], "shows no certificate"),
    ] {
        let refused = stage.front.publish("files", target, "http", &words);
        let told = refused.err().map(|e| format!("{e:#}")).unwrap_or_default();
        ensure!(told.contains(why), "{told}");
    }
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

fn demand_reset(stage: &Stage, name: &str) -> Result<()> {
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

fn relay_is_killed(stage: &Stage) -> Result<()> {
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
fn connections_on_which_nothing_moves_cost_a_relay_little() -> Result<()> {
    let counts = Counts::of_this_run();
    scenario!("{} connections to an application that wants TLS have talked, and rest", counts.connections);
    let own = Own::new()?;
    let stage = Stage::before(
        Storage::behind_tls(&own.certificate, &own.key)?,
        "tls:127.0.0.1:1",
        &own.words().each_ref().map(String::as_str),
        "[limits]\nstranger_secs = 60\n",
        0,
    )?;
    let echo = own.odd(&stage, "echo", Behaviour::Echo)?;
    let mut first = Talk::by_tls(&stage.front, "echo.example", &["-quiet"])?;
    let relay = relays(&stage.front.gateway)?.pop().context("no relay")?;
    let before = resident(relay)?;
    let place = format!("tls:{}:echo.example", stage.front.port);
    let mut crowd = Crowd::start(&stage.front, counts.connections, &[place])?;
    crowd.round()?;
    let each = resident(relay)?.saturating_sub(before) / counts.connections;
    step!("{each} KiB each");
    ensure!(each < MOST_AT_REST, "{each} KiB for a connection that rests");
    first.say()?;
    ensure!(echo.connections() == counts.connections + 1, "{} connections", echo.connections());
    crowd.stop()
}

/// KiB of a connection at rest: its TLS session, mostly, and less than one of the two buffers that others have.
const MOST_AT_REST: usize = 48;

/// KiB of a process that are in memory.
fn resident(pid: u32) -> Result<usize> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.split_whitespace().next().context("no figure")?.parse().context("VmRSS")
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
