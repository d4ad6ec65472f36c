//! The node's records in another place: kept for bad days, moved to PostgreSQL with live sessions, shared there by two
//! nodes that have no directory in common, and brought back after all was lost. `docs/stores.md` has the commands.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use symbolon_acceptance::{Gateway, HttpServer, LIMIT, Person, Postgres, curl, finish, scenario, step};
use tempfile::TempDir;

/// A configuration file that names a database, or none.
struct Settings {
    folder: TempDir,
    postgres: Postgres,
}

impl Settings {
    fn new() -> Result<Self> {
        let settings = Self { folder: tempfile::tempdir()?, postgres: Postgres::start()? };
        settings.name(None)?;
        Ok(settings)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("symbolon.toml")
    }

    fn url(&self, database: &str) -> String {
        let socket = self.postgres.socket_directory().display();
        format!("postgres://app@localhost:{}/{database}?host={socket}", self.postgres.port())
    }

    fn database(&self, name: &str) -> Result<()> {
        Postgres::query(self.postgres.port(), &format!("CREATE DATABASE {name}"))?.success().map(drop)
    }

    fn name(&self, database: Option<&str>) -> Result<()> {
        let text = database.map(|name| format!("store = \"{}\"\n", self.url(name))).unwrap_or_default();
        Ok(std::fs::write(self.path(), text)?)
    }
}

/// `admin` for a node that need not run: its exit code, and all it said.
fn admin(gateway: &Gateway, settings: &Settings, words: &[&str]) -> Result<(Option<i32>, String)> {
    let (dir, config) = (gateway.dir().display().to_string(), settings.path().display().to_string());
    let all = [&["--dir", &dir, "--config", &config, "admin"][..], words].concat();
    let finished = finish(&mut gateway.machine().symbolon(all), b"", LIMIT)?;
    Ok((finished.code, format!("{}{}", finished.text(), finished.complaint())))
}

/// The one live session, as a node tells of it.
fn session(gateway: &Gateway) -> Result<serde_json::Value> {
    let told = gateway.admin_json(&["sessions", "list"])?;
    ensure!(told["sessions"].as_array().map(Vec::len) == Some(1), "{told}");
    Ok(told["sessions"][0].clone())
}

fn works(person: &Person) -> Result<()> {
    let (_connection, port) = person.connect("web")?;
    curl(&format!("http://127.0.0.1:{port}/"), &[])?.success()?;
    Ok(())
}

fn audit_holds(gateway: &Gateway) -> Result<()> {
    let verified = gateway.admin_json(&["audit", "verify"])?;
    ensure!(verified["first_bad"].is_null() && verified["rows"].as_u64() > Some(5), "{verified}");
    Ok(())
}

#[test]
fn an_embedded_node_moves_to_postgresql_and_a_second_one_joins_it_there() -> Result<()> {
    scenario!("Alice is signed in at a node with an embedded store, which has become too small");
    let (settings, web) = (Settings::new()?, HttpServer::start()?);
    settings.database("symbolon")?;
    let config = settings.path().display().to_string();
    let mut gateway = Gateway::set("gw.example", &["--config", &config])?;
    gateway.publish("web", web.port(), "http")?;
    let alice = Person::enrolled("alice", &gateway)?;
    gateway.grant("user:alice", "web")?;
    alice.login()?;
    alice.until_destinations(&["web"])?;
    works(&alice)?;
    let sessions = gateway.sessions()?;
    let url = settings.url("symbolon");

    step!("not while it runs");
    let (code, told) = admin(&gateway, &settings, &["migrate", "--to", &url])?;
    ensure!(code == Some(1) && told.contains("in use"), "{told}");
    gateway.stop()?;
    let (code, told) =
        admin(&gateway, &settings, &["migrate", "--to", "postgres://app:secret@db.example/symbolon"])?;
    ensure!(code == Some(2) && told.contains("verify-full") && !told.contains("secret"), "{told}");
    let (code, told) = admin(&gateway, &settings, &["migrate", "--to", &url])?;
    ensure!(code == Some(0) && told.contains("/symbolon"), "{told}");

    step!("the directory's own records are not opened any more");
    ensure!(gateway.up().is_err());
    let (_, told) = admin(
        &gateway,
        &settings,
        &["backup", "--out", &settings.folder.path().join("x").display().to_string()],
    )?;
    ensure!(told.contains("moved to") && told.contains("as `store`"), "{told}");
    settings.name(Some("symbolon"))?;
    gateway.up()?;
    alice.until_status("the same session", |told| (told["link"] == "connected").then_some(()))?;
    ensure!(gateway.sessions()? == sessions, "she did not sign in again");
    works(&alice)?;
    audit_holds(&gateway)?;

    step!("a node elsewhere has a copy of the keys, and nothing else of the first");
    let keys = settings.folder.path().join("keys");
    copy_keys(&gateway.dir(), &keys)?;
    let with = keys.display().to_string();
    let other = Gateway::set("gw.example", &["--config", &config, "--with", &with])?;
    ensure!(other.users()? == gateway.users()?);
    let seen = |at: &Gateway| at.admin(&["apps", "list"]);
    other.publish("wiki", web.port(), "http")?;
    other.grant("user:alice", "wiki")?;
    alice.until_destinations(&["web", "wiki"])?;
    ensure!(seen(&gateway)? == seen(&other)?);
    audit_holds(&other)?;

    step!("the first is lost, and a node that never had the session carries it on, at the same address");
    let was = session(&gateway)?;
    let port = gateway.port();
    gateway.kill()?;
    let third = Gateway::with("gw.example", port, &["--config", &config, "--with", &with], &[])?;
    alice.until_status("the same session again", |told| (told["link"] == "connected").then_some(()))?;
    let is = session(&third)?;
    ensure!(is["id"] == was["id"] && is["epoch"].as_u64() > was["epoch"].as_u64(), "{was} {is}");
    ensure!(is["owner"] != was["owner"] && is["created"] == was["created"], "{was} {is}");
    works(&alice)
}

