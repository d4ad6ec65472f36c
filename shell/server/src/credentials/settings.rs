//! Which credentials a node takes, and from whom: the `[credentials]` of its configuration.

mod authority;
mod kerberos;
mod oidc;
mod passwords;

pub use authority::{AuthoritySettings, ForeignName};
pub use kerberos::KerberosSettings;
pub use oidc::{OidcSettings, OidcUser};
pub use passwords::{LdapSettings, PamSettings};

use crate::error::NodeError;
use crate::files::read_at_most;
use serde::{Deserialize, Serialize};
use std::path::Path;
use symbolon_issuer::{DEFAULT_SUBJECT_SECS, MAX_SUBJECT_SECS, RenewalPolicy};

/// How long somebody else may take to answer, in seconds, unless the configuration says otherwise.
const ANSWER_SECS: u64 = 5;

/// The longest file that is read, in bytes: certificates of all authorities that a distribution knows are about
/// 220 KB.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Which credentials a node takes beside registered tokens. Passwords are another matter: whether
/// they are taken at all is `accept_passwords`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Credentials {
    /// Whether certificates of our own issuer are taken.
    pub certificates: bool,
    /// How long a certificate is good that a device gets over its session, in seconds, 90 days at most.
    pub certificate_secs: u64,
    /// For how many of its lives after its end a device's certificate is still renewed for who proves its
    /// key; 0 for none.
    pub renewal_grace_lives: u32,
    /// Whether sessions give tickets, and these are taken.
    pub tickets: bool,
    /// How long a session ticket is good, in seconds, a day at most.
    pub ticket_secs: u64,
    /// Other authorities whose certificates are taken.
    pub authority: Vec<AuthoritySettings>,
    /// Kerberos.
    pub kerberos: Option<KerberosSettings>,
    /// OpenID providers.
    pub oidc: Vec<OidcSettings>,
    /// A directory that knows the passwords of those who have none here.
    pub ldap: Option<LdapSettings>,
    /// The machine's own PAM, for the same.
    pub pam: Option<PamSettings>,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            certificates: true,
            certificate_secs: DEFAULT_SUBJECT_SECS,
            renewal_grace_lives: 10,
            tickets: true,
            ticket_secs: 3600,
            authority: Vec::new(),
            kerberos: None,
            oidc: Vec::new(),
            ldap: None,
            pam: None,
        }
    }
}

impl Credentials {
    /// When certificates that devices got are renewed.
    pub(crate) const fn renewal(&self) -> RenewalPolicy {
        RenewalPolicy { grace_lives: self.renewal_grace_lives }
    }

    /// How long after its end a certificate that a device got may be renewed, in seconds.
    pub(crate) fn longest_grace_secs(&self) -> u64 {
        self.certificate_secs.saturating_mul(self.renewal_grace_lives.into())
    }

    pub(super) fn check(&self) -> Result<(), NodeError> {
        if (1..=MAX_SUBJECT_SECS).contains(&self.certificate_secs) {
            return Ok(());
        }
        let secs = self.certificate_secs;
        Err(NodeError::Config(format!(
            "credentials.certificate_secs: {secs} is not between 1 and {MAX_SUBJECT_SECS}"
        )))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, NodeError> {
    read_at_most(path, MAX_FILE).map_err(|e| NodeError::Config(format!("{}: {e}", path.display())))
}

/// The one certificate of a file, whichever of the two encodings it has.
fn der(file: &[u8]) -> Vec<u8> {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;
    CertificateDer::from_pem_slice(file).map_or_else(|_| file.to_vec(), |c| c.to_vec())
}

fn is_local(server: &str) -> bool {
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback())
}
