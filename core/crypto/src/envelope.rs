//! The envelope of every first message: sealed to a context key, and cheap to refuse.
//!
//! ```text
//! key id (8) | suite (2) | cheap check (16) | cookie <0..24> | enc <..> | ciphertext <..>
//! ```
//! A gateway takes it apart in the order of cost: parse, [`CheapCheck::check`] (one HMAC), under load
//! [`CookieJar::accepts`] (one more), and only then [`CheapChecked::open`] (a private-key operation).

use crate::hpke::{HpkeInfo, open_base_in_place};
use crate::{
    ContextKeyId, Crypto, CryptoError, Entropy, HpkeSender, KemPrivateKey, KeySetError, Secret, SecretBytes,
    Suite, Transcript, VerifiedKeySet, constant_time_eq, label,
};
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

/// How far the clock of whoever sends a first message may be off, in seconds. A replay cache must
/// remember envelopes for twice as long.
pub const CLOCK_TOLERANCE_SECS: u64 = 120;

/// How long a retry cookie is good, in seconds: a round trip over the worst of links.
const COOKIE_LIFETIME_SECS: u64 = 20;

/// A retry cookie: `time (8) | MAC (16)`.
pub type Cookie = [u8; 24];

/// What an envelope is for. It is part of HPKE's `info`, so an envelope for one purpose opens for
/// no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Opening a context (A2).
    Context,
    /// Registering a token (B5).
    Registration,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Context => label::CONTEXT_FIRST,
            Self::Registration => label::REGISTRATION_REQUEST,
        }
    }

    fn info(self, key_set: &[u8; 32]) -> Vec<u8> {
        let mut w = Writer::new();
        w.bytes8(self.label());
        w.fixed(key_set);
        w.into_bytes()
    }

    /// What both sides know once the encapsulation is there: everything sealed is bound to it.
    fn transcript(
        self,
        crypto: Crypto,
        key_set: &[u8; 32],
        key: ContextKeyId,
        suite: Suite,
        enc: &EncHash,
    ) -> Transcript {
        let mut w = Writer::with_capacity(key_set.len() + key.0.len() + 2 + enc.0.len());
        w.fixed(key_set);
        w.fixed(&key.0);
        suite.encode(&mut w);
        w.fixed(&enc.0);
        Transcript::new(crypto, self.label()).with(&w.into_bytes())
    }
}

/// SHA-256 of an encapsulation: digest and transcript both cover it, and it is long.
#[derive(Clone, Copy, Debug)]
struct EncHash([u8; 32]);

impl EncHash {
    fn of(crypto: Crypto, enc: &[u8]) -> Self {
        Self(crypto.sha256(&[enc]))
    }
}

/// An envelope that is being made: its encapsulation is fixed, its content is not yet.
#[derive(Debug)]
pub struct OpenEnvelope {
    crypto: Crypto,
    purpose: Purpose,
    key_set: [u8; 32],
    key: ContextKeyId,
    suite: Suite,
    sender: HpkeSender,
}

impl OpenEnvelope {
    /// Begins an envelope to the first of `suites` that `gateway`, whose keys were checked, has.
    ///
    /// # Errors
    /// [`KeySetError::NoAcceptableSuite`].
    pub fn begin(
        crypto: Crypto,
        entropy: &mut dyn Entropy,
        gateway: &VerifiedKeySet,
        suites: &[Suite],
        purpose: Purpose,
    ) -> Result<Self, KeySetError> {
        let key = gateway.key(suites)?;
        let sender = HpkeSender::setup(crypto, entropy, &key.public, &purpose.info(gateway.hash()))
            .map_err(|_| KeySetError::Malformed("context key".into()))?;
        Ok(Self { crypto, purpose, key_set: *gateway.hash(), key: key.id, suite: key.public.suite(), sender })
    }

    /// The suite that was chosen.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// The transcript so far: purpose, key set, key, suite, encapsulation.
    #[must_use]
    pub fn transcript(&self) -> Transcript {
        let enc = EncHash::of(self.crypto, self.sender.enc());
        self.purpose.transcript(self.crypto, &self.key_set, self.key, self.suite, &enc)
    }

