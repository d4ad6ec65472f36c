//! Session tickets (A5): a session goes on at another node, and a machine's power cut costs no password.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use symbolon_acceptance::{Gateway, LIMIT, Person, scenario, step, until};

use crate::scene::{GATEWAY, PASSWORD, Scene, kill_agent, reaches_the_web_server, refused, signed_in_by};

/// Where an agent leaves the ticket of its session.
pub(crate) fn ticket(person: &Person) -> PathBuf {
    person.machine().path("run/symbolon/ticket")
}

/// Waits until the agent keeps a ticket, and returns the file's content.
fn kept(person: &Person) -> Result<Vec<u8>> {
    until(LIMIT, "a session ticket", || std::fs::read(ticket(person)).ok())
}

/// Puts a copy of a ticket where the agent looks.
fn bring(person: &Person, copy: &[u8]) -> Result<()> {
    std::fs::write(ticket(person), copy)?;
    Ok(std::fs::set_permissions(ticket(person), PermissionsExt::from_mode(0o600))?)
}

#[test]
fn a_session_ticket_opens_the_next_session_at_another_node_once() -> Result<()> {
    scenario!("two nodes share one store; Ann's machine loses power");
    let scene = Scene::with("", &[])?;
    let second = Gateway::set(GATEWAY, &["--with", &scene.gateway.dir().display().to_string()])?;
    let ann = Person::enrolled("ann", &scene.gateway)?;
    scene.gateway.grant("user:ann", "web")?;
    ann.login()?;
    let copy = kept(&ann)?;
    ensure!(std::fs::metadata(ticket(&ann))?.permissions().mode() & 0o777 == 0o600);
    kill_agent(&ann)?;
    let doctor = ann.symbolon(&["doctor", "--json"], &[])?.json()?;
    let checks = doctor["checks"].as_array().cloned().unwrap_or_default();
    ensure!(checks.iter().any(|c| c["name"] == "ticket" && c["finding"] == "ok"), "{doctor}");

    step!("nobody asks for the PIN, and another node opens the session");
    let address = second.address();
    ann.symbolon(&["login", "--with", "ticket", "--address", &address], &[])?.success()?;
    reaches_the_web_server(&ann, "ticket", "software", "substantial")?;
    ensure!(ann.status()?["address"] == address.as_str());
    step!("it replaces the one that was lost");
    ensure!(scene.gateway.sessions()?.len() == 1);

    step!("a ticket of a ticket, by plain login");
    until(LIMIT, "another ticket", || (std::fs::read(ticket(&ann)).ok()? != copy).then_some(()))?;
    kill_agent(&ann)?;
    ann.symbolon(&["login"], &[])?.success()?;
    signed_in_by(&ann, "ticket", "software", "substantial")?;

    step!("logout gives it up");
    ann.machine().ok(["logout"])?;
    ensure!(!ticket(&ann).exists());
    refused(ann.symbolon(&["login", "--with", "ticket"], &[])?, 3, "no session ticket")?;

    step!("the first one was used: a copy opens nothing, at either node");
    for node in [scene.gateway.address(), second.address()] {
        bring(&ann, &copy)?;
        refused(ann.symbolon(&["login", "--with", "ticket", "--address", &node], &[])?, 3, "denied")?;
        ensure!(!ticket(&ann).exists(), "a ticket that is refused is not kept");
    }
    ann.login()
}

#[test]
fn a_ticket_is_for_its_own_gateway_and_ends_with_its_user() -> Result<()> {
    scenario!("Eve got hold of Ann's ticket; then Ann is locked");
    let scene = Scene::with("", &[])?;
    let other = Gateway::start(GATEWAY)?;
    let ann = Person::enrolled("ann", &scene.gateway)?;
    ann.login()?;
    let copy = kept(&ann)?;
    kill_agent(&ann)?;

    step!("at a gateway of another issuer, even one of that name, nothing is shown");
    bring(&ann, &copy)?;
    let elsewhere = ["login", "--with", "ticket", "--address", &other.address()];
    refused(ann.symbolon(&elsewhere, &[])?, 3, "issuer")?;
    bring(&ann, &copy)?;
    let named = ["login", "--with", "ticket", "--gateway", "other.example"];
    refused(ann.symbolon(&named, &[])?, 2, "not for other.example")?;

    step!("a damaged one is none");
    let mut damaged = copy.clone();
    let last = damaged.len() - 30;
    damaged[last] ^= 1;
    bring(&ann, &damaged)?;
    refused(ann.symbolon(&["login", "--with", "ticket"], &[])?, 3, "denied")?;

    step!("the lock ends the session, and no ticket takes it up again");
    ann.login()?;
    let copy = kept(&ann)?;
    scene.gateway.admin(&["users", "lock", "ann"])?;
    until(LIMIT, "the agent to end", || (!ann.has_agent().ok()?).then_some(()))?;
    ensure!(!ticket(&ann).exists(), "the agent gave it up");
    bring(&ann, &copy)?;
    refused(ann.symbolon(&["login", "--with", "ticket"], &[])?, 3, "locked")?;
    Ok(())
}

#[test]
fn a_ticket_is_worth_no_more_than_what_came_before_it() -> Result<()> {
    scenario!("Paul has a password; payroll demands substantial assurance");
    let scene = Scene::with("accept_passwords = true\n", &[])?;
    scene.gateway.publish("payroll", scene.web.port(), "http")?;
    let paul = scene.person("paul", "password_gateways = [\"gw.example\"]")?;
    scene.gateway.grant_where("user:paul", "payroll", &["--assurance", "substantial"])?;
    let file = paul.secret_file("password", PASSWORD)?.display().to_string();
    scene.gateway.admin(&["users", "password", "paul", "--password-file", &file])?;
    paul.symbolon(&["login", "--user", "paul", "--password-file", "password"], &[])?.success()?;
    kept(&paul)?;
    kill_agent(&paul)?;
    paul.symbolon(&["login", "--with", "ticket"], &[])?.success()?;
    signed_in_by(&paul, "ticket", "password", "low")?;
    paul.until_destinations(&["web"])
}
