//! Whose certificates of persons and devices count, and the check of one (A3, A7).

use super::certificate::MAX_CERTIFICATE;
use super::path::{Anchor, Moments, Presented};
use super::{
    CertificateNumber, LapsedSubject, NameRule, RevocationList, RevocationLists, SubjectError, SubjectId,
    SubjectKey, SubjectName, SubjectProfile, TrustedIssuer, VerifiedSubject,
};
use crate::{Crypto, Suite};
use der::asn1::ObjectIdentifier;
use std::collections::BTreeSet;
use symbolon_wire::{Time, Writer};
use x509_cert::ext::pkix::name::GeneralName;

/// Authorities between a subject and an anchor that are looked at.
const MAX_INTERMEDIATES: usize = 4;
/// Issuers of ours at one time: more than one only while one follows another.
const MAX_ISSUERS: usize = 4;

/// What a foreign certificate must be meant for (extended key usage, present by name: neither its
/// absence nor "any" is enough).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignUsage {
    /// TLS client authentication, 1.3.6.1.5.5.7.3.2.
    ClientAuthentication,
    /// Smart card logon, 1.3.6.1.4.1.311.20.2.2.
    SmartCardLogon,
}

impl ForeignUsage {
    const fn oid(self) -> &'static [u8] {
        match self {
            Self::ClientAuthentication => &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02],
            Self::SmartCardLogon => &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x14, 0x02, 0x02],
        }
    }
}

/// What is demanded of an authority's revocation lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// A list that is out of date refuses everybody; none at all refuses nobody.
    IfListed,
    /// Each certificate in the path must be under a list that is in date.
    Demanded,
}

/// A foreign authority whose certificates policy admits.
#[derive(Clone, Debug)]
pub struct ForeignAuthority {
    /// What the administrator calls it: 1 to 32 of `a`–`z`, `0`–`9` and `-`.
    pub alias: String,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// Where its certificates have the user's name.
    pub rule: NameRule,
    /// What they must be meant for.
    pub usage: ForeignUsage,
    /// What is demanded of its revocation lists.
    pub revocation: Revocation,
}

/// Whose certificates count. It is changed as a whole or by its `admit…` calls, and every change
/// changes [`SubjectTrust::state`].
#[derive(Debug)]
pub struct SubjectTrust {
    issuers: Vec<Anchor>,
    revocation: Revocation,
    foreign: Vec<(ForeignAuthority, Anchor)>,
    pub(super) lists: RevocationLists,
    pub(super) blocked: BTreeSet<[u8; 32]>,
    state: [u8; 32],
}

impl SubjectTrust {
    /// Trust in `issuers` of our own: one, or a few while one follows another.
    ///
    /// # Errors
    /// [`SubjectError`] of an issuer's certificate; [`SubjectError::Malformed`] for more than four.
    pub fn new(
        crypto: Crypto,
        issuers: &[TrustedIssuer],
        revocation: Revocation,
    ) -> Result<Self, SubjectError> {
        let mut trust = Self {
            issuers: anchors(issuers)?,
            revocation,
            foreign: Vec::new(),
            lists: RevocationLists::none(),
            blocked: BTreeSet::new(),
            state: [0; 32],
        };
        trust.renew_state(crypto);
        Ok(trust)
    }

    /// Trusts these issuers of our own from now on, and no others: more than one while one follows
    /// another.
    ///
    /// # Errors
    /// As [`SubjectTrust::new`]; nothing is changed then.
    pub fn set_issuers(&mut self, crypto: Crypto, issuers: &[TrustedIssuer]) -> Result<(), SubjectError> {
        self.issuers = anchors(issuers)?;
        self.renew_state(crypto);
        Ok(())
    }

    /// Admits a foreign authority.
    ///
    /// # Errors
    /// [`SubjectError`] of its certificate; [`SubjectError::AmbiguousName`] for an alias that is
    /// taken or no alias.
    pub fn admit(&mut self, crypto: Crypto, authority: ForeignAuthority) -> Result<(), SubjectError> {
        let alias = authority.alias.as_bytes();
        let word = alias.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
        let taken = self.foreign.iter().any(|(f, _)| f.alias == authority.alias);
        if !(1..=32).contains(&alias.len()) || !word || taken {
            return Err(SubjectError::AmbiguousName);
        }
        let anchor = Anchor::new(&authority.certificate)?;
        self.foreign.push((authority, anchor));
        self.renew_state(crypto);
        Ok(())
    }

