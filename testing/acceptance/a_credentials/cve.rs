//! Classes of faults that only a whole gateway shows: what it does while somebody else is slow, where a secret turns up,
//! and what text does that was never meant as text. The other classes have their tests where the parts are;
//! `docs/credentials.md` lists all.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use symbolon_acceptance::{Finished, IdProvider, LIMIT, Person, Realm, Slapd, scenario, step, until};

use crate::scene::{GATEWAY, Scene, signed_in_by};

/// A node waits five seconds for somebody else and a client ten for a KDC; the rest is for a busy machine.
const WAITS: Duration = Duration::from_secs(20);
/// By how much a sign-in may vary, beside twice its usual time; less than anybody waits for somebody else.
const VARIES: Duration = Duration::from_secs(2);

const MAY_HAVE_IT: &str = "password_gateways = [\"gw.example\"]";
const BY_PASSWORD: [&str; 8] =
    ["login", "--with", "password", "--user", "ann", "--gateway", GATEWAY, "--password-file=password"];

fn by_ldap(slapd: &Slapd) -> String {
    format!(
        "accept_passwords = true\n[credentials.ldap]\nservers = [{:?}]\nauthorities = {:?}\ndn = \"uid={{user}},{}\"\n",
        slapd.address(),
        slapd.authority().display().to_string(),
        Slapd::PEOPLE
    )
}

fn by_oidc(provider: &IdProvider) -> String {
    let (issuer, audience) = (provider.issuer(), IdProvider::AUDIENCE);
    format!("[[credentials.oidc]]\nissuer = {issuer:?}\naudience = {audience:?}\nuser = \"subject\"\n")
}

/// Has a program write the person's ID token.
fn gets(person: &Person, script: &str) -> Result<()> {
    let file = person.machine().write("home/get-id-token", script)?;
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o700))?;
    let path = person.machine().home().join(".config/symbolon/config.toml");
    let kept = std::fs::read_to_string(&path)?;
    if !kept.contains("id_token_command") {
        let command = format!("id_token_command = [{:?}]\n", file.display().to_string());
        std::fs::write(path, kept + &command)?;
    }
    Ok(())
}

/// Signs in by token and out again, and says how long the former took.
fn comes_and_goes(person: &Person) -> Result<Duration> {
    let begun = Instant::now();
    person.login()?;
    let took = begun.elapsed();
    signed_in_by(person, "challenge", "software", "substantial")?;
    person.machine().ok(["logout"])?;
    Ok(took)
}

/// While `waits` waits for somebody who does not answer, `other` signs in as ever, within `usual` and what it varies by.
/// Demands that the first one's wait ends with a complaint.
fn one_waits_and_no_other(
    waits: impl Fn() -> Result<Finished> + Sync,
    other: &Person,
    usual: Duration,
) -> Result<()> {
    std::thread::scope(|scope| {
        let begun = Instant::now();
        let waiting = scope.spawn(&waits);
        let took = comes_and_goes(other)?;
        let told = waiting.join().map_err(|_| anyhow!("the one who waits panicked"))??;
        ensure!(begun.elapsed() < WAITS, "{:?}", begun.elapsed());
        ensure!(took < usual * 2 + VARIES, "somebody else was delayed: {took:?} instead of {usual:?}");
        ensure!(matches!(told.code, Some(1 | 3 | 4)), "{:?}: {}", told.code, told.complaint());
        ensure!(!told.complaint().is_empty());
        Ok(())
    })
}

#[test]
fn cve_ldap_slow_at_a_whole_gateway() -> Result<()> {
    scenario!("the directory of Ann's company takes connections and answers nothing");
    let slapd = Slapd::start(&[("ann", "password of ann")])?;
    let scene = Scene::with(&by_ldap(&slapd), &[])?;
    let ann = scene.person("ann", MAY_HAVE_IT)?;
    ann.secret_file("password", "password of ann")?;
    let tim = Person::enrolled("tim", &scene.gateway)?;
    let usual = comes_and_goes(&tim)?;
    slapd.hang()?;
    one_waits_and_no_other(|| ann.symbolon(&BY_PASSWORD, &[]), &tim, usual)?;
    step!("and then it is itself again");
    slapd.go_on()?;
    ann.symbolon(&BY_PASSWORD, &[])?.success().map(drop)
}

#[test]
fn cve_provider_slow_at_a_whole_gateway() -> Result<()> {
    scenario!("the provider gives Ann a token, under a key that the gateway does not have, and hangs");
    let provider = IdProvider::start()?;
    let scene = Scene::with(&by_oidc(&provider), &[])?;
    let ann = scene.person("ann", "")?;
    let tim = Person::enrolled("tim", &scene.gateway)?;
    provider.rotate()?;
    let hangs =
        provider.script("ann", "").replace("exec ", "") + &format!("kill -STOP {}\n", provider.pid()?);
    gets(&ann, &hangs)?;
    let login = || ann.symbolon(&["login", "--with", "oidc"], &[]);
    one_waits_and_no_other(login, &tim, comes_and_goes(&tim)?)?;
    step!("and then it is itself again");
    provider.go_on()?;
    gets(&ann, &provider.script("ann", ""))?;
    until(LIMIT, "the node to have the new key", || (login().ok()?.code == Some(0)).then_some(()))
}

