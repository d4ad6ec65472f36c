//! The issuer's key on a machine without network: requests travel there in one file, and what was
//! signed comes back in another.
//!
//! ```text
//! "SYMBOLON REQUESTS\n" | version 1 (1) | H(issuer's SubjectPublicKeyInfo) (32) | made (8)
//!     | count (2), at most 1,024 | item …: request <16> | common name <8> | lifetime in seconds (8)
//!     | list wanted (1) [| number (8) | lifetime in seconds (8)
//!         | count (4) | revoked …: serial <8> | since (8) | reason <8>] | H(all before) (32)
//! "SYMBOLON SIGNED\n" | version 1 (1) | H(requests file) (32)
//!     | count (2) | result …: signed (1) | certificate, or why not <16>
//!     | list made (1) [| list <24>] | H(all before) (32)
//! ```
//! The hashes find damage; they prove nothing. The signing side believes only what each request proves
//! and what the person at it confirms, item by item, by the key's fingerprint; the other side checks
//! each certificate against its own request.

use crate::lint::{LintProfile, lint_under};
use crate::revocation::is_serial;
use crate::{
    CertificateRequest, Issuer, IssuerError, RequestError, RequestedName, RevocationReason, Revoked,
    SubjectGrant, Validity,
};
use symbolon_crypto::{
    Crypto, IssuerFingerprint, Revocation, RevocationList, SubjectError, SubjectKey, SubjectName,
    SubjectTrust, TrustedIssuer,
};
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

const REQUESTS: &[u8; 18] = b"SYMBOLON REQUESTS\n";
const SIGNED: &[u8; 16] = b"SYMBOLON SIGNED\n";
const VERSION: u8 = 1;
const MAX_ITEMS: usize = 1024;
const MAX_REVOKED: u32 = 100_000;

/// Why a file, or something in it, was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// Damaged, or not such a file.
    #[error("not such a file, or damaged: {0}")]
    Malformed(String),
    /// It is for another issuer.
    #[error("the file is for another issuer than this one")]
    OtherIssuer,
    /// It answers another file of requests, or not all of it.
    #[error("the signed file does not belong to these requests")]
    OtherRequests,
    /// A certificate in it is not what was asked for.
    #[error("certificate {index} is not what was asked for: {reason}")]
    Certificate {
        /// Which one, from 0.
        index: usize,
        /// What is wrong.
        reason: String,
    },
    /// The revocation list in it is not right.
    #[error("the revocation list is not right: {0}")]
    List(SubjectError),
}

impl From<WireError> for BundleError {
    fn from(e: WireError) -> Self {
        Self::Malformed(e.to_string())
    }
}

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

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedItem {
    /// The certificate, DER.
    Certificate(Vec<u8>),
    /// Why there is none, for people.
    Refused(String),
}

