//! A person with a machine and a token.

mod token;

use std::ffi::OsString;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, kill_process};
use serde_json::Value;

use crate::{Finished, Gateway, LIMIT, Machine, Running, Signal, finish, program, transcript, until};

/// The PIN of everybody's token.
pub const PIN: &str = "correct horse";

/// Somebody who works at a machine of his own; his agent ends with him.
#[derive(Debug)]
pub struct Person {
    machine: Machine,
    name: String,
}

impl Person {
    /// Somebody with a new machine, who knows a PIN and the answers to a gateway's questions, and has no token yet.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn new(name: &str) -> Result<Self> {
        Self::with_pin(name, PIN)
    }

    /// Somebody whose PIN is another than everybody's.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn with_pin(name: &str, pin: &str) -> Result<Self> {
        let machine = Machine::new(name)?;
        let person = Self { machine, name: name.to_owned() };
        person.secret_file("pin", pin)?;
        let answers = format!("\"user-name\" = {name:?}\n\"full-name\" = \"{name} of the test\"\n");
        person.machine.write("home/answers.toml", answers)?;
        Ok(person)
    }

    /// Somebody who is registered with `gateway`.
    ///
    /// # Errors
    /// When the registration does not succeed.
    pub fn enrolled(name: &str, gateway: &Gateway) -> Result<Self> {
        let person = Self::new(name)?;
        person.try_enrol(&gateway.invite(&[])?)?.success()?;
        Ok(person)
    }

    /// `symbolon enrol LINK` with the answers and the PIN from files.
    ///
    /// # Errors
    /// When it does not end.
    pub fn try_enrol(&self, link: &str) -> Result<Finished> {
        self.machine.run(["enrol", link, "--answers", "answers.toml", "--pin-file", "pin"])
    }

    /// `symbolon login`, which must succeed.
    ///
    /// # Errors
    /// When it does not.
    pub fn login(&self) -> Result<()> {
        self.try_login(&[], &[])?.success().map(drop)
    }

    /// `symbolon login` with further arguments and environment.
    ///
    /// # Errors
    /// When it does not end.
    pub fn try_login(&self, further: &[&str], environment: &[(OsString, OsString)]) -> Result<Finished> {
        let words: Vec<&str> =
            ["login", "--pin-file", "pin"].into_iter().chain(further.iter().copied()).collect();
        self.symbolon(&words, environment)
    }

    /// `symbolon …` with further environment.
    ///
    /// # Errors
    /// When it does not end.
    pub fn symbolon(&self, words: &[&str], environment: &[(OsString, OsString)]) -> Result<Finished> {
        let mut command = self.machine.symbolon(words);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        transcript::command(&command);
        let finished = finish(&mut command, b"", LIMIT)?;
        transcript::answer(&finished);
        Ok(finished)
    }

    /// The machine.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The name under which the person registers.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes a file in the home directory that only its owner reads.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn secret_file(&self, name: &str, content: &str) -> Result<PathBuf> {
        use std::io::Write as _;
        let path = self.machine.home().join(name);
        let mut options = std::fs::OpenOptions::new();
        options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?
            .write_all(content.as_bytes())?;
        Ok(path)
    }

    /// Writes the user's configuration file.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn configure(&self, toml: &str) -> Result<()> {
        self.machine.write("home/.config/symbolon/config.toml", toml).map(drop)
    }

    /// `symbolon status --json`, not shown.
    ///
    /// # Errors
    /// When no agent runs.
    pub fn status(&self) -> Result<Value> {
        self.quietly(&["status", "--json"])?.success()?.json()
    }

    /// The names that `symbolon ls --json` has, not shown.
    ///
    /// # Errors
    /// When no agent runs.
    pub fn destinations(&self) -> Result<Vec<String>> {
        let listed = self.quietly(&["ls", "--json"])?.success()?.json()?;
        let all = listed["destinations"].as_array().context("no destinations")?;
        Ok(all.iter().filter_map(|d| Some(d["app"].as_str()?.to_owned())).collect())
    }

    /// Waits until the agent's status shows something.
    ///
    /// # Errors
    /// When it does not within [`LIMIT`].
    pub fn until_status<T>(&self, what: &str, mut shows: impl FnMut(&Value) -> Option<T>) -> Result<T> {
        let mut last = Value::Null;
        let found = until(LIMIT, what, || {
            last = self.status().ok()?;
            shows(&last)
        });
        found.with_context(|| format!("the status was {last}"))
    }

    /// Waits until exactly these destinations are listed.
    ///
    /// # Errors
    /// When they are not within [`LIMIT`].
    pub fn until_destinations(&self, apps: &[&str]) -> Result<()> {
        until(LIMIT, &format!("the destinations {apps:?}"), || {
            (self.destinations().ok()? == apps).then_some(())
        })
    }

    /// What the agent says went wrong lately, one a line.
    ///
    /// # Errors
    /// When no agent runs.
    pub fn problems(&self) -> Result<String> {
        let status = self.status()?;
        let problems = status["problems"].as_array().context("no problems")?;
        let texts: Vec<&str> = problems.iter().filter_map(|p| p["text"].as_str()).collect();
        Ok(texts.join("\n"))
    }

    /// The log of the agent that `login` started.
    #[must_use]
    pub fn agent_log(&self) -> String {
        let file = self.machine.home().join(".local/state/symbolon/agent.log");
        std::fs::read_to_string(file).unwrap_or_default()
    }

    /// Whether an agent answers.
    ///
    /// # Errors
    /// When `symbolon` cannot be run.
    pub fn has_agent(&self) -> Result<bool> {
        Ok(self.quietly(&["status", "--json"])?.code == Some(0))
    }

    /// `symbolon connect APP` at a port of its choice; returns the port.
    ///
    /// # Errors
    /// When there is no such destination.
    pub fn connect(&self, app: &str) -> Result<(Running, u16)> {
        let running = self.machine.start(["connect", app, "--local", "127.0.0.1:0"])?;
        let line = running.wait_line(|line| line.contains(" is at 127.0.0.1:"))?;
        transcript::output(&line);
        let port = line.split("127.0.0.1:").nth(1).and_then(|l| l.split(' ').next()).context("no port")?;
        let port = port.parse().with_context(|| line.clone())?;
        Ok((running, port))
    }

    /// A `ProxyCommand` that leads to `app`: this program with this person's environment.
    #[must_use]
    pub fn proxy_command(&self, app: &str) -> String {
        let command = self.machine.symbolon(["connect", app, "--stdio"]);
        let mut words = vec!["env".to_owned()];
        for (name, value) in command.get_envs() {
            let (name, value) = (name.to_string_lossy(), value.map(|v| v.to_string_lossy()));
            if let Some(value) = value {
                words.push(format!("{name}={value}"));
            }
        }
        words.push(command.get_program().to_string_lossy().into_owned());
        words.extend(command.get_args().map(|a| a.to_string_lossy().into_owned()));
        words.join(" ")
    }

    fn quietly(&self, words: &[&str]) -> Result<Finished> {
        finish(&mut self.machine.symbolon(words), b"", LIMIT)
    }

    fn end_agent(&self) -> Result<()> {
        let Ok(status) = self.status() else { return Ok(()) };
        if self.quietly(&["logout"])?.code == Some(0) {
            return Ok(());
        }
        let pid = status["pid"].as_i64().and_then(|p| i32::try_from(p).ok()).and_then(Pid::from_raw);
        let pid = pid.context("no process")?;
        ensure!(std::fs::exists(format!("/proc/{}", pid.as_raw_nonzero()))?, "it has ended");
        Ok(kill_process(pid, Signal::KILL)?)
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // Nobody is left to whom an agent that will not end could be told.
        let _ = self.end_agent();
    }
}