    /// Seals the content. The second value is HPKE's exporter secret.
    #[must_use]
    pub fn seal(self, content: &SecretBytes) -> (Envelope, Secret<32>) {
        let sealed = self.sender.seal(&self.key.0, content);
        let mut envelope = Envelope {
            key: self.key,
            suite: self.suite,
            check: [0; 16],
            cookie: None,
            enc: sealed.enc,
            ciphertext: sealed.ciphertext,
        };
        let check = CheapCheck::new(self.crypto, &self.key_set, self.purpose);
        envelope.check = check.tag(self.crypto, &envelope.digest(self.crypto));
        (envelope, sealed.exporter)
    }
}

/// An envelope as it travels: parsed, nothing else is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    key: ContextKeyId,
    suite: Suite,
    check: [u8; 16],
    cookie: Option<Cookie>,
    enc: Vec<u8>,
    ciphertext: Vec<u8>,
}

impl Envelope {
    /// The context key that it names.
    #[must_use]
    pub const fn key(&self) -> ContextKeyId {
        self.key
    }

    /// The same envelope, with the cookie that a busy gateway asked for.
    #[must_use]
    pub fn with_cookie(mut self, cookie: Cookie) -> Self {
        self.cookie = Some(cookie);
        self
    }

    /// SHA-256 over everything that is neither check nor cookie (the encapsulation by its own hash): what the cheap check covers, what
    /// transcripts bind and what a replay cache remembers.
    #[must_use]
    pub fn digest(&self, crypto: Crypto) -> [u8; 32] {
        self.digest_with(crypto, &EncHash::of(crypto, &self.enc))
    }

    fn digest_with(&self, crypto: Crypto, enc: &EncHash) -> [u8; 32] {
        crypto.sha256(&[&self.key.0, &(self.suite as u16).to_be_bytes(), &enc.0, &self.ciphertext])
    }
}

impl Encode for Envelope {
    fn encode(&self, w: &mut Writer) {
        w.fixed(&self.key.0);
        self.suite.encode(w);
        w.fixed(&self.check);
        w.bytes8(self.cookie.as_ref().map_or(&[], |c| c.as_slice()));
        w.bytes16(&self.enc);
        w.bytes16(&self.ciphertext);
    }
}

impl Decode for Envelope {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let key = ContextKeyId(r.fixed()?);
        let suite = Suite::decode(r)?;
        let check = r.fixed()?;
        let cookie = match r.bytes8()? {
            [] => None,
            c => Some(c.try_into().map_err(|_| WireError::BadValue("cookie"))?),
        };
        let enc = r.bytes16()?;
        if enc.len() != suite.encapsulation_len() {
            return Err(WireError::BadValue("encapsulation"));
        }
        Ok(Self { key, suite, check, cookie, enc: enc.to_vec(), ciphertext: r.bytes16()?.to_vec() })
    }
}

/// The cheap check of one key set and purpose: a MAC under a key that everybody knows who has the
/// set, so that a blind flood of random bytes costs one HMAC each. A gateway keeps it ready, with
/// what of HPKE's key schedule does not change.
#[derive(Debug)]
pub struct CheapCheck {
    key: Secret<32>,
    target: Target,
}

/// To what an envelope is sealed, apart from the key itself.
#[derive(Clone, Debug)]
struct Target {
    purpose: Purpose,
    key_set: [u8; 32],
    info: [HpkeInfo; Suite::ALL.len()],
}

impl CheapCheck {
    /// For the set with this hash.
    #[must_use]
    pub fn new(crypto: Crypto, key_set: &[u8; 32], purpose: Purpose) -> Self {
        let key = crypto.derive(&Secret::new(*key_set), label::CHEAP_CHECK, &[purpose.label()]);
        let info = purpose.info(key_set);
        let info = Suite::ALL.map(|suite| HpkeInfo::new(crypto, suite, &info));
        Self { key, target: Target { purpose, key_set: *key_set, info } }
    }

    fn tag(&self, crypto: Crypto, digest: &[u8; 32]) -> [u8; 16] {
        let mac = crypto.hmac_sha256(self.key.expose(), &[digest]);
        let mut tag = [0; 16];
        tag.copy_from_slice(&mac[..16]);
        tag
    }

