//! A gateway on a machine of its own.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{Machine, Running, Signal, free_port};

/// A machine on which `symbolon serve` runs, or ran.
#[derive(Debug)]
pub struct Gateway {
    machine: Machine,
    name: String,
    port: u16,
    arguments: Vec<String>,
    environment: Vec<(OsString, OsString)>,
    running: Option<Running>,
    past: String,
}

impl Gateway {
    /// Starts a gateway of this name on a free port, with a first start's new issuer.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(name: &str) -> Result<Self> {
        Self::with(name, free_port()?, &[], &[])
    }

    /// Starts a gateway at a port, with further arguments and environment.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn with(
        name: &str,
        port: u16,
        arguments: &[&str],
        environment: &[(OsString, OsString)],
    ) -> Result<Self> {
        let mut gateway = Self {
            machine: Machine::new(name)?,
            name: name.to_owned(),
            port,
            arguments: arguments.iter().map(|&a| a.to_owned()).collect(),
            environment: environment.to_vec(),
            running: None,
            past: String::new(),
        };
        gateway.up()?;
        Ok(gateway)
    }

    /// Starts the node again where it was.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn up(&mut self) -> Result<()> {
        let dir = self.dir().display().to_string();
        let listen = format!("127.0.0.1:{}", self.port);
        let mut words = vec!["serve", "--dir", &dir, "--listen", &listen, "--name", &self.name];
        words.extend(self.arguments.iter().map(String::as_str));
        let mut command = self.machine.symbolon(words);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        crate::transcript::command(&command);
        let running = Running::start(&format!("gateway {}", self.name), &mut command)?;
        let line = running.wait_line(|line| line.contains(" listens on "))?;
        crate::transcript::output(&line);
        self.running = Some(running);
        Ok(())
    }

    /// Where its state is.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.machine.path("node")
    }

    /// Its machine.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The TCP port on 127.0.0.1 where clients connect.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The name in its certificate.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The link that its first start left.
    ///
    /// # Errors
    /// When there is none.
    pub fn first_invitation(&self) -> Result<String> {
        let file = self.dir().join("invitation");
        let link = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        Ok(link.trim().to_owned())
    }

    /// Everything that it wrote to its outputs, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        let now = self.running.as_ref().map(Running::output).unwrap_or_default();
        format!("{}{now}", self.past)
    }

    /// Waits for a line of its output.
    ///
    /// # Errors
    /// When it is stopped, or the line does not come.
    pub fn wait_line(&self, wanted: impl Fn(&str) -> bool) -> Result<String> {
        self.running.as_ref().context("the gateway is stopped")?.wait_line(wanted)
    }

    /// `symbolon admin …`, which must succeed.
    ///
    /// # Errors
    /// When it does not.
    pub fn admin(&self, words: &[&str]) -> Result<String> {
        self.machine.ok(self.words(words))
    }

    /// `symbolon admin … --json`, which must succeed.
    ///
    /// # Errors
    /// When it does not.
    pub fn admin_json(&self, words: &[&str]) -> Result<Value> {
        self.machine.json(self.words(words))
    }

    /// `admin …` with the node's directory, as arguments of `symbolon`.
    #[must_use]
    pub fn words(&self, words: &[&str]) -> Vec<String> {
        let dir = self.dir().display().to_string();
        ["--dir", &dir, "admin"].iter().chain(words).map(|&w| w.to_owned()).collect()
    }

    /// Makes an invitation for whoever has it.
    ///
    /// # Errors
    /// When the node refuses.
    pub fn invite(&self) -> Result<String> {
        let made = self.admin_json(&["tokens", "invite"])?;
        Ok(made["link"].as_str().context("no link")?.to_owned())
    }

    /// Publishes an application at a port of 127.0.0.1.
    ///
    /// # Errors
    /// When the node refuses.
    pub fn publish(&self, app: &str, port: u16, protocol: &str) -> Result<()> {
        self.admin(&["apps", "add", app, &format!("127.0.0.1:{port}"), "--protocol", protocol]).map(drop)
    }

    /// Grants an entitlement and returns its id.
    ///
    /// # Errors
    /// When the node refuses.
    pub fn grant(&self, grantee: &str, app: &str) -> Result<String> {
        let made = self.admin_json(&["entitlements", "grant", grantee, app])?;
        Ok(made["id"].as_str().context("no id")?.to_owned())
    }

    /// The ids of the live sessions.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn sessions(&self) -> Result<Vec<String>> {
        let listed = self.admin_json(&["sessions", "list"])?;
        let sessions = listed["sessions"].as_array().context("no sessions")?;
        Ok(sessions.iter().filter_map(|s| Some(s["id"].as_str()?.to_owned())).collect())
    }

    /// Asks the node to stop; it is waited for.
    ///
    /// # Errors
    /// When it goes on, or does not end well.
    pub fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let code = self.gone()?;
        ensure!(code == Some(0), "the gateway ended with {code:?}:\n{}", self.log());
        Ok(())
    }

    /// Sends the node a signal.
    ///
    /// # Errors
    /// When it is stopped.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.running.as_ref().context("the gateway is stopped")?.signal(signal)
    }

    /// Waits until the node has ended; returns its exit code, which a signal leaves out.
    ///
    /// # Errors
    /// When it goes on.
    pub fn gone(&mut self) -> Result<Option<i32>> {
        let mut running = self.running.take().context("the gateway is stopped")?;
        let status = running.wait_exit()?;
        self.past = format!("{}{}\n", self.past, running.output());
        Ok(status.code())
    }

    /// Ends the node as a power cut would.
    ///
    /// # Errors
    /// When it is stopped already.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.gone().map(drop)
    }
}
