#![forbid(unsafe_code)]
//! The certification authority: who may be a gateway of which name, and the short-lived keys to
//! which first messages are sealed.
//!
//! ```text
//! Issuer ── gateway_identity, certify_identity ──> Identity ── context_key ──> ContextKey
//!   years                                          months                      a day or so
//!                                                     └── key_set ──> KeySet, shown to everybody
//!        ├── certify_subject ──> SubjectCertificate, of a person or a device    hours or days
//!        ├── revocation_list ──> a signed list of those that count no more
//!        └── hand_over ──> IssuerChange: another issuer follows
//! ```
//! A subject asks with a [`CertificateRequest`]; one whose key cannot sign gets its certificate in an
//! envelope to that key ([`Delivery`]). A certificate is renewed by proof of its key
//! ([`PendingRenewal`]). The issuer's key need not live where requests come in: they travel as a
//! [`RequestBundle`] to a machine without network, and back as a [`SignedBundle`]. What leaves here
//! has passed [`lint()`], which is stricter than any validator.
//!
//! [`ContextKeys`] is what a running gateway holds: it makes the next context keys in time, keeps
//! the last ones until no client can use them any more, and then wipes them. What a client checks
//! is [`symbolon_crypto::KeySet::verify`].
//!
//! All certificates are made in one place (`certificate.rs`) by one crate, since the usual ones for
//! that purpose cannot certify a KEM key. No function here reads a clock; randomness (keys, serial
//! numbers) comes from the provider.

mod certificate;
mod context_keys;
mod delivery;
mod identity;
mod issuer;
mod lint;
mod offline;
mod renewal;
mod request;
mod revocation;
mod site;
mod subject;
mod succession;
#[cfg(test)]
mod tests;
mod validity;

pub use context_keys::ContextKeys;
pub use delivery::{Confirmation, Delivery, SealedCertificate};
pub use identity::{ContextKey, Identity};
pub use issuer::Issuer;
pub use lint::{Finding, LintProfile, lint, lint_under};
pub use offline::{BundleError, BundleItem, ListOrder, RequestBundle, SignedBundle, SignedItem};
pub use renewal::{
    PendingRenewal, ProvenRenewal, RenewalAnswer, RenewalChallenge, RenewalError, RenewalPolicy,
    RenewalTiming,
};
pub use request::{CertificateRequest, Possession, RequestError, RequestKey, RequestedName};
pub use revocation::{RevocationReason, Revoked};
pub use site::MAX_SITE_SECS;
pub use subject::{DEFAULT_SUBJECT_SECS, MAX_SUBJECT_SECS, SubjectCertificate, SubjectGrant, serial_number};
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
    /// The request asks for another subject than the one that was granted.
    #[error("the request is for another subject than the one that was approved")]
    OtherSubject,
    /// What was made is not as it should be: a mistake of ours, and nothing was handed out.
    #[error("the certificate is not as it should be: {0}")]
    Lint(String),
    /// A primitive failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl From<der::Error> for IssuerError {
    fn from(e: der::Error) -> Self {
        Self::Malformed(e.to_string())
    }
}
