//! Applications with TLS of their own, which a relay carries as it does those behind a Unix socket: what is encrypted
//! cannot be counted by the kernel.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use symbolon_acceptance::{Authority, Behaviour, OddServer, Person, Running, Storage, scenario, step};

use crate::counts::Counts;
use crate::crowd::Crowd;
use crate::killer::relays;
use crate::native::streams_through_kills;
use crate::readers::halves_through_kills;
use crate::relayed::{demand_reset, files_by_one_relay, relay_is_killed};
use crate::stage::{FILES, Stage};
use crate::talk::Talk;

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
    let mut refused = Running::start("s_client", client.args(["-alpn", "h3"]))?;
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
        let mut stream =
            Running::start("connect --stdio", &mut bob.machine().symbolon(["connect", "files", "--stdio"]))?;
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
