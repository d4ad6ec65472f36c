use crate::aead::keyed;
use aws_lc_rs::{aead, agreement, digest, hmac, kem};
use rustls_pki_types::SignatureVerificationAlgorithm;
use symbolon_crypto::{Aead, CryptoError, Entropy, MlKem768Key, Primitives, Secret, SecretBytes, X25519Key};

/// The provider.
pub(crate) struct AwsLc;

impl Primitives for AwsLc {
    fn sha256(&self, parts: &[&[u8]]) -> [u8; 32] {
        digest_of(&digest::SHA256, parts)
    }

    fn sha3_256(&self, parts: &[&[u8]]) -> Secret<32> {
        Secret::new(digest_of(&digest::SHA3_256, parts))
    }

    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let length: usize = parts.iter().map(|p| p.len()).sum();
        if key.len() <= SHA256_BLOCK && length <= SHORT_MESSAGE {
            return short_hmac::<{ SHA256_BLOCK + SHORT_MESSAGE }, { SHA256_BLOCK + 32 }, 32>(
                &digest::SHA256,
                key,
                parts,
            );
        }
        long_hmac(hmac::HMAC_SHA256, key, parts)
    }

    fn hmac_sha384(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 48] {
        let length: usize = parts.iter().map(|p| p.len()).sum();
        if key.len() <= SHA384_BLOCK && length <= SHORT_MESSAGE {
            return short_hmac::<{ SHA384_BLOCK + SHORT_MESSAGE }, { SHA384_BLOCK + 48 }, 48>(
                &digest::SHA384,
                key,
                parts,
            );
        }
        long_hmac(hmac::HMAC_SHA384, key, parts)
    }

    fn aes256_gcm(&self, key: &Secret<32>) -> Box<dyn Aead> {
        keyed(&aead::AES_256_GCM, key.expose())
    }

    fn aes128_gcm(&self, key: &Secret<16>) -> Box<dyn Aead> {
        keyed(&aead::AES_128_GCM, key.expose())
    }

    fn chacha20_poly1305(&self, key: &Secret<32>) -> Box<dyn Aead> {
        keyed(&aead::CHACHA20_POLY1305, key.expose())
    }

    fn x25519_generate(&self, _entropy: &mut dyn Entropy) -> Box<dyn X25519Key> {
        let key = agreement::PrivateKey::generate(&agreement::X25519).expect("aws-lc can make an X25519 key");
        Box::new(X25519::new(key))
    }

    fn x25519_from(&self, secret: &Secret<32>) -> Result<Box<dyn X25519Key>, CryptoError> {
        let key = agreement::PrivateKey::from_private_key(&agreement::X25519, secret.expose())
            .map_err(|_| CryptoError::BadKey)?;
        Ok(Box::new(X25519::new(key)))
    }

    fn ml_kem768_generate(&self, _entropy: &mut dyn Entropy) -> Box<dyn MlKem768Key> {
        let key = kem::DecapsulationKey::generate(&kem::ML_KEM_768).expect("aws-lc can make an ML-KEM key");
        let public = key
            .encapsulation_key()
            .and_then(|k| Ok(k.key_bytes()?.as_ref().to_vec()))
            .expect("a fresh ML-KEM key has a public key");
        Box::new(MlKem { key, public })
    }

    fn ml_kem768_encapsulate(
        &self,
        public: &[u8],
        _entropy: &mut dyn Entropy,
    ) -> Result<(Vec<u8>, Secret<32>), CryptoError> {
        let key = kem::EncapsulationKey::new(&kem::ML_KEM_768, public).map_err(|_| CryptoError::BadKey)?;
        let (ciphertext, shared) = key.encapsulate().map_err(|_| CryptoError::BadKey)?;
        let secret = Secret::from_slice(shared.as_ref()).ok_or(CryptoError::BadKey)?;
        // With room for X25519's part of X-Wing, which is appended.
        let mut bytes = Vec::with_capacity(ciphertext.as_ref().len() + 32);
        bytes.extend_from_slice(ciphertext.as_ref());
        Ok((bytes, secret))
    }

    fn certificate_algorithms(&self) -> &'static [&'static dyn SignatureVerificationAlgorithm] {
        crate::certificates::ALGORITHMS
    }
}

/// The block of SHA-256, in bytes.
const SHA256_BLOCK: usize = 64;
/// The block of SHA-384, in bytes.
const SHA384_BLOCK: usize = 128;
/// The longest message that is hashed in one piece, in bytes: what a step of HKDF has, and more.
const SHORT_MESSAGE: usize = 256;

