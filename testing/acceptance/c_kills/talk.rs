//! Somebody who talks to an application that says everything again.

use std::io::Write;
use std::process::{ChildStdin, Command};

use anyhow::{Context, Result};
use symbolon_acceptance::{Front, Running};

/// A program whose standard input and output are joined to an echo.
pub(crate) struct Talk {
    running: Running,
    input: ChildStdin,
    said: usize,
}

impl Talk {
    /// Starts the program, and says the first line.
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self> {
        let (running, input) = Running::start_with_input(name, command)?;
        let mut talk = Self { running, input, said: 0 };
        talk.say()?;
        Ok(talk)
    }

    /// `openssl s_client` with Ann's certificate.
    pub(crate) fn by_tls(front: &Front, name: &str, further: &[&str]) -> Result<Self> {
        Self::start("s_client", front.s_client(name, Some("ann"))?.args(further))
    }

    /// Says a line, and waits until it comes back.
    pub(crate) fn say(&mut self) -> Result<()> {
        self.said += 1;
        let line = format!("line {} of many", self.said);
        self.type_line(&line)?;
        // openssl mixes what it says itself into what it heard, also in the middle of a word of its own
        self.running.wait_line(|heard| heard.ends_with(&line)).map(drop)
    }

    /// Types something that does not come back.
    pub(crate) fn type_line(&mut self, line: &str) -> Result<()> {
        let sent = self.input.write_all(format!("{line}\n").as_bytes());
        sent.with_context(|| self.running.output())
    }

    /// The process.
    pub(crate) fn running(&mut self) -> &mut Running {
        &mut self.running
    }
}
