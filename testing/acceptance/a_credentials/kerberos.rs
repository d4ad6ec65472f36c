//! Kerberos tickets of a real KDC (A5).

use std::path::PathBuf;

use anyhow::{Result, ensure};
use symbolon_acceptance::{Finished, LIMIT, Person, Realm, Running, scenario, step, until};

use crate::scene::{PASSWORD, Scene, kill_agent, reaches_the_web_server, refused, signed_in_by};
use crate::ticket::ticket;

const SERVICE: &str = "symbolon/gw.example";

fn cache(person: &Person) -> PathBuf {
    person.machine().path("tickets")
}

fn login(person: &Person, realm: &Realm) -> Result<Finished> {
    person.symbolon(&["login", "--with", "kerberos"], &realm.environment_of(&cache(person)))
}

fn scene(realm: &Realm) -> Result<Scene> {
    let keytab = realm.add_service(SERVICE)?;
    Scene::with(
        &format!(
            "[credentials.kerberos]\nservice = \"{SERVICE}@{realm}\"\nkeytab = {:?}\nrealm = {realm:?}\n",
            keytab.display().to_string(),
            realm = Realm::NAME
        ),
        &realm.environment(),
    )
}

#[test]
fn a_kerberos_ticket_signs_in_and_the_gateway_sees_no_password() -> Result<()> {
    scenario!("Ann says kinit, and then symbolon login --with kerberos");
    let mut realm = Realm::start()?;
    let scene = scene(&realm)?;
    for name in ["ann", "eve"] {
        realm.add_person(name, "canary-of-kerberos")?;
    }
    scene.gateway.publish("files", scene.web.port(), "http")?;
    let ann = scene.person("ann", "")?;
    scene.gateway.grant_where("user:ann", "files", &["--class", "kerberos"])?;
    step!("without a ticket she is told how to get one");
    refused(login(&ann, &realm)?, 2, "kinit")?;
    realm.kinit("ann", "canary-of-kerberos", &cache(&ann))?;
    login(&ann, &realm)?.success()?;
    reaches_the_web_server(&ann, "kerberos", "kerberos", "low")?;
    step!("what is granted to Kerberos alone is there, and not after a sign-in by token");
    ann.until_destinations(&["files", "web"])?;
    let doctor = ann.symbolon(&["doctor", "--json"], &realm.environment_of(&cache(&ann)))?.json()?;
    let checks = doctor["checks"].as_array().cloned().unwrap_or_default();
    ensure!(checks.iter().any(|c| c["name"] == "kerberos" && c["finding"] == "ok"), "{doctor}");
    ensure!(doctor["healthy"] == true, "without a token, which nobody needs here: {doctor}");
    ann.machine().ok(["logout"])?;
    ann.try_enrol(&scene.gateway.invite(&["ann"])?)?.success()?;
    ann.login()?;
    signed_in_by(&ann, "challenge", "software", "substantial")?;
    ann.until_destinations(&["web"])?;
    ann.machine().ok(["logout"])?;

    step!("a realm may know people whom our directory does not");
    let eve = scene.stranger("eve", "")?;
    realm.kinit("eve", "canary-of-kerberos", &cache(&eve))?;
    refused(login(&eve, &realm)?, 3, "denied")?;

    step!("with the KDC down, a ticket that is at hand goes on, and whoever has none is told");
    realm.down()?;
    login(&ann, &realm)?.success()?;
    signed_in_by(&ann, "kerberos", "kerberos", "low")?;
    ann.machine().ok(["logout"])?;
    std::fs::remove_file(cache(&ann))?;
    refused(login(&ann, &realm)?, 2, "kinit")?;
    ensure!(!scene.gateway.log().contains("canary-of-kerberos"));
    Ok(())
}

#[test]
fn what_a_session_left_is_not_for_the_next_person_at_the_machine() -> Result<()> {
    scenario!("Ann and Eve share an account of one machine; Ann's session breaks off, and Eve says kinit");
    let realm = Realm::start()?;
    let scene = scene(&realm)?;
    let shared = scene.person("ann", "")?;
    scene.gateway.admin(&["users", "add", "eve"])?;
    for name in ["ann", "eve"] {
        realm.add_person(name, "canary-of-kerberos")?;
    }
    // a service, which spares people what it can
    let breaks_off = |name: &str, by: &str| -> Result<()> {
        realm.kinit(name, "canary-of-kerberos", &cache(&shared))?;
        let mut service = shared.machine().symbolon(["agent", "--with", "kerberos"]);
        service.envs(realm.environment_of(&cache(&shared)));
        let _service = Running::start("agent", &mut service)?;
        let who = until(LIMIT, name, || shared.machine().json(["whoami"]).ok())?;
        ensure!(
            who["user"] == name && who["signed_in_by"] == by && who["token_class"] == "kerberos",
            "{who}"
        );
        until(LIMIT, "a session ticket", || ticket(&shared).exists().then_some(()))?;
        kill_agent(&shared)
    };
    breaks_off("ann", "kerberos")?;
    breaks_off("eve", "kerberos")?;
    step!("she herself goes on with it");
    breaks_off("eve", "ticket")?;
    step!("who says nothing of Kerberos is not taken for her");
    refused(shared.machine().run(["login"])?, 2, "there is no token")
}

#[test]
fn a_ticket_for_another_gateway_opens_nothing() -> Result<()> {
    scenario!("Ann's configuration names another gateway's principal");
    let mut realm = Realm::start()?;
    let scene = scene(&realm)?;
    realm.add_service("symbolon/other.example")?;
    realm.add_person("ann", PASSWORD.replace(' ', "-").as_str())?;
    let other = format!("kerberos_service = \"symbolon/other.example@{}\"", Realm::NAME);
    let ann = scene.person("ann", &other)?;
    realm.kinit("ann", &PASSWORD.replace(' ', "-"), &cache(&ann))?;
    refused(login(&ann, &realm)?, 3, "denied")?;
    step!("one that the realm does not know is told before anything is sent");
    let ann = scene.stranger("ann", &other.replace("other.", "unknown."))?;
    realm.kinit("ann", &PASSWORD.replace(' ', "-"), &cache(&ann))?;
    refused(login(&ann, &realm)?, 1, "unknown.example")?;
    step!("with the KDC down it is told that nobody answers");
    realm.down()?;
    let told = login(&ann, &realm)?;
    ensure!(matches!(told.code, Some(1 | 4)), "{:?}: {}", told.code, told.complaint());
    ensure!(scene.gateway.sessions()?.is_empty());
    Ok(())
}