/// The environment in which a program's clock is off by `seconds`; of programs that Debian's `faketime` can reach.
///
/// # Errors
/// When `faketime` is not installed.
pub fn clock_off_by(seconds: i64) -> Result<Vec<(OsString, OsString)>> {
    faketime("FAKETIME", &format!("{seconds:+}s"))
}

/// The environment in which a program's clock is off by what a file says (`+400d`) at the moment.
///
/// # Errors
/// When `faketime` is not installed.
pub fn clock_from(file: &Path) -> Result<Vec<(OsString, OsString)>> {
    let mut environment = faketime("FAKETIME_TIMESTAMP_FILE", &file.display().to_string())?;
    environment.push(("FAKETIME_NO_CACHE".into(), "1".into()));
    Ok(environment)
}

fn faketime(variable: &str, value: &str) -> Result<Vec<(OsString, OsString)>> {
    // The program itself knows where its library is.
    let mut ask = Command::new(program("faketime")?);
    ask.args(["-f", "+0s", "sh", "-c", "echo $LD_PRELOAD"]);
    let library = finish(&mut ask, b"", LIMIT)?.success()?.text();
    // Time-outs go on as they were.
    let pairs = [("LD_PRELOAD", library.as_str()), (variable, value), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
    Ok(pairs.map(|(name, value)| (name.into(), value.into())).to_vec())
}
