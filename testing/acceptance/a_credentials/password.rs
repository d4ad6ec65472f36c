//! Passwords that a directory or the machine's PAM knows (A4), and what they are not enough for.

use anyhow::{Context, Result, ensure};
use symbolon_acceptance::{Finished, LIMIT, Person, Slapd, scenario, step, until};

use crate::scene::{GATEWAY, PASSWORD, Scene, kill_agent, reaches_the_web_server, refused, signed_in_by};
use crate::ticket::ticket;

const MAY_HAVE_IT: &str = "password_gateways = [\"gw.example\"]";

fn login(person: &Person, password: &str) -> Result<Finished> {
    person.secret_file("password", password)?;
    let words =
        ["login", "--with", "password", "--user", person.name(), "--gateway", GATEWAY, "--password-file"];
    person.symbolon(&[&words[..], &["password"]].concat(), &[])
}

#[test]
fn a_password_of_an_ldap_directory_signs_in() -> Result<()> {
    scenario!("Ann's password is in her company's directory");
    let mut slapd = Slapd::start(&[("ann", PASSWORD), ("eve", "eve's own")])?;
    let scene = Scene::with(
        &format!(
            "accept_passwords = true\n[credentials.ldap]\nservers = [{:?}]\nauthorities = {:?}\ndn = \"uid={{user}},{}\"\n",
            slapd.address(),
            slapd.authority().display().to_string(),
            Slapd::PEOPLE
        ),
        &[],
    )?;
    let ann = scene.person("ann", MAY_HAVE_IT)?;
    login(&ann, PASSWORD)?.success()?;
    reaches_the_web_server(&ann, "password", "password", "low")?;
    ann.machine().ok(["logout"])?;

    step!("a wrong one, an empty place, and somebody whom our directory does not have");
    refused(login(&ann, "incorrect horse")?, 3, "denied")?;
    let eve = scene.stranger("eve", MAY_HAVE_IT)?;
    refused(login(&eve, "eve's own")?, 3, "denied")?;

    step!("while the directory is down Ann is told, and Tim with his token notices nothing");
    let tim = Person::enrolled("tim", &scene.gateway)?;
    slapd.down()?;
    let told = login(&ann, PASSWORD)?;
    ensure!(matches!(told.code, Some(1 | 3 | 4)), "{:?}", told.code);
    ensure!(!told.complaint().is_empty());
    tim.login()?;
    signed_in_by(&tim, "challenge", "software", "substantial")?;
    slapd.up()?;
    login(&ann, PASSWORD)?.success().map(drop)
}

#[test]
fn a_group_of_the_directory_has_what_was_given_to_ours() -> Result<()> {
    scenario!("the company's directory says who looks after databases");
    let people = ["ann", "eve"].map(|name| {
        format!(
            "\ndn: uid={name},{}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\n\
             userPassword: {PASSWORD}\n",
            Slapd::PEOPLE
        )
    });
    let groups = [("dba", "ann"), ("database", "eve")].map(|(group, member)| {
        format!(
            "\ndn: cn={group},ou=groups,{}\nobjectClass: groupOfNames\ncn: {group}\nmember: uid={member},{}\n",
            Slapd::BASE,
            Slapd::PEOPLE
        )
    });
    let places = format!(
        "dn: {base}\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n\
         dn: {}\nobjectClass: organizationalUnit\nou: people\n\n\
         dn: ou=groups,{base}\nobjectClass: organizationalUnit\nou: groups\n",
        Slapd::PEOPLE,
        base = Slapd::BASE
    );
    let slapd = Slapd::holding(&(places + &people.concat() + &groups.concat()), "")?;
    let scene = Scene::with(
        &format!(
            "accept_passwords = true\n[credentials.ldap]\nservers = [{:?}]\nauthorities = {:?}\n\
             dn = \"uid={{user}},{}\"\n[credentials.ldap.groups]\nbase = \"ou=groups,{}\"\n\
             filter = \"(member={{dn}})\"\nnames = {{ dba = \"database\" }}\n",
            slapd.address(),
            slapd.authority().display().to_string(),
            Slapd::PEOPLE,
            Slapd::BASE
        ),
        &[],
    )?;
    scene.gateway.publish("db", scene.web.port(), "http")?;
    let right = scene.gateway.grant("group:database", "db")?;
    let ann = scene.person("ann", MAY_HAVE_IT)?;
    login(&ann, PASSWORD)?.success()?;
    ann.until_destinations(&["db", "web"])?;
    let sessions = scene.gateway.admin_json(&["sessions", "list"])?;
    ensure!(sessions["sessions"][0]["groups"] == serde_json::json!(["database"]), "{sessions}");

    step!("a ticket of that session is worth the same");
    until(LIMIT, "a session ticket", || ticket(&ann).exists().then_some(()))?;
    kill_agent(&ann)?;
    ann.symbolon(&["login", "--with", "ticket"], &[])?.success()?;
    ann.until_destinations(&["db", "web"])?;

    step!("a group of the directory that is called as ours is, and is not listed, is nothing");
    let eve = scene.person("eve", MAY_HAVE_IT)?;
    login(&eve, PASSWORD)?.success()?;
    eve.until_destinations(&["web"])?;
    let refused = eve.machine().refused(3, ["connect", "db", "--local", "127.0.0.1:0"])?;
    ensure!(refused.contains("db"), "{refused}");

    step!("what is taken from our group is taken from its members there");
    scene.gateway.admin(&["entitlements", "withdraw", &right])?;
    ann.until_destinations(&["web"])
}

