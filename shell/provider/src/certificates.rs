use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use rustls_pki_types::SignatureVerificationAlgorithm;
use symbolon_crypto::{CryptoError, SecretBytes, Signer};

/// With what a certificate, a revocation list or a message may be signed. Ours are signed with ECDSA on
/// P-256; the others are for foreign authorities and the keys of their subjects. No SHA-1, no RSA below
/// 2,048 bits.
pub(crate) static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    webpki::aws_lc_rs::ECDSA_P256_SHA256,
    webpki::aws_lc_rs::ECDSA_P384_SHA384,
    webpki::aws_lc_rs::ED25519,
    webpki::aws_lc_rs::ECDSA_P256_SHA384,
    webpki::aws_lc_rs::ECDSA_P384_SHA256,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA384,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA512,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// An ECDSA key on P-256: issuers and gateway identities have one, since browsers and TLS libraries
/// all know it.
pub struct P256SigningKey {
    key: EcdsaKeyPair,
    pkcs8: SecretBytes,
}

impl P256SigningKey {
    /// A fresh key.
    #[must_use]
    pub fn generate() -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
            .expect("aws-lc can make a P-256 key");
        Self::from_pkcs8(SecretBytes::new(pkcs8.as_ref().to_vec())).expect("what aws-lc made, it can read")
    }

    /// From PKCS #8, DER (RFC 5208).
    ///
    /// # Errors
    /// [`CryptoError::BadKey`].
    pub fn from_pkcs8(pkcs8: SecretBytes) -> Result<Self, CryptoError> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.expose())
            .map_err(|_| CryptoError::BadKey)?;
        Ok(Self { key, pkcs8 })
    }

    /// PKCS #8, DER, to be sealed or written to a file that only its owner reads.
    #[must_use]
    pub const fn pkcs8(&self) -> &SecretBytes {
        &self.pkcs8
    }

    /// The uncompressed point, 65 bytes.
    #[must_use]
    pub fn public_point(&self) -> &[u8] {
        self.key.public_key().as_ref()
    }
}

impl Signer for P256SigningKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let signature = self.key.sign(&SystemRandom::new(), message).map_err(|_| CryptoError::BadKey)?;
        Ok(signature.as_ref().to_vec())
    }
}

impl std::fmt::Debug for P256SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("P256SigningKey")
    }
}

/// An Ed25519 key (RFC 8032), for certificates of persons and devices.
pub struct Ed25519SigningKey {
    key: Ed25519KeyPair,
    pkcs8: SecretBytes,
}

impl Ed25519SigningKey {
    /// A fresh key.
    #[must_use]
    pub fn generate() -> Self {
        let pkcs8 =
            Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("aws-lc can make an Ed25519 key");
        Self::from_pkcs8(SecretBytes::new(pkcs8.as_ref().to_vec())).expect("what aws-lc made, it can read")
    }

    /// From PKCS #8, DER (RFC 8410 §7), with or without the public key.
    ///
    /// # Errors
    /// [`CryptoError::BadKey`].
    pub fn from_pkcs8(pkcs8: SecretBytes) -> Result<Self, CryptoError> {
        let key =
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8.expose()).map_err(|_| CryptoError::BadKey)?;
        Ok(Self { key, pkcs8 })
    }

    /// PKCS #8, DER, to be sealed or written to a file that only its owner reads.
    #[must_use]
    pub const fn pkcs8(&self) -> &SecretBytes {
        &self.pkcs8
    }

    /// The public key, 32 bytes.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        self.key.public_key().as_ref()
    }
}

impl Signer for Ed25519SigningKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let signature = self.key.try_sign(message).map_err(|_| CryptoError::BadKey)?;
        Ok(signature.as_ref().to_vec())
    }
}

impl std::fmt::Debug for Ed25519SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ed25519SigningKey")
    }
}

/// An RSA key of 2,048 to 8,192 bits that another authority certified: ours certifies none. It signs with
/// PSS and SHA-256 (RFC 8017 §8.1, salt of 32 bytes).
pub struct RsaSigningKey(aws_lc_rs::rsa::KeyPair);

impl RsaSigningKey {
    /// From PKCS #8, DER (RFC 5208).
    ///
    /// # Errors
    /// [`CryptoError::BadKey`], also for another length.
    pub fn from_pkcs8(pkcs8: &SecretBytes) -> Result<Self, CryptoError> {
        let key = aws_lc_rs::rsa::KeyPair::from_pkcs8(pkcs8.expose()).map_err(|_| CryptoError::BadKey)?;
        if (256..=1024).contains(&key.public_modulus_len()) {
            Ok(Self(key))
        } else {
            Err(CryptoError::BadKey)
        }
    }
}

impl Signer for RsaSigningKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(&aws_lc_rs::signature::RSA_PSS_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| CryptoError::BadKey)?;
        Ok(signature)
    }
}

impl std::fmt::Debug for RsaSigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RsaSigningKey")
    }
}
