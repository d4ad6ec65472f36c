//! A gateway with settings of its own, a web server behind it, and people who have no token.

use std::ffi::OsString;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use symbolon_acceptance::{Finished, Gateway, HttpServer, Person, curl, free_port};
use tempfile::TempDir;

/// The gateway's name.
pub(crate) const GATEWAY: &str = "gw.example";

/// Somebody's password everywhere.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// The gateway, and what is behind it.
pub(crate) struct Scene {
    pub(crate) gateway: Gateway,
    pub(crate) web: HttpServer,
    _settings: TempDir,
}

impl Scene {
    /// With this configuration of the node.
    pub(crate) fn with(settings: &str, environment: &[(OsString, OsString)]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("symbolon.toml");
        std::fs::write(&file, settings)?;
        let arguments = ["--config", &file.display().to_string()];
        let gateway = Gateway::with(GATEWAY, free_port()?, &arguments, environment)?;
        let web = HttpServer::start()?;
        gateway.publish("web", web.port(), "http")?;
        Ok(Self { gateway, web, _settings: directory })
    }

    /// Somebody whom the directory has, who may reach the web server and has no token. `further` lines go into the
    /// person's configuration.
    pub(crate) fn person(&self, name: &str, further: &str) -> Result<Person> {
        self.gateway.admin(&["users", "add", name])?;
        self.gateway.grant(&format!("user:{name}"), "web")?;
        self.stranger(name, further)
    }

    /// The same without a user and without a right.
    pub(crate) fn stranger(&self, name: &str, further: &str) -> Result<Person> {
        let person = Person::new(name)?;
        let issuer = self.gateway.dir().join("issuer.crt").display().to_string();
        person.configure(&format!(
            "gateway = {GATEWAY:?}\naddress = {:?}\nissuer_certificate = {issuer:?}\n{further}\n",
            self.gateway.address()
        ))?;
        Ok(person)
    }
}

/// Demands that somebody is signed in so, and reaches the web server.
pub(crate) fn reaches_the_web_server(person: &Person, by: &str, class: &str, assurance: &str) -> Result<()> {
    signed_in_by(person, by, class, assurance)?;
    let (_open, port) = person.connect("web")?;
    let answer = curl(&format!("http://127.0.0.1:{port}"), &[])?.success()?;
    ensure!(answer.stdout == HttpServer::GREETING.as_bytes(), "{}", answer.text());
    Ok(())
}

/// Demands that `whoami` says so.
pub(crate) fn signed_in_by(person: &Person, by: &str, class: &str, assurance: &str) -> Result<Value> {
    let who = person.machine().json(["whoami"])?;
    let shown = [&who["signed_in_by"], &who["token_class"], &who["assurance"], &who["user"]];
    let expected = [by, class, assurance, person.name()].map(Value::from);
    ensure!(shown == expected.each_ref(), "{who}");
    Ok(who)
}

/// Demands that something failed with `code` and complained with these words.
pub(crate) fn refused(finished: Finished, code: i32, words: &str) -> Result<()> {
    let complaint = finished.complaint();
    ensure!(finished.code == Some(code), "exit code {:?}: {complaint}", finished.code);
    ensure!(complaint.contains(words), "{complaint}");
    Ok(())
}

/// Ends an agent as a power cut would.
pub(crate) fn kill_agent(person: &Person) -> Result<()> {
    let pid = person.status()?["pid"].as_i64().context("no process")?;
    let killed = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status()?;
    ensure!(killed.success(), "process {pid} cannot be killed");
    symbolon_acceptance::until(symbolon_acceptance::LIMIT, "the agent to be gone", || {
        (!person.has_agent().ok()?).then_some(())
    })
}
