//! ID tokens of OpenID providers.

use super::{ANSWER_SECS, Credentials, is_local, read};
use crate::credentials::OidcGroups;
use crate::error::NodeError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use symbolon_policy::CanonName;
use symbolon_tickets::Spelling;
use symbolon_tickets::oidc::{KeyTimes, OidcVerifier, Provider, SubjectMap, Transport, UserClaim};

/// An OpenID provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcSettings {
    /// What it calls itself, `https://id.example.org`.
    pub issuer: String,
    /// What it calls this gateway.
    pub audience: String,
    /// File with the certificates, PEM, that vouch for its server; without one only a provider on this
    /// machine may be asked, by HTTP.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// What names the user.
    #[serde(default)]
    pub user: OidcUser,
    /// Subjects that are users by another name.
    #[serde(default)]
    pub people: BTreeMap<String, String>,
    /// Which of our groups those of the provider are.
    #[serde(default)]
    pub groups: Option<OidcGroups>,
}

/// What of an ID token names the user.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OidcUser {
    /// Only those in `people` are somebody.
    #[default]
    Listed,
    /// The subject itself.
    Subject,
    /// This claim, spelt exactly.
    Claim(String),
    /// The part before the `@` of a verified address in this domain.
    Email(String),
}

impl Credentials {
    pub(in crate::credentials) fn oidc(&self) -> Result<Vec<OidcVerifier>, NodeError> {
        let verifier = |settings: &OidcSettings| {
            let wrong = |e: &dyn std::fmt::Display| {
                NodeError::Config(format!("credentials.oidc {}: {e}", settings.issuer))
            };
            let limit = Duration::from_secs(ANSWER_SECS);
            let transport = match &settings.authorities {
                Some(path) => Transport::https(&read(path)?, limit).map_err(|e| wrong(&e))?,
                None if is_local_url(&settings.issuer) => Transport::unprotected_http(limit),
                None => return Err(wrong(&"name the `authorities` that vouch for its server")),
            };
            let claim = match settings.user.clone() {
                OidcUser::Listed => UserClaim::Listed,
                OidcUser::Subject => UserClaim::Subject,
                OidcUser::Claim(claim) => UserClaim::Named { claim, spelling: Spelling::Exact },
                OidcUser::Email(domain) => UserClaim::Email { domain },
            };
            let mut people = SubjectMap::by(claim);
            for (subject, user) in &settings.people {
                people = people.with_person(subject, CanonName::parse(user).map_err(|e| wrong(&e))?);
            }
            let provider = Provider::new(&settings.issuer, transport, KeyTimes::default());
            let verifier = OidcVerifier::new(provider.map_err(|e| wrong(&e))?, &settings.audience, people);
            Ok(match &settings.groups {
                Some(groups) => verifier.with_groups(groups.groups()?),
                None => verifier,
            })
        };
        self.oidc.iter().map(verifier).collect()
    }
}

fn is_local_url(url: &str) -> bool {
    let authority = url.strip_prefix("http://").and_then(|rest| rest.split(['/', '?', '#']).next());
    authority.is_some_and(|a| !a.contains('@') && is_local(a))
}