    /// Takes a revocation list, see [`RevocationLists::admit`]. Tells whether it was taken.
    pub fn admit_list(&mut self, crypto: Crypto, list: RevocationList) -> bool {
        let taken = self.lists.admit(list);
        if taken {
            self.renew_state(crypto);
        }
        taken
    }

    /// Refuses every certificate with this key (SHA-256 of its SubjectPublicKeyInfo) from now on. A
    /// key and not a certificate is blocked: the same certificate can be encoded with another
    /// signature that is right as well, and a renewed one has another number.
    pub fn block_key(&mut self, crypto: Crypto, key_hash: [u8; 32]) {
        self.block_keys(crypto, [key_hash]);
    }

    /// The same for many at once.
    pub fn block_keys(&mut self, crypto: Crypto, key_hashes: impl IntoIterator<Item = [u8; 32]>) {
        self.blocked.extend(key_hashes);
        self.renew_state(crypto);
    }

    /// Whether the key of `subject` was blocked since it was checked.
    #[must_use]
    pub fn blocks(&self, subject: &VerifiedSubject) -> bool {
        self.blocked.contains(subject.key_hash())
    }

    /// Whether one of these certificates is on a list by now.
    #[must_use]
    pub fn revokes(&self, certificates: &[CertificateNumber]) -> bool {
        certificates.iter().any(|c| self.lists.iter().any(|l| l.revokes(c)))
    }

    /// A hash of everything that a verdict depends on besides the certificate and the time.
    #[must_use]
    pub const fn state(&self) -> &[u8; 32] {
        &self.state
    }

    fn renew_state(&mut self, crypto: Crypto) {
        let mut w = Writer::new();
        w.flag(self.revocation == Revocation::Demanded);
        w.list16(&self.issuers, |w, i| w.bytes16(&i.der));
        w.list16(&self.foreign, |w, (f, _)| {
            w.text8(&f.alias);
            w.bytes16(&f.certificate);
            w.text16(&f.rule.describe());
            w.bytes8(f.usage.oid());
            w.flag(f.revocation == Revocation::Demanded);
        });
        w.list16(self.lists.as_slice(), |w, l| w.fixed(l.hash()));
        for key in &self.blocked {
            w.fixed(key);
        }
        self.state = crypto.sha256(&[&w.into_bytes()]);
    }

    /// Checks a certificate (`chain`, DER, the subject's first, then what leads to an authority) and
    /// tells whom it is for.
    ///
    /// # Errors
    /// [`SubjectError`], by what does not fit.
    pub fn verify(
        &self,
        crypto: Crypto,
        chain: &[&[u8]],
        now: Time,
    ) -> Result<VerifiedSubject, SubjectError> {
        let (leaf_der, between) =
            chain.split_first().ok_or_else(|| SubjectError::malformed("no certificate"))?;
        if between.len() > MAX_INTERMEDIATES || leaf_der.len() > MAX_CERTIFICATE {
            return Err(SubjectError::malformed("too long a chain"));
        }
        let leaf = Presented::read(leaf_der)?;
        let moments = Moments { certificates: now, now };
        let between = between.iter().map(|der| Presented::read(der)).collect::<Result<Vec<_>, _>>()?;
        let mut refused = SubjectError::Untrusted;
        for issuer in self.issuers.iter().filter(|i| i.read.subject() == leaf.read.issuer()) {
            match self.verify_ours(crypto, &leaf, issuer, moments) {
                Ok(subject) => return Ok(subject),
                Err(e) if refused == SubjectError::Untrusted => refused = e,
                Err(_) => {}
            }
        }
        let named = |name| leaf.read.issuer() == name || between.iter().any(|p| p.read.issuer() == name);
        for (authority, anchor) in self.foreign.iter().filter(|(_, a)| named(a.read.subject())) {
            match self.verify_foreign(crypto, &leaf, &between, authority, anchor, moments) {
                Ok(subject) => return Ok(subject),
                Err(e) if refused == SubjectError::Untrusted => refused = e,
                Err(_) => {}
            }
        }
        Err(refused)
    }

