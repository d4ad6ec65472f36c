//! A gateway on a machine of its own.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{LIMIT, Machine, Running, Signal, SmallDisk, finish, free_port, program, transcript};

/// How often another port is tried when somebody was quicker.
const ATTEMPTS: usize = 3;

/// A machine on which `symbolon serve` runs, or ran.
#[derive(Debug)]
pub struct Gateway {
    machine: Machine,
    name: String,
    port: u16,
    arguments: Vec<String>,
    environment: Vec<(OsString, OsString)>,
    launcher: Vec<OsString>,
    disk: Option<SmallDisk>,
    running: Option<Running>,
    past: String,
}

impl Gateway {
    /// Starts a gateway of this name on a free port, with a first start's new issuer.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(name: &str) -> Result<Self> {
        Self::set(name, &[])
    }

    /// Starts a gateway on a free port, with further arguments of `serve`.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn set(name: &str, arguments: &[&str]) -> Result<Self> {
        let mut attempts = 0;
        loop {
            match Self::with(name, free_port()?, arguments, &[]) {
                Err(_) if attempts < ATTEMPTS => attempts += 1,
                started => return started,
            }
        }
    }

    /// Starts a second gateway of the issuer of `first`, which gives it a certificate.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn of_the_issuer_of(first: &Self, name: &str) -> Result<Self> {
        Self::set(name, &["--issuer-of", &first.dir().display().to_string()])
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
        let mut gateway = Self::down(name, port)?;
        gateway.arguments = arguments.iter().map(|&a| a.to_owned()).collect();
        gateway.environment = environment.to_vec();
        gateway.up()?;
        Ok(gateway)
    }

    /// Starts a gateway by a program that becomes what stands behind its own arguments.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn launched_by(launcher: Vec<OsString>, name: &str, arguments: &[&str]) -> Result<Self> {
        let mut gateway = Self::down(name, free_port()?)?;
        gateway.arguments = arguments.iter().map(|&a| a.to_owned()).collect();
        gateway.launcher = launcher;
        gateway.up()?;
        Ok(gateway)
    }

    /// Starts a gateway whose directory is on a disk of so many KiB.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn on_small_disk(name: &str, kibibytes: u32) -> Result<Self> {
        let mut gateway = Self::down(name, free_port()?)?;
        gateway.disk = Some(SmallDisk::at(&gateway.dir(), kibibytes)?);
        gateway.up()?;
        Ok(gateway)
    }

    /// A gateway that was never started.
    ///
    /// # Errors
    /// When no port is free.
    pub fn prepared(name: &str) -> Result<Self> {
        Self::down(name, free_port()?)
    }

    fn down(name: &str, port: u16) -> Result<Self> {
        Ok(Self {
            machine: Machine::new(name)?,
            name: name.to_owned(),
            port,
            arguments: Vec::new(),
            environment: Vec::new(),
            launcher: Vec::new(),
            disk: None,
            running: None,
            past: String::new(),
        })
    }

    /// Starts the node again where it was.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn up(&mut self) -> Result<()> {
        let (dir, address) = (self.dir().display().to_string(), self.address());
        // both families, so that a client can come from ::1 and from 127.0.0.1
        let listen = format!("[::]:{}", self.port);
        let mut words = vec!["serve", "--dir", &dir, "--listen", &listen, "--public-address", &address];
        words.extend(["--name", &self.name]);
        words.extend(self.arguments.iter().map(String::as_str));
        let mut command = self.launched(self.command(words)?);
        let running = Running::start(&format!("gateway {}", self.name), &mut command)?;
        let line = running.wait_line(|line| line.contains(" listens on "))?;
        transcript::output(&line);
        self.running = Some(running);
        Ok(())
    }

    /// `symbolon` where the node's directory is seen, with the node's environment.
    fn command<S: AsRef<std::ffi::OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Result<Command> {
        let mut command = self.machine.symbolon(words);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        transcript::command(&command);
        match &self.disk {
            None => Ok(command),
            Some(disk) => disk.enter(&command),
        }
    }

    fn launched(&self, command: Command) -> Command {
        let Some((launcher, words)) = self.launcher.split_first() else { return command };
        let mut launched = Command::new(launcher);
        launched.args(words).arg(command.get_program()).args(command.get_args());
        self.machine.place(&mut launched);
        launched.envs(self.environment.iter().map(|(name, value)| (name, value)));
        launched
    }

    /// The small disk that it is on.
    ///
    /// # Errors
    /// When it is on a disk as others are.
    pub fn disk(&self) -> Result<&SmallDisk> {
        self.disk.as_ref().context("it is on a disk as others are")
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

    /// Puts a program of its own on its machine, or replaces that; what runs goes on.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn install_program(&mut self) -> Result<()> {
        self.machine.install_program()
    }

    /// The TCP port on 127.0.0.1 where clients connect.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where clients are told to connect.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its process.
    ///
    /// # Errors
    /// When it is stopped.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.running.as_ref().context("the gateway is stopped")?.pid())
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
        let mut command = self.command(self.words(&[words, &["--json"]].concat()))?;
        let finished = finish(&mut command, b"", LIMIT)?;
        transcript::answer(&finished);
        finished.success()?.json()
    }

    /// `symbolon admin …`, which must fail with `code`; returns its complaint.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub fn admin_refused(&self, code: i32, words: &[&str]) -> Result<String> {
        self.machine.refused(code, self.words(words))
    }

    /// `admin …` with the node's directory, as arguments of `symbolon`.
    #[must_use]
    pub fn words(&self, words: &[&str]) -> Vec<String> {
        let dir = self.dir().display().to_string();
        ["--dir", &dir, "admin"].iter().chain(words).map(|&w| w.to_owned()).collect()
    }

    /// Makes an invitation, for whoever has it unless arguments of `tokens invite` say otherwise.
    ///
    /// # Errors
    /// When the node refuses.
    pub fn invite(&self, terms: &[&str]) -> Result<String> {
        let made = self.admin_json(&[&["tokens", "invite"], terms].concat())?;
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
        self.grant_where(grantee, app, &[])
    }

    /// Grants an entitlement with conditions, as arguments of `entitlements grant`, and returns its id.
    ///
    /// # Errors
    /// When the node refuses.
    pub fn grant_where(&self, grantee: &str, app: &str, conditions: &[&str]) -> Result<String> {
        let made = self.admin_json(&[&["entitlements", "grant", grantee, app], conditions].concat())?;
        Ok(made["id"].as_str().context("no id")?.to_owned())
    }

    /// The names of all users.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn users(&self) -> Result<Vec<String>> {
        let listed = self.admin_json(&["users", "list"])?;
        let users = listed["users"].as_array().context("no users")?;
        Ok(users.iter().filter_map(|u| Some(u["name"].as_str()?.to_owned())).collect())
    }

    /// Lets SQL loose on the store while the node is down.
    ///
    /// # Errors
    /// When `sqlite3` refuses.
    pub fn sql(&self, statement: &str) -> Result<String> {
        let mut sqlite = Command::new(program("sqlite3")?);
        sqlite.arg(self.dir().join("store/durable.db")).arg(statement);
        Ok(finish(&mut sqlite, b"", LIMIT)?.success()?.text())
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

    /// The process of the worker that is the node.
    ///
    /// # Errors
    /// When it is stopped.
    pub fn node_pid(&self) -> Result<u32> {
        let status = self.admin_json(&["status"])?;
        let pid = status["worker"]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        pid.with_context(|| format!("no worker leads: {status}"))
    }

    /// Sends a signal to the workers, of which one is the node, and not to their holder.
    ///
    /// # Errors
    /// When it is stopped.
    pub fn signal_workers(&self, signal: Signal) -> Result<()> {
        let holder = self.running.as_ref().context("the gateway is stopped")?.pid();
        let workers = std::fs::read_to_string(format!("/proc/{holder}/task/{holder}/children"))?;
        for worker in workers.split_whitespace() {
            let worker = rustix::process::Pid::from_raw(worker.parse()?).context("a process has a number")?;
            rustix::process::kill_process(worker, signal).context("a worker has ended")?;
        }
        Ok(())
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
