//! A certification authority that is not ours, made by `openssl`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use tempfile::TempDir;

use crate::{LIMIT, finish, program};

/// An authority with its files.
#[derive(Debug)]
pub struct Authority {
    directory: TempDir,
}

impl Authority {
    /// A new one of this common name.
    ///
    /// # Errors
    /// When `openssl` is missing or refuses.
    pub fn new(name: &str) -> Result<Self> {
        let authority = Self { directory: tempfile::tempdir()? };
        let text = format!(
            "[req]\ndistinguished_name = dn\nx509_extensions = authority\nprompt = no\n[dn]\nCN = {name}\n[authority]\n\
             basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\n\
             subjectKeyIdentifier = hash\n"
        );
        std::fs::write(authority.path("authority.conf"), text)?;
        authority.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -config authority.conf \
             -keyout authority.key -out authority.pem",
        )?;
        Ok(authority)
    }

    /// Its own certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.path("authority.pem")
    }

    /// A certificate and its key, PEM, of a `newkey` kind of `openssl req`; `usage` and `names` are extensions.
    ///
    /// # Errors
    /// When `openssl` refuses.
    pub fn issue(&self, file: &str, newkey: &str, usage: &str, names: &str) -> Result<(PathBuf, PathBuf)> {
        let request = format!("[req]\ndistinguished_name = dn\nprompt = no\n[dn]\nCN = {file}\n");
        std::fs::write(self.path("request.conf"), request)?;
        let extensions = format!(
            "basicConstraints = CA:FALSE\nkeyUsage = critical, digitalSignature\nextendedKeyUsage = {usage}\n\
             authorityKeyIdentifier = keyid\nsubjectKeyIdentifier = hash\nsubjectAltName = {names}\n"
        );
        std::fs::write(self.path("extensions.conf"), extensions)?;
        self.openssl(&format!(
            "req -new -newkey {newkey} -nodes -config request.conf -keyout {file}.key -out {file}.csr"
        ))?;
        self.openssl(&format!(
            "x509 -req -in {file}.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 5 \
             -extfile extensions.conf -out {file}.pem"
        ))?;
        Ok((self.path(&format!("{file}.pem")), self.path(&format!("{file}.key"))))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn openssl(&self, words: &str) -> Result<()> {
        let mut command = Command::new(program("openssl")?);
        command.args(words.split_whitespace()).current_dir(self.directory.path());
        finish(&mut command, b"", LIMIT)?.success().map(drop)
    }
}
