//! The file that goes to the issuer.

use super::{BundleError, MAX_ITEMS, VERSION, checked, with_hash};
use crate::revocation::is_serial;
use crate::{CertificateRequest, RequestError, RevocationReason, Revoked};
use symbolon_crypto::{Crypto, IssuerFingerprint};
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

const REQUESTS: &[u8; 18] = b"SYMBOLON REQUESTS\n";
const MAX_REVOKED: u32 = 100_000;

/// One request, with what the sending side proposes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleItem {
    /// PKCS #10, DER.
    pub request: Vec<u8>,
    /// What people read in the certificate; ignored for gateways.
    pub common_name: String,
    /// How long it shall live, in seconds.
    pub lifetime_secs: u64,
}

/// A revocation list that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListOrder {
    /// Larger than that of every list before.
    pub number: u64,
    /// Until when it is good, in seconds from its making.
    pub lifetime_secs: u64,
    /// What stands on it.
    pub revoked: Vec<Revoked>,
}

/// Requests on their way to the issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestBundle {
    /// Which issuer is meant.
    pub issuer: IssuerFingerprint,
    /// When the file was made.
    pub made: Time,
    /// The requests, at most 1,024.
    pub items: Vec<BundleItem>,
    /// A list, if one is wanted.
    pub list: Option<ListOrder>,
}

impl BundleItem {
    /// Reads and proves the request: what the person at the signing machine looks at.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn read(&self, crypto: Crypto) -> Result<CertificateRequest, RequestError> {
        CertificateRequest::read(crypto, &self.request)
    }
}

impl RequestBundle {
    /// The file.
    #[must_use]
    pub fn to_file(&self, crypto: Crypto) -> Vec<u8> {
        let mut w = Writer::new();
        w.fixed(REQUESTS);
        w.u8(VERSION);
        w.fixed(&self.issuer.0);
        self.made.encode(&mut w);
        w.list16(&self.items, |w, item| {
            w.bytes16(&item.request);
            w.text8(&item.common_name);
            w.u64(item.lifetime_secs);
        });
        w.flag(self.list.is_some());
        if let Some(order) = &self.list {
            w.u64(order.number);
            w.u64(order.lifetime_secs);
            w.u32(u32::try_from(order.revoked.len()).unwrap_or(u32::MAX));
            for revoked in &order.revoked {
                w.bytes8(&revoked.serial);
                revoked.at.encode(&mut w);
                w.text8(revoked.reason.as_str());
            }
        }
        with_hash(crypto, w)
    }

    /// From the file.
    ///
    /// # Errors
    /// [`BundleError::Malformed`].
    pub fn from_file(crypto: Crypto, file: &[u8]) -> Result<Self, BundleError> {
        let mut r = checked(crypto, file, REQUESTS)?;
        let issuer = IssuerFingerprint(r.fixed()?);
        let made = Time::decode(&mut r)?;
        let items = r.list16("requests", MAX_ITEMS, |r| {
            Ok(BundleItem {
                request: r.bytes16()?.to_vec(),
                common_name: r.text8("common name")?.to_owned(),
                lifetime_secs: r.u64()?,
            })
        })?;
        let list = if r.flag()? { Some(read_order(&mut r)?) } else { None };
        r.finish()?;
        Ok(Self { issuer, made, items, list })
    }

    pub(super) fn hash(&self, crypto: Crypto) -> [u8; 32] {
        crypto.sha256(&[&self.to_file(crypto)])
    }
}

fn read_order(r: &mut Reader<'_>) -> Result<ListOrder, WireError> {
    let (number, lifetime_secs, count) = (r.u64()?, r.u64()?, r.u32()?);
    if count > MAX_REVOKED {
        return Err(WireError::TooLong("revoked certificates"));
    }
    let mut revoked = Vec::new();
    for _ in 0..count {
        let serial = r.bytes8()?.to_vec();
        if !is_serial(&serial) {
            return Err(WireError::BadValue("serial number"));
        }
        let at = Time::decode(r)?;
        let reason = RevocationReason::parse(r.text8("reason")?).ok_or(WireError::BadValue("reason"))?;
        revoked.push(Revoked { serial, at, reason });
    }
    Ok(ListOrder { number, lifetime_secs, revoked })
}
