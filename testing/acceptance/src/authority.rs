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

    /// For a server of these names (`DNS:app.example,IP:127.0.0.1`).
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub fn issue_to_server(&self, file: &str, names: &str) -> Result<(PathBuf, PathBuf)> {
        self.issue(file, "ec -pkeyopt ec_paramgen_curve:P-256", "serverAuth", names)
    }

    /// A certificate like one that this authority has issued to a `file`, good for one day of 2020.
    ///
    /// # Errors
    /// When `openssl` refuses.
    pub fn issue_for_the_past(&self, file: &str) -> Result<PathBuf> {
        let text = "[ca]\ndefault_ca = past\n[past]\ndatabase = index.txt\nserial = serial\nnew_certs_dir = .\n\
                    default_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n";
        std::fs::write(self.path("past.conf"), text)?;
        std::fs::write(self.path("index.txt"), "")?;
        std::fs::write(self.path("serial"), "7E57\n")?;
        self.openssl(&format!(
            "ca -batch -notext -config past.conf -startdate 20200101000000Z -enddate 20200102000000Z -in {file}.csr \
             -cert authority.pem -keyfile authority.key -extfile extensions.conf -out past.pem"
        ))?;
        Ok(self.path("past.pem"))
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
