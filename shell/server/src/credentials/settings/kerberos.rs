//! Kerberos tickets.

use super::Credentials;
use crate::error::NodeError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use symbolon_policy::CanonName;
use symbolon_tickets::Spelling;
use symbolon_tickets::kerberos::{KerberosAcceptor, Keytab, Principal, PrincipalMap, ServicePrincipal};

/// Kerberos.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KerberosSettings {
    /// The gateway's own principal, `symbolon/gw.example.org@EXAMPLE.ORG`.
    pub service: String,
    /// File with its keys.
    pub keytab: PathBuf,
    /// The realm whose principals are the users of the same name, if any.
    #[serde(default)]
    pub realm: Option<String>,
    /// Whether that realm ignores case, as Active Directory does.
    #[serde(default)]
    pub any_case: bool,
    /// Principals that are users by another name.
    #[serde(default)]
    pub people: BTreeMap<String, String>,
}

impl Credentials {
    /// `home` is where the nodes on one store remember what tickets they have seen.
    pub(in crate::credentials) fn kerberos(
        &self,
        home: &Path,
    ) -> Result<Option<KerberosAcceptor>, NodeError> {
        let Some(settings) = &self.kerberos else { return Ok(None) };
        let wrong = |e: &dyn std::fmt::Display| NodeError::Config(format!("credentials.kerberos: {e}"));
        let spelling = if settings.any_case { Spelling::AnyCase } else { Spelling::Exact };
        let realm = settings.realm.as_ref().map(|realm| PrincipalMap::of_realm(realm, spelling));
        let mut people = realm.unwrap_or_default();
        for (principal, user) in &settings.people {
            let principal = Principal::parse(principal).map_err(|e| wrong(&e))?;
            people = people.with_person(principal, CanonName::parse(user).map_err(|e| wrong(&e))?);
        }
        let service = ServicePrincipal::parse(&settings.service).map_err(|e| wrong(&e))?;
        let keytab = Keytab::new(&settings.keytab, &home.join("kerberos.replays")).map_err(|e| wrong(&e))?;
        let acceptor = KerberosAcceptor::new(service, keytab, people);
        acceptor.ready().map_err(|e| wrong(&e))?;
        Ok(Some(acceptor))
    }
}
