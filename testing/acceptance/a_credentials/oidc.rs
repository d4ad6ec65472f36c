//! ID tokens of an OpenID provider (A5), got by a program of the user's.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Result, ensure};
use symbolon_acceptance::{Finished, IdProvider, LIMIT, Person, scenario, step, until};

use crate::scene::{Scene, kill_agent, reaches_the_web_server, refused, signed_in_by};
use crate::ticket::ticket;

fn scene(provider: &IdProvider) -> Result<Scene> {
    Scene::with(
        &format!(
            "[[credentials.oidc]]\nissuer = {:?}\naudience = {:?}\nuser = \"subject\"\n",
            provider.issuer(),
            IdProvider::AUDIENCE
        ),
        &[],
    )
}

/// Writes the program that gets ID tokens.
fn gets(person: &Person, script: &str) -> Result<()> {
    let file = person.machine().write("home/get-id-token", script)?;
    Ok(std::fs::set_permissions(file, PermissionsExt::from_mode(0o700))?)
}

fn login(person: &Person) -> Result<Finished> {
    person.symbolon(&["login", "--with", "oidc"], &[])
}

/// The line that names the program, in a home directory that is known only when the person is there.
fn person(scene: &Scene, name: &str) -> Result<Person> {
    let person = scene.person(name, "")?;
    let file = person.machine().home().join(".config/symbolon/config.toml");
    let program = person.machine().home().join("get-id-token").display().to_string();
    let text = std::fs::read_to_string(&file)? + &format!("id_token_command = [{program:?}]\n");
    std::fs::write(file, text)?;
    Ok(person)
}

#[test]
fn an_id_token_signs_in_before_and_after_its_provider_has_a_new_key() -> Result<()> {
    scenario!("Ann signs in at an OpenID provider");
    let provider = IdProvider::start()?;
    let scene = scene(&provider)?;
    let ann = person(&scene, "ann")?;
    gets(&ann, &provider.script("ann", ""))?;
    login(&ann)?.success()?;
    reaches_the_web_server(&ann, "oidc", "oidc", "low")?;
    ann.machine().ok(["logout"])?;
    step!("the provider rotates its key; a node asks for keys once in ten seconds");
    provider.rotate()?;
    until(LIMIT, "the node to have the new key", || (login(&ann).ok()?.code == Some(0)).then_some(()))?;
    signed_in_by(&ann, "oidc", "oidc", "low")?;
    ann.machine().ok(["logout"]).map(drop)
}

#[test]
fn a_group_of_the_provider_has_what_was_given_to_ours() -> Result<()> {
    scenario!("the provider says who looks after databases");
    let provider = IdProvider::start()?;
    let scene = Scene::with(
        &format!(
            "[[credentials.oidc]]\nissuer = {:?}\naudience = {:?}\nuser = \"subject\"\n\
             groups = {{ claim = \"groups\", names = {{ dba-team = \"database\" }} }}\n",
            provider.issuer(),
            IdProvider::AUDIENCE
        ),
        &[],
    )?;
    scene.gateway.publish("db", scene.web.port(), "http")?;
    scene.gateway.grant("group:database", "db")?;
    let ann = person(&scene, "ann")?;
    for (groups, reached) in [
        ("&groups=staff,dba-team", &["db", "web"][..]),
        ("&groups=database,DBA-team", &["web"]),
        ("", &["web"]),
    ] {
        gets(&ann, &provider.script("ann", groups))?;
        login(&ann)?.success()?;
        ann.until_destinations(reached)?;
        ann.machine().ok(["logout"])?;
    }
    Ok(())
}

#[test]
fn what_a_session_left_is_not_for_whoever_the_provider_names_next() -> Result<()> {
    scenario!("Ann's session breaks off, and the next agent at the machine gets Eve's ID tokens");
    let provider = IdProvider::start()?;
    let scene = scene(&provider)?;
    let shared = person(&scene, "ann")?;
    scene.gateway.admin(&["users", "add", "eve"])?;
    for name in ["ann", "eve"] {
        gets(&shared, &provider.script(name, ""))?;
        let _service = shared.machine().start(["agent", "--with", "oidc"])?;
        let who = until(LIMIT, name, || shared.machine().json(["whoami"]).ok())?;
        ensure!(who["user"] == name && who["signed_in_by"] == "oidc", "{who}");
        until(LIMIT, "a session ticket", || ticket(&shared).exists().then_some(()))?;
        kill_agent(&shared)?;
    }
    Ok(())
}

#[test]
fn the_browser_signs_in_and_the_address_is_shown_at_the_terminal() -> Result<()> {
    scenario!("Ann signs in by her browser; it is a script that follows where it is sent");
    let provider = IdProvider::start()?;
    let scene = scene(&provider)?;
    let oidc =
        format!("oidc = {{ provider = {:?}, client = {:?} }}", provider.issuer(), IdProvider::AUDIENCE);
    let ann = scene.person("ann", &oidc)?;
    let browser = ann
        .machine()
        .write("home/bin/xdg-open", "#!/bin/sh\nexec curl --silent --location --noproxy '*' \"$1\"\n")?;
    std::fs::set_permissions(&browser, PermissionsExt::from_mode(0o755))?;
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", ann.machine().home().join("bin").display());
    let signed_in = ann.symbolon(&["login", "--with", "oidc"], &[("PATH".into(), path.into())])?.success()?;
    ensure!(signed_in.complaint().contains("/authorize?"), "{}", signed_in.complaint());
    reaches_the_web_server(&ann, "oidc", "oidc", "low")
}

#[test]
fn an_id_token_for_another_time_audience_exchange_or_person_opens_nothing() -> Result<()> {
    scenario!("ID tokens that Eve may come by");
    let mut provider = IdProvider::start()?;
    let scene = scene(&provider)?;
    let ann = person(&scene, "ann")?;
    for (what, subject, further) in [
        ("expired", "ann", "&exp=-300"),
        ("for another gateway", "ann", "&aud=gateway-of-others"),
        ("without a signature", "ann", "&alg=none"),
        ("by an algorithm that is no signature", "ann", "&alg=HS256"),
        ("of somebody whom our directory does not have", "eve", ""),
    ] {
        step!("{what}");
        gets(&ann, &provider.script(subject, further))?;
        let told = login(&ann)?;
        ensure!(matches!(told.code, Some(1 | 3)), "{what}: {:?}: {}", told.code, told.complaint());
    }
    step!("recorded: it is for another exchange, and not even sent");
    let recorded =
        provider.script("ann", "").replace("$SYMBOLON_NONCE", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    gets(&ann, &recorded)?;
    refused(login(&ann)?, 1, "nonce")?;
    step!("a program that fails, and a provider that is down");
    gets(&ann, "#!/bin/sh\nexit 7\n")?;
    refused(login(&ann)?, 1, "id_token_command")?;
    gets(&ann, &provider.script("ann", ""))?;
    provider.down()?;
    refused(login(&ann)?, 1, "id_token_command")?;
    step!("others notice nothing");
    let tim = Person::enrolled("tim", &scene.gateway)?;
    tim.login()?;
    tim.machine().ok(["logout"])?;
    step!("and when it is back, Ann signs in");
    provider.up()?;
    login(&ann)?.success()?;
    ensure!(scene.gateway.sessions()?.len() == 1);
    Ok(())
}
