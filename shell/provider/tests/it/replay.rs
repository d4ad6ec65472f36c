use ml_kem::kem::KeyInit;
use ml_kem::{B32, ml_kem_768};
use rustls::pki_types::SignatureVerificationAlgorithm;
use symbolon_crypto::{
    Aead, Crypto, CryptoError, Entropy, MlKem768Key, Primitives, Secret, SecretBytes, X25519Key,
};
use symbolon_provider::{crypto, ml_kem768_from};

/// Our provider with the randomness of a published vector in place of aws-lc's own, so that what we
/// send can be compared byte for byte.
pub(crate) struct Replay {
    pub(crate) x25519: Secret<32>,
    pub(crate) ml_kem_message: [u8; 32],
}

impl Replay {
    pub(crate) fn into_crypto(self) -> Crypto {
        Crypto::new(Box::leak(Box::new(self)))
    }
}

impl Primitives for Replay {
    fn sha256(&self, parts: &[&[u8]]) -> [u8; 32] {
        crypto().sha256(parts)
    }

    fn sha3_256(&self, parts: &[&[u8]]) -> Secret<32> {
        crypto().sha3_256(parts)
    }

    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        crypto().hmac_sha256(key, parts)
    }

    fn hmac_sha384(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 48] {
        crypto().hmac_sha384(key, parts)
    }

    fn aes256_gcm(&self, key: &Secret<32>) -> Box<dyn Aead> {
        crypto().aes256_gcm(key)
    }

    fn aes128_gcm(&self, key: &Secret<16>) -> Box<dyn Aead> {
        crypto().aes128_gcm(key)
    }

    fn chacha20_poly1305(&self, key: &Secret<32>) -> Box<dyn Aead> {
        crypto().chacha20_poly1305(key)
    }

    fn x25519_generate(&self, _entropy: &mut dyn Entropy) -> Box<dyn X25519Key> {
        crypto().x25519_from(&self.x25519).unwrap()
    }

    fn x25519_from(&self, secret: &Secret<32>) -> Result<Box<dyn X25519Key>, CryptoError> {
        crypto().x25519_from(secret)
    }

    fn ml_kem768_generate(&self, entropy: &mut dyn Entropy) -> Box<dyn MlKem768Key> {
        crypto().ml_kem768_generate(entropy)
    }

    /// FIPS 203's `ML-KEM.Encaps_internal`, which aws-lc does not offer.
    fn ml_kem768_encapsulate(
        &self,
        public: &[u8],
        _entropy: &mut dyn Entropy,
    ) -> Result<(Vec<u8>, Secret<32>), CryptoError> {
        let public = ml_kem_768::EncapsulationKey::new(public.try_into().unwrap()).unwrap();
        let (ciphertext, shared) = public.encapsulate_deterministic(&B32::from(self.ml_kem_message));
        Ok((ciphertext.to_vec(), Secret::from_slice(&shared).unwrap()))
    }

    fn certificate_algorithms(&self) -> &'static [&'static dyn SignatureVerificationAlgorithm] {
        crypto().certificate_algorithms()
    }
}

/// The decapsulation key of a seed `d | z`, from RustCrypto into aws-lc.
#[expect(deprecated, reason = "aws-lc reads the expanded form and nothing else")]
pub(crate) fn ml_kem_from_seed(seed: &[u8; 64]) -> Box<dyn MlKem768Key> {
    use ml_kem::ExpandedKeyEncoding;
    let key = ml_kem_768::DecapsulationKey::new(seed.into());
    ml_kem768_from(&SecretBytes::new(key.to_expanded_bytes().to_vec())).unwrap()
}
