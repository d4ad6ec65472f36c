#![forbid(unsafe_code)]
//! The certification authority: who may be a gateway of which name, and the short-lived keys to
//! which first messages are sealed.
//!
//! ```text
//! Issuer ── gateway_identity, certify_identity ──> Identity ── context_key ──> ContextKey
//!   years                                          months                      a day or so
//!                                                     └── key_set ──> KeySet, shown to everybody
//! ```
//! [`ContextKeys`] is what a running gateway holds: it makes the next context keys in time, keeps
//! the last ones until no client can use them any more, and then wipes them. What a client checks
//! is [`symbolon_crypto::KeySet::verify`].
//!
//! All certificates are made in one place (`certificate.rs`) by one crate, since the usual ones for
//! that purpose cannot certify a KEM key. No function here reads a clock; randomness (keys, serial
//! numbers) comes from the provider.

mod certificate;
mod context_keys;
mod identity;
mod issuer;
#[cfg(test)]
mod tests;
mod validity;

pub use context_keys::ContextKeys;
pub use identity::{ContextKey, Identity};
pub use issuer::Issuer;
pub use validity::{CLOCK_LEEWAY_SECS, Validity};

use symbolon_crypto::CryptoError;

/// Why a certificate was not made or not taken. Our caller erred, or its time is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// An issuer's name is 1 to 64 characters long and none of them is a control character.
    #[error("an issuer's name has 1 to 64 characters and no control characters")]
    BadName,
    /// The bytes are not such a certificate.
    #[error("malformed certificate: {0}")]
    Malformed(String),
    /// The private key is not the one that the certificate names.
    #[error("the private key does not belong to the certificate")]
    OtherKey,
    /// The certificate would end before it begins, since its signer's does, or lies beyond the year
    /// 9999.
    #[error("the signer's certificate has expired, or the time cannot be written in a certificate")]
    OutsideValidity,
    /// A primitive failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl From<der::Error> for IssuerError {
    fn from(e: der::Error) -> Self {
        Self::Malformed(e.to_string())
    }
}
