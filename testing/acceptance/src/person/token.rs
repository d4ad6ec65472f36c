//! What a person does with the token itself.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{Finished, LIMIT, Person, Running};

impl Person {
    /// `enrol LINK …` with the person's PIN and, unless others are named, answers.
    #[must_use]
    pub fn enrol_words(&self, link: &str, further: &[&str]) -> Vec<String> {
        // from the root: on a disk of its own the command has another current directory
        let answers = self.machine.home().join("answers.toml").display().to_string();
        let given: &[&str] = if further.contains(&"--answers") { &[] } else { &["--answers", &answers] };
        self.with_pin_file(&[&["enrol", link], given, further].concat())
    }

    /// `symbolon enrol LINK … --json`, which must succeed.
    ///
    /// # Errors
    /// When it does not.
    pub fn enrol(&self, link: &str, further: &[&str]) -> Result<Value> {
        self.machine.json(self.enrol_words(link, further))
    }

    /// `symbolon enrol LINK …`, which must fail with `code`; returns its complaint.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub fn enrol_refused(&self, code: i32, link: &str, further: &[&str]) -> Result<String> {
        self.machine.refused(code, self.enrol_words(link, further))
    }

    /// The words of a command, and where the PIN is.
    #[must_use]
    pub fn with_pin_file(&self, words: &[&str]) -> Vec<String> {
        let pin = self.machine.home().join("pin").display().to_string();
        [words, &["--pin-file", &pin]].concat().into_iter().map(str::to_owned).collect()
    }

    /// Signs in with an agent in the foreground, which ends with its guard.
    ///
    /// # Errors
    /// When it does not come in.
    pub fn sign_in(&self, further: &[&str]) -> Result<Running> {
        let words = self.with_pin_file(&[&["agent", "--first-try", "--json"], further].concat());
        let agent = self.machine.start(words)?;
        agent.wait_line(|l| l.starts_with("{\"schema\"") && l.contains("\"destinations\":["))?;
        Ok(agent)
    }

    /// `symbolon login …`, which must fail with `code`; returns its complaint.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub fn sign_in_refused(&self, code: i32, further: &[&str]) -> Result<String> {
        self.machine.refused(code, self.with_pin_file(&[&["login"], further].concat()))
    }

    /// Sends `input` to an application by standard input and output.
    ///
    /// # Errors
    /// When it does not end.
    pub fn talk(&self, app: &str, input: &[u8]) -> Result<Finished> {
        self.machine.run_with(["connect", app, "--stdio"], input, LIMIT)
    }

    /// The token's file.
    #[must_use]
    pub fn token(&self) -> PathBuf {
        self.machine.home().join(".local/share/symbolon/token")
    }

    /// What the token says without its PIN.
    ///
    /// # Errors
    /// When there is none.
    pub fn token_info(&self) -> Result<Value> {
        self.machine.json(["token", "info"])
    }

    /// Where the token is registered, by what it says when it is open.
    ///
    /// # Errors
    /// When it does not open.
    pub fn registrations(&self) -> Result<Vec<Value>> {
        let told = self.machine.json(self.with_pin_file(&["token", "info", "--unlock"]))?;
        Ok(told["registrations"].as_array().context("no registrations")?.clone())
    }
}
