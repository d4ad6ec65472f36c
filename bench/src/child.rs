//! A role of this program in a process of its own, so that only its CPU time and memory are counted.
//!
//! ```text
//! parent                                            child: symbolon-bench --role NAME ARGS
//!    <──────────────────────────── greeting (JSON) ──
//!    ── "cpu" ──────────────────────────────────────>
//!    <───────────────── nanoseconds of all threads ──
//!    ── end of input ───────────────────────────────>  ends
//! ```

use crate::clock::process_cpu;
use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The word that makes this program a child.
pub(crate) const ROLE: &str = "--role";

/// A running child; dropped, it ends.
pub(crate) struct Child {
    process: std::process::Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// What it said when it was ready.
    pub(crate) greeting: Value,
}

impl Child {
    /// Starts `role` and waits until it is ready.
    pub(crate) fn start(role: &str, arguments: &[&str]) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args([ROLE, role])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting the {role}"))?;
        let input = process.stdin.take();
        let output = process.stdout.take().ok_or_else(|| anyhow!("a child without output"))?;
        let mut child = Self { process, input, output: BufReader::new(output), greeting: Value::Null };
        let line = child.line()?;
        child.greeting = serde_json::from_str(&line).with_context(|| format!("the {role} did not start"))?;
        Ok(child)
    }

    /// A word of the greeting.
    pub(crate) fn said(&self, key: &str) -> Result<&str> {
        self.greeting[key].as_str().ok_or_else(|| anyhow!("the child did not say its {key}"))
    }

    /// CPU time of all its threads so far.
    pub(crate) fn cpu(&mut self) -> Result<Duration> {
        let input = self.input.as_mut().ok_or_else(|| anyhow!("a child without input"))?;
        input.write_all(b"cpu\n")?;
        input.flush()?;
        Ok(Duration::from_nanos(self.line()?.trim().parse()?))
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Its resident memory (VmRSS) in KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        let number = line.and_then(|l| l.trim().strip_suffix("kB"));
        Ok(number.ok_or_else(|| anyhow!("no VmRSS"))?.trim().parse()?)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(anyhow!("the child has ended"));
        }
        Ok(line)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The child's side: says that it is ready, then answers until the parent is gone.
pub(crate) fn answer_parent(greeting: &Value) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{greeting}")?;
    out.flush()?;
    for line in std::io::stdin().lines() {
        if line? == "cpu" {
            writeln!(out, "{}", process_cpu().as_nanos())?;
            out.flush()?;
        }
    }
    Ok(())
}
