//! The path from a subject's certificate to an anchor.

use super::certificate::StrictCertificate;
use super::revocation::authority_hash;
use super::subject::Facts;
use super::{
    CertificateNumber, Revocation, SubjectError, SubjectName, SubjectTrust, VerifiedSubject, unix_time,
};
use crate::Crypto;
use rustls_pki_types::{CertificateDer, TrustAnchor};
use std::cell::RefCell;
use std::sync::OnceLock;
use symbolon_wire::Time;

/// An authority where a path may end.
#[derive(Debug)]
pub(super) struct Anchor {
    pub(super) der: CertificateDer<'static>,
    pub(super) read: StrictCertificate,
    /// As webpki wants it.
    end: TrustAnchor<'static>,
    /// [`authority_hash`], from the first path that ended here.
    hash: OnceLock<[u8; 32]>,
}

impl Anchor {
    pub(super) fn new(der: &[u8]) -> Result<Self, SubjectError> {
        let read = StrictCertificate::parse(der)?;
        let may_sign = read.is_authority() && read.key_usage.is_none_or(|u| u.key_cert_sign());
        if !may_sign {
            return Err(SubjectError::NotAnAuthority);
        }
        if read.key.signature().is_none() {
            return Err(SubjectError::WeakKey);
        }
        let der = CertificateDer::from(der.to_vec());
        let end = webpki::anchor_from_trusted_cert(&der).map_err(SubjectError::from)?.to_owned();
        Ok(Self { der, read, end, hash: OnceLock::new() })
    }
}

/// For which moment the certificates in a path are looked at, and which it is for all the rest.
#[derive(Clone, Copy)]
pub(super) struct Moments {
    pub(super) certificates: Time,
    pub(super) now: Time,
}

/// A certificate as presented, in both readings.
pub(super) struct Presented<'a> {
    der: CertificateDer<'a>,
    pub(super) read: StrictCertificate,
}

impl<'a> Presented<'a> {
    pub(super) fn read(der: &'a [u8]) -> Result<Self, SubjectError> {
        Ok(Self { der: CertificateDer::from(der), read: StrictCertificate::parse(der)? })
    }
}

/// A path that holds, and for how long.
pub(super) struct Verdict {
    from: Time,
    until: Time,
    path: Vec<CertificateNumber>,
}

impl Verdict {
    fn narrow(&mut self, from: Time, until: Time) {
        self.from = self.from.max(from);
        self.until = self.until.min(until);
    }

    pub(super) fn about(
        self,
        crypto: Crypto,
        leaf: &Presented<'_>,
        code: String,
        name: SubjectName,
    ) -> Result<VerifiedSubject, SubjectError> {
        let key_info = leaf.read.public_key_info();
        Ok(VerifiedSubject::new(Facts {
            name,
            code,
            key: leaf.read.key.clone(),
            certificate_hash: crypto.sha256(&[&leaf.der]),
            key_hash: crypto.sha256(&[key_info]),
            serial: leaf.read.serial().to_vec(),
            path: self.path,
            from: leaf.read.from,
            until: leaf.read.until,
            verdict_from: self.from,
            verdict_until: self.until,
        }))
    }
}

impl SubjectTrust {
    /// Follows a path from `leaf` over some of `between` to `anchor`: webpki for signatures, times,
    /// depth and name constraints, and then what webpki leaves to others: the anchor's own time, key
    /// usage, strength of keys that sign nothing in the path, revocation.
    #[expect(clippy::too_many_arguments, reason = "one call, from the two above")]
    pub(super) fn follow(
        &self,
        crypto: Crypto,
        leaf: &Presented<'_>,
        between: &[Presented<'_>],
        anchor: &Anchor,
        usage: &'static [u8],
        revocation: Revocation,
        at: Moments,
    ) -> Result<Verdict, SubjectError> {
        let certificate = webpki::EndEntityCert::try_from(&leaf.der).map_err(SubjectError::from)?;
        let intermediates: Vec<_> = between.iter().map(|p| p.der.clone()).collect();
        let outcome = RefCell::new(None);
        let rest = |path: &webpki::VerifiedPath<'_>| {
            let used: Vec<&StrictCertificate> = path
                .intermediate_certificates()
                .filter_map(|used| between.iter().find(|p| *p.der == *used.der()).map(|p| &p.read))
                .collect();
            let verdict = self.rest_of_path(crypto, &leaf.read, &used, anchor, revocation, at.now);
            let fits = verdict.is_ok();
            *outcome.borrow_mut() = Some(verdict);
            if fits { Ok(()) } else { Err(webpki::Error::UnknownIssuer) }
        };
        let followed = certificate.verify_for_usage(
            crypto.certificate_algorithms(),
            std::slice::from_ref(&anchor.end),
            &intermediates,
            unix_time(at.certificates),
            webpki::KeyUsage::required_if_present(usage),
            None,
            Some(&rest),
        );
        let error = followed.map(|_| ()).err();
        match (outcome.into_inner(), error) {
            (Some(Ok(verdict)), None) => Ok(verdict),
            (Some(Err(e)), _) => Err(e),
            (_, Some(e)) => Err(e.into()),
            (None, None) => Err(SubjectError::Untrusted),
        }
    }

    fn rest_of_path(
        &self,
        crypto: Crypto,
        leaf: &StrictCertificate,
        used: &[&StrictCertificate],
        anchor: &Anchor,
        revocation: Revocation,
        now: Time,
    ) -> Result<Verdict, SubjectError> {
        let Anchor { read: anchor, hash: anchor_hash, .. } = anchor;
        if !anchor.is_valid_at(now) {
            return Err(SubjectError::IssuerOutsideValidity);
        }
        // RFC 5280 §4.2.1.9: the anchor's own bound counts as well.
        let depth = anchor.basic.as_ref().and_then(|b| b.path_len_constraint);
        if depth.is_some_and(|most| used.len() > usize::from(most)) {
            return Err(SubjectError::NotAnAuthority);
        }
        let mut verdict = Verdict { from: anchor.from, until: anchor.until, path: Vec::new() };
        let mut path: Vec<&StrictCertificate> = vec![leaf];
        path.extend(used);
        path.push(anchor);
        for pair in path.windows(2) {
            let (certificate, issuer) = (pair[0], pair[1]);
            if issuer.key_usage.is_some_and(|u| !u.key_cert_sign()) {
                return Err(SubjectError::NotAnAuthority);
            }
            verdict.narrow(certificate.from, certificate.until);
            if self.blocked.contains(&crypto.sha256(&[certificate.public_key_info()])) {
                return Err(SubjectError::Revoked);
            }
            let issuer_key = issuer.public_key_info();
            let hash = || authority_hash(crypto, issuer.subject(), issuer_key);
            let authority = match anchor_hash.get() {
                _ if !std::ptr::eq(issuer, anchor) => hash()?,
                Some(known) => *known,
                None => {
                    let hash = hash()?;
                    *anchor_hash.get_or_init(|| hash)
                }
            };
            verdict.path.push(CertificateNumber::new(authority, certificate.serial()));
            match self.lists.iter().find(|l| l.is_of(certificate.issuer(), issuer_key)) {
                Some(list) if list.is_revoked(certificate.serial()) => return Err(SubjectError::Revoked),
                Some(list) if !list.is_current(now) => return Err(SubjectError::RevocationUnknown),
                Some(list) => verdict.narrow(list.from(), list.until()),
                None if revocation == Revocation::Demanded => return Err(SubjectError::RevocationUnknown),
                None => {}
            }
        }
        Ok(verdict)
    }
}
