//! A certificate that was read strictly (RFC 5280 §4.1, X.690 §10).
//!
//! The path itself is followed by webpki, which is lenient where the wider world needs it: serial
//! numbers, key usage, doubled extensions, other encodings of one value. What is accepted here has
//! one encoding, and so one hash.

use super::subject_key::verify_signed;
use super::{SubjectError, SubjectKey};
use crate::Crypto;
use der::asn1::ObjectIdentifier;
use der::{Decode, Encode};
use symbolon_wire::Time;
use x509_cert::Version;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName,
    SubjectKeyIdentifier,
};

/// The longest certificate that is read, in bytes: one with an RSA key of 8,192 bits and twenty names
/// has 4,000, one with an X-Wing key 2,000.
pub(crate) const MAX_CERTIFICATE: usize = 8 * 1024;

/// RFC 5280 §4.1.2.2.
const MAX_SERIAL: usize = 20;

/// Extensions that may be critical because they are understood here or by webpki: key usage, subject
/// alternative name, basic constraints, name constraints, extended key usage.
const UNDERSTOOD: [ObjectIdentifier; 5] = [
    ObjectIdentifier::new_unwrap("2.5.29.15"),
    ObjectIdentifier::new_unwrap("2.5.29.17"),
    ObjectIdentifier::new_unwrap("2.5.29.19"),
    ObjectIdentifier::new_unwrap("2.5.29.30"),
    ObjectIdentifier::new_unwrap("2.5.29.37"),
];

/// A certificate whose form is right; who signed it is another question.
#[derive(Debug)]
pub(crate) struct StrictCertificate {
    inner: x509_cert::Certificate,
    key_info: Vec<u8>,
    pub(crate) key: SubjectKey,
    pub(crate) key_usage: Option<KeyUsage>,
    pub(crate) extended: Vec<ObjectIdentifier>,
    pub(crate) basic: Option<BasicConstraints>,
    pub(crate) names: Vec<GeneralName>,
    pub(crate) authority_key: Option<Vec<u8>>,
    pub(crate) subject_key: Option<Vec<u8>>,
    pub(crate) from: Time,
    pub(crate) until: Time,
}

impl StrictCertificate {
    /// # Errors
    /// [`SubjectError::Malformed`], [`SubjectError::BadSerial`],
    /// [`SubjectError::CriticalExtension`], [`SubjectError::WeakKey`].
    pub(crate) fn parse(der: &[u8]) -> Result<Self, SubjectError> {
        if der.len() > MAX_CERTIFICATE {
            return Err(SubjectError::malformed("too long"));
        }
        let inner = x509_cert::Certificate::from_der(der)?;
        if inner.to_der()? != der {
            return Err(SubjectError::malformed("not in its one encoding"));
        }
        let tbs = inner.tbs_certificate();
        let doubtful = tbs.version() != Version::V3
            || tbs.issuer_unique_id().is_some()
            || tbs.subject_unique_id().is_some()
            || tbs.signature() != inner.signature_algorithm()
            || tbs.issuer().is_empty();
        if doubtful {
            return Err(SubjectError::malformed("not of the form that RFC 5280 demands"));
        }
        check_serial(tbs.serial_number().as_bytes())?;
        let extensions = tbs.extensions().map_or(&[][..], Vec::as_slice);
        for (i, extension) in extensions.iter().enumerate() {
            if extensions[..i].iter().any(|e| e.extn_id == extension.extn_id) {
                return Err(SubjectError::malformed("an extension stands twice"));
            }
            if extension.critical && !UNDERSTOOD.contains(&extension.extn_id) {
                return Err(SubjectError::CriticalExtension);
            }
        }
        let time = |t: x509_cert::time::Time| Time::from_secs(t.to_unix_duration().as_secs());
        let (from, until) = (time(tbs.validity().not_before), time(tbs.validity().not_after));
        if from > until {
            return Err(SubjectError::malformed("it ends before it begins"));
        }
        let basic = tbs.get_extension::<BasicConstraints>()?.map(|(_, e)| e);
        if basic.as_ref().is_some_and(|b| !b.ca && b.path_len_constraint.is_some()) {
            return Err(SubjectError::malformed("a path length without authority"));
        }
        let authority_key = tbs
            .get_extension::<AuthorityKeyIdentifier>()?
            .and_then(|(_, e)| Some(e.key_identifier?.as_bytes().to_vec()));
        let key_info = tbs.subject_public_key_info().to_der()?;
        Ok(Self {
            key: SubjectKey::read(tbs.subject_public_key_info(), &key_info)?,
            key_info,
            key_usage: tbs.get_extension::<KeyUsage>()?.map(|(_, e)| e),
            extended: tbs.get_extension::<ExtendedKeyUsage>()?.map_or_else(Vec::new, |(_, e)| e.0),
            names: tbs.get_extension::<SubjectAltName>()?.map_or_else(Vec::new, |(_, e)| e.0),
            subject_key: tbs.get_extension::<SubjectKeyIdentifier>()?.map(|(_, e)| e.0.as_bytes().to_vec()),
            authority_key,
            basic,
            from,
            until,
            inner,
        })
    }

    pub(crate) fn issuer(&self) -> &x509_cert::name::Name {
        self.inner.tbs_certificate().issuer()
    }

    pub(crate) fn subject(&self) -> &x509_cert::name::Name {
        self.inner.tbs_certificate().subject()
    }

    pub(crate) fn serial(&self) -> &[u8] {
        self.inner.tbs_certificate().serial_number().as_bytes()
    }

    /// SubjectPublicKeyInfo, DER.
    pub(crate) fn public_key_info(&self) -> &[u8] {
        &self.key_info
    }

    /// Whether the signature is by the key in `signer` (SubjectPublicKeyInfo, DER).
    pub(crate) fn is_signed_by(&self, crypto: Crypto, signer: &[u8]) -> Result<bool, SubjectError> {
        let tbs = self.inner.tbs_certificate().to_der()?;
        let algorithm = self.inner.signature_algorithm();
        let signature = self.inner.signature().as_bytes().unwrap_or_default();
        Ok(verify_signed(crypto, signer, algorithm, &tbs, signature))
    }

    pub(crate) const fn is_authority(&self) -> bool {
        matches!(&self.basic, Some(b) if b.ca)
    }

    pub(crate) fn is_valid_at(&self, now: Time) -> bool {
        // in whole seconds, both inclusive, as certificates have it
        let now = Time::from_secs(now.secs());
        self.from <= now && now <= self.until
    }
}

fn check_serial(bytes: &[u8]) -> Result<(), SubjectError> {
    let positive = bytes.first().is_some_and(|b| b & 0x80 == 0) && bytes.iter().any(|b| *b != 0);
    if positive && bytes.len() <= MAX_SERIAL { Ok(()) } else { Err(SubjectError::BadSerial) }
}
