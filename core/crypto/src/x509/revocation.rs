//! Revocation lists (RFC 5280 §5), read whole and checked once, when they are taken in.

use super::certificate::StrictCertificate;
use super::subject_key::verify_signed;
use super::{IssuerFingerprint, SubjectError};
use crate::Crypto;
use der::asn1::ObjectIdentifier;
use der::{Decode, Encode};
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject as _;
use std::collections::BTreeSet;
use symbolon_wire::{Decode as WireDecode, Encode as WireEncode, Reader, Time, WireError, Writer};
use x509_cert::crl::CertificateList;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, CrlNumber};
use x509_cert::ext::{Extension, Extensions};
use x509_cert::name::Name;

/// The longest list that is read, in bytes: about a hundred thousand entries.
const MAX_LIST: usize = 4 * 1024 * 1024;

const AUTHORITY_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");

/// The longest serial number that is read back, in bytes: more than the 20 of RFC 5280 §4.1.2.2.
const MAX_SERIAL: usize = 32;

/// A certificate as revocation lists speak of it: by its number, and by who gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateNumber {
    authority: [u8; 32],
    serial: Vec<u8>,
}

impl CertificateNumber {
    /// `serial` is big-endian, `authority` as [`authority_hash`] gives it.
    pub(super) fn new(authority: [u8; 32], serial: &[u8]) -> Self {
        Self { authority, serial: serial.to_vec() }
    }
}

/// Of a name and a key (SubjectPublicKeyInfo), both DER, so that where the one ends is plain.
pub(super) fn authority_hash(crypto: Crypto, name: &Name, key: &[u8]) -> Result<[u8; 32], SubjectError> {
    Ok(crypto.sha256(&[&name.to_der()?, key]))
}

impl WireEncode for CertificateNumber {
    fn encode(&self, w: &mut Writer) {
        w.fixed(&self.authority);
        w.bytes8(&self.serial);
    }
}

impl WireDecode for CertificateNumber {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let (authority, serial) = (r.fixed()?, r.bytes8()?);
        if serial.is_empty() || serial.len() > MAX_SERIAL {
            return Err(WireError::BadValue("serial number"));
        }
        Ok(Self { authority, serial: serial.to_vec() })
    }
}

/// A revocation list whose signature was checked.
#[derive(Clone)]
pub struct RevocationList {
    issuer: Name,
    signer_key: Vec<u8>,
    signer: IssuerFingerprint,
    authority: [u8; 32],
    hash: [u8; 32],
    number: Vec<u8>,
    from: Time,
    until: Time,
    serials: BTreeSet<Vec<u8>>,
}

impl RevocationList {
    /// Reads a list (DER) of the authority whose certificate is `signer` (DER): an issuer, an anchor,
    /// or an authority below one that the administrator has put beside its list.
    ///
    /// A list without a number or a next update is not taken, nor one about a part of the issuer's
    /// certificates only: what it does not say would be taken for "good".
    ///
    /// # Errors
    /// [`SubjectError::Malformed`], [`SubjectError::CriticalExtension`],
    /// [`SubjectError::WrongUsage`] when the signer may not sign lists, [`SubjectError::Untrusted`]
    /// when the signature is not the signer's, [`SubjectError::RevocationUnknown`] when the list is
    /// out of date or from the future.
    pub fn read(crypto: Crypto, der: &[u8], signer: &[u8], now: Time) -> Result<Self, SubjectError> {
        let list = Self::read_undated(crypto, der, signer)?;
        if list.is_current(now) { Ok(list) } else { Err(SubjectError::RevocationUnknown) }
    }

    /// A list out of a file, in either form that people write: DER as it is, PEM (RFC 7468) without its armour.
    ///
    /// # Errors
    /// [`SubjectError::Malformed`].
    pub fn der_of(file: &[u8]) -> Result<Vec<u8>, SubjectError> {
        if file.first() == Some(&0x30) {
            return Ok(file.to_vec());
        }
        let der = CertificateRevocationListDer::from_pem_slice(file);
        der.map(|d| d.to_vec()).map_err(|_| SubjectError::malformed("no revocation list in PEM or DER"))
    }

