//! A gateway, an application that keeps files, and Ann, who has a certificate and an entitlement to it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use symbolon_acceptance::{Front, LIMIT, Running, Storage, program, sha256, transcript, until};

use crate::wire::Wire;

/// What `curl` is told so that it speaks one version alone.
pub(crate) const VERSIONS: [(&str, [&str; 3]); 2] =
    [("1.2", ["--tlsv1.2", "--tls-max", "1.2"]), ("1.3", ["--tlsv1.3", "--tls-max", "1.3"])];

/// The name of the application that keeps files.
pub(crate) const FILES: &str = "files.example";

/// The stage.
pub(crate) struct Stage {
    pub(crate) front: Front,
    pub(crate) storage: Storage,
    /// A large file, in the storage and outside.
    pub(crate) film: PathBuf,
    pub(crate) sum: String,
}

impl Stage {
    /// With these lines of configuration, and a file of so many bytes.
    pub(crate) fn start(configuration: &str, film: u64) -> Result<Self> {
        let storage = Storage::start()?;
        let target = local(storage.port());
        Self::before(storage, &target, &[], configuration, film)
    }

    /// The same in front of a storage at this target, which is added with these words.
    pub(crate) fn before(
        storage: Storage,
        target: &str,
        words: &[&str],
        configuration: &str,
        film: u64,
    ) -> Result<Self> {
        let front = Front::with(configuration, "")?;
        front.publish("files", target, "http", &[&["--tls-name", FILES], words].concat())?;
        front.person("ann")?;
        front.gateway.grant("user:ann", "files")?;
        let film = storage.fill("film", film)?;
        let sum = sum(&film)?;
        Ok(Self { front, storage, film, sum })
    }

    /// Publishes an application by TCP, which Ann may use, under `NAME.example`.
    pub(crate) fn publish(&self, name: &str, port: u16) -> Result<String> {
        self.publish_at(name, &local(port), &[])
    }

    /// The same at any target, with further words.
    pub(crate) fn publish_at(&self, name: &str, target: &str, words: &[&str]) -> Result<String> {
        let tls_name = format!("{name}.example");
        self.front.publish(name, target, "tcp", &[&["--tls-name", &tls_name], words].concat())?;
        self.front.gateway.grant("user:ann", name)
    }

    /// `curl` with Ann's certificate for a path of the storage, through a port.
    pub(crate) fn curl(&self, port: u16, path: &str, further: &[&str]) -> Result<Command> {
        let mut command = Command::new(program("curl")?);
        command.args(["--silent", "--show-error", "--fail", "--noproxy", "*"]);
        command.args(self.front.curl_words(FILES, port, Some("ann"))).args(further);
        command.arg(format!("https://{FILES}:{port}/{path}")).current_dir(self.front.directory());
        Ok(command)
    }

    /// Begins to fetch the film into a file of this name, well under way.
    pub(crate) fn download(&self, port: u16, name: &str, further: &[&str]) -> Result<Transfer> {
        let arrives = self.front.path(name);
        let out = arrives.display().to_string();
        Transfer::start(
            &mut self.curl(port, "film", &[further, &["--output", &out]].concat())?,
            arrives,
            &self.sum,
        )
    }

    /// Begins to send the film to a place of this name, well under way.
    pub(crate) fn upload(&self, port: u16, name: &str, further: &[&str]) -> Result<Transfer> {
        let film = self.film.display().to_string();
        let arrives = self.storage.path(name);
        Transfer::start(
            &mut self.curl(port, name, &[further, &["--upload-file", &film]].concat())?,
            arrives,
            &self.sum,
        )
    }

    /// Begins to fetch and to send the film at once, in either version, at a rate if any.
    pub(crate) fn transfers(&self, wire: &Wire, rate: Option<u64>) -> Result<Vec<Transfer>> {
        let rate = rate.map(|r| r.to_string());
        let mut begun = Vec::new();
        for (version, words) in &VERSIONS {
            let mut words = words.to_vec();
            if let Some(rate) = &rate {
                words.extend(["--limit-rate", rate]);
            }
            begun.push(self.download(wire.port(), &format!("down-{version}"), &words)?);
            begun.push(self.upload(wire.port(), &format!("up-{version}"), &words)?);
        }
        Ok(begun)
    }
}

/// A `curl` that carries a film.
pub(crate) struct Transfer {
    running: Running,
    arrives: PathBuf,
    sum: String,
}

impl Transfer {
    /// Starts one whose film arrives at a path, and waits until some of it has.
    pub(crate) fn start(command: &mut Command, arrives: PathBuf, sum: &str) -> Result<Self> {
        transcript::command(command);
        // What an earlier transfer left would look like this one's first bytes.
        let _ = std::fs::remove_file(&arrives);
        let running = Running::start("curl", command)?;
        let transfer = Self { running, arrives, sum: sum.to_owned() };
        until(LIMIT, "the first bytes", || (transfer.arrived() > 0).then_some(()))
            .with_context(|| transfer.running.output())?;
        Ok(transfer)
    }

    /// How many bytes have arrived.
    pub(crate) fn arrived(&self) -> u64 {
        std::fs::metadata(&self.arrives).map(|m| m.len()).unwrap_or_default()
    }

    /// The process.
    pub(crate) fn running(&mut self) -> &mut Running {
        &mut self.running
    }

    /// Waits for its end, and demands that all arrived and nothing else.
    pub(crate) fn demand_whole(mut self, limit: Duration) -> Result<()> {
        let status = self.running.wait_exit_within(limit)?;
        let name = self.arrives.display();
        ensure!(
            status.success(),
            "curl for {name} ended with {status} after {} bytes: {}",
            self.arrived(),
            self.running.output()
        );
        let sum = sum(&self.arrives)?;
        ensure!(sum == self.sum, "{name} has {} bytes and the hash {sum}", self.arrived());
        Ok(())
    }

    /// Waits for its end, and demands that it was told to be a failure, and is one.
    pub(crate) fn demand_broken(mut self, limit: Duration) -> Result<()> {
        let status = self.running.wait_exit_within(limit)?;
        ensure!(!status.success(), "it was to fail: {}", self.running.output());
        ensure!(sum(&self.arrives)? != self.sum, "it was not to be whole");
        Ok(())
    }
}

/// A target on this machine.
pub(crate) fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn sum(file: &Path) -> Result<String> {
    sha256(&[file])?.pop().context("no sum")
}
