use crate::Secret;
use rustls_pki_types::SignatureVerificationAlgorithm;

/// Width of the tag of every [`Aead`] in bytes.
pub const TAG: usize = 16;

/// Why a primitive did not give a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// A tag, a signature or a decryption does not fit: somebody altered or made up the bytes.
    #[error("authentication failed")]
    Forged,
    /// A public key or an encapsulation is not one (wrong length, low order, out of range).
    #[error("malformed key material")]
    BadKey,
    /// A sequence number or a key has been used as often as it may be.
    #[error("key is used up")]
    Exhausted,
}

/// Where random bytes come from. In a shell the operating system, in a test a seed.
pub trait Entropy {
    /// Fills `out` with bytes that nobody else knows.
    fn fill(&mut self, out: &mut [u8]);
}

impl dyn Entropy + '_ {
    /// A fresh secret.
    pub fn secret<const N: usize>(&mut self) -> Secret<N> {
        Secret::new(self.number())
    }

    /// A fresh number that need not stay secret.
    pub fn number<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

/// AES-GCM or ChaCha20-Poly1305 under one key (RFC 5116, RFC 8439). The caller gives each nonce once;
/// the same inputs give the same bytes.
pub trait Aead: Send + Sync {
    /// Encrypts in place and returns the tag.
    fn seal(&self, nonce: &[u8; 12], aad: &[u8], in_out: &mut [u8]) -> [u8; TAG];

    /// Decrypts `ciphertext | tag` in place and returns the plaintext's length.
    ///
    /// # Errors
    /// [`CryptoError::Forged`]; `in_out` then holds nothing of use.
    fn open(&self, nonce: &[u8; 12], aad: &[u8], in_out: &mut [u8]) -> Result<usize, CryptoError>;

    /// Encrypts `plaintext` and after it `last`, one byte at most, into `out`, which gets
    /// `ciphertext | tag` and is exactly so long. `plaintext` stays as it was.
    fn seal_from(&self, nonce: &[u8; 12], aad: &[u8], plaintext: &[u8], last: &[u8], out: &mut [u8]);

    /// Decrypts `sealed`, `ciphertext | tag`, into the beginning of `out` and returns the plaintext's
    /// length. `sealed` stays as it was.
    ///
    /// # Errors
    /// [`CryptoError::Forged`], also when `out` is shorter than the plaintext; it then holds nothing of
    /// use.
    fn open_from(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<usize, CryptoError>;
}

/// An X25519 private key (RFC 7748), held in the provider's own form.
pub trait X25519Key: Send + Sync {
    /// Its public key.
    fn public(&self) -> &[u8; 32];

    /// The shared secret with `peer`.
    ///
    /// # Errors
    /// [`CryptoError::BadKey`] when the result would be all zero (RFC 7748 §6.1).
    fn agree(&self, peer: &[u8; 32]) -> Result<Secret<32>, CryptoError>;
}

/// An ML-KEM-768 decapsulation key (FIPS 203), held in the provider's own form.
pub trait MlKem768Key: Send + Sync {
    /// Its encapsulation key, 1,184 bytes.
    fn public(&self) -> &[u8];

    /// The shared secret in `ciphertext` (1,088 bytes). A false ciphertext of the right length
    /// yields a secret that nobody else has (implicit rejection).
    ///
    /// # Errors
    /// [`CryptoError::BadKey`] for a wrong length.
    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret<32>, CryptoError>;
}

/// A private signature key, wherever it lives.
pub trait Signer: Send + Sync {
    /// Signs `message` (hashing included) in the encoding that X.509 uses.
    ///
    /// # Errors
    /// [`CryptoError::BadKey`] when the key cannot be used.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError>;
}

/// The primitives that Symbolon stands on, and nothing else.
///
/// Randomness is an argument so that a simulator can be seeded; a provider that insists on drawing
/// its own (aws-lc does for ML-KEM) says so.
pub trait Primitives: Send + Sync {
    /// SHA-256 over the concatenated parts (FIPS 180-4).
    fn sha256(&self, parts: &[&[u8]]) -> [u8; 32];
    /// SHA3-256 over the concatenated parts (FIPS 202), for X-Wing's combiner.
    fn sha3_256(&self, parts: &[&[u8]]) -> Secret<32>;
    /// HMAC-SHA-256 over the concatenated parts (RFC 2104).
    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32];
    /// HMAC-SHA-384 over the concatenated parts (RFC 2104), for the key schedule of TLS.
    fn hmac_sha384(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 48];
    /// AES-256-GCM under `key`.
    fn aes256_gcm(&self, key: &Secret<32>) -> Box<dyn Aead>;
    /// AES-128-GCM under `key`, for TLS.
    fn aes128_gcm(&self, key: &Secret<16>) -> Box<dyn Aead>;
    /// ChaCha20-Poly1305 under `key` (RFC 8439), for TLS.
    fn chacha20_poly1305(&self, key: &Secret<32>) -> Box<dyn Aead>;
    /// A fresh X25519 key.
    fn x25519_generate(&self, entropy: &mut dyn Entropy) -> Box<dyn X25519Key>;
    /// An X25519 key from its 32 bytes.
    ///
    /// # Errors
    /// [`CryptoError::BadKey`].
    fn x25519_from(&self, secret: &Secret<32>) -> Result<Box<dyn X25519Key>, CryptoError>;
    /// A fresh ML-KEM-768 key.
    fn ml_kem768_generate(&self, entropy: &mut dyn Entropy) -> Box<dyn MlKem768Key>;
    /// Encapsulates to the 1,184 bytes of `public`: ciphertext (1,088 bytes) and shared secret.
    ///
    /// # Errors
    /// [`CryptoError::BadKey`].
    fn ml_kem768_encapsulate(
        &self,
        public: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Result<(Vec<u8>, Secret<32>), CryptoError>;
    /// The signature algorithms with which certificates may be signed.
    fn certificate_algorithms(&self) -> &'static [&'static dyn SignatureVerificationAlgorithm];
}

/// A provider of [`Primitives`], handed to every operation that computes. Copy it freely.
#[derive(Clone, Copy)]
pub struct Crypto(&'static dyn Primitives);

impl Crypto {
    /// Uses `provider`.
    #[must_use]
    pub const fn new(provider: &'static dyn Primitives) -> Self {
        Self(provider)
    }
}

impl std::ops::Deref for Crypto {
    type Target = dyn Primitives;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl std::fmt::Debug for Crypto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Crypto")
    }
}
