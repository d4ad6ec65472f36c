//! A program on a terminal, for what it asks only a person.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::{LIMIT, program, transcript, until};

/// A process whose controlling terminal is ours, killed on drop.
#[derive(Debug)]
pub struct Terminal {
    child: std::process::Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    unread: String,
}

impl Terminal {
    /// Starts `command` in a session of its own with a new terminal as its controlling one.
    ///
    /// # Errors
    /// When there is no terminal to be had or the command cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).context("no pseudo-terminal")?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?.into_string()?;
        let slave = File::options().read(true).write(true).open(name)?;
        // `setsid --ctty` does what would need unsafe code here.
        let mut setsid = Command::new(program("setsid")?);
        setsid.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => setsid.env(key, value),
                None => setsid.env_remove(key),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            setsid.current_dir(dir);
        }
        let child = setsid
            .env("TERM", "dumb")
            .stdin(Stdio::from(slave.try_clone()?))
            .stdout(Stdio::from(slave.try_clone()?))
            .stderr(Stdio::from(slave))
            .spawn()?;
        let keyboard = File::from(master);
        let mut reader = keyboard.try_clone()?;
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The system reports the end of the other side as an error.
            while let Ok(n) = reader.read(&mut buffer) {
                if n == 0 || sender.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, keyboard, screen, unread: String::new() })
    }

    /// Waits until `text` appears after what was expected before, and returns what stood in between.
    ///
    /// # Errors
    /// With what is on the screen, when it does not within [`LIMIT`].
    pub fn expect(&mut self, text: &str) -> Result<String> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(at) = self.unread.find(text) {
                let rest = self.unread.split_off(at + text.len());
                let seen = std::mem::replace(&mut self.unread, rest);
                transcript::output(&seen);
                return Ok(seen);
            }
            match self.screen.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.unread.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout) => bail!("waited in vain for {text:?} on:\n{}", self.unread),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("the program ended without {text:?}:\n{}", self.unread)
                }
            }
        }
    }

    /// Types a line.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn type_line(&mut self, line: &str) -> Result<()> {
        Ok(self.keyboard.write_all(format!("{line}\n").as_bytes())?)
    }

    /// Waits until the program has ended; returns how, and what it still said.
    ///
    /// # Errors
    /// When it goes on for longer than [`LIMIT`].
    pub fn wait_exit(&mut self) -> Result<(ExitStatus, String)> {
        let child = &mut self.child;
        let status = until(LIMIT, "the program on the terminal to end", || child.try_wait().transpose())??;
        while let Ok(bytes) = self.screen.recv_timeout(LIMIT) {
            self.unread.push_str(&String::from_utf8_lossy(&bytes));
        }
        transcript::output(&self.unread);
        Ok((status, std::mem::take(&mut self.unread)))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Errors mean that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
