//! A gateway that publishes its keys, and somebody who has a password there and no token.

use std::path::PathBuf;

use anyhow::Result;
use symbolon_acceptance::middleman::Middleman;
use symbolon_acceptance::{Finished, Gateway, Person, free_port};
use tempfile::TempDir;

/// The gateway's name.
pub(crate) const GATEWAY: &str = "gw.example";

const PASSWORD: &str = "correct horse battery staple";

/// A gateway, the folder where it publishes, and who listens before it.
pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    pub(crate) listener: Middleman,
    folder: TempDir,
}

impl Stage {
    /// With these lines in the node's configuration besides, and this environment.
    pub(crate) fn set(
        further: &str,
        environment: &[(std::ffi::OsString, std::ffi::OsString)],
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let settings = folder.path().join("symbolon.toml");
        let published = folder.path().join("keysets");
        std::fs::write(
            &settings,
            format!(
                "accept_passwords = true\npublish_key_sets = {:?}\n{further}\n",
                published.display().to_string()
            ),
        )?;
        let arguments = ["--config", &settings.display().to_string()];
        let gateway = Gateway::with(GATEWAY, free_port()?, &arguments, environment)?;
        let listener = Middleman::before(gateway.port())?;
        Ok(Self { gateway, listener, folder })
    }

    /// Where the gateway publishes.
    pub(crate) fn published(&self) -> PathBuf {
        self.folder.path().join("keysets")
    }

    /// Somebody with a password.
    pub(crate) fn person(&self, name: &str) -> Result<Person> {
        self.gateway.admin(&["users", "add", name])?;
        let person = Person::new(name)?;
        let file = person.secret_file("password", PASSWORD)?;
        self.gateway.admin(&["users", "password", name, "--password-file", &file.display().to_string()])?;
        self.trust(&person, "")?;
        Ok(person)
    }

    /// Writes the person's configuration: whom to trust, and these lines.
    pub(crate) fn trust(&self, person: &Person, further: &str) -> Result<()> {
        let issuer = self.gateway.dir().join("issuer.crt").display().to_string();
        person.configure(&format!(
            "gateway = {GATEWAY:?}\naddress = {:?}\nissuer_certificate = {issuer:?}\npassword_gateways = [{GATEWAY:?}]\n\
             {further}\n",
            self.listener.address()
        ))
    }

    /// Signs in by the password, where the listener hears it.
    pub(crate) fn sign_in(&self, person: &Person) -> Result<Finished> {
        person.symbolon(&["login", "--user", person.name(), "--password-file", "password"], &[])
    }

    /// The kinds of all frames that passed since there were `before` connections, in their order.
    pub(crate) fn since(&self, before: usize) -> Vec<u8> {
        let passed = self.listener.passed();
        passed[before..].iter().flat_map(|p| p.order.iter().map(|(kind, _)| *kind)).collect()
    }
}

/// How the keys came that the person's session was opened with.
pub(crate) fn keys_from(person: &Person) -> Result<String> {
    let who = person.machine().json(["whoami"])?;
    assert_eq!(person.status()?["session"]["keys_from"], who["keys_from"]);
    Ok(who["keys_from"].as_str().unwrap_or_default().to_owned())
}
