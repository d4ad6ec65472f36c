//! A gateway and the people who come to it, each on a machine of its own.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use symbolon_acceptance::{
    Finished, LIMIT, Machine, Running, Signal, finish, free_port, program, transcript,
};

use crate::disk::SmallDisk;

/// The PIN of everybody here.
pub(crate) const PIN: &str = "correct horse";

/// How often another port is tried when somebody was quicker.
const ATTEMPTS: usize = 3;

/// A node in a directory of its own.
pub(crate) struct Gateway {
    running: Option<Running>,
    pub(crate) machine: Machine,
    pub(crate) name: String,
    pub(crate) address: String,
    listen: String,
    flags: Vec<String>,
    disk: Option<SmallDisk>,
    invitations: std::cell::Cell<usize>,
}

impl Gateway {
    pub(crate) fn start(name: &str) -> Result<Self> {
        Self::start_with(name, &[])
    }

    /// A gateway with further arguments of `serve`.
    pub(crate) fn start_with(name: &str, flags: &[&str]) -> Result<Self> {
        Self::start_on(Machine::new(name)?, None, name, flags)
    }

    /// A gateway whose directory is on a disk of so many KiB.
    pub(crate) fn on_small_disk(name: &str, kibibytes: u32) -> Result<Self> {
        let machine = Machine::new(name)?;
        let disk = SmallDisk::at(&machine.path("node"), kibibytes)?;
        Self::start_on(machine, Some(disk), name, &[])
    }

    fn start_on(machine: Machine, disk: Option<SmallDisk>, name: &str, flags: &[&str]) -> Result<Self> {
        let mut gateway = Self {
            running: None,
            machine,
            name: name.to_owned(),
            address: String::new(),
            listen: String::new(),
            flags: flags.iter().map(|f| (*f).to_owned()).collect(),
            disk,
            invitations: std::cell::Cell::new(0),
        };
        let mut attempts = 0;
        loop {
            let port = free_port()?;
            // both families, so that a client can come from ::1 and from 127.0.0.1
            gateway.listen = format!("[::]:{port}");
            gateway.address = format!("127.0.0.1:{port}");
            match gateway.start_again() {
                Err(e) if attempts == ATTEMPTS => return Err(e),
                Err(_) => attempts += 1,
                Ok(()) => return Ok(gateway),
            }
        }
    }

    /// A second gateway of the issuer of `first`, which gives it a certificate.
    pub(crate) fn of_the_issuer_of(first: &Self, name: &str) -> Result<Self> {
        Self::start_with(name, &["--issuer-of", &first.dir().display().to_string()])
    }

    pub(crate) fn start_again(&mut self) -> Result<()> {
        let args = ["serve", "--json", "--listen", &self.listen, "--public-address", &self.address];
        let args = args.into_iter().chain(["--name", &self.name, "--dir"]).map(OsStr::new);
        let dir = self.dir();
        let args = args.chain([dir.as_os_str()]).chain(self.flags.iter().map(OsStr::new));
        let mut command = self.command(args)?;
        let running = Running::start(&format!("gateway {}", self.name), &mut command)?;
        running.wait_line(|l| l.contains("\"admin_socket\""))?;
        self.running = Some(running);
        Ok(())
    }

    /// `symbolon` where the node's directory is seen.
    fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Command> {
        let command = self.machine.symbolon(args);
        transcript::command(&command);
        match &self.disk {
            None => Ok(command),
            Some(disk) => disk.enter(&command),
        }
    }

    /// The small disk that it is on.
    pub(crate) fn disk(&self) -> Result<&SmallDisk> {
        self.disk.as_ref().context("it is on a disk as others are")
    }

