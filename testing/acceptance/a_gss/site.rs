//! An issuer, services, users and a configuration in directories of their own; nothing of the system is touched.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use symbolon_acceptance::{Finished, LIMIT, finish, program, transcript};
use tempfile::TempDir;

/// The mechanism, as programs write it.
pub(crate) const MECHANISM: &str = "1.3.6.1.4.1.32473.1.2";

/// The user whose password is in the configuration.
pub(crate) const USER: &str = "alice";
pub(crate) const PASSWORD: &str = "correct horse";

/// A user who is asked for it.
pub(crate) const OTHER: &str = "bob";
pub(crate) const OTHER_PASSWORD: &str = "battery staple";

/// One machine that has both sides.
#[derive(Debug)]
pub(crate) struct Site {
    directory: TempDir,
    library: PathBuf,
    admin: PathBuf,
    services: Vec<String>,
}

impl Site {
    /// A site with these services, as `ldap@localhost`.
    pub(crate) fn new(services: &[&str]) -> Result<Self> {
        Self::with_suites(services, "X-Wing")
    }

    /// The same in other suites, best first.
    pub(crate) fn with_suites(services: &[&str], suites: &str) -> Result<Self> {
        let built = built()?;
        let site = Self {
            directory: tempfile::Builder::new().prefix("sy-gss-").tempdir()?,
            library: built.join("libsymbolon_gss.so"),
            admin: built.join("symbolon-gss"),
            services: services.iter().map(|s| (*s).to_owned()).collect(),
        };
        for file in [&site.library, &site.admin] {
            ensure!(file.is_file(), "{} is missing: build symbolon-gss first", file.display());
        }
        site.admin(&["init-issuer", "--dir", "issuer"], "")?;
        for service in services {
            let place = ["--issuer", "issuer", "--services", "services", "--suites", suites];
            site.admin(&[&["init-acceptor", "--name", service], &place[..]].concat(), "")?;
        }
        site.publish()?;
        for (user, password) in [(USER, PASSWORD), (OTHER, OTHER_PASSWORD)] {
            site.admin(&["add-user", "--users", "users", user], &format!("{password}\n"))?;
        }
        let line = format!("symbolon {MECHANISM} {}\n", site.library.display());
        fs::write(site.path("mech.conf"), line)?;
        fs::write(site.path("krb5.conf"), "[libdefaults]\ndns_lookup_kdc = false\n")?;
        fs::create_dir(site.path("home"))?;
        site.password_is("password", PASSWORD)?;
        let suites: Vec<_> = suites.split(',').rev().take(1).collect();
        site.configure("gss.toml", "issuer/issuer.crt", "password", &site.services, &suites)?;
        Ok(site)
    }

    /// Writes a password where its owner alone reads it.
    pub(crate) fn password_is(&self, file: &str, password: &str) -> Result<()> {
        fs::write(self.path(file), format!("{password}\n"))?;
        fs::set_permissions(self.path(file), fs::Permissions::from_mode(0o600))?;
        Ok(())
    }

    /// Writes a configuration; [`Site::other`] makes programs read another one than `gss.toml`.
    pub(crate) fn configure(
        &self,
        file: &str,
        issuer: &str,
        password: &str,
        passwords_to: &[String],
        suites: &[&str],
    ) -> Result<()> {
        let here = self.directory.path().display();
        let text = format!(
            "[initiator]\nissuer = \"{here}/{issuer}\"\nkey_sets = \"{here}/keysets\"\n\
             passwords_to = {passwords_to:?}\nsuites = {suites:?}\n\
             user = \"{USER}\"\npassword_file = \"{here}/{password}\"\n\n\
             [acceptor]\nservices = \"{here}/services\"\nusers = \"{here}/users\"\n"
        );
        fs::write(self.path(file), text)?;
        Ok(())
    }

    /// Writes `gss.toml` to another file with changes, each a text and what stands in its place.
    pub(crate) fn reconfigure(&self, file: &str, changes: &[(&str, &str)]) -> Result<()> {
        let mut text = fs::read_to_string(self.path("gss.toml"))?;
        for (old, new) in changes {
            ensure!(text.contains(old), "{old} is not in {text}");
            text = text.replace(old, new);
        }
        Ok(fs::write(self.path(file), text)?)
    }

    /// The services' names.
    pub(crate) fn services(&self) -> &[String] {
        &self.services
    }

    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(relative)
    }

    /// Copies what services show to where initiators look.
    pub(crate) fn publish(&self) -> Result<()> {
        self.admin(&["publish", "--services", "services", "--to", "keysets"], "").map(drop)
    }

    /// Nothing is published any more.
    pub(crate) fn unpublish(&self) -> Result<()> {
        Ok(fs::remove_dir_all(self.path("keysets"))?)
    }

    /// The administrator's command, which must succeed.
    pub(crate) fn admin(&self, arguments: &[&str], input: &str) -> Result<Finished> {
        let mut command = self.admin_command(arguments);
        transcript::command(&command);
        finish(&mut command, input.as_bytes(), LIMIT)?.success()
    }

    /// The same, not started yet.
    pub(crate) fn admin_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.admin);
        command.args(arguments).current_dir(self.directory.path());
        command
    }

    /// A program that sees this site and no other, and writes its lines at once.
    pub(crate) fn command(&self, name: &str) -> Result<Command> {
        let mut command = Command::new(program("stdbuf")?);
        command.arg("-oL").arg(program(name)?);
        self.surround(&mut command);
        Ok(command)
    }

    /// Gives a command this site's environment.
    pub(crate) fn surround(&self, command: &mut Command) {
        command
            .current_dir(self.directory.path())
            .env("GSS_MECH_CONFIG", self.path("mech.conf"))
            .env("SYMBOLON_GSS_CONFIG", self.path("gss.toml"))
            .env("KRB5_CONFIG", self.path("krb5.conf"))
            .env("KRB5_KTNAME", self.path("no.keytab"))
            .env("KRB5CCNAME", self.path("no.ccache"))
            .env("HOME", self.path("home"))
            .env("LC_ALL", "C");
    }

    /// Runs a program to its end.
    pub(crate) fn run(&self, command: &mut Command) -> Result<Finished> {
        transcript::command(command);
        let finished = finish(command, b"", LIMIT)?;
        transcript::answer(&finished);
        Ok(finished)
    }

    /// Makes a command read another configuration.
    pub(crate) fn other<'c>(&self, command: &'c mut Command, file: &str) -> &'c mut Command {
        command.env("SYMBOLON_GSS_CONFIG", self.path(file))
    }
}

/// Where cargo put the mechanism: beside the binary under test.
fn built() -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os("SYMBOLON_BIN") {
        let parent = Path::new(&binary).parent().context("SYMBOLON_BIN is not a path of a file")?;
        return Ok(parent.to_owned());
    }
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release"))
}
