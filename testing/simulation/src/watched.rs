//! The product's primitives, watched: which key has sealed under which nonce.
//!
//! The cores get this instead of the provider itself, so that no repetition escapes, wherever in them it is made.

use rustls_pki_types::SignatureVerificationAlgorithm;
use std::cell::RefCell;
use std::collections::BTreeMap;
use symbolon_crypto::{Aead, Crypto, CryptoError, Entropy, MlKem768Key, Primitives, Secret, TAG, X25519Key};

/// A key by the beginning of its hash, and a nonce.
type Use = ([u8; 8], [u8; 12]);

#[derive(Default)]
struct Seen {
    /// What was sealed: the same again gives the same bytes and tells nobody anything.
    uses: BTreeMap<Use, [u8; 32]>,
    repeated: Option<Use>,
}

thread_local! {
    // A world lives on one thread, and `Crypto` wants something that lives for ever.
    static SEEN: RefCell<Seen> = RefCell::default();
}

/// Forgets what an earlier world sealed.
pub(crate) fn begin() {
    SEEN.with_borrow_mut(|seen| *seen = Seen::default());
}

/// A key and nonce that sealed two different things, if there was one.
pub(crate) fn repeated() -> Option<String> {
    SEEN.with_borrow_mut(|seen| {
        seen.repeated.take().map(|(key, nonce)| format!("key {key:02x?}, nonce {nonce:02x?}"))
    })
}

/// The primitives for the cores.
pub(crate) const fn crypto() -> Crypto {
    Crypto::new(&Watched)
}

struct Watched;

struct WatchedAead {
    key: [u8; 8],
    inner: Box<dyn Aead>,
}

fn watched(key: &[u8], inner: Box<dyn Aead>) -> Box<dyn Aead> {
    let hash = symbolon_provider::crypto().sha256(&[key]);
    let mut short = [0; 8];
    short.copy_from_slice(&hash[..8]);
    Box::new(WatchedAead { key: short, inner })
}

impl WatchedAead {
    fn note(&self, nonce: &[u8; 12], parts: &[&[u8]]) {
        let what = symbolon_provider::crypto().sha256(parts);
        SEEN.with_borrow_mut(|seen| {
            let place = (self.key, *nonce);
            if *seen.uses.entry(place).or_insert(what) != what {
                seen.repeated.get_or_insert(place);
            }
        });
    }
}

impl Aead for WatchedAead {
    fn seal(&self, nonce: &[u8; 12], aad: &[u8], in_out: &mut [u8]) -> [u8; TAG] {
        self.note(nonce, &[aad, in_out]);
        self.inner.seal(nonce, aad, in_out)
    }

    fn open(&self, nonce: &[u8; 12], aad: &[u8], in_out: &mut [u8]) -> Result<usize, CryptoError> {
        self.inner.open(nonce, aad, in_out)
    }

    fn seal_from(&self, nonce: &[u8; 12], aad: &[u8], plaintext: &[u8], last: &[u8], out: &mut [u8]) {
        self.note(nonce, &[aad, plaintext, last]);
        self.inner.seal_from(nonce, aad, plaintext, last, out);
    }

    fn open_from(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<usize, CryptoError> {
        self.inner.open_from(nonce, aad, sealed, out)
    }
}

impl Primitives for Watched {
    fn sha256(&self, parts: &[&[u8]]) -> [u8; 32] {
        symbolon_provider::crypto().sha256(parts)
    }

    fn sha3_256(&self, parts: &[&[u8]]) -> Secret<32> {
        symbolon_provider::crypto().sha3_256(parts)
    }

    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        symbolon_provider::crypto().hmac_sha256(key, parts)
    }

    fn hmac_sha384(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 48] {
        symbolon_provider::crypto().hmac_sha384(key, parts)
    }

    fn aes256_gcm(&self, key: &Secret<32>) -> Box<dyn Aead> {
        watched(key.expose(), symbolon_provider::crypto().aes256_gcm(key))
    }

    fn aes128_gcm(&self, key: &Secret<16>) -> Box<dyn Aead> {
        watched(key.expose(), symbolon_provider::crypto().aes128_gcm(key))
    }

    fn chacha20_poly1305(&self, key: &Secret<32>) -> Box<dyn Aead> {
        watched(key.expose(), symbolon_provider::crypto().chacha20_poly1305(key))
    }

    fn x25519_generate(&self, entropy: &mut dyn Entropy) -> Box<dyn X25519Key> {
        symbolon_provider::crypto().x25519_generate(entropy)
    }

    fn x25519_from(&self, secret: &Secret<32>) -> Result<Box<dyn X25519Key>, CryptoError> {
        symbolon_provider::crypto().x25519_from(secret)
    }

    fn ml_kem768_generate(&self, entropy: &mut dyn Entropy) -> Box<dyn MlKem768Key> {
        symbolon_provider::crypto().ml_kem768_generate(entropy)
    }

    fn ml_kem768_encapsulate(
        &self,
        public: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Result<(Vec<u8>, Secret<32>), CryptoError> {
        symbolon_provider::crypto().ml_kem768_encapsulate(public, entropy)
    }

    fn certificate_algorithms(&self) -> &'static [&'static dyn SignatureVerificationAlgorithm] {
        symbolon_provider::crypto().certificate_algorithms()
    }
}