    /// `SIGTERM`, and waits for the orderly end.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let running = self.running.take().context("it does not run")?;
        let status = running.stop()?;
        ensure!(status.success(), "the node ended with {status}");
        Ok(())
    }

    /// As the power cut does.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let mut running = self.running.take().context("it does not run")?;
        running.signal(Signal::KILL)?;
        running.wait_exit()?;
        Ok(())
    }

    pub(crate) fn running(&self) -> Result<&Running> {
        self.running.as_ref().context("it does not run")
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.machine.path("node")
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_default()
    }

    fn admin_args<'a>(&self, args: &'a [&'a str]) -> Vec<std::ffi::OsString> {
        let dir = self.dir();
        let head = [OsStr::new("--dir"), dir.as_os_str(), OsStr::new("admin")];
        head.into_iter().chain(args.iter().map(OsStr::new)).map(OsStr::to_owned).collect()
    }

    /// `symbolon admin … --json`.
    pub(crate) fn admin(&self, args: &[&str]) -> Result<Value> {
        let mut command = self.command(self.admin_args(&[args, &["--json"]].concat()))?;
        let finished = finish(&mut command, b"", LIMIT)?;
        transcript::answer(&finished);
        finished.success()?.json()
    }

    /// The text that an administrator reads.
    pub(crate) fn admin_text(&self, args: &[&str]) -> Result<String> {
        self.machine.ok(self.admin_args(args))
    }

    /// `symbolon admin …` that fails with `code`.
    pub(crate) fn admin_refused(&self, code: i32, args: &[&str]) -> Result<String> {
        self.machine.refused(code, self.admin_args(args))
    }

    /// An invitation link, made with these arguments of `admin tokens invite`.
    pub(crate) fn invite(&self, args: &[&str]) -> Result<String> {
        let number = self.invitations.get();
        self.invitations.set(number + 1);
        let file = self.machine.path(format!("invitation-{number}"));
        let out = file.display().to_string();
        self.admin(&[&["tokens", "invite", "--out", &out], args].concat())?;
        Ok(std::fs::read_to_string(file)?.trim().to_owned())
    }

    /// Publishes an application on a port of 127.0.0.1.
    pub(crate) fn publish(&self, app: &str, port: u16) -> Result<()> {
        self.admin(&["apps", "add", app, &format!("127.0.0.1:{port}")]).map(drop)
    }

    /// Grants, with these conditions, and returns the entitlement's id.
    pub(crate) fn grant(&self, grantee: &str, app: &str, conditions: &[&str]) -> Result<String> {
        let granted = self.admin(&[&["entitlements", "grant", grantee, app], conditions].concat())?;
        Ok(granted["id"].as_str().context("no id")?.to_owned())
    }

    /// The names of all users.
    pub(crate) fn users(&self) -> Result<Vec<String>> {
        let users = self.admin(&["users", "list"])?;
        let users = users["users"].as_array().context("no users")?;
        Ok(users.iter().filter_map(|u| u["name"].as_str().map(str::to_owned)).collect())
    }

    /// A time of day as entitlements have it.
    pub(crate) fn utc(&self, seconds: u64) -> Result<String> {
        let mut date = Command::new(program("date")?);
        date.args(["--utc", "+%Y-%m-%dT%H:%M:%SZ", "--date", &format!("@{seconds}")]);
        Ok(finish(&mut date, b"", LIMIT)?.success()?.text())
    }

    /// Lets SQL loose on the store while the node is down.
    pub(crate) fn sql(&self, statement: &str) -> Result<String> {
        let mut sqlite = Command::new(program("sqlite3")?);
        sqlite.arg(self.dir().join("store/durable.db")).arg(statement);
        Ok(finish(&mut sqlite, b"", LIMIT)?.success()?.text())
    }
}

/// A person with a machine, and what the person would type.
pub(crate) struct Person {
    pub(crate) machine: Machine,
    pub(crate) name: String,
    pin: PathBuf,
}

impl Person {
    pub(crate) fn new(name: &str) -> Result<Self> {
        Self::with_pin(name, PIN)
    }

    pub(crate) fn with_pin(name: &str, pin: &str) -> Result<Self> {
        let machine = Machine::new(name)?;
        let pin = secret_file(&machine, "pin", pin)?;
        Ok(Self { machine, name: name.to_owned(), pin })
    }

