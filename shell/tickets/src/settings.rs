//! What an administrator writes about tickets, and what it means.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use symbolon_policy::CanonName;

use crate::Spelling;
use crate::kerberos::{KerberosAcceptor, Keytab, Principal, PrincipalMap, ServicePrincipal};
use crate::oidc::{KeyTimes, OidcVerifier, Provider, SubjectMap, Transport, UserClaim};

/// Something that was written is not what it should be, or a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct SettingsError {
    what: String,
    why: String,
}

impl SettingsError {
    fn new(what: impl std::fmt::Display, why: impl std::fmt::Display) -> Self {
        Self { what: what.to_string(), why: why.to_string() }
    }
}

/// Sign-in by Kerberos ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KerberosSettings {
    /// The gateway's principal in full, as `host/gw.example.org@EXAMPLE.ORG`.
    pub service: String,
    /// The file with its keys.
    pub keytab: PathBuf,
    /// The realm whose people are users by their own names; nobody is if it is absent.
    #[serde(default)]
    pub realm: Option<String>,
    /// How that realm tells names apart.
    #[serde(default = "exact")]
    pub spelling: Spelling,
    /// Principals of any realm, and which users they are.
    #[serde(default)]
    pub people: BTreeMap<String, String>,
    /// Principals who are nobody.
    #[serde(default)]
    pub refused: Vec<String>,
}

const fn exact() -> Spelling {
    Spelling::Exact
}

impl KerberosSettings {
    /// The acceptor that they describe; it remembers in `replays` what it has seen. Whether the
    /// keytab is there, [`KerberosAcceptor::ready`] says.
    ///
    /// # Errors
    /// [`SettingsError`] naming what is wrong.
    pub fn acceptor(&self, replays: &Path) -> Result<KerberosAcceptor, SettingsError> {
        let service = ServicePrincipal::parse(&self.service).map_err(|e| SettingsError::new("service", e))?;
        let keytab = Keytab::new(&self.keytab, replays).map_err(|e| SettingsError::new("keytab", e))?;
        let principal = |text: &str| Principal::parse(text).map_err(|e| SettingsError::new(text, e));
        let mut people = match &self.realm {
            Some(realm) => PrincipalMap::of_realm(realm, self.spelling),
            None => PrincipalMap::new(),
        };
        for (text, name) in &self.people {
            people = people.with_person(principal(text)?, user(name)?);
        }
        for text in &self.refused {
            people = people.without(principal(text)?);
        }
        Ok(KerberosAcceptor::new(service, keytab, people))
    }
}

/// Sign-in by ID token of one OpenID provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcSettings {
    /// What the provider calls itself, as `https://id.example.org`.
    pub issuer: String,
    /// As what the gateway is registered there.
    pub audience: String,
    /// The file with the certificates to which the provider's chains (PEM).
    #[serde(default)]
    pub authority_file: Option<PathBuf>,
    /// Instead of that: the provider is on this machine and talked to without protection.
    #[serde(default)]
    pub unprotected: bool,
    /// Which claim names the user.
    pub user: UserClaim,
    /// Subjects, and which users they are.
    #[serde(default)]
    pub people: BTreeMap<String, String>,
    /// Subjects who are nobody.
    #[serde(default)]
    pub refused: Vec<String>,
    /// How long the provider may take for one answer, in seconds.
    #[serde(default = "default_limit_secs")]
    pub limit_secs: u64,
    /// How long its keys are kept.
    #[serde(default)]
    pub keys: KeyTimes,
}

/// A provider answers within tens of milliseconds; after five seconds somebody who waits gives up.
const fn default_limit_secs() -> u64 {
    5
}

impl OidcSettings {
    /// The verifier that they describe. Nothing is asked yet; [`Provider::prepare`] does.
    ///
    /// # Errors
    /// [`SettingsError`] naming what is wrong.
    pub fn verifier(&self) -> Result<OidcVerifier, SettingsError> {
        let transport = self.transport()?;
        let provider =
            Provider::new(&self.issuer, transport, self.keys).map_err(|e| SettingsError::new("issuer", e))?;
        if self.audience.is_empty() {
            return Err(SettingsError::new("audience", "it is empty"));
        }
        let mut people = SubjectMap::by(self.user.clone());
        for (subject, name) in &self.people {
            people = people.with_person(subject, user(name)?);
        }
        for subject in &self.refused {
            people = people.without(subject);
        }
        Ok(OidcVerifier::new(provider, &self.audience, people))
    }

    fn transport(&self) -> Result<Transport, SettingsError> {
        let limit = Duration::from_secs(self.limit_secs);
        if limit.is_zero() {
            return Err(SettingsError::new("limit_secs", "it is zero"));
        }
        match (&self.authority_file, self.unprotected) {
            (Some(file), false) => {
                let shown = file.display();
                let pem = std::fs::read(file).map_err(|e| SettingsError::new(shown.to_string(), e))?;
                Transport::https(&pem, limit).map_err(|e| SettingsError::new(shown, e))
            }
            (None, true) => Ok(Transport::unprotected_http(limit)),
            _ => Err(SettingsError::new(&self.issuer, "name authority_file, or say unprotected = true")),
        }
    }
}

fn user(name: &str) -> Result<CanonName, SettingsError> {
    CanonName::parse(name).map_err(|e| SettingsError::new(name, e))
}
