//! HPKE base mode, one message (RFC 9180 §6.1), with the exporter (§5.3).

use crate::kdf::Parts;
use crate::{Crypto, CryptoError, Entropy, KemPrivateKey, KemPublicKey, Secret, SecretBytes, Suite, TAG};

/// A sealed message and what its maker keeps.
#[derive(Debug)]
pub struct HpkeSealed {
    /// The KEM's encapsulation, in clear.
    pub enc: Vec<u8>,
    /// Ciphertext and tag.
    pub ciphertext: Vec<u8>,
    /// RFC 9180's exporter secret, for keys that both sides derive further.
    pub exporter: Secret<32>,
}

/// An opened message.
#[derive(Debug)]
pub struct HpkeOpened {
    /// What was sealed.
    pub plaintext: SecretBytes,
    /// The same exporter secret as the sealer's.
    pub exporter: Secret<32>,
}

/// A sealer whose encapsulation is already known, so that what is sealed can be bound to it.
pub struct HpkeSender {
    crypto: Crypto,
    enc: Vec<u8>,
    schedule: Schedule,
}

impl HpkeSender {
    /// RFC 9180 `SetupBaseS`.
    ///
    /// # Errors
    /// [`CryptoError::BadKey`] when `to` is not a public key.
    pub fn setup(
        crypto: Crypto,
        entropy: &mut dyn Entropy,
        to: &KemPublicKey,
        info: &[u8],
    ) -> Result<Self, CryptoError> {
        let encapsulated = to.encapsulate(crypto, entropy)?;
        let info = HpkeInfo::new(crypto, to.suite(), info);
        let schedule = Schedule::base(crypto, &encapsulated.secret, &info);
        Ok(Self { crypto, enc: encapsulated.bytes, schedule })
    }

    /// The encapsulation, which goes in clear.
    #[must_use]
    pub fn enc(&self) -> &[u8] {
        &self.enc
    }

    /// Seals the one message that this sender is for (sequence number 0).
    #[must_use]
    pub fn seal(self, aad: &[u8], plaintext: &SecretBytes) -> HpkeSealed {
        let mut ciphertext = Vec::with_capacity(plaintext.expose().len() + TAG);
        ciphertext.extend_from_slice(plaintext.expose());
        let tag =
            self.crypto.aes256_gcm(&self.schedule.key).seal(&self.schedule.base_nonce, aad, &mut ciphertext);
        ciphertext.extend_from_slice(&tag);
        HpkeSealed { enc: self.enc, ciphertext, exporter: self.schedule.exporter }
    }
}

impl std::fmt::Debug for HpkeSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HpkeSender")
    }
}

/// Seals `plaintext` to `to` (RFC 9180 `SealBase`).
///
/// # Errors
/// [`CryptoError::BadKey`] when `to` is not a public key.
pub fn seal_base(
    crypto: Crypto,
    entropy: &mut dyn Entropy,
    to: &KemPublicKey,
    info: &[u8],
    aad: &[u8],
    plaintext: &SecretBytes,
) -> Result<HpkeSealed, CryptoError> {
    Ok(HpkeSender::setup(crypto, entropy, to, info)?.seal(aad, plaintext))
}

