//! An OpenID provider as a process of its own.

use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{Running, curl, program};

/// A running provider, by HTTP on this machine.
#[derive(Debug)]
pub struct IdProvider {
    directory: TempDir,
    port: u16,
    running: Option<Running>,
}

impl IdProvider {
    /// What it calls the gateway.
    pub const AUDIENCE: &'static str = "gateway-of-tests";

    /// Starts it.
    ///
    /// # Errors
    /// When `python3` is missing or does not start.
    pub fn start() -> Result<Self> {
        let mut provider = Self { directory: tempfile::tempdir()?, port: 0, running: None };
        std::fs::write(provider.directory.path().join("provider.py"), include_str!("oidc.py"))?;
        provider.up()?;
        Ok(provider)
    }

    /// Starts it again where it was, with the key that it had.
    ///
    /// # Errors
    /// As [`IdProvider::start`].
    pub fn up(&mut self) -> Result<()> {
        let directory = self.directory.path();
        let mut command = Command::new(program("python3")?);
        command.arg(directory.join("provider.py")).arg(directory);
        command.args([Self::AUDIENCE, &self.port.to_string()]);
        let running = Running::start("OpenID provider", &mut command)?;
        self.port = running.wait_value(|line| line.split_once(" port ")?.1.parse().ok())?;
        self.running = Some(running);
        Ok(())
    }

    /// Stops it.
    ///
    /// # Errors
    /// When it goes on.
    pub fn down(&mut self) -> Result<()> {
        self.running.take().map_or(Ok(()), |running| running.stop().map(drop))
    }

    /// Makes it hang, as a machine does that swaps itself to death: connections are taken and nothing is answered.
    ///
    /// # Errors
    /// When it is down.
    pub fn hang(&self) -> Result<()> {
        self.running.as_ref().context("it is down")?.hang()
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it is down.
    pub fn go_on(&self) -> Result<()> {
        self.running.as_ref().context("it is down")?.go_on()
    }

    /// Takes a new key, and forgets the old one.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn rotate(&self) -> Result<()> {
        curl(&format!("{}/rotate", self.issuer()), &[])?.success().map(drop)
    }

    /// Its process.
    ///
    /// # Errors
    /// When it is down.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.running.as_ref().context("it is down")?.pid())
    }

    /// What it calls itself.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A script for `sh` that gets an ID token of `subject` for the nonce in `SYMBOLON_NONCE`; `further` parameters
    /// begin with `&`.
    #[must_use]
    pub fn script(&self, subject: &str, further: &str) -> String {
        format!(
            "#!/bin/sh\nexec curl --silent --fail --noproxy '*' \
             \"{}/token?sub={subject}&nonce=$SYMBOLON_NONCE{further}\"\n",
            self.issuer()
        )
    }
}
