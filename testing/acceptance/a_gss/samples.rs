//! `gss-client` and `gss-server` of Debian's krb5-gss-samples.

use std::fs;
use std::net::TcpStream;
use std::process::Command;

use anyhow::{Result, ensure};
use symbolon_acceptance::{Finished, LIMIT, Running, free_port, scenario, step, transcript, until};

use crate::site::{MECHANISM, OTHER, OTHER_PASSWORD, PASSWORD, Site, USER};

const SERVICE: &str = "host@localhost";

/// `gss-server`, for as many clients as come.
pub(crate) struct Server {
    pub(crate) running: Running,
    port: u16,
}

impl Server {
    fn start(site: &Site, options: &[&str]) -> Result<Self> {
        let port = free_port()?;
        let mut command = site.command("gss-server")?;
        command.args(["-port", &port.to_string()]).args(options).arg(SERVICE);
        transcript::command(&command);
        let running = Running::start("gss-server", &mut command)?;
        until(LIMIT, "gss-server to listen", || TcpStream::connect(("127.0.0.1", port)).ok())?;
        Ok(Self { running, port })
    }

    /// Waits until the server has accepted so many as `user`.
    fn accepted(&self, user: &str, times: usize) -> Result<()> {
        let line = format!("Accepted connection: \"{user}\"");
        let count = || self.running.output().lines().filter(|l| *l == line).count();
        until(LIMIT, &line, || (count() == times).then_some(()))
    }
}

/// The arguments after which a message follows. The braces are how the sample reads identifiers.
pub(crate) fn client(command: &mut Command, port: u16, options: &[&str]) {
    let mechanism = format!("{{ {} }}", MECHANISM.replace('.', " "));
    command.args(["-port", &port.to_string(), "-mech", &mechanism]);
    command.args(options).args(["127.0.0.1", SERVICE, "a message"]);
}

fn call(site: &Site, server: &Server, options: &[&str]) -> Result<Finished> {
    let mut command = site.command("gss-client")?;
    client(&mut command, server.port, options);
    site.run(&mut command)
}

#[test]
fn gss_client_and_gss_server_talk_in_every_way() -> Result<()> {
    scenario!("The sample programs of MIT Kerberos use the mechanism");
    let site = Site::new(&[SERVICE])?;
    let server = Server::start(&site, &[])?;
    let (user, other) = (["-user", USER, "-pass", PASSWORD], ["-user", OTHER, "-pass", OTHER_PASSWORD]);
    let ways: [(&str, &[&str]); 8] = [
        ("as the configured user", &[]),
        ("with a password", &user),
        ("integrity alone is asked for", &["-nx"]),
        ("in clear, with a check", &["-nw", "-nx"]),
        ("in order", &["-seq"]),
        ("no mutual authentication is asked for", &["-nomutual"]),
        ("many messages", &["-mcount", "20"]),
        ("negotiated by SPNEGO", &["-spnego", "-user", USER, "-pass", PASSWORD]),
    ];
    for (i, (what, options)) in ways.into_iter().enumerate() {
        step!("{what}");
        let said = call(&site, &server, options)?.success()?.text();
        ensure!(said.contains("Signature verified."), "{said}");
        ensure!(said.contains("size=2"), "the first token, and then none: {said}");
        ensure!(said.matches("Sending init_sec_context token").count() == 1, "one round trip: {said}");
        server.accepted(USER, i + 1)?;
    }
    step!("another user, without a check of the message");
    call(&site, &server, &[&other[..], &["-nm"]].concat())?.success()?;
    server.accepted(OTHER, 1)?;
    let log = server.running.output();
    ensure!(log.contains("GSS_C_SEQUENCE_FLAG") && log.contains("localname: alice"), "{log}");
    ensure!(!log.to_lowercase().contains("error"), "{log}");
    Ok(())
}