    /// A person who is registered by a new invitation.
    pub(crate) fn registered(name: &str, gateway: &Gateway) -> Result<Self> {
        let person = Self::new(name)?;
        person.enrol(&gateway.invite(&[])?, &[])?;
        Ok(person)
    }

    /// Answers to the template `person`.
    pub(crate) fn answers(&self) -> Result<PathBuf> {
        let text = format!("user-name = {:?}\nfull-name = \"{} of the test\"\n", self.name, self.name);
        self.machine.write("answers.toml", text)
    }

    /// `symbolon enrol` with the person's answers and PIN; not run yet.
    pub(crate) fn enrol_args(&self, link: &str, args: &[&str]) -> Result<Vec<String>> {
        let answers = self.answers()?.display().to_string();
        let given = if args.contains(&"--answers") { vec![] } else { vec!["--answers", &answers] };
        let pin = self.pin.display().to_string();
        let all = [&["enrol", link, "--pin-file", &pin], given.as_slice(), args].concat();
        Ok(all.into_iter().map(str::to_owned).collect())
    }

    pub(crate) fn enrol(&self, link: &str, args: &[&str]) -> Result<Value> {
        self.machine.json(self.enrol_args(link, args)?)
    }

    pub(crate) fn enrol_refused(&self, code: i32, link: &str, args: &[&str]) -> Result<String> {
        self.machine.refused(code, self.enrol_args(link, args)?)
    }

    /// Adds the PIN to a command.
    pub(crate) fn with_my_pin(&self, args: &[&str]) -> Vec<String> {
        let pin = self.pin.display().to_string();
        [args, &["--pin-file", &pin]].concat().into_iter().map(str::to_owned).collect()
    }

    /// Signs in, with an agent that ends with its guard.
    pub(crate) fn sign_in(&self, args: &[&str]) -> Result<Running> {
        let agent =
            self.machine.start(self.with_my_pin(&[&["agent", "--first-try", "--json"], args].concat()))?;
        agent.wait_line(|l| l.starts_with("{\"schema\"") && l.contains("\"destinations\":["))?;
        Ok(agent)
    }

    /// A sign-in that fails with `code`, by the command that people use.
    pub(crate) fn sign_in_refused(&self, code: i32, args: &[&str]) -> Result<String> {
        self.machine.refused(code, self.with_my_pin(&[&["login"], args].concat()))
    }

    /// The names that `ls` shows.
    pub(crate) fn ls(&self) -> Result<Vec<String>> {
        let listed = self.machine.json(["ls"])?;
        let listed = listed["destinations"].as_array().context("no destinations")?;
        Ok(listed.iter().filter_map(|d| d["app"].as_str().map(str::to_owned)).collect())
    }

    /// Sends `input` to an application by standard input and output.
    pub(crate) fn talk(&self, app: &str, input: &[u8]) -> Result<Finished> {
        self.machine.run_with(["connect", app, "--stdio"], input, LIMIT)
    }

    /// The token's file.
    pub(crate) fn token(&self) -> PathBuf {
        self.machine.home().join(".local/share/symbolon/token")
    }

    pub(crate) fn token_info(&self) -> Result<Value> {
        self.machine.json(["token", "info"])
    }

    /// Where the token is registered, by what it says when it is open.
    pub(crate) fn registrations(&self) -> Result<Vec<Value>> {
        let told = self.machine.json(self.with_my_pin(&["token", "info", "--unlock"]))?;
        Ok(told["registrations"].as_array().context("no registrations")?.clone())
    }
}

/// A file that only its owner reads.
pub(crate) fn secret_file(machine: &Machine, name: &str, line: &str) -> Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = machine.write(name, format!("{line}\n"))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(path)
}

/// The same link with another address in it.
pub(crate) fn at_address(link: &str, address: &str) -> Result<String> {
    let rest = link.split_once("/i#").context("not a link")?.1;
    Ok(format!("https://{address}/i#{rest}"))
}

/// Whether `needle` stands anywhere in `haystack`.
pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|w| w == needle)
}
