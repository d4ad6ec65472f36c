//! Row C3 with live sessions in Redis: they outlive the node, and no node on the store looks for them elsewhere.
//! `docs/hot-store.md` has the settings.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use symbolon_acceptance::{Gateway, LIMIT, Person, Redis, finish, free_port, scenario, step};
use tempfile::TempDir;

/// A configuration file whose `hot` changes.
struct Settings {
    folder: TempDir,
}

impl Settings {
    fn path(&self) -> PathBuf {
        self.folder.path().join("symbolon.toml")
    }

    fn name(&self, server: Option<&Redis>) -> Result<()> {
        let text = server.map(|redis| format!("hot = \"{}\"\n", redis.url())).unwrap_or_default();
        Ok(std::fs::write(self.path(), text)?)
    }
}

#[test]
fn sessions_in_redis_outlive_their_node_and_no_node_looks_for_them_elsewhere() -> Result<()> {
    scenario!("Alice is signed in at a node that keeps sessions in Redis");
    let (one, two) = (Redis::start()?, Redis::start()?);
    let settings = Settings { folder: tempfile::tempdir()? };
    settings.name(Some(&one))?;
    let (config, port) = (settings.path().display().to_string(), free_port()?);
    let mut gateway = Gateway::with("gw.example", port, &["--config", &config], &[])?;
    let alice = Person::enrolled("alice", &gateway)?;
    alice.login()?;
    let sessions = gateway.sessions()?;
    ensure!(sessions.len() == 1, "{sessions:?}");
    ensure!(one.ask(&["ZCARD", "symbolon:sessions"])? == "1");
    gateway.stop()?;
    gateway.up()?;
    alice.until_status("the same session", |told| (told["link"] == "connected").then_some(()))?;
    ensure!(gateway.sessions()? == sessions);
    gateway.stop()?;

    let dir = gateway.dir().display().to_string();
    let serve = |words: &[&str]| {
        let all = [&["serve", "--dir", &dir, "--config", &config][..], words].concat();
        finish(&mut gateway.machine().symbolon(all), b"", LIMIT)
    };
    for (what, server) in [("another server", Some(&two)), ("none", None)] {
        step!("it does not start with {what}");
        settings.name(server)?;
        let refused = serve(&["--listen", &format!("127.0.0.1:{port}")])?;
        let told = refused.complaint();
        ensure!(refused.code == Some(1) && told.contains("hot records of this store are not in"), "{told}");
        ensure!(told.contains("serve --new-hot-store"), "{told}");
    }
    ensure!(two.ask(&["DBSIZE"])? == "0");

    step!("the operator gives up the first");
    settings.name(Some(&two))?;
    serve(&["--new-hot-store"])?.success()?;
    gateway.up()?;
    ensure!(gateway.sessions()?.is_empty());
    ensure!(gateway.admin(&["audit", "list"])?.contains("hot.replace"));
    let refused = finish(
        &mut gateway.machine().symbolon(["serve", "--dir", &dir, "--config", &config, "--new-hot-store"]),
        b"",
        LIMIT,
    )?;
    ensure!(refused.complaint().contains("in use"), "{}", refused.complaint());
    Ok(())
}
