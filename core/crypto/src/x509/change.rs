//! One issuer follows another: how clients and nodes learn it, signed by the old one (RFC 4210 §4.4).
//!
//! ```text
//! IssuerChange = version 1 (1) | H(old issuer's SubjectPublicKeyInfo) (32) | new issuer's certificate <16>
//!              | new key under the old one's signature <16> | old key under the new one's signature <16>
//!              | old issuer is trusted until (8)
//!              | signature by the old key <16> | signature by the new key <16>
//! ```
//! It is no secret and proves itself: a gateway pushes it over every session and shows it to whoever
//! says hello with an issuer that it no longer has. While both issuers are trusted, certificates of
//! either count, so nobody is cut off; after that the old one is forgotten.

use super::certificate::StrictCertificate;
use super::{IssuerFingerprint, RevocationList, RevocationLists, SubjectError, SubjectKey, TrustedIssuer};
use crate::{
    Crypto, CryptoError, GatewayIdentity, GatewayName, KeySet, KeySetError, Signer, VerifiedKeySet, label,
};
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

const VERSION: u8 = 1;

/// Why a change of issuers was not accepted. Whoever made it erred.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerChangeError {
    /// It follows another issuer than the one that is trusted.
    #[error("this change is not about the issuer that is trusted here")]
    OtherIssuer,
    /// One of its certificates is not what it should be.
    #[error("a certificate in the change of issuers is not right: {0}")]
    Certificate(SubjectError),
    /// A signature is not by the key that it should be.
    #[error("the change of issuers is not signed by both issuers")]
    NotSigned,
}

impl From<SubjectError> for IssuerChangeError {
    fn from(e: SubjectError) -> Self {
        Self::Certificate(e)
    }
}

/// The statement that one issuer follows another, as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerChange {
    /// The old issuer.
    pub old: IssuerFingerprint,
    /// The new issuer's certificate, DER, self-signed.
    pub new_certificate: Vec<u8>,
    /// A certificate for the new issuer's name and key, signed by the old one.
    pub new_under_old: Vec<u8>,
    /// A certificate for the old issuer's name and key, signed by the new one.
    pub old_under_new: Vec<u8>,
    /// Until when the old issuer is trusted beside the new one.
    pub old_until: Time,
    signatures: [Vec<u8>; 2],
}

impl IssuerChange {
    /// Signs the statement with both keys, the old issuer's first.
    ///
    /// # Errors
    /// What a signer gives.
    pub fn sign(
        old: IssuerFingerprint,
        new_certificate: Vec<u8>,
        links: [Vec<u8>; 2],
        old_until: Time,
        signers: [&dyn Signer; 2],
    ) -> Result<Self, CryptoError> {
        let [new_under_old, old_under_new] = links;
        let signatures = [Vec::new(), Vec::new()];
        let mut change = Self { old, new_certificate, new_under_old, old_under_new, old_until, signatures };
        let signed = change.signed_part();
        change.signatures = [signers[0].sign(&signed)?, signers[1].sign(&signed)?];
        Ok(change)
    }

    fn encode_unsigned(&self, w: &mut Writer) {
        w.u8(VERSION);
        w.fixed(&self.old.0);
        w.bytes16(&self.new_certificate);
        w.bytes16(&self.new_under_old);
        w.bytes16(&self.old_under_new);
        self.old_until.encode(w);
    }

    fn signed_part(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.fixed(label::ISSUER_CHANGE_SIGNATURE);
        self.encode_unsigned(&mut w);
        w.into_bytes()
    }

    /// Checks the statement against the issuer that is trusted, which must itself be in its time, and
    /// gives the one to trust from now on.
    ///
    /// # Errors
    /// [`IssuerChangeError`], by what does not fit.
    pub fn verify(
        &self,
        crypto: Crypto,
        trusted: &TrustedIssuer,
        now: Time,
    ) -> Result<TrustedIssuer, IssuerChangeError> {
        if self.old != trusted.fingerprint() {
            return Err(IssuerChangeError::OtherIssuer);
        }
        let old = StrictCertificate::parse(trusted.certificate())?;
        let new = StrictCertificate::parse(&self.new_certificate)?;
        for issuer in [&old, &new] {
            if !issuer.is_authority() {
                return Err(SubjectError::NotAnAuthority.into());
            }
            if !issuer.is_valid_at(now) {
                return Err(SubjectError::IssuerOutsideValidity.into());
            }
        }
        let signed = self.signed_part();
        for (issuer, signature) in [&old, &new].into_iter().zip(&self.signatures) {
            let SubjectKey::Signature(key) = &issuer.key else {
                return Err(SubjectError::WeakKey.into());
            };
            key.verify(crypto, &signed, signature).map_err(|_| IssuerChangeError::NotSigned)?;
        }
        let (old_key, new_key) = (old.public_key_info(), new.public_key_info());
        if old_key == new_key {
            return Err(IssuerChangeError::OtherIssuer);
        }
        let links = [(&self.new_under_old, &new, &old), (&self.old_under_new, &old, &new)];
        for (link, subject, signer) in links {
            check_link(crypto, link, subject, signer, now)?;
        }
        TrustedIssuer::from_certificate(crypto, &self.new_certificate)
            .map_err(|e| IssuerChangeError::Certificate(SubjectError::malformed(e)))
    }
}