#[test]
fn a_context_is_handed_on_between_two_messages() -> Result<()> {
    scenario!("gss-server exports and imports each context three times");
    let site = Site::new(&[SERVICE])?;
    let server = Server::start(&site, &["-export"])?;
    for options in [&["-mcount", "5"][..], &["-seq", "-mcount", "5"]] {
        let said = call(&site, &server, options)?.success()?.text();
        ensure!(said.matches("Signature verified.").count() == 5, "{said}");
    }
    server.accepted(USER, 2)
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_refused_alike() -> Result<()> {
    scenario!("Somebody guesses");
    let site = Site::new(&[SERVICE])?;
    let server = Server::start(&site, &[])?;
    let refusals = |user: &str, password: &str| -> Result<String> {
        let refused = call(&site, &server, &["-user", user, "-pass", password])?;
        ensure!(refused.code != Some(0) && !refused.text().contains("verified"), "{}", refused.text());
        Ok(refused.text())
    };
    let wrong = refusals(USER, "wrong")?;
    ensure!(refusals("nobody", PASSWORD)? == wrong, "they look different");
    let reason = "wrong password or unknown user";
    until(LIMIT, reason, || (server.running.output().matches(reason).count() == 2).then_some(()))?;
    ensure!(!server.running.output().contains("Accepted"), "{}", server.running.output());
    step!("a name that is none does not even become a message");
    let none = call(&site, &server, &["-user", "al ice", "-pass", PASSWORD])?;
    ensure!(none.code != Some(0), "{}", none.text());
    Ok(())
}

#[test]
fn keys_that_were_not_published_are_asked_for() -> Result<()> {
    scenario!("Initiators find a service's keys, or ask it");
    let site = Site::new(&[SERVICE])?;
    let server = Server::start(&site, &[])?;
    step!("the service has new keys, and still answers to the old ones");
    site.admin(&["rotate", "--services", "services"], "")?;
    let tokens = |said: &str| said.matches("Sending init_sec_context token").count();
    let said = call(&site, &server, &[])?.success()?.text();
    ensure!(tokens(&said) == 1, "{said}");
    step!("the old ones are gone: it shows the new ones, and one more round trip is all");
    let keys = site.path("services/_host.localhost/keys");
    for entry in fs::read_dir(&keys)? {
        fs::remove_file(entry?.path())?;
    }
    site.admin(&["rotate", "--services", "services"], "")?;
    let said = call(&site, &server, &[])?.success()?.text();
    ensure!(tokens(&said) == 2, "{said}");
    step!("nothing is published: the initiator asks");
    site.unpublish()?;
    let said = call(&site, &server, &["-spnego", "-user", USER, "-pass", PASSWORD])?.success()?.text();
    ensure!(tokens(&said) == 2, "{said}");
    server.accepted(USER, 3)
}

#[test]
fn a_service_that_is_not_trusted_gets_no_secret() -> Result<()> {
    scenario!("Somebody else answers in the place of the service");
    let site = Site::new(&[SERVICE])?;
    let server = Server::start(&site, &[])?;
    site.admin(&["init-issuer", "--dir", "stranger"], "")?;
    let refused = |file: &str, reason: &str| -> Result<String> {
        let mut command = site.command("gss-client")?;
        client(&mut command, server.port, &[]);
        let refused = site.run(site.other(&mut command, file))?;
        let said = format!("{}\n{}", refused.text(), refused.complaint());
        ensure!(refused.code != Some(0) && said.contains(reason), "{said}");
        Ok(said)
    };
    step!("its keys lead to another issuer: they are asked for, and refused");
    site.configure("other.toml", "stranger/issuer.crt", "password", site.services(), &["X-Wing"])?;
    let said = refused("other.toml", "do not lead to the issuer")?;
    ensure!(said.matches("Sending init_sec_context token").count() == 1, "a question and no answer: {said}");
    ensure!(said.contains("size=35"), "which holds a name and nothing else: {said}");
    step!("policy does not name the service");
    site.configure("none.toml", "issuer/issuer.crt", "password", &[], &["X-Wing"])?;
    refused("none.toml", "passwords_to does not let a password go")?;
    step!("everybody could read the password");
    fs::write(site.path("open"), PASSWORD)?;
    site.configure("open.toml", "issuer/issuer.crt", "open", site.services(), &["X-Wing"])?;
    refused("open.toml", "others than its owner may read it")?;
    step!("the configuration is nonsense");
    fs::write(site.path("odd.toml"), "[initiator]\nisuer = 1\n")?;
    refused("odd.toml", "cannot be read or understood")?;
    ensure!(!server.running.output().contains("Accepted"), "{}", server.running.output());
    Ok(())
}

#[test]
fn nothing_is_accepted_without_a_replay_cache() -> Result<()> {
    scenario!("The replay cache cannot be written");
    let site = Site::new(&[SERVICE])?;
    let server = Server::start(&site, &[])?;
    let replay = site.path("services/_host.localhost/replay");
    fs::rename(&replay, site.path("gone"))?;
    ensure!(call(&site, &server, &[])?.code != Some(0), "it was accepted");
    let reason = "the replay cache cannot be written";
    server.running.wait_line(|l| l.contains(reason))?;
    fs::rename(site.path("gone"), &replay)?;
    call(&site, &server, &[])?.success()?;
    server.accepted(USER, 1)
}
