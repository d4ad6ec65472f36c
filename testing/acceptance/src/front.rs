//! A gateway in front of clients that know nothing of Symbolon, and the files that such clients need.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{Finished, Gateway, LIMIT, curl, finish, free_port, program};

/// A gateway with a port for TLS clients.
#[derive(Debug)]
pub struct Front {
    /// The gateway.
    pub gateway: Gateway,
    /// The TCP port on 127.0.0.1 for TLS clients.
    pub port: u16,
    files: TempDir,
}

impl Front {
    /// Starts one with further lines of configuration behind those of `[tls]`.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(further: &str) -> Result<Self> {
        Self::with("", further)
    }

    /// Starts one with lines of configuration that stand before those of `[tls]`, and behind them.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn with(before: &str, behind: &str) -> Result<Self> {
        Self::launched_by(Vec::new(), before, behind)
    }

    /// The same by a program that becomes what stands behind its own arguments.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn launched_by(launcher: Vec<OsString>, before: &str, behind: &str) -> Result<Self> {
        let files = tempfile::tempdir()?;
        let port = free_port()?;
        let settings = files.path().join("symbolon.toml");
        std::fs::write(&settings, format!("{before}\n[tls]\nlisten = \"127.0.0.1:{port}\"\n{behind}\n"))?;
        let arguments = ["--config", &settings.display().to_string()];
        let gateway = Gateway::launched_by(launcher, "gw.example", &arguments)?;
        let front = Self { gateway, port, files };
        front.openssl(&format!(
            "x509 -inform DER -in {} -out issuer.pem",
            front.gateway.dir().join("issuer.crt").display()
        ))?;
        Ok(front)
    }

    /// Where the clients' files are; their current directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.files.path()
    }

    /// One of them.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// The node's configuration file.
    #[must_use]
    pub fn settings(&self) -> PathBuf {
        self.path("symbolon.toml")
    }

    /// Runs `openssl` there.
    ///
    /// # Errors
    /// When it is missing or refuses.
    pub fn openssl(&self, words: &str) -> Result<Finished> {
        let mut command = Command::new(program("openssl")?);
        command.args(words.split_whitespace()).current_dir(self.directory());
        finish(&mut command, b"", LIMIT)?.success()
    }

    /// Publishes an application at a target `host:port`, with further arguments about TLS.
    ///
    /// # Errors
    /// When the node refuses.
    pub fn publish(&self, app: &str, target: &str, protocol: &str, tls: &[&str]) -> Result<()> {
        let words = ["apps", "add", app, target, "--protocol", protocol];
        self.gateway.admin(&[&words[..], tls].concat()).map(drop)
    }

    /// Somebody with a certificate of our issuer whose key OpenSSL made: `NAME.pem` and `NAME.key`.
    ///
    /// # Errors
    /// When the node refuses.
    pub fn person(&self, name: &str) -> Result<()> {
        self.gateway.admin(&["users", "add", name])?;
        let user = self.gateway.admin_json(&["users", "show", name])?;
        let code = user["code"].as_str().context("no code")?.to_owned();
        self.openssl(&format!(
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {name}.key \
             -outform DER -out {name}.csr -addext subjectAltName=URI:symbolon:person:{code}"
        ))?;
        let (request, out) = (self.path(&format!("{name}.csr")), self.path(&format!("{name}.pem")));
        let (request, out) = (request.display().to_string(), out.display().to_string());
        self.gateway.admin(&["ca", "issue", "--request", &request, "--out", &out]).map(drop)
    }

    /// `curl` of a name at the TLS port, with somebody's certificate.
    ///
    /// # Errors
    /// When it does not end.
    pub fn curl(&self, name: &str, person: Option<&str>, further: &[&str]) -> Result<Finished> {
        let words = self.curl_words(name, self.port, person);
        let words: Vec<&str> = words.iter().map(String::as_str).chain(further.iter().copied()).collect();
        curl(&format!("https://{name}:{}/", self.port), &words)
    }

    /// What `curl` must be told to find a name at a port of 127.0.0.1, with somebody's certificate.
    #[must_use]
    pub fn curl_words(&self, name: &str, port: u16, person: Option<&str>) -> Vec<String> {
        let file = |name: &str| self.path(name).display().to_string();
        let resolve = format!("{name}:{port}:127.0.0.1");
        let mut words = vec!["--resolve".to_owned(), resolve, "--cacert".to_owned(), file("issuer.pem")];
        if let Some(person) = person {
            let own = [file(&format!("{person}.pem")), file(&format!("{person}.key"))];
            words.extend(["--cert", "--key"].into_iter().zip(own).flat_map(|(w, f)| [w.to_owned(), f]));
        }
        words
    }

    /// `openssl s_client` for a name at the TLS port, with somebody's certificate. It verifies the gateway's.
    ///
    /// # Errors
    /// When `openssl` is missing.
    pub fn s_client(&self, name: &str, person: Option<&str>) -> Result<Command> {
        let mut command = Command::new(program("openssl")?);
        let place = format!("127.0.0.1:{}", self.port);
        command.args(["s_client", "-connect", &place, "-servername", name, "-verify_return_error"]);
        command.arg("-CAfile").arg(self.path("issuer.pem")).current_dir(self.directory());
        if let Some(person) = person {
            command.arg("-cert").arg(self.path(&format!("{person}.pem")));
            command.arg("-key").arg(self.path(&format!("{person}.key")));
        }
        Ok(command)
    }
}
