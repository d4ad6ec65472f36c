//! What proves who somebody is: one file a kind of credential. Each check ends in a proof for the one
//! exchange, and in the user whom the directory has under it.
//!
//! ```text
//! token.rs         the authentication key of a registered token (B8)
//! password.rs      name and password: the local directory, LDAP, PAM (A4)
//! certificate.rs   certificates of our issuer and of authorities that policy admits (A3, A7)
//! tickets.rs       Kerberos, OpenID providers, and tickets of our own sessions (A5)
//! groups.rs        which of our groups those of others are
//! lists.rs         revocation lists of those authorities, read again when they change
//! settings.rs      which of them this node takes, from its configuration
//! ```
//! Whoever asks is looked up in our own directory in the end: a foreign authority says who somebody
//! is, never what they may.

mod certificate;
mod groups;
mod lists;
mod password;
mod settings;
mod tickets;
mod token;

pub use groups::{LdapGroups, OidcGroups};
pub(crate) use lists::{ListReport, Lists};
pub use settings::{
    AuthoritySettings, Credentials as CredentialSettings, ForeignName, KerberosSettings, LdapSettings,
    OidcSettings, OidcUser, PamSettings,
};

use crate::clock::now;
use crate::config::NodeConfig;
use crate::connection::Connection;
use crate::error::NodeError;
use crate::node::Shared;
use crate::refusal::Refused;
use std::sync::{Arc, Mutex, RwLock};
use symbolon_context::Fresh;
use symbolon_crypto::{
    CertificateNumber, Crypto, LapsedSubject, Secret, SubjectTrust, TokenKind, TokenProof, TrustedIssuer,
    VerdictCache, VerifiedSubject,
};
use symbolon_directory::PasswordBackend;
use symbolon_policy::{CanonName, GroupName, TokenClass};
use symbolon_session::TicketKeys;
use symbolon_store::{RegistrationId, SessionId, StoreError, User};
use symbolon_tickets::kerberos::KerberosAcceptor;
use symbolon_tickets::oidc::OidcVerifier;
use symbolon_wire::{RefusalCode, Time};
use tokio::sync::Semaphore;

/// Certificates whose path was checked that are remembered.
const VERDICTS: usize = 10_000;

/// Kerberos tickets that are checked at the same time.
const KERBEROS_CHECKS: usize = 4;

/// Who signed in, and with what.
#[derive(Clone)]
pub(crate) struct SignedIn {
    pub(crate) user: User,
    pub(crate) registration: Option<RegistrationId>,
    pub(crate) class: TokenClass,
    /// When the credential itself was shown; earlier than now for a session ticket.
    pub(crate) proved: Time,
    /// When what it opens must be over, where the credential says so.
    pub(crate) until: Option<Time>,
    /// The session that this one follows, and ends.
    pub(crate) follows: Option<SessionId>,
    /// The certificate, where it was one: it may be revoked before the session is there.
    pub(crate) certificate: Option<VerifiedSubject>,
    /// The certificates that it rests on, also those behind a session ticket.
    pub(crate) rests_on: Vec<CertificateNumber>,
    /// The groups of ours in which the user is besides, by the word of who vouched.
    pub(crate) groups: Vec<GroupName>,
}

impl SignedIn {
    /// By a credential that was shown just now and of which nothing else is to be said.
    fn just_now(user: User, class: TokenClass) -> Self {
        Self {
            user,
            registration: None,
            class,
            proved: now(),
            until: None,
            follows: None,
            certificate: None,
            rests_on: Vec::new(),
            groups: Vec::new(),
        }
    }
}

/// What the check of a credential gave.
pub(crate) type Checked = (Box<dyn TokenProof>, SignedIn);

/// A device that came back with a certificate of ours whose time is over: it may renew that, and nothing else.
pub(crate) struct CameBack {
    pub(crate) user: User,
    pub(crate) certificate: LapsedSubject,
}

/// What may go on with an exchange.
pub(crate) enum Admitted {
    /// A credential that opens a session.
    SignedIn(Box<dyn TokenProof>, Box<SignedIn>),
    /// One that opens none any more.
    CameBack(Box<dyn TokenProof>, Box<CameBack>),
}

impl From<Checked> for Admitted {
    fn from((proof, signed_in): Checked) -> Self {
        Self::SignedIn(proof, Box::new(signed_in))
    }
}

/// What a node needs to check credentials, beside its directory.
pub(crate) struct Credentials {
    pub(crate) trust: RwLock<SubjectTrust>,
    pub(crate) lists: Lists,
    verdicts: Mutex<VerdictCache>,
    tickets: TicketKeys,
    kerberos: Option<KerberosAcceptor>,
    kerberos_checks: Arc<Semaphore>,
    oidc: Vec<OidcVerifier>,
    backend: Option<Box<dyn PasswordBackend>>,
}

impl Credentials {
    /// From the configuration; what it names is looked at, but no other machine is asked.
    pub(crate) fn new(
        crypto: Crypto,
        config: &NodeConfig,
        issuer: &TrustedIssuer,
        domain_key: &Secret<32>,
    ) -> Result<Self, NodeError> {
        let settings = &config.credentials;
        settings.check()?;
        let (trust, lists) = settings.trust(crypto, issuer)?;
        Ok(Self {
            trust,
            lists,
            verdicts: Mutex::new(VerdictCache::new(VERDICTS)),
            tickets: TicketKeys::new(crypto, domain_key),
            kerberos: settings.kerberos(config.home())?,
            kerberos_checks: Arc::new(Semaphore::new(KERBEROS_CHECKS)),
            oidc: settings.oidc()?,
            backend: settings.backend()?,
        })
    }
}

impl Shared {
    /// Checks the credential in a first message.
    pub(crate) async fn check(&self, fresh: &Fresh, connection: &Connection) -> Result<Admitted, Refused> {
        let checked = match fresh.token_kind() {
            TokenKind::Certificate | TokenKind::KemCertificate => return self.by_certificate(fresh).await,
            TokenKind::Challenge => self.by_token(fresh).await,
            TokenKind::Password => self.by_password(fresh, connection).await,
            TokenKind::Kerberos => self.by_kerberos(fresh).await,
            TokenKind::Jwt => self.by_jwt(fresh).await,
            TokenKind::SessionTicket => self.by_session_ticket(fresh).await,
            kind => Err(not_taken(kind)),
        };
        checked.map(Admitted::from)
    }

    /// The user of a name that somebody else vouched for.
    async fn vouched_user(&self, name: &CanonName, by: &str) -> Result<User, Refused> {
        match self.store.user_by_name(name).await {
            Ok(user) => Ok(user),
            Err(StoreError::NotFound { .. }) => {
                Err(Refused::denied(format!("{by} vouches for {name}, who is no user here")))
            }
            Err(e) => Err(e.into()),
        }
    }
}

fn not_taken(kind: TokenKind) -> Refused {
    Refused::new(RefusalCode::Credential, format!("{kind:?} is not taken here"))
}
