//! Many connections at once, in one process of Python with its `ssl`.

use std::io::Write;
use std::process::{ChildStdin, Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use symbolon_acceptance::{Front, LIMIT, Running, program, step, until};

use crate::counts::Counts;
use crate::killer::last_words;

/// The connections.
pub(crate) struct Crowd {
    running: Running,
    input: ChildStdin,
    count: usize,
    answers: usize,
}

impl Crowd {
    /// Opens so many to places of `crowd.py`, with Ann's certificate; each has said a line and heard it.
    pub(crate) fn start(front: &Front, count: usize, places: &[String]) -> Result<Self> {
        // lines a second, of all together
        let rate = Counts::of_this_run().lines;
        let mut python = Command::new(program("python3")?);
        python.args(["-c", include_str!("crowd.py"), &count.to_string(), &rate.to_string()]).args(places);
        python.args(["issuer.pem", "ann.pem", "ann.key"]).current_dir(front.directory());
        let (running, input) = Running::start_with_input("crowd", &mut python)?;
        let mut crowd = Self { running, input, count, answers: 0 };
        crowd.answer("ready").with_context(|| last_words(&front.gateway))?;
        Ok(crowd)
    }

    /// Demands that each connection says a line and hears it again from now on.
    pub(crate) fn round(&mut self) -> Result<()> {
        self.input.write_all(b"round\n")?;
        self.answer("round").map(drop)
    }

    /// Ends all connections, and demands that none has failed.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.input.write_all(b"stop\n")?;
        let told = self.answer("stop")?;
        step!("{} lines came back; a line waited for {} ms at most", told["lines"], told["longest_ms"]);
        ensure!(self.running.wait_exit()?.success(), "{}", self.running.output());
        Ok(())
    }

    fn answer(&mut self, command: &str) -> Result<Value> {
        self.answers += 1;
        // With a handshake each, and ten times the lines that fit into a second.
        let limit = LIMIT + LIMIT * u32::try_from(self.count / 100)?;
        let (running, answers) = (&mut self.running, self.answers);
        let line = until(limit, &format!("the crowd's answer to {command:?}"), || {
            let output = running.output();
            let mut told = output.lines().filter(|l| l.starts_with("{\"said\""));
            told.nth(answers - 1).map(str::to_owned)
        });
        let line = line.with_context(|| self.running.output())?;
        let told: Value = serde_json::from_str(&line)?;
        let failed = told["failed"].as_array().context("no list of failures")?;
        ensure!(told["said"] == command && failed.is_empty(), "{} failed: {told}", failed.len());
        Ok(told)
    }
}