/// Opens what [`seal_base`] made for the holder of `key`.
///
/// # Errors
/// [`CryptoError::BadKey`] or [`CryptoError::Forged`].
pub fn open_base(
    crypto: Crypto,
    key: &KemPrivateKey,
    enc: &[u8],
    info: &[u8],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<HpkeOpened, CryptoError> {
    let info = HpkeInfo::new(crypto, key.public().suite(), info);
    open_base_in_place(crypto, key, enc, &info, aad, ciphertext.to_vec())
}

/// The same where the ciphertext lies; `info` is of the key's suite.
pub(crate) fn open_base_in_place(
    crypto: Crypto,
    key: &KemPrivateKey,
    enc: &[u8],
    info: &HpkeInfo,
    aad: &[u8],
    mut ciphertext: Vec<u8>,
) -> Result<HpkeOpened, CryptoError> {
    let secret = key.decapsulate(crypto, enc)?;
    let schedule = Schedule::base(crypto, &secret, info);
    let length = crypto.aes256_gcm(&schedule.key).open(&schedule.base_nonce, aad, &mut ciphertext)?;
    ciphertext.truncate(length);
    Ok(HpkeOpened { plaintext: SecretBytes::new(ciphertext), exporter: schedule.exporter })
}

/// The `key_schedule_context` of RFC 9180 §5.1 in mode_base: the same for every message with one
/// `info`, so whoever opens many keeps it.
#[derive(Clone, Debug)]
pub(crate) struct HpkeInfo {
    suite: Suite,
    psk_id_hash: [u8; 32],
    info_hash: [u8; 32],
}

impl HpkeInfo {
    pub(crate) fn new(crypto: Crypto, suite: Suite, info: &[u8]) -> Self {
        let kdf = Labeled::hpke(crypto, suite);
        let hash = |label, of| *kdf.extract(b"", label, of).expose();
        Self { suite, psk_id_hash: hash(b"psk_id_hash", b""), info_hash: hash(b"info_hash", info) }
    }

    pub(crate) const fn suite(&self) -> Suite {
        self.suite
    }
}

struct Schedule {
    key: Secret<32>,
    base_nonce: [u8; 12],
    exporter: Secret<32>,
}

impl Schedule {
    /// RFC 9180 §5.1 `KeySchedule` in mode_base.
    fn base(crypto: Crypto, shared: &Secret<32>, info: &HpkeInfo) -> Self {
        let kdf = Labeled::hpke(crypto, info.suite);
        let context: [&[u8]; 3] = [&[0], &info.psk_id_hash, &info.info_hash];
        let secret = kdf.extract(shared.expose(), b"secret", b"");
        let nonce: Secret<12> = kdf.expand(&secret, b"base_nonce", &context);
        Self {
            key: kdf.expand(&secret, b"key", &context),
            base_nonce: *nonce.expose(),
            exporter: kdf.expand(&secret, b"exp", &context),
        }
    }
}

/// RFC 9180 §4, `LabeledExtract` and `LabeledExpand` with a suite identifier.
pub(crate) struct Labeled {
    crypto: Crypto,
    suite_id: [u8; 10],
    suite_id_len: usize,
}

impl Labeled {
    pub(crate) fn kem(crypto: Crypto, suite: Suite) -> Self {
        let mut suite_id = [0; 10];
        suite_id[..3].copy_from_slice(b"KEM");
        suite_id[3..5].copy_from_slice(&suite.kem_id().to_be_bytes());
        Self { crypto, suite_id, suite_id_len: 5 }
    }

    fn hpke(crypto: Crypto, suite: Suite) -> Self {
        let mut suite_id = [0; 10];
        suite_id[..4].copy_from_slice(b"HPKE");
        suite_id[4..6].copy_from_slice(&suite.kem_id().to_be_bytes());
        suite_id[6..8].copy_from_slice(&1u16.to_be_bytes()); // HKDF-SHA256
        suite_id[8..].copy_from_slice(&2u16.to_be_bytes()); // AES-256-GCM
        Self { crypto, suite_id, suite_id_len: 10 }
    }

    fn suite_id(&self) -> &[u8] {
        &self.suite_id[..self.suite_id_len]
    }

    pub(crate) fn extract(&self, salt: &[u8], label: &[u8], ikm: &[u8]) -> Secret<32> {
        self.crypto.extract(salt, &[b"HPKE-v1", self.suite_id(), label, ikm])
    }

    pub(crate) fn expand<const N: usize>(&self, prk: &Secret<32>, label: &[u8], info: &[&[u8]]) -> Secret<N> {
        let length = (N as u16).to_be_bytes();
        let mut parts = Parts::new();
        parts.push(&[&length, b"HPKE-v1", self.suite_id(), label]);
        parts.push(info);
        self.crypto.expand(prk, parts.as_slice())
    }
}
