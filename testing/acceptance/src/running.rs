//! A program that goes on running until the test has done with it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use crate::{LIMIT, until};

/// How long a program may take to end after it was asked to, before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);

/// A process with its output, ended on drop.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    log: Arc<Log>,
    farewell: Signal,
}

/// How long the last lines of a process that has ended may be on their way.
const LAST_LINES: Duration = Duration::from_millis(300);

#[derive(Debug, Default)]
struct Log {
    state: Mutex<LogState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct LogState {
    lines: Vec<String>,
    ended: u8,
}

impl Running {
    /// Starts `command` with nothing on its standard input.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        Self::launch(name, command.stdin(Stdio::null()))
    }

    /// Starts `command` and returns its standard input too.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_with_input(name: &str, command: &mut Command) -> Result<(Self, ChildStdin)> {
        let mut running = Self::launch(name, command.stdin(Stdio::piped()))?;
        let input = running.child.stdin.take().context("no standard input")?;
        Ok((running, input))
    }

    fn launch(name: &str, command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let stdout: ChildStdout = child.stdout.take().context("no standard output")?;
        let stderr: ChildStderr = child.stderr.take().context("no standard error")?;
        let log = Arc::new(Log::default());
        for pipe in [Box::new(stdout) as Box<dyn Read + Send>, Box::new(stderr)] {
            let log = Arc::clone(&log);
            std::thread::spawn(move || log.fill(pipe));
        }
        Ok(Self { name: name.to_owned(), child, log, farewell: Signal::TERM })
    }

    /// Chooses the signal that asks this program to end at drop (otherwise `SIGTERM`).
    #[must_use]
    pub fn ended_by(mut self, signal: Signal) -> Self {
        self.farewell = signal;
        self
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything written so far, both outputs in the order of their lines' arrival.
    #[must_use]
    pub fn output(&self) -> String {
        self.log.state().lines.join("\n")
    }

    /// Waits for a line, of those written so far or to come, that `wanted` accepts.
    ///
    /// # Errors
    /// With all output, when none came within [`LIMIT`] or the program closed its outputs before.
    pub fn wait_line(&self, wanted: impl Fn(&str) -> bool) -> Result<String> {
        self.wait_value(|line| wanted(line).then(|| line.to_owned()))
    }

    /// Waits for a line from which `wanted` makes a value, as [`Running::wait_line`].
    ///
    /// # Errors
    /// As [`Running::wait_line`].
    pub fn wait_value<T>(&self, wanted: impl Fn(&str) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + LIMIT;
        let mut seen = 0;
        let mut state = self.log.state();
        loop {
            if let Some(value) = state.lines[seen..].iter().find_map(|l| wanted(l)) {
                return Ok(value);
            }
            seen = state.lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended == 2 || left.is_zero() {
                let why = if state.ended == 2 { "ended" } else { "went on" };
                bail!("{} {why} without the expected line:\n{}", self.name, state.lines.join("\n"));
            }
            state = self.log.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the process has ended.
    ///
    /// # Errors
    /// With all output, when it goes on for longer than [`LIMIT`].
    pub fn wait_exit(&mut self) -> Result<ExitStatus> {
        self.wait_exit_within(LIMIT)
    }

    /// Waits until the process has ended, for one that is known to take its time.
    ///
    /// # Errors
    /// With all output, when it goes on for longer than `limit`.
    pub fn wait_exit_within(&mut self, limit: Duration) -> Result<ExitStatus> {
        let (child, name) = (&mut self.child, &self.name);
        let status = until(limit, &format!("{name} to end"), || child.try_wait().transpose());
        let status = status.with_context(|| self.output())??;
        self.log.wait_whole();
        Ok(status)
    }

    /// Whether the process is still there.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn is_alive(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).with_context(|| format!("{} has ended", self.name))
    }

    /// Makes the process hang: returns when every thread of it stands still.
    ///
    /// # Errors
    /// When it has ended.
    pub fn hang(&self) -> Result<()> {
        self.signal(Signal::STOP)?;
        let tasks = format!("/proc/{}/task", self.pid());
        let stands = |task: std::io::Result<std::fs::DirEntry>| {
            // The state follows the name, which stands in brackets (proc(5)). A thread that is gone is still too.
            let stat = task.and_then(|t| std::fs::read_to_string(t.path().join("stat")));
            stat.is_ok_and(|s| s.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('T')))
        };
        until(LIMIT, &format!("{} to stand still", self.name), || {
            std::fs::read_dir(&tasks).ok()?.all(stands).then_some(())
        })
    }

    /// Lets a process that hangs go on.
    ///
    /// # Errors
    /// When it has ended.
    pub fn go_on(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Asks the process to end and waits until it has.
    ///
    /// # Errors
    /// When it goes on for longer than [`LIMIT`].
    pub fn stop(mut self) -> Result<ExitStatus> {
        self.signal(self.farewell)?;
        self.wait_exit()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|s| s.is_some()) {
            return;
        }
        // Errors here mean that it has just ended by itself.
        let _ = self.signal(self.farewell);
        // One that hangs would never hear of it.
        let _ = self.go_on();
        if until(PATIENCE, "the end", || self.child.try_wait().transpose()).is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

impl Log {
    fn state(&self) -> std::sync::MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all is read that the process has written. Others may have its outputs too and go on: they are not
    /// waited for long.
    fn wait_whole(&self) {
        let going_on = |state: &mut LogState| state.ended < 2;
        let _ = self.changed.wait_timeout_while(self.state(), LAST_LINES, going_on);
    }

    fn fill(&self, pipe: impl Read) {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            self.state().lines.push(String::from_utf8_lossy(&line).trim_end().to_owned());
            self.changed.notify_all();
        }
        self.state().ended += 1;
        self.changed.notify_all();
    }
}