/// That `link` certifies the name and key of `subject`, signed by `signer`.
fn check_link(
    crypto: Crypto,
    link: &[u8],
    subject: &StrictCertificate,
    signer: &StrictCertificate,
    now: Time,
) -> Result<(), IssuerChangeError> {
    let read = StrictCertificate::parse(link)?;
    let same = read.subject() == subject.subject() && read.public_key_info() == subject.public_key_info();
    if !same || !read.is_authority() || !read.is_valid_at(now) {
        return Err(SubjectError::NotAnAuthority.into());
    }
    // not through webpki: it would stop at the authority at the end of a path, before the signature
    let issued = read.issuer() == signer.subject() && read.is_signed_by(crypto, signer.public_key_info())?;
    if issued { Ok(()) } else { Err(IssuerChangeError::NotSigned) }
}

impl Encode for IssuerChange {
    fn encode(&self, w: &mut Writer) {
        self.encode_unsigned(w);
        self.signatures.iter().for_each(|s| w.bytes16(s));
    }
}

impl Decode for IssuerChange {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        match r.u8()? {
            VERSION => {}
            other => return Err(WireError::UnknownVersion(other)),
        }
        Ok(Self {
            old: IssuerFingerprint(r.fixed()?),
            new_certificate: r.bytes16()?.to_vec(),
            new_under_old: r.bytes16()?.to_vec(),
            old_under_new: r.bytes16()?.to_vec(),
            old_until: Time::decode(r)?,
            signatures: [r.bytes16()?.to_vec(), r.bytes16()?.to_vec()],
        })
    }
}

/// The issuers that a client trusts, the present one and for a while the one before, and which gateways'
/// certificates they have revoked.
#[derive(Clone, Debug)]
pub struct IssuerSet {
    current: TrustedIssuer,
    former: Option<(TrustedIssuer, Time)>,
    lists: RevocationLists,
    only: Option<GatewayIdentity>,
}

impl IssuerSet {
    /// Trust in one issuer, of whom no list is known.
    #[must_use]
    pub const fn of(current: TrustedIssuer) -> Self {
        Self { current, former: None, lists: RevocationLists::none(), only: None }
    }

    /// The same for one gateway alone: the one with this certificate, see [`GatewayIdentity::is_followed_by`].
    #[must_use]
    pub fn only(self, gateway: GatewayIdentity) -> Self {
        Self { only: Some(gateway), ..self }
    }

    /// The issuer that counts from now on.
    #[must_use]
    pub const fn current(&self) -> &TrustedIssuer {
        &self.current
    }

    /// All that are trusted at `now`, the present one first.
    pub fn at(&self, now: Time) -> impl Iterator<Item = &TrustedIssuer> {
        let former = self.former.as_ref().filter(|(_, until)| now <= *until).map(|(issuer, _)| issuer);
        std::iter::once(&self.current).chain(former)
    }

    /// Follows a change of the present issuer. A change that was followed before changes nothing.
    ///
    /// # Errors
    /// As [`IssuerChange::verify`]; the set then stays as it was.
    pub fn follow(
        &mut self,
        crypto: Crypto,
        change: &IssuerChange,
        now: Time,
    ) -> Result<(), IssuerChangeError> {
        let again = self.former.as_ref().is_some_and(|(former, _)| former.fingerprint() == change.old);
        if again && self.current.certificate() == change.new_certificate {
            return Ok(());
        }
        let next = change.verify(crypto, &self.current, now)?;
        let former = std::mem::replace(&mut self.current, next);
        self.former = Some((former, change.old_until));
        Ok(())
    }

    /// Takes a revocation list (DER) of one of the issuers, whenever it was made: what stands on it is refused
    /// from now on. Tells whose list was taken; none when one that is no older is known.
    ///
    /// # Errors
    /// [`SubjectError`] of [`RevocationList::read_undated`]; the set then stays as it was.
    pub fn admit_list(
        &mut self,
        crypto: Crypto,
        der: &[u8],
        now: Time,
    ) -> Result<Option<IssuerFingerprint>, SubjectError> {
        let mut refused = SubjectError::Untrusted;
        let mut found = None;
        for issuer in self.at(now) {
            match RevocationList::read_undated(crypto, der, issuer.certificate()) {
                Ok(list) => found = Some(list),
                Err(e) if refused == SubjectError::Untrusted => refused = e,
                Err(_) => {}
            }
        }
        let list = found.ok_or(refused)?;
        let signer = list.signer();
        Ok(self.lists.admit(list).then_some(signer))
    }

    /// Whether a gateway that was verified before is to be trusted no more.
    ///
    /// # Errors
    /// [`KeySetError::Revoked`].
    pub fn check_again(&self, verified: &VerifiedKeySet) -> Result<(), KeySetError> {
        verified.identity().check_revocation(&self.lists)
    }

    /// [`KeySet::verify`] under whichever trusted issuer the set is from.
    ///
    /// # Errors
    /// As there; [`KeySetError::OtherIssuer`] also when the former issuer's time is over;
    /// [`KeySetError::OtherGateway`] when only another one is to be talked to.
    pub fn verify_key_set(
        &self,
        crypto: Crypto,
        key_set: &KeySet,
        name: &GatewayName,
        now: Time,
    ) -> Result<VerifiedKeySet, KeySetError> {
        let issuer = self.at(now).find(|i| i.certificate() == key_set.issuer).unwrap_or(&self.current);
        let verified = key_set.verify(crypto, issuer, &self.lists, name, now)?;
        match &self.only {
            Some(only) if !only.is_followed_by(verified.identity()) => {
                Err(KeySetError::OtherGateway(only.name().clone()))
            }
            _ => Ok(verified),
        }
    }
}