#[test]
fn cve_kdc_slow_at_a_whole_gateway() -> Result<()> {
    scenario!("Ann has said kinit; then the KDC takes connections and answers nothing");
    let realm = Realm::start()?;
    let keytab = realm.add_service("symbolon/gw.example")?.display().to_string();
    realm.add_person("ann", "password-of-ann")?;
    let name = Realm::NAME;
    let settings = format!(
        "[credentials.kerberos]\nservice = \"symbolon/gw.example@{name}\"\nkeytab = {keytab:?}\nrealm = {name:?}\n"
    );
    let scene = Scene::with(&settings, &realm.environment())?;
    let ann = scene.person("ann", "")?;
    let tim = Person::enrolled("tim", &scene.gateway)?;
    let cache = ann.machine().path("tickets");
    realm.kinit("ann", "password-of-ann", &cache)?;
    let environment = realm.environment_of(&cache);
    let login = || ann.symbolon(&["login", "--with", "kerberos"], &environment);
    let usual = comes_and_goes(&tim)?;
    realm.hang()?;
    one_waits_and_no_other(login, &tim, usual)?;
    step!("and then it is itself again");
    realm.go_on()?;
    login()?.success()?;
    ann.machine().ok(["logout"])?;
    step!("the gateway itself asks no KDC: with the ticket at hand Ann comes in");
    realm.hang()?;
    login()?.success()?;
    signed_in_by(&ann, "kerberos", "kerberos", "low").map(drop)
}

#[test]
fn cve_secrets_in_logs_audit_and_files() -> Result<()> {
    scenario!("Ann signs in in several ways; nothing that proves who she is stays behind");
    let (password, pin) = ("canary of a password", "canary of a PIN");
    let slapd = Slapd::start(&[("ann", password)])?;
    let provider = IdProvider::start()?;
    let scene = Scene::with(&(by_ldap(&slapd) + &by_oidc(&provider)), &[])?;
    let ann = scene.person("ann", MAY_HAVE_IT)?;
    ann.secret_file("password", password)?;
    ann.symbolon(&BY_PASSWORD, &[])?.success()?;
    ann.machine().ok(["logout"])?;
    ann.secret_file("password", "canary of a password, misspelt")?;
    ensure!(ann.symbolon(&BY_PASSWORD, &[])?.code == Some(3));
    std::fs::remove_file(ann.machine().home().join("password"))?;

    let token = ann.machine().path("id-token");
    let script = provider.script("ann", "").replace("exec ", "");
    gets(&ann, &format!("{} | tee {}\n", script.trim_end(), token.display()))?;
    ann.symbolon(&["login", "--with", "oidc"], &[])?.success()?;
    ann.machine().ok(["logout"])?;
    let id_token = std::fs::read_to_string(&token)?;
    let signature = id_token.trim().rsplit('.').next().context("no signature")?;
    ensure!(signature.len() > 300, "{id_token}");

    let tim = Person::with_pin("tim", pin)?;
    tim.try_enrol(&scene.gateway.invite(&[])?)?.success()?;
    tim.login()?;
    tim.machine().ok(["logout"])?;
    tim.secret_file("pin", "canary of a PIN, misspelt")?;
    ensure!(tim.try_login(&[], &[])?.code != Some(0));
    std::fs::remove_file(tim.machine().home().join("pin"))?;

    let canaries = ["canary of a", signature];
    let audit = scene.gateway.admin(&["audit", "export"])?;
    ensure!(audit.contains("sign-in"), "{audit}");
    for (place, text) in
        [("log", scene.gateway.log()), ("audit", audit), ("agent's log", ann.agent_log() + &tim.agent_log())]
    {
        ensure!(!text.is_empty() || place.starts_with("agent"), "nothing in the {place}");
        for canary in canaries {
            ensure!(!text.contains(canary), "{place}: {text}");
        }
    }
    let mut read = 0;
    for place in [scene.gateway.dir(), ann.machine().home(), tim.machine().home(), ann.machine().path("run")]
    {
        search(&place, &canaries, &mut read)?;
    }
    ensure!(read > 10, "only {read} files were read");
    Ok(())
}

/// Looks for canaries in every file below a directory.
fn search(directory: &Path, canaries: &[&str], read: &mut usize) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            search(&entry.path(), canaries, read)?;
        } else if kind.is_file() {
            let content = std::fs::read(entry.path())?;
            *read += 1;
            for canary in canaries {
                let found = content.windows(canary.len()).any(|w| w == canary.as_bytes());
                ensure!(!found, "{canary:?} stands in {}", entry.path().display());
            }
        }
    }
    Ok(())
}

#[test]
fn cve_injection_by_what_a_person_answers() -> Result<()> {
    scenario!("Bobby's full name is a program");
    let scene = Scene::with("", &[])?;
    for (name, full) in [
        ("bobby", "Robert'); DROP TABLE users; --"),
        ("carol", "$(touch /tmp/x); `id`; ${HOME} %s%n"),
        ("dan", "\", \"user\": \"admin\"} {{7*7}} <script>"),
    ] {
        let person = Person::new(name)?;
        person
            .machine()
            .write("home/answers.toml", format!("\"user-name\" = {name:?}\n\"full-name\" = {full:?}\n"))?;
        person.try_enrol(&scene.gateway.invite(&[])?)?.success()?;
        person.login()?;
        signed_in_by(&person, "challenge", "software", "substantial")?;
        person.machine().ok(["logout"])?;
    }
    let users = scene.gateway.users()?;
    ensure!(["bobby", "carol", "dan"].iter().all(|n| users.iter().any(|u| u == n)), "{users:?}");
    step!("a name itself may not be one");
    for name in ["x'; DROP TABLE users; --", "../alice", "a b", "alice\u{202e}"] {
        ensure!(scene.gateway.admin(&["users", "add", name]).is_err(), "{name:?}");
    }
    scene.gateway.admin(&["audit", "verify"]).map(drop)
}