#[test]
fn a_node_that_was_lost_comes_back_from_its_backup_into_another_engine() -> Result<()> {
    scenario!("a fire drill: keys and records are kept while the node runs, then all is gone");
    let (settings, web) = (Settings::new()?, HttpServer::start()?);
    settings.database("again")?;
    let config = settings.path().display().to_string();
    let mut gateway = Gateway::set("gw.example", &["--config", &config])?;
    gateway.publish("web", web.port(), "http")?;
    let alice = Person::enrolled("alice", &gateway)?;
    gateway.grant("user:alice", "web")?;
    let open = gateway.invite(&[])?;
    let backup = settings.folder.path().join("backup");
    let out = backup.display().to_string();
    let (code, told) = admin(&gateway, &settings, &["backup", "--out", &out])?;
    ensure!(code == Some(0) && told.contains("Who reads them"), "{told}");
    ensure!(mode(&backup)? == 0o700 && mode(&backup.join("node.key"))? == 0o600);
    let (code, told) = admin(&gateway, &settings, &["backup", "--out", &out])?;
    ensure!(code == Some(1) && told.contains("exists"), "{told}");
    let bea = Person::enrolled("bea", &gateway)?;
    let (code, told) = admin(&gateway, &settings, &["restore", &out])?;
    ensure!(code == Some(2) && told.contains("there is a node"), "{told}");
    gateway.kill()?;
    std::fs::remove_dir_all(gateway.dir())?;

    step!("it comes back into PostgreSQL");
    settings.name(Some("again"))?;
    let nothing = settings.folder.path().display().to_string();
    let (code, told) = admin(&gateway, &settings, &["restore", &nothing])?;
    ensure!(code == Some(1) && told.contains("no backup"), "{told}");
    let (code, told) = admin(&gateway, &settings, &["restore", &out])?;
    ensure!(code == Some(0) && told.contains("is to be revoked again"), "{told}");
    gateway.up()?;
    audit_holds(&gateway)?;
    ensure!(gateway.admin(&["audit", "list"])?.contains("store.restore"));
    alice.login()?;
    alice.until_destinations(&["web"])?;
    works(&alice)?;
    step!("what came after the backup is not there; an invitation that may have been used is good no more");
    ensure!(bea.try_login(&[], &[])?.code != Some(0));
    let carla = Person::new("carla")?;
    ensure!(carla.try_enrol(&open)?.code != Some(0));
    Ok(())
}

fn mode(path: &Path) -> Result<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o777)
}

/// As an operator would, by scp.
fn copy_keys(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir(to)?;
    for file in ["node.key", "issuer.crt", "identity.crt", "identity.key"] {
        std::fs::copy(from.join(file), to.join(file))?;
    }
    Ok(())
}
