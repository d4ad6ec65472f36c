//! Passwords by LDAP (RFC 4511): connect, protect, find the user, bind as the user.
//!
//! ```text
//! Users::ByDn       template with the name in it ───────────────────────────> bind with the password
//! Users::BySearch   bind as searcher ─> search: exactly one entry ─> groups ─> bind with the password
//! ```
//! Each check has a connection of its own, so that nothing of one user stays for the next. Names
//! never become part of a filter's text: a template is parsed once, and values are put into the
//! parsed filter, so there is nothing to escape (RFC 4515 is for text only).

mod address;
mod ber;
mod connection;
mod directory;
mod dn;
mod filter;
mod message;
mod protection;

pub use address::Address;
pub use directory::{GroupSource, Groups, LdapConfig, LdapDirectory, Searcher, UserSearch, Users};
pub use dn::DnTemplate;
pub use filter::FilterTemplate;
pub use protection::Protection;

/// A text of the configuration that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct LdapTextError {
    what: &'static str,
    why: &'static str,
}

impl LdapTextError {
    const fn new(what: &'static str, why: &'static str) -> Self {
        Self { what, why }
    }
}
