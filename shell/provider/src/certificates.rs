use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rustls_pki_types::SignatureVerificationAlgorithm;
use symbolon_crypto::{CryptoError, SecretBytes, Signer};

/// With what a certificate of ours, or a signature of an identity, may be signed.
pub(crate) static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] =
    &[webpki::aws_lc_rs::ECDSA_P256_SHA256, webpki::aws_lc_rs::ECDSA_P384_SHA384, webpki::aws_lc_rs::ED25519];

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
