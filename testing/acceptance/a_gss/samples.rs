//! `gss-client` and `gss-server` of Debian's krb5-gss-samples.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use symbolon_acceptance::{
    Finished, Gateway, LIMIT, Running, free_port, program, scenario, step, transcript, until,
};

use crate::site::{MECHANISM, OTHER, OTHER_PASSWORD, PASSWORD, Site, USER};

const SERVICE: &str = "host@localhost";

/// `gss-server`, for as many clients as come.
pub(crate) struct Server {
    pub(crate) running: Running,
    port: u16,
}

impl Server {
    fn start(site: &Site, options: &[&str]) -> Result<Self> {
        Self::start_as(site, options, |_| {})
    }

    fn start_as(site: &Site, options: &[&str], account: impl FnOnce(&mut Command)) -> Result<Self> {
        let port = free_port()?;
        let mut command = site.command("gss-server")?;
        account(&mut command);
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
fn guessing_is_bounded_over_all_processes_of_a_service() -> Result<()> {
    scenario!("Somebody guesses again and again, at two processes");
    let site = Site::new(&[SERVICE])?;
    site.reconfigure("gss.toml", &[("[acceptor]", "[acceptor]\nwrong_passwords = 3")])?;
    let (one, other) = (Server::start(&site, &[])?, Server::start(&site, &[])?);
    for user in [USER, "nobody"] {
        for server in [&one, &other, &one] {
            ensure!(call(&site, server, &["-user", user, "-pass", "wrong"])?.code != Some(0), "{user}");
        }
        step!("{user}: the right password comes too late");
        ensure!(call(&site, &other, &["-user", user, "-pass", PASSWORD])?.code != Some(0), "{user}");
    }
    let reason = "too many wrong passwords for that user";
    until(LIMIT, reason, || (other.running.output().matches(reason).count() == 2).then_some(()))?;
    step!("others are not concerned");
    call(&site, &other, &["-user", OTHER, "-pass", OTHER_PASSWORD])?.success()?;
    other.accepted(OTHER, 1)
}

#[test]
fn a_service_runs_under_an_account_of_its_own() -> Result<()> {
    scenario!("An administrator makes a service for another account");
    let site = Site::new(&[SERVICE])?;
    // Who is not root can only make services for himself.
    let owner = if rustix::process::geteuid().is_root() { "nobody" } else { "" };
    let (mut init, mut add) = (vec!["init-acceptor"], vec!["add-user", "--users", "users", USER]);
    init.extend(["--name", SERVICE, "--issuer", "issuer", "--services", "services"]);
    let mut account = None;
    if !owner.is_empty() {
        let accounts = fs::read_to_string("/etc/passwd")?;
        let line = accounts.lines().find(|l| l.starts_with("nobody:")).context("no account nobody")?;
        let fields: Vec<&str> = line.split(':').collect();
        account = Some((fields[2].parse()?, fields[3].parse()?));
        init.extend(["--owner", owner]);
        add.extend(["--group", "nogroup"]);
        // A temporary directory is its maker's alone.
        fs::set_permissions(site.path(""), fs::Permissions::from_mode(0o755))?;
        fs::remove_dir_all(site.path("services/_host.localhost"))?;
    }
    site.admin(&init, "")?;
    site.publish()?;
    site.admin(&add, &format!("{PASSWORD}\n"))?;
    let server = Server::start_as(&site, &[], |command| {
        if let Some((user, group)) = account {
            command.uid(user).gid(group);
        }
    })?;
    call(&site, &server, &[])?.success()?;
    server.accepted(USER, 1)?;
    step!("what that account finds, and what is wrong when something is");
    let check = |site: &Site| -> Result<Finished> {
        let mut command = site.admin_command(&["check"]);
        site.surround(&mut command);
        if let Some((user, group)) = account {
            command.uid(user).gid(group);
        }
        site.run(&mut command)
    };
    let said = check(&site)?;
    // The password in the configuration is another account's.
    ensure!(account.is_some() || said.code == Some(0), "{}", said.text());
    for line in ["ok      host@localhost: context keys: 1 for 47 h", "ok      list of users: 2 of them"] {
        ensure!(said.text().contains(line), "{}", said.text());
    }
    fs::set_permissions(site.path("services/_host.localhost/replay"), fs::Permissions::from_mode(0o777))?;
    let said = check(&site)?;
    let wrong = "FAILED  host@localhost: replay cache: others than its owner may change";
    ensure!(said.code == Some(1) && said.text().contains(wrong), "{}", said.text());
    step!("it cannot read what only the administrator needs");
    let identity = fs::metadata(site.path("services/_host.localhost/identity.key"))?;
    ensure!(identity.mode() & 0o077 == 0 && identity.uid() == rustix::process::geteuid().as_raw());
    Ok(())
}

#[test]
fn the_hash_of_the_issuers_key_is_enough_to_trust() -> Result<()> {
    scenario!("An initiator knows the issuer's fingerprint and no certificate");
    let site = Site::new(&[SERVICE])?;
    let server = Server::start(&site, &[])?;
    let said = site.admin(&["init-issuer", "--dir", "stranger"], "")?.text();
    let strangers = said.lines().find_map(|l| l.strip_prefix("fingerprint ")).context("no fingerprint")?;
    let openssl = "openssl x509 -inform DER -in issuer/issuer.crt -noout -pubkey | openssl pkey -pubin -outform DER \
                   | openssl dgst -sha256 -r";
    let mut command = Command::new(program("sh")?);
    command.args(["-c", openssl]).current_dir(site.path(""));
    let ours = site.run(&mut command)?.success()?.text();
    let ours = ours.split(' ').next().unwrap_or_default();
    let certificate = format!("issuer = \"{}issuer/issuer.crt\"", site.path("").display());
    for (fingerprint, trusted) in [(ours, true), (strangers, false)] {
        let line = format!("issuer_fingerprint = \"{fingerprint}\"");
        site.reconfigure("hash.toml", &[(&certificate, &line)])?;
        let mut command = site.command("gss-client")?;
        client(&mut command, server.port, &[]);
        let answer = site.run(site.other(&mut command, "hash.toml"))?;
        ensure!((answer.code == Some(0)) == trusted, "{}\n{}", answer.text(), answer.complaint());
    }
    server.accepted(USER, 1)
}

#[test]
fn a_person_has_a_configuration_of_ones_own() -> Result<()> {
    scenario!("A user's own file says who one is");
    let site = Site::new(&[SERVICE])?;
    let server = Server::start(&site, &[])?;
    let own = site.path("home/.config/symbolon/gss.toml");
    fs::create_dir_all(own.parent().context("a directory")?)?;
    fs::copy(site.path("gss.toml"), &own)?;
    let mut command = site.command("gss-client")?;
    client(&mut command, server.port, &[]);
    site.run(command.env_remove("SYMBOLON_GSS_CONFIG"))?.success()?;
    step!("somebody else could change it");
    fs::set_permissions(&own, fs::Permissions::from_mode(0o666))?;
    let refused = site.run(&mut command)?;
    let said = format!("{}\n{}", refused.text(), refused.complaint());
    ensure!(refused.code != Some(0) && said.contains("cannot be read or understood"), "{said}");
    server.accepted(USER, 1)
}

#[test]
fn a_clock_that_is_wrong_is_told() -> Result<()> {
    scenario!("The initiator's clock is wrong");
    let site = Site::new(&[SERVICE])?;
    let server = Server::start(&site, &[])?;
    for (offset, accepted) in [("+100s", true), ("-100s", true), ("+200s", false), ("-200s", false)] {
        let mut command = Command::new(program("faketime")?);
        command.args(["-f", offset]).arg(program("gss-client")?);
        site.surround(&mut command);
        client(&mut command, server.port, &[]);
        let answer = site.run(&mut command)?;
        ensure!((answer.code == Some(0)) == accepted, "{offset}: {}", answer.text());
    }
    let reason = "the clocks differ by more than two minutes";
    until(LIMIT, reason, || (server.running.output().matches(reason).count() == 2).then_some(()))?;
    server.accepted(USER, 2)
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
fn a_service_that_is_revoked_gets_no_secret() -> Result<()> {
    scenario!("The issuer revokes the service's certificate");
    let site = Site::new(&[SERVICE])?;
    let server = Server::start(&site, &[])?;
    call(&site, &server, &[])?.success()?;
    server.accepted(USER, 1)?;
    step!("a node that has the issuer's key makes the list, which is put beside the key sets");
    let node = Gateway::set("gw.example", &["--issuer-of", &site.path("issuer").display().to_string()])?;
    let services = fs::read_dir(site.path("services"))?.collect::<std::io::Result<Vec<_>>>()?;
    let [service] = services.as_slice() else { anyhow::bail!("one service: {services:?}") };
    let certificate = service.path().join("identity.crt").display().to_string();
    node.admin(&["ca", "revoke-gateway", &certificate, "--reason", "key-compromise"])?;
    let list = site.path("keysets").join("issuer.crl").display().to_string();
    node.admin(&["ca", "crl", "--out", &list])?;
    fs::set_permissions(&list, fs::Permissions::from_mode(0o644))?;
    let refused = call(&site, &server, &[])?;
    let said = format!("{}\n{}", refused.text(), refused.complaint());
    ensure!(refused.code != Some(0) && said.contains("revoked by its issuer"), "{said}");
    ensure!(said.matches("Sending init_sec_context token").count() == 1, "a question and no answer: {said}");
    server.accepted(USER, 1)
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
