//! A program that runs to its end.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};

use crate::until;

/// What a program said and how it ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Everything it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// Everything it wrote to its standard error.
    pub stderr: Vec<u8>,
}

impl Finished {
    /// The standard output as text, without the last line's end.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// The standard error as text, without the last line's end.
    #[must_use]
    pub fn complaint(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim_end().to_owned()
    }

    /// Demands success.
    ///
    /// # Errors
    /// With all that the program said, when its exit code is not 0.
    pub fn success(self) -> Result<Self> {
        ensure!(self.code == Some(0), "exit code {:?}\n{}\n{}", self.code, self.text(), self.complaint());
        Ok(self)
    }

    /// Reads the standard output as one JSON value.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.stdout)
            .with_context(|| format!("not JSON: {}\n{}", self.text(), self.complaint()))
    }
}

/// Runs `command` to its end, with `input` on its standard input. It is killed when it takes longer than `limit`.
///
/// # Errors
/// When it cannot be started or takes too long.
pub fn finish(command: &mut Command, input: &[u8], limit: Duration) -> Result<Finished> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let stdout = child.stdout.take().context("no standard output")?;
    let stderr = child.stderr.take().context("no standard error")?;
    let input = input.to_vec();
    // A program may end without reading its input; that is its affair.
    thread::spawn(move || drop(stdin.write_all(&input)));
    let stdout = thread::spawn(move || read_all(stdout));
    let stderr = thread::spawn(move || read_all(stderr));
    let status = until(limit, &format!("{name} to end"), || child.try_wait().transpose());
    let status = match status {
        Ok(status) => status?,
        Err(e) => {
            child.kill()?;
            child.wait()?;
            let said = stderr.join().unwrap_or_default();
            return Err(e.context(String::from_utf8_lossy(&said).into_owned()));
        }
    };
    Ok(Finished {
        code: status.code(),
        stdout: stdout.join().map_err(|_| anyhow!("reading the output of {name}"))?,
        stderr: stderr.join().map_err(|_| anyhow!("reading the output of {name}"))?,
    })
}

fn read_all(mut from: impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    // What came before an error is worth showing.
    let _ = from.read_to_end(&mut all);
    all
}
