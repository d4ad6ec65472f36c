//! The people who come to a gateway, each on a machine of their own.

use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use symbolon_acceptance::{Finished, Gateway, LIMIT, Machine, Running, finish, program};

/// The PIN of everybody here.
pub(crate) const PIN: &str = "correct horse";

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

/// A time of day as entitlements have it.
pub(crate) fn utc(seconds: u64) -> Result<String> {
    let mut date = Command::new(program("date")?);
    date.args(["--utc", "+%Y-%m-%dT%H:%M:%SZ", "--date", &format!("@{seconds}")]);
    Ok(finish(&mut date, b"", LIMIT)?.success()?.text())
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

/// `symbolon connect APP` with its port.
pub(crate) fn port_to(person: &Person, app: &str) -> Result<(Running, u16)> {
    let connect = person.machine.start(["connect", app, "--json"])?;
    let line = connect.wait_line(|l| l.contains("\"address\""))?;
    let told: Value = serde_json::from_str(&line)?;
    let address = told["address"].as_str().context("no address")?;
    let port = address.rsplit_once(':').context("no port")?.1.parse()?;
    Ok((connect, port))
}

pub(crate) fn dial(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(stream)
}