    /// The same whenever the list was made, for those who refuse what stands on it and conclude nothing from
    /// what does not: a certificate that was revoked once stays so.
    ///
    /// # Errors
    /// As [`RevocationList::read`], but for the list's time.
    pub fn read_undated(crypto: Crypto, der: &[u8], signer: &[u8]) -> Result<Self, SubjectError> {
        if der.len() > MAX_LIST {
            return Err(SubjectError::malformed("revocation list too long"));
        }
        let list: CertificateList = CertificateList::from_der(der)?;
        let signer = StrictCertificate::parse(signer)?;
        let tbs = &list.tbs_cert_list;
        let malformed = |reason: &str| Err(SubjectError::malformed(format!("revocation list: {reason}")));
        if list.to_der()? != der {
            return malformed("not in its one encoding");
        }
        if tbs.version != x509_cert::Version::V2 || tbs.signature != list.signature_algorithm {
            return malformed("not of the form that RFC 5280 demands");
        }
        if tbs.issuer != *signer.subject() {
            return Err(SubjectError::Untrusted);
        }
        if signer.key_usage.is_some_and(|u| !u.crl_sign()) || !signer.is_authority() {
            return Err(SubjectError::WrongUsage);
        }
        let Some(number) = read_extensions(tbs.crl_extensions.as_ref(), &signer)? else {
            return malformed("no number");
        };
        let time = |t: x509_cert::time::Time| Time::from_secs(t.to_unix_duration().as_secs());
        let Some(next) = tbs.next_update else { return malformed("no next update") };
        let (from, until) = (time(tbs.this_update), time(next));
        let mut serials = BTreeSet::new();
        for entry in tbs.revoked_certificates.iter().flatten() {
            if entry.crl_entry_extensions.iter().flatten().any(|e| e.critical) {
                return Err(SubjectError::CriticalExtension);
            }
            serials.insert(entry.serial_number.as_bytes().to_vec());
        }
        let signature = list.signature.as_bytes().ok_or_else(|| SubjectError::malformed("signature"))?;
        let signer_key = signer.public_key_info().to_vec();
        if !verify_signed(crypto, &signer_key, &list.signature_algorithm, &tbs.to_der()?, signature) {
            return Err(SubjectError::Untrusted);
        }
        Ok(Self {
            issuer: tbs.issuer.clone(),
            authority: authority_hash(crypto, &tbs.issuer, &signer_key)?,
            signer: IssuerFingerprint(crypto.sha256(&[&signer_key])),
            signer_key,
            hash: crypto.sha256(&[der]),
            number,
            from,
            until,
            serials,
        })
    }

    /// Whose list it is.
    #[must_use]
    pub const fn signer(&self) -> IssuerFingerprint {
        self.signer
    }

    /// The list's number, big-endian: a later list of one signer has a larger one.
    #[must_use]
    pub fn number(&self) -> &[u8] {
        &self.number
    }

    /// Whether its number is this one.
    #[must_use]
    pub fn number_is(&self, number: u64) -> bool {
        let bytes = number.to_be_bytes();
        let significant = bytes.iter().position(|b| *b != 0).map_or(&bytes[7..], |i| &bytes[i..]);
        self.number == significant
    }

    /// Whether the certificate with this serial number (big-endian) is on it.
    #[must_use]
    pub fn is_revoked(&self, serial: &[u8]) -> bool {
        self.serials.contains(serial)
    }

    /// Whether this certificate is on it.
    pub(crate) fn revokes(&self, certificate: &CertificateNumber) -> bool {
        self.authority == certificate.authority && self.is_revoked(&certificate.serial)
    }

    /// Until when it is in date: its next update.
    #[must_use]
    pub const fn until(&self) -> Time {
        self.until
    }

    /// From when on it is in date: its "this update".
    #[must_use]
    pub const fn from(&self) -> Time {
        self.from
    }

    /// How many certificates are on it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.serials.len()
    }

    /// Whether no certificate is on it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.serials.is_empty()
    }

    /// SHA-256 of the list.
    #[must_use]
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    pub(crate) fn is_current(&self, now: Time) -> bool {
        self.from <= now && now <= self.until
    }

    /// Whether it speaks for what the authority of this name and key has issued.
    pub(crate) fn is_of(&self, issuer: &Name, key: &[u8]) -> bool {
        self.issuer == *issuer && self.signer_key == key
    }

    fn has_signer_of(&self, other: &Self) -> bool {
        self.is_of(&other.issuer, &other.signer_key)
    }

    fn is_newer_than(&self, other: &Self) -> bool {
        (self.number.len(), &self.number) > (other.number.len(), &other.number)
    }
}

/// The newest list of each signer.
#[derive(Clone, Debug, Default)]
pub struct RevocationLists(Vec<RevocationList>);

impl RevocationLists {
    /// No list at all: nobody is known to be revoked.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Takes a list in place of an older one of the same signer. An older one than the present is passed
    /// over: whoever hands lists on cannot bring a revoked certificate back with last week's. Tells whether
    /// the list was taken.
    pub fn admit(&mut self, list: RevocationList) -> bool {
        match self.0.iter_mut().find(|l| l.has_signer_of(&list)) {
            Some(present) if list.is_newer_than(present) => *present = list,
            Some(_) => return false,
            None => self.0.push(list),
        }
        true
    }

    pub(crate) fn as_slice(&self) -> &[RevocationList] {
        &self.0
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, RevocationList> {
        self.0.iter()
    }
}

/// The list's number; every other extension must be known or may be passed over.
fn read_extensions(
    extensions: Option<&Extensions>,
    signer: &StrictCertificate,
) -> Result<Option<Vec<u8>>, SubjectError> {
    let mut number = None;
    let list: &[Extension] = extensions.map_or(&[], Vec::as_slice);
    for (i, extension) in list.iter().enumerate() {
        if list[..i].iter().any(|e| e.extn_id == extension.extn_id) {
            return Err(SubjectError::malformed("revocation list: an extension stands twice"));
        }
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            CRL_NUMBER => number = Some(CrlNumber::from_der(value)?.0.as_bytes().to_vec()),
            AUTHORITY_KEY => {
                let named = AuthorityKeyIdentifier::from_der(value)?.key_identifier;
                if let (Some(named), Some(key)) = (named, &signer.subject_key)
                    && named.as_bytes() != key
                {
                    return Err(SubjectError::Untrusted);
                }
            }
            // parts of lists and changes to lists are marked critical (§5.2.4, §5.2.5)
            _ if extension.critical => return Err(SubjectError::CriticalExtension),
            _ => {}
        }
    }
    Ok(number)
}

impl std::fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RevocationList({} revoked)", self.serials.len())
    }
}