#[test]
fn a_password_that_pam_knows_signs_in() -> Result<()> {
    scenario!("Bob's password is known to the gateway's machine");
    let services = tempfile::tempdir()?;
    let at = |name: &str| services.path().join(name).display().to_string();
    std::fs::write(at("passwords"), format!("bob:{PASSWORD}:symbolon\n"))?;
    let module = wrapper()?;
    let line = format!("required {module} passdb={}\n", at("passwords"));
    std::fs::write(at("symbolon"), format!("auth {line}account {line}"))?;
    let settings = format!(
        "accept_passwords = true\n[credentials.pam]\nservice = \"symbolon\"\ndirectory = {:?}\n",
        services.path().display().to_string()
    );
    let scene = Scene::with(&settings, &[])?;
    let bob = scene.person("bob", MAY_HAVE_IT)?;
    login(&bob, PASSWORD)?.success()?;
    reaches_the_web_server(&bob, "password", "password", "low")?;
    bob.machine().ok(["logout"])?;
    refused(login(&bob, "incorrect horse")?, 3, "denied")
}

#[test]
fn a_password_does_not_reach_what_demands_more() -> Result<()> {
    scenario!("payroll demands substantial assurance");
    let scene = Scene::with("accept_passwords = true\n", &[])?;
    scene.gateway.publish("payroll", scene.web.port(), "http")?;
    let ann = Person::enrolled("ann", &scene.gateway)?;
    scene.gateway.grant("user:ann", "web")?;
    scene.gateway.grant_where("user:ann", "payroll", &["--assurance", "substantial"])?;
    let file = ann.secret_file("password", PASSWORD)?.display().to_string();
    scene.gateway.admin(&["users", "password", "ann", "--password-file", &file])?;
    ann.configure(&format!("address = {:?}\n{MAY_HAVE_IT}\n", scene.gateway.address()))?;
    login(&ann, PASSWORD)?.success()?;
    signed_in_by(&ann, "password", "password", "low")?;
    ann.until_destinations(&["web"])?;
    let refused = ann.machine().refused(3, ["connect", "payroll", "--local", "127.0.0.1:0"])?;
    ensure!(refused.contains("payroll"), "{refused}");
    let why = scene.gateway.admin(&["explain", "ann", "payroll", "--class", "password"])?;
    ensure!(why.contains("substantial"), "{why}");
    ann.machine().ok(["logout"])?;
    step!("her token does");
    ann.login()?;
    signed_in_by(&ann, "challenge", "software", "substantial")?;
    ann.until_destinations(&["payroll", "web"])
}

#[test]
fn a_blank_token_is_enough_to_trust_a_gateway_by() -> Result<()> {
    scenario!("Ann was handed a token that is registered nowhere, and has a password");
    let scene = Scene::with("accept_passwords = true\n", &[])?;
    let ann = scene.person("ann", "")?;
    let file = ann.secret_file("password", PASSWORD)?.display().to_string();
    scene.gateway.admin(&["users", "password", "ann", "--password-file", &file])?;
    ann.configure(&format!(
        "gateway = {GATEWAY:?}\naddress = {:?}\n{MAY_HAVE_IT}\n",
        scene.gateway.address()
    ))?;
    refused(login(&ann, PASSWORD)?, 2, "nothing to trust the gateway by")?;
    let token = ann.machine().home().join("handed-out").display().to_string();
    scene.gateway.admin(&["tokens", "blank", "--out", &token])?;
    ann.machine().ok(["token", "import", "handed-out"])?;
    login(&ann, PASSWORD)?.success()?;
    reaches_the_web_server(&ann, "password", "password", "low")
}

/// The module of Debian's libpam-wrapper that knows the passwords of a file.
fn wrapper() -> Result<String> {
    let found = std::fs::read_dir("/usr/lib")?.find_map(|entry| {
        let module = entry.ok()?.path().join("pam_wrapper/pam_matrix.so");
        module.exists().then(|| module.display().to_string())
    });
    found.context("pam_matrix.so is not installed: `cargo xtask setup` installs what the tests need")
}