    /// Lets an envelope pass that was made by somebody who has the key set.
    ///
    /// # Errors
    /// [`CryptoError::Forged`].
    pub fn check(&self, crypto: Crypto, envelope: Envelope) -> Result<CheapChecked, CryptoError> {
        let enc = EncHash::of(crypto, &envelope.enc);
        let digest = envelope.digest_with(crypto, &enc);
        if constant_time_eq(&self.tag(crypto, &digest), &envelope.check) {
            Ok(CheapChecked { envelope, enc, digest, target: self.target.clone() })
        } else {
            Err(CryptoError::Forged)
        }
    }
}

/// An envelope that passed the cheap check of one key set and purpose: it opens for no other.
#[derive(Debug)]
pub struct CheapChecked {
    envelope: Envelope,
    enc: EncHash,
    digest: [u8; 32],
    target: Target,
}

/// What an envelope held.
#[derive(Debug)]
pub struct EnvelopeContent {
    /// The content.
    pub plaintext: SecretBytes,
    /// HPKE's exporter secret.
    pub exporter: Secret<32>,
    /// The transcript up to the encapsulation, as [`OpenEnvelope::transcript`] gave it.
    pub transcript: Transcript,
    /// [`Envelope::digest`].
    pub digest: [u8; 32],
    /// The suite of the envelope.
    pub suite: Suite,
}

impl CheapChecked {
    /// Opens it with the context key that it names, of the key set that it was checked for. The
    /// first step that costs a private-key operation.
    ///
    /// # Errors
    /// [`CryptoError::BadKey`] for a key of another suite, [`CryptoError::Forged`].
    pub fn open(self, crypto: Crypto, key: &KemPrivateKey) -> Result<EnvelopeContent, CryptoError> {
        let Envelope { key: id, suite, enc, ciphertext, .. } = self.envelope;
        let Target { purpose, key_set, info } = self.target;
        let info = info.iter().find(|i| i.suite() == suite).ok_or(CryptoError::BadKey)?;
        if key.public().suite() != suite {
            return Err(CryptoError::BadKey);
        }
        let opened = open_base_in_place(crypto, key, &enc, info, &id.0, ciphertext)?;
        Ok(EnvelopeContent {
            plaintext: opened.plaintext,
            exporter: opened.exporter,
            transcript: purpose.transcript(crypto, &key_set, id, suite, &self.enc),
            digest: self.digest,
            suite,
        })
    }
}

/// Makes and checks stateless retry cookies: proof that the peer receives at the address it sends
/// from. Asked for only under load.
#[derive(Debug)]
pub struct CookieJar {
    key: Secret<32>,
}

impl CookieJar {
    /// With a key of this process; cookies need not outlive it.
    #[must_use]
    pub const fn new(key: Secret<32>) -> Self {
        Self { key }
    }

    /// A cookie for `checked`, arriving from `address` (any encoding of it that is stable).
    #[must_use]
    pub fn bake(&self, crypto: Crypto, checked: &CheapChecked, address: &[u8], now: Time) -> Cookie {
        self.cookie(crypto, &checked.digest, address, now)
    }

    fn cookie(&self, crypto: Crypto, digest: &[u8; 32], address: &[u8], time: Time) -> Cookie {
        let time = time.0.to_be_bytes();
        let mac = crypto.hmac_sha256(self.key.expose(), &[label::RETRY_COOKIE, &time, digest, address]);
        let mut cookie = [0; 24];
        cookie[..8].copy_from_slice(&time);
        cookie[8..].copy_from_slice(&mac[..16]);
        cookie
    }

    /// Whether the envelope brings a fresh cookie of ours for itself and this address.
    #[must_use]
    pub fn accepts(&self, crypto: Crypto, checked: &CheapChecked, address: &[u8], now: Time) -> bool {
        let Some(cookie) = checked.envelope.cookie else { return false };
        let mut time = [0; 8];
        time.copy_from_slice(&cookie[..8]);
        let time = Time(u64::from_be_bytes(time));
        let expected = self.cookie(crypto, &checked.digest, address, time);
        constant_time_eq(&expected, &cookie) && time <= now && time.distance_secs(now) <= COOKIE_LIFETIME_SECS
    }
}