/// What was signed, on its way back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBundle {
    requests: [u8; 32],
    items: Vec<SignedItem>,
    list: Option<Vec<u8>>,
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

    fn hash(&self, crypto: Crypto) -> [u8; 32] {
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

impl Issuer {
    /// Signs what `approve` says yes to, one item after the other; each is read and proved before it is
    /// shown, and what cannot be signed is refused by itself. `approve` gets the request and what is
    /// proposed.
    ///
    /// # Errors
    /// [`BundleError::OtherIssuer`]; [`BundleError::Malformed`] when the list cannot be made.
    pub fn sign_bundle(
        &self,
        crypto: Crypto,
        bundle: &RequestBundle,
        now: Time,
        mut approve: impl FnMut(&CertificateRequest, &BundleItem) -> bool,
    ) -> Result<SignedBundle, BundleError> {
        let own = TrustedIssuer::from_certificate(crypto, self.certificate())
            .map_err(|e| BundleError::Malformed(e.to_string()))?;
        if own.fingerprint() != bundle.issuer {
            return Err(BundleError::OtherIssuer);
        }
        let items = bundle
            .items
            .iter()
            .map(|item| match item.read(crypto) {
                Err(e) => SignedItem::Refused(e.to_string()),
                Ok(request) if !approve(&request, item) => SignedItem::Refused("not approved".into()),
                Ok(request) => match self.sign_item(&request, item, now) {
                    Ok(certificate) => SignedItem::Certificate(certificate),
                    Err(e) => SignedItem::Refused(e.to_string()),
                },
            })
            .collect();
        let list = match &bundle.list {
            Some(order) => Some(
                self.revocation_list(
                    order.number,
                    &order.revoked,
                    Validity::starting(now, order.lifetime_secs),
                )
                .map_err(|e| BundleError::Malformed(e.to_string()))?,
            ),
            None => None,
        };
        Ok(SignedBundle { requests: bundle.hash(crypto), items, list })
    }

    fn sign_item(
        &self,
        request: &CertificateRequest,
        item: &BundleItem,
        now: Time,
    ) -> Result<Vec<u8>, IssuerError> {
        let validity = Validity::starting(now, item.lifetime_secs);
        match request.name() {
            RequestedName::Subject(subject) => {
                let (subject, common_name) = (subject.clone(), item.common_name.clone());
                let grant = SubjectGrant { subject, common_name, validity };
                Ok(self.certify_subject(request, &grant)?.der)
            }
            RequestedName::Gateway(name) => {
                let point = request.public_key.subject_public_key.raw_bytes();
                self.certify_identity(name, point, validity)
            }
        }
    }
}

impl SignedBundle {
    /// The file.
    #[must_use]
    pub fn to_file(&self, crypto: Crypto) -> Vec<u8> {
        let mut w = Writer::new();
        w.fixed(SIGNED);
        w.u8(VERSION);
        w.fixed(&self.requests);
        w.list16(&self.items, |w, item| match item {
            SignedItem::Certificate(der) => {
                w.flag(true);
                w.bytes16(der);
            }
            SignedItem::Refused(why) => {
                w.flag(false);
                w.text16(why);
            }
        });
        w.flag(self.list.is_some());
        if let Some(list) = &self.list {
            w.bytes24(list);
        }
        with_hash(crypto, w)
    }

    /// From the file.
    ///
    /// # Errors
    /// [`BundleError::Malformed`].
    pub fn from_file(crypto: Crypto, file: &[u8]) -> Result<Self, BundleError> {
        let mut r = checked(crypto, file, SIGNED)?;
        let requests = r.fixed()?;
        let items = r.list16("certificates", MAX_ITEMS, |r| {
            Ok(if r.flag()? {
                SignedItem::Certificate(r.bytes16()?.to_vec())
            } else {
                SignedItem::Refused(r.text16("reason")?.to_owned())
            })
        })?;
        let list = if r.flag()? { Some(r.bytes24()?.to_vec()) } else { None };
        r.finish()?;
        Ok(Self { requests, items, list })
    }

    /// Checks every certificate against its request, and the list, before any is taken: all are what
    /// was asked for, or none is taken.
    ///
    /// # Errors
    /// [`BundleError`], by what does not fit.
    pub fn check(
        &self,
        crypto: Crypto,
        bundle: &RequestBundle,
        issuer: &TrustedIssuer,
        now: Time,
    ) -> Result<&[SignedItem], BundleError> {
        if bundle.issuer != issuer.fingerprint() {
            return Err(BundleError::OtherIssuer);
        }
        if self.requests != bundle.hash(crypto)
            || self.items.len() != bundle.items.len()
            || self.list.is_some() != bundle.list.is_some()
        {
            return Err(BundleError::OtherRequests);
        }
        for (index, (item, asked)) in self.items.iter().zip(&bundle.items).enumerate() {
            if let SignedItem::Certificate(der) = item {
                check_item(crypto, der, asked, issuer, now)
                    .map_err(|reason| BundleError::Certificate { index, reason })?;
            }
        }
        if let (Some(list), Some(order)) = (&self.list, &bundle.list) {
            let list =
                RevocationList::read(crypto, list, issuer.certificate(), now).map_err(BundleError::List)?;
            let same = list.number_is(order.number)
                && order.revoked.iter().all(|r| list.is_revoked(&r.serial))
                && list.len() <= order.revoked.len();
            if !same {
                return Err(BundleError::OtherRequests);
            }
        }
        Ok(&self.items)
    }

    /// What became of each request; believe it after [`SignedBundle::check`] only.
    #[must_use]
    pub fn items(&self) -> &[SignedItem] {
        &self.items
    }

    /// The list, DER; look at it after [`SignedBundle::check`].
    #[must_use]
    pub fn list(&self) -> Option<&[u8]> {
        self.list.as_deref()
    }
}

fn check_item(
    crypto: Crypto,
    der: &[u8],
    asked: &BundleItem,
    issuer: &TrustedIssuer,
    now: Time,
) -> Result<(), String> {
    let request = asked.read(crypto).map_err(|e| e.to_string())?;
    let profile = match request.name() {
        RequestedName::Subject(id) => LintProfile::Subject(id.profile()),
        RequestedName::Gateway(_) => LintProfile::Identity,
    };
    if let Some(finding) = lint_under(der, profile, issuer.certificate(), crypto).first() {
        return Err(finding.to_string());
    }
    match request.name() {
        RequestedName::Subject(id) => {
            let trust = SubjectTrust::new(crypto, std::slice::from_ref(issuer), Revocation::IfListed)
                .map_err(|e| e.to_string())?;
            let subject = trust.verify(crypto, &[der], now).map_err(|e| e.to_string())?;
            let same = *subject.name() == SubjectName::Ours(id.clone()) && subject.key() == request.key();
            if same { Ok(()) } else { Err("it is for another subject or key".into()) }
        }
        RequestedName::Gateway(name) => {
            let read = crate::certificate::Read::new(der).map_err(|e| e.to_string())?;
            let key = SubjectKey::from_public_key_info(&read.public_key_info).map_err(|e| e.to_string())?;
            let same = read.dns_name.as_ref() == Some(name) && key == *request.key();
            if same { Ok(()) } else { Err("it is for another gateway or key".into()) }
        }
    }
}

fn with_hash(crypto: Crypto, w: Writer) -> Vec<u8> {
    let mut file = w.into_bytes();
    let hash = crypto.sha256(&[&file]);
    file.extend_from_slice(&hash);
    file
}

fn checked<'a>(crypto: Crypto, file: &'a [u8], magic: &[u8]) -> Result<Reader<'a>, BundleError> {
    let damaged = || BundleError::Malformed("it was cut off or changed".into());
    let (content, hash) = file.split_last_chunk::<32>().ok_or_else(damaged)?;
    if crypto.sha256(&[content]) != *hash {
        return Err(damaged());
    }
    let mut r = Reader::new(content);
    if r.take(magic.len())? != magic {
        return Err(BundleError::Malformed("it is another kind of file".into()));
    }
    match r.u8()? {
        VERSION => Ok(r),
        other => Err(WireError::UnknownVersion(other).into()),
    }
}

#[cfg(test)]
impl SignedBundle {
    /// What somebody on the way might do to it.
    pub(crate) const fn items_mut(&mut self) -> &mut Vec<SignedItem> {
        &mut self.items
    }
}