    /// Checks a certificate of our own like [`SubjectTrust::verify`], except that its own time may be
    /// over: revocation, blocked keys and the issuer's time are looked at as they are now. How long ago
    /// it may have ended is for the caller to say.
    ///
    /// # Errors
    /// [`SubjectError`], by what does not fit.
    pub fn verify_for_renewal(
        &self,
        crypto: Crypto,
        certificate: &[u8],
        now: Time,
    ) -> Result<LapsedSubject, SubjectError> {
        let leaf = Presented::read(certificate)?;
        let at = now.min(leaf.read.until);
        let mut refused = SubjectError::Untrusted;
        for issuer in self.issuers.iter().filter(|i| i.read.subject() == leaf.read.issuer()) {
            match self.verify_ours(crypto, &leaf, issuer, Moments { certificates: at, now }) {
                Ok(subject) => return Ok(LapsedSubject::new(subject)),
                Err(e) if refused == SubjectError::Untrusted => refused = e,
                Err(_) => {}
            }
        }
        Err(refused)
    }

    /// Ours stand directly under the issuer and have exactly the form in which we issue them.
    fn verify_ours(
        &self,
        crypto: Crypto,
        leaf: &Presented<'_>,
        issuer: &Anchor,
        at: Moments,
    ) -> Result<VerifiedSubject, SubjectError> {
        let profile = [SubjectProfile::Person, SubjectProfile::Device]
            .into_iter()
            .find(|p| leaf.read.extended.as_slice() == [oid(p.usage())]);
        // Whether it is ours at all comes first: an unknown usage of a stranger is a stranger's.
        let usage = profile.unwrap_or(SubjectProfile::Person).usage();
        let verdict = self.follow(crypto, leaf, &[], issuer, usage, self.revocation, at)?;
        let profile = profile.ok_or(SubjectError::WrongUsage)?;
        let key_usage = leaf.read.key_usage.ok_or(SubjectError::WrongUsage)?;
        let fits = match &leaf.read.key {
            SubjectKey::Kem(key) if key.suite() == Suite::X25519 => key_usage.key_agreement(),
            SubjectKey::Kem(_) => key_usage.key_encipherment(),
            SubjectKey::Signature(_) => key_usage.digital_signature(),
        };
        if !fits || key_usage.0.bits().count_ones() != 1 {
            return Err(SubjectError::WrongUsage);
        }
        if leaf.read.authority_key.is_none() || leaf.read.authority_key != issuer.read.subject_key {
            return Err(SubjectError::Untrusted);
        }
        let id = match leaf.read.names.as_slice() {
            [GeneralName::UniformResourceIdentifier(uri)] => SubjectId::from_uri(uri.as_str()),
            [] | [_] => None,
            _ => return Err(SubjectError::AmbiguousName),
        };
        let id = id.filter(|id| id.profile() == profile).ok_or(SubjectError::NoName)?;
        verdict.about(crypto, leaf, id.code().to_owned(), SubjectName::Ours(id))
    }

    fn verify_foreign(
        &self,
        crypto: Crypto,
        leaf: &Presented<'_>,
        between: &[Presented<'_>],
        authority: &ForeignAuthority,
        anchor: &Anchor,
        at: Moments,
    ) -> Result<VerifiedSubject, SubjectError> {
        let usage = authority.usage.oid();
        let verdict = self.follow(crypto, leaf, between, anchor, usage, authority.revocation, at)?;
        if !leaf.read.extended.contains(&oid(usage)) {
            return Err(SubjectError::WrongUsage);
        }
        let signs = leaf.read.key_usage.is_none_or(|u| u.digital_signature());
        if !signs || leaf.read.key.signature().is_none() {
            return Err(SubjectError::WrongUsage);
        }
        let name = authority.rule.name_in(&leaf.read)?;
        let code = format!("{}:{name}", authority.alias);
        let alias = authority.alias.clone();
        verdict.about(crypto, leaf, code, SubjectName::Foreign { authority: alias, name })
    }
}

fn anchors(issuers: &[TrustedIssuer]) -> Result<Vec<Anchor>, SubjectError> {
    if issuers.len() > MAX_ISSUERS {
        return Err(SubjectError::malformed("too many issuers"));
    }
    issuers.iter().map(|i| Anchor::new(i.certificate())).collect()
}

fn oid(content: &'static [u8]) -> ObjectIdentifier {
    ObjectIdentifier::from_bytes(content).expect("a constant of ours")
}
