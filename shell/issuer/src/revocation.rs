//! Revocation lists (RFC 5280 §5).

use crate::certificate;
use crate::{Issuer, IssuerError, Validity};
use der::Encode;
use der::asn1::BitString;
use symbolon_crypto::Signer;
use symbolon_wire::Time;
use x509_cert::crl::{CertificateList, RevokedCert, TbsCertList};
use x509_cert::ext::ToExtension;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, CrlNumber, CrlReason};
use x509_cert::serial_number::SerialNumber;

/// Why a certificate counts no more (RFC 5280 §5.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationReason {
    /// No reason is given.
    Unspecified,
    /// Somebody else may have the key.
    KeyCompromise,
    /// The subject is not with us any more, or not as named.
    AffiliationChanged,
    /// Another certificate took its place.
    Superseded,
    /// The device is out of use.
    CessationOfOperation,
}

impl RevocationReason {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
    ];

    /// As people write it, and stores keep it: `key-compromise`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
        }
    }

    /// From that text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == text)
    }

    /// RFC 5280 §5.3.1: "unspecified" is left out rather than written.
    const fn crl_reason(self) -> Option<CrlReason> {
        match self {
            Self::Unspecified => None,
            Self::KeyCompromise => Some(CrlReason::KeyCompromise),
            Self::AffiliationChanged => Some(CrlReason::AffiliationChanged),
            Self::Superseded => Some(CrlReason::Superseded),
            Self::CessationOfOperation => Some(CrlReason::CessationOfOperation),
        }
    }
}

/// Whether these are the bytes of a serial number as certificates have it: positive, at most 20 of them,
/// none too many.
pub(crate) fn is_serial(bytes: &[u8]) -> bool {
    let one_form = match bytes {
        [0, next, ..] => *next >= 0x80,
        [first, ..] => *first < 0x80 && *first > 0,
        [] => false,
    };
    one_form && bytes.len() <= 20
}

/// A certificate that counts no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Its serial number, big-endian, at most 20 bytes.
    pub serial: Vec<u8>,
    /// Since when.
    pub at: Time,
    /// Why.
    pub reason: RevocationReason,
}

impl Issuer {
    /// A signed list (DER) of all that are revoked; `number` is larger than that of every list before,
    /// and the next list is due before `validity` ends.
    ///
    /// A revoked certificate stays on the list for as long as its key would still be taken as proof
    /// for a renewal, not only until it ends.
    ///
    /// # Errors
    /// [`IssuerError::Malformed`] for a serial number that is none, [`IssuerError::OutsideValidity`].
    pub fn revocation_list(
        &self,
        number: u64,
        revoked: &[Revoked],
        validity: Validity,
    ) -> Result<Vec<u8>, IssuerError> {
        let entries = revoked.iter().map(|r| self.entry(r)).collect::<Result<Vec<_>, _>>()?;
        let times = validity.within(self.validity())?.to_x509()?;
        let authority_key = AuthorityKeyIdentifier {
            key_identifier: Some(certificate::key_identifier(&certificate::p256_public_key(
                self.key().public_point(),
            )?)?),
            ..AuthorityKeyIdentifier::default()
        };
        let extensions = vec![
            authority_key.to_extension(self.name(), &[])?,
            CrlNumber::try_from(number)?.to_extension(self.name(), &[])?,
        ];
        let tbs_cert_list = TbsCertList {
            version: x509_cert::Version::V2,
            signature: certificate::ecdsa_with_sha256(),
            issuer: self.name().clone(),
            this_update: times.not_before,
            next_update: Some(times.not_after),
            revoked_certificates: (!entries.is_empty()).then_some(entries),
            crl_extensions: Some(extensions),
        };
        let signature = BitString::from_bytes(&self.key().sign(&tbs_cert_list.to_der()?)?)?;
        let list: CertificateList = CertificateList {
            tbs_cert_list,
            signature_algorithm: certificate::ecdsa_with_sha256(),
            signature,
        };
        Ok(list.to_der()?)
    }

    fn entry(&self, revoked: &Revoked) -> Result<RevokedCert, IssuerError> {
        if !is_serial(&revoked.serial) {
            return Err(IssuerError::Malformed("a serial number on the list is none".into()));
        }
        let extensions = match revoked.reason.crl_reason() {
            Some(reason) => Some(vec![(&reason).to_extension(self.name(), &[])?]),
            None => None,
        };
        Ok(RevokedCert {
            // the sign's zero byte is added by it
            serial_number: SerialNumber::new(revoked.serial.strip_prefix(&[0]).unwrap_or(&revoked.serial))?,
            revocation_date: Validity::starting(revoked.at, 0).to_x509()?.not_after,
            crl_entry_extensions: extensions,
        })
    }
}
