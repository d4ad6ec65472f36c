//! Whom a certificate is for, once it was checked.

use super::{CertificateNumber, SubjectId, SubjectKey};
use std::sync::Arc;
use symbolon_wire::Time;

/// Whom a certificate names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectName {
    /// A subject of our own issuer.
    Ours(SubjectId),
    /// A subject of a foreign authority.
    Foreign {
        /// What the administrator calls that authority.
        authority: String,
        /// The user's name by the authority's rule, not yet in its canonical spelling.
        name: String,
    },
}

/// Proof that a person's or a device's certificate was checked: path, times, usage, names, keys,
/// revocation. Only [`SubjectTrust::verify`](super::SubjectTrust::verify) makes it. That its
/// presenter has the key is not proved by it.
#[derive(Clone)]
pub struct VerifiedSubject(Arc<Facts>);

pub(crate) struct Facts {
    pub(crate) name: SubjectName,
    pub(crate) code: String,
    pub(crate) key: SubjectKey,
    pub(crate) certificate_hash: [u8; 32],
    pub(crate) key_hash: [u8; 32],
    pub(crate) serial: Vec<u8>,
    pub(crate) path: Vec<CertificateNumber>,
    pub(crate) from: Time,
    pub(crate) until: Time,
    /// Until when nothing that the verdict rests on ends: certificates, lists.
    pub(crate) verdict_from: Time,
    pub(crate) verdict_until: Time,
}

impl VerifiedSubject {
    pub(crate) fn new(facts: Facts) -> Self {
        Self(Arc::new(facts))
    }

    /// Whom the certificate names.
    #[must_use]
    pub fn name(&self) -> &SubjectName {
        &self.0.name
    }

    /// One text for each subject: the user identification code of our own, `AUTHORITY:NAME` for a
    /// foreign one. No code has a colon, so the two never meet.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The certified key.
    #[must_use]
    pub fn key(&self) -> &SubjectKey {
        &self.0.key
    }

    /// SHA-256 of the certificate.
    #[must_use]
    pub fn certificate_hash(&self) -> &[u8; 32] {
        &self.0.certificate_hash
    }

    /// SHA-256 of the SubjectPublicKeyInfo: what is blocked when a key is lost.
    #[must_use]
    pub fn key_hash(&self) -> &[u8; 32] {
        &self.0.key_hash
    }

    /// The serial number, big-endian.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.0.serial
    }

    /// What a later list may name: the certificate itself first, then the authorities below the anchor.
    #[must_use]
    pub fn path(&self) -> &[CertificateNumber] {
        &self.0.path
    }

    /// The certificate's first and last moment.
    #[must_use]
    pub fn validity(&self) -> (Time, Time) {
        (self.0.from, self.0.until)
    }

    /// Whether everything that the verdict rests on is still in its time.
    pub(crate) fn stands_at(&self, now: Time) -> bool {
        let now = Time::from_secs(now.secs());
        self.0.verdict_from <= now && now <= self.0.verdict_until
    }
}

impl std::fmt::Debug for VerifiedSubject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VerifiedSubject({})", self.0.code)
    }
}

/// A certificate of our own that was checked, but whose time may be over: it may be renewed with the
/// proof of its key, and opens nothing. Only
/// [`SubjectTrust::verify_for_renewal`](super::SubjectTrust::verify_for_renewal) makes it.
#[derive(Clone, Debug)]
pub struct LapsedSubject(VerifiedSubject);

impl LapsedSubject {
    pub(crate) const fn new(subject: VerifiedSubject) -> Self {
        Self(subject)
    }

    /// Whom the certificate names.
    #[must_use]
    pub fn name(&self) -> &SubjectName {
        self.0.name()
    }

    /// The certified key.
    #[must_use]
    pub fn key(&self) -> &SubjectKey {
        self.0.key()
    }

    /// SHA-256 of the certificate.
    #[must_use]
    pub fn certificate_hash(&self) -> &[u8; 32] {
        self.0.certificate_hash()
    }

    /// The serial number, big-endian.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        self.0.serial()
    }

    /// The certificate's first and last moment.
    #[must_use]
    pub fn validity(&self) -> (Time, Time) {
        self.0.validity()
    }
}
