#![deny(unsafe_code)]
//! Passwords that others keep (A4): an LDAP directory, or the machine's own PAM.
//!
//! The password arrives inside a context's first message; a [`PasswordBackend`] asks whoever knows
//! it, within a time limit, and says [`Checked::Right`] or [`Checked::Wrong`]. What cannot be asked
//! is a [`BackendError`] and never a yes: a slow or absent back end delays those alone who sign in
//! by it.
//!
//! [`LdapDirectory`] binds as the user (RFC 4513 §5.1.3) over TLS; [`Pam`] asks a PAM service. The
//! one module with `unsafe` is the border to the PAM library.

mod ldap;
mod pam;
mod proof;

use std::pin::Pin;

pub use ldap::{
    Address, DnTemplate, FilterTemplate, GroupSource, Groups, LdapConfig, LdapDirectory, LdapTextError,
    Protection, Searcher, UserSearch, Users,
};
pub use pam::{Pam, PamConfig, PamService, PamServiceError};
pub use proof::{DirectoryProved, prove};
use symbolon_crypto::SecretBytes;
use symbolon_policy::{CanonName, GroupName};

/// Longest password that is passed on, in bytes; a first message carries no longer one.
pub const MAX_PASSWORD: usize = 256;

/// Who knows passwords.
pub trait PasswordBackend: Send + Sync + std::fmt::Debug {
    /// Whether `password` is that of `user`. An empty password is wrong without being asked for.
    ///
    /// # Errors
    /// The future gives a [`BackendError`] when that cannot be said; in bounded time in any case.
    fn check<'a>(&'a self, user: &'a CanonName, password: &'a SecretBytes) -> Checking<'a>;
}

/// A check under way.
pub type Checking<'a> = Pin<Box<dyn Future<Output = Result<Checked, BackendError>> + Send + 'a>>;

/// What the back end says of a name and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It is the user's password.
    Right {
        /// Those groups of the user that the configuration gives a name to.
        groups: Vec<GroupName>,
    },
    /// It is not, or there is no such user; which of the two is not told.
    Wrong,
}

impl Checked {
    /// Whether the password is right.
    #[must_use]
    pub const fn is_right(&self) -> bool {
        matches!(self, Self::Right { .. })
    }
}

/// Why nothing can be said of a password. The texts are for the operator, not for the peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// The back end cannot be asked now: it is down, slow, or does not prove who it is.
    #[error("the password back end cannot be asked: {0}")]
    Unavailable(String),
    /// It does not let this user in for a reason other than the password.
    #[error("the password back end refuses the user: {0}")]
    Denied(String),
    /// It does not do what our configuration asks of it.
    #[error("the password back end does not fit its configuration: {0}")]
    Misconfigured(String),
}

/// Passwords that no back end is asked about.
fn is_impossible(password: &SecretBytes) -> bool {
    // An empty password would make a bind "unauthenticated", which succeeds (RFC 4513 §5.1.2); one
    // with a zero byte would be cut there by C.
    let bytes = password.expose();
    bytes.is_empty() || bytes.len() > MAX_PASSWORD || bytes.contains(&0)
}