/// RFC 2104 §2 by two hashes of one piece each. Nearly all our keys are used for one short message,
/// and for those the making, copying and wiping of aws-lc's HMAC context costs as much again as the
/// hashing. `INNER` is the hash's block and [`SHORT_MESSAGE`], `OUTER` its block and its output;
/// `key` has at most a block and `parts` have [`SHORT_MESSAGE`] together.
fn short_hmac<const INNER: usize, const OUTER: usize, const OUT: usize>(
    algorithm: &'static digest::Algorithm,
    key: &[u8],
    parts: &[&[u8]],
) -> [u8; OUT] {
    let block = const { OUTER - OUT };
    let mut inner = [0x36; INNER];
    let mut outer = [0x5c; OUTER];
    for ((i, o), k) in inner.iter_mut().zip(&mut outer).zip(key) {
        *i ^= k;
        *o ^= k;
    }
    let mut end = block;
    for part in parts {
        inner[end..end + part.len()].copy_from_slice(part);
        end += part.len();
    }
    outer[block..].copy_from_slice(digest::digest(algorithm, &inner[..end]).as_ref());
    let mut out = [0; OUT];
    out.copy_from_slice(digest::digest(algorithm, &outer).as_ref());
    inner[..end].fill(0);
    outer.fill(0);
    zeroize::optimization_barrier(&inner);
    zeroize::optimization_barrier(&outer);
    out
}

fn long_hmac<const OUT: usize>(algorithm: hmac::Algorithm, key: &[u8], parts: &[&[u8]]) -> [u8; OUT] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, key));
    for part in parts {
        context.update(part);
    }
    let mut out = [0; OUT];
    out.copy_from_slice(context.sign().as_ref());
    out
}

fn digest_of(algorithm: &'static digest::Algorithm, parts: &[&[u8]]) -> [u8; 32] {
    let length: usize = parts.iter().map(|p| p.len()).sum();
    if length <= SHORT_MESSAGE {
        return short_digest_of(algorithm, parts);
    }
    let mut context = digest::Context::new(algorithm);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// The same in one piece: `parts` have [`SHORT_MESSAGE`] together.
fn short_digest_of(algorithm: &'static digest::Algorithm, parts: &[&[u8]]) -> [u8; 32] {
    let mut message = [0; SHORT_MESSAGE];
    let mut end = 0;
    for part in parts {
        message[end..end + part.len()].copy_from_slice(part);
        end += part.len();
    }
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(algorithm, &message[..end]).as_ref());
    message[..end].fill(0);
    zeroize::optimization_barrier(&message);
    out
}

struct X25519 {
    key: agreement::PrivateKey,
    public: [u8; 32],
}

impl X25519 {
    fn new(key: agreement::PrivateKey) -> Self {
        let mut public = [0; 32];
        let computed = key.compute_public_key().expect("a valid X25519 key has a public key");
        public.copy_from_slice(computed.as_ref());
        Self { key, public }
    }
}

impl X25519Key for X25519 {
    fn public(&self) -> &[u8; 32] {
        &self.public
    }

    fn agree(&self, peer: &[u8; 32]) -> Result<Secret<32>, CryptoError> {
        let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, peer);
        agreement::agree(&self.key, peer, CryptoError::BadKey, |shared| {
            let secret = Secret::from_slice(shared).ok_or(CryptoError::BadKey)?;
            // RFC 7748 §6.1: the all-zero value means a peer of low order.
            if secret == Secret::new([0; 32]) { Err(CryptoError::BadKey) } else { Ok(secret) }
        })
    }
}

/// Where the encapsulation key lies within a decapsulation key (FIPS 203 algorithm 16):
/// `dk_PKE (1,152) | ek (1,184) | H(ek) (32) | z (32)`.
const PUBLIC_IN_PRIVATE: std::ops::Range<usize> = 1152..1152 + 1184;

/// An ML-KEM-768 key from the 2,400 bytes of its decapsulation key (FIPS 203). aws-lc cannot make one
/// from a seed.
///
/// # Errors
/// [`CryptoError::BadKey`] for another length. Whether the bytes fit together is found out by
/// [`MlKem768Key::decapsulate`].
pub fn ml_kem768_from(decapsulation_key: &SecretBytes) -> Result<Box<dyn MlKem768Key>, CryptoError> {
    let bytes = decapsulation_key.expose();
    let key = kem::DecapsulationKey::new(&kem::ML_KEM_768, bytes).map_err(|_| CryptoError::BadKey)?;
    Ok(Box::new(MlKem { key, public: bytes[PUBLIC_IN_PRIVATE].to_vec() }))
}

/// A fresh ML-KEM-768 key in the form that [`ml_kem768_from`] reads, for a key that several processes
/// share through a file.
#[must_use]
pub fn ml_kem768_fresh() -> SecretBytes {
    let bytes = kem::DecapsulationKey::generate(&kem::ML_KEM_768)
        .and_then(|key| Ok(SecretBytes::new(key.key_bytes()?.as_ref().to_vec())));
    bytes.expect("aws-lc can make an ML-KEM key and write it down")
}

struct MlKem {
    key: kem::DecapsulationKey,
    public: Vec<u8>,
}

impl MlKem768Key for MlKem {
    fn public(&self) -> &[u8] {
        &self.public
    }

    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret<32>, CryptoError> {
        let shared = self.key.decapsulate(ciphertext.into()).map_err(|_| CryptoError::BadKey)?;
        Secret::from_slice(shared.as_ref()).ok_or(CryptoError::BadKey)
    }
}
