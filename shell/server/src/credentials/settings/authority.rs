//! Authorities of others whose certificates are taken.

use super::{Credentials, der, read};
use crate::credentials::Lists;
use crate::error::NodeError;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::RwLock;
use symbolon_crypto::{
    Crypto, ForeignAuthority, ForeignUsage, NameRule, Revocation, SubjectTrust, TrustedIssuer,
};

/// An authority of others.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthoritySettings {
    /// What it is called in logs.
    pub alias: String,
    /// File with its certificate, PEM or DER.
    pub certificate: PathBuf,
    /// Where its certificates have the user's name.
    pub name: ForeignName,
    /// What they must be meant for: TLS clients unless `smart_card` is set.
    #[serde(default)]
    pub smart_card: bool,
    /// Files with its revocation lists, PEM or DER, read again when they change. With one, each certificate must be
    /// under a list in date.
    #[serde(default)]
    pub lists: Vec<PathBuf>,
}

/// Where a foreign certificate has the user's name.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ForeignName {
    /// `NAME@` this domain.
    Email(String),
    /// A URI that begins with this.
    Uri(String),
    /// `NAME.` this suffix.
    Dns(String),
    /// The common name, for an authority of one's own alone. The value must be `true`.
    CommonName(bool),
}

impl Credentials {
    /// Trust in our issuer, and in the authorities with their lists.
    pub(in crate::credentials) fn trust(
        &self,
        crypto: Crypto,
        issuer: &TrustedIssuer,
    ) -> Result<(RwLock<SubjectTrust>, Lists), NodeError> {
        let wrong = |what: &str, e: &dyn std::fmt::Display| {
            NodeError::Config(format!("credentials.authority {what}: {e}"))
        };
        let mut trust = SubjectTrust::new(crypto, std::slice::from_ref(issuer), Revocation::IfListed)
            .map_err(|e| wrong("of our own", &e))?;
        let mut authorities = Vec::new();
        for authority in &self.authority {
            let alias = &authority.alias;
            let certificate = der(&read(&authority.certificate)?);
            let admitted = ForeignAuthority {
                alias: alias.clone(),
                certificate: certificate.clone(),
                rule: authority.name.rule(alias)?,
                usage: if authority.smart_card {
                    ForeignUsage::SmartCardLogon
                } else {
                    ForeignUsage::ClientAuthentication
                },
                revocation: if authority.lists.is_empty() {
                    Revocation::IfListed
                } else {
                    Revocation::Demanded
                },
            };
            trust.admit(crypto, admitted).map_err(|e| wrong(alias, &e))?;
            authorities.push((authority.clone(), certificate));
        }
        let trust = RwLock::new(trust);
        let lists = Lists::open(crypto, &trust, &authorities)?;
        Ok((trust, lists))
    }
}

impl ForeignName {
    fn rule(&self, alias: &str) -> Result<NameRule, NodeError> {
        Ok(match self.clone() {
            Self::Email(domain) => NameRule::EmailAt { domain },
            Self::Uri(prefix) => NameRule::UriUnder { prefix },
            Self::Dns(suffix) => NameRule::DnsUnder { suffix },
            Self::CommonName(true) => NameRule::CommonName,
            Self::CommonName(false) => {
                let why = format!("credentials.authority {alias}: common_name = false names no rule");
                return Err(NodeError::Config(why));
            }
        })
    }
}
