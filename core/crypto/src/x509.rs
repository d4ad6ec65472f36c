//! The issuer as the one root of trust, and what stands under it or beside it: certificates of
//! persons and devices, ours and those of foreign authorities that policy admits (A3, A7).
//!
//! ```text
//! SubjectTrust  our issuers, foreign authorities with a rule for names, revocation lists, blocked keys
//!   └─ verify(chain) ──> VerifiedSubject   whom it is for, and the key; VerdictCache keeps it
//! IssuerChange  one issuer follows another: signed by both, followed by an IssuerSet
//! ```

mod certificate;
mod change;
mod error;
mod path;
mod revocation;
mod rule;
mod subject;
mod subject_id;
mod subject_key;
mod trust;
mod verdicts;

pub(crate) use certificate::StrictCertificate;
pub use change::{IssuerChange, IssuerChangeError, IssuerSet};
pub use error::SubjectError;
pub use revocation::{CertificateNumber, RevocationList, RevocationLists};
pub use rule::NameRule;
pub use subject::{LapsedSubject, SubjectName, VerifiedSubject};
pub use subject_id::{DEVICE_USAGE, PERSON_USAGE, SubjectId, SubjectProfile};
pub use subject_key::{SignatureKey, SignatureKind, SubjectKey};
pub use trust::{ForeignAuthority, ForeignUsage, Revocation, SubjectTrust};
pub use verdicts::VerdictCache;

use crate::Crypto;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use symbolon_wire::Time;

/// SHA-256 of the issuer's SubjectPublicKeyInfo: what an invitation link carries, so that even a
/// link is a root of trust (B1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IssuerFingerprint(pub [u8; 32]);

impl std::fmt::Display for IssuerFingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, b) in self.0.iter().enumerate() {
            if i > 0 && i % 4 == 0 {
                f.write_str(" ")?;
            }
            write!(f, "{b:02x}")?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for IssuerFingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IssuerFingerprint({self})")
    }
}

/// Why a certificate was not accepted. The peer (or whoever configured the issuer) erred.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum X509Error {
    /// Not a certificate at all.
    #[error("not a certificate: {0}")]
    Malformed(String),
    /// The issuer's certificate holds another key than the one that is trusted.
    #[error("the issuer's key is not the one that is trusted")]
    OtherIssuer,
}

/// An issuer whose key is trusted: read from a token, or found to fit the hash in a link.
#[derive(Clone, PartialEq, Eq)]
pub struct TrustedIssuer {
    certificate: CertificateDer<'static>,
    fingerprint: IssuerFingerprint,
}

impl TrustedIssuer {
    /// Takes `certificate` (DER, self-signed) as trusted because the caller holds it from a
    /// trusted place: a token, or its own configuration.
    ///
    /// # Errors
    /// [`X509Error::Malformed`].
    pub fn from_certificate(crypto: Crypto, certificate: &[u8]) -> Result<Self, X509Error> {
        let certificate = CertificateDer::from(certificate.to_vec());
        let malformed = |e: webpki::Error| X509Error::Malformed(e.to_string());
        let fingerprint = {
            let parsed = webpki::EndEntityCert::try_from(&certificate).map_err(malformed)?;
            webpki::anchor_from_trusted_cert(&certificate).map_err(malformed)?;
            IssuerFingerprint(crypto.sha256(&[parsed.subject_public_key_info().as_ref()]))
        };
        Ok(Self { certificate, fingerprint })
    }

    /// Takes `certificate`, received from anybody, as trusted because its key has the hash that the
    /// caller got out of band.
    ///
    /// # Errors
    /// [`X509Error::Malformed`], [`X509Error::OtherIssuer`].
    pub fn from_fingerprint(
        crypto: Crypto,
        certificate: &[u8],
        expected: IssuerFingerprint,
    ) -> Result<Self, X509Error> {
        let issuer = Self::from_certificate(crypto, certificate)?;
        if issuer.fingerprint == expected { Ok(issuer) } else { Err(X509Error::OtherIssuer) }
    }

    /// The certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The hash of its key.
    #[must_use]
    pub const fn fingerprint(&self) -> IssuerFingerprint {
        self.fingerprint
    }

    pub(crate) fn anchor(&self) -> Result<TrustAnchor<'_>, X509Error> {
        webpki::anchor_from_trusted_cert(&self.certificate).map_err(|e| X509Error::Malformed(e.to_string()))
    }
}

impl std::fmt::Debug for TrustedIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TrustedIssuer({})", self.fingerprint)
    }
}

pub(crate) fn unix_time(now: Time) -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.secs()))
}
