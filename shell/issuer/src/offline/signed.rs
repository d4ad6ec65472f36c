//! The file that comes back: how it is made, and what is demanded of it.

use super::{BundleError, BundleItem, MAX_ITEMS, RequestBundle, VERSION, checked, with_hash};
use crate::lint::{LintProfile, lint_under};
use crate::{CertificateRequest, Issuer, IssuerError, RequestedName, SubjectGrant, Validity};
use symbolon_crypto::{
    Crypto, Revocation, RevocationList, SubjectKey, SubjectName, SubjectTrust, TrustedIssuer,
};
use symbolon_wire::{Time, Writer};

const SIGNED: &[u8; 16] = b"SYMBOLON SIGNED\n";

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

#[cfg(test)]
impl SignedBundle {
    /// What somebody on the way might do to it.
    pub(crate) const fn items_mut(&mut self) -> &mut Vec<SignedItem> {
        &mut self.items
    }
}
