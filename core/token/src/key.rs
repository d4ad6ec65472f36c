use symbolon_crypto::{Crypto, CryptoError, Secret};

/// The authentication key of a registered token (SSK, B7), wherever it lives.
///
/// The only operation is HMAC-SHA-256, which every PKCS#11 device can do without letting the key
/// out.
pub trait AuthenticationKey {
    /// HMAC-SHA-256 of `message` under the key.
    ///
    /// # Errors
    /// [`CryptoError::BadKey`] when the device that holds the key does not answer.
    fn hmac(&self, crypto: Crypto, message: &[&[u8]]) -> Result<Secret<32>, CryptoError>;
}

/// An authentication key in memory: a software token's, or the gateway's own copy.
#[derive(Debug, PartialEq, Eq)]
pub struct SoftwareKey(Secret<32>);

impl SoftwareKey {
    /// Takes the key over.
    #[must_use]
    pub const fn new(key: Secret<32>) -> Self {
        Self(key)
    }

    /// The key, for a store or a container to seal.
    #[must_use]
    pub const fn secret(&self) -> &Secret<32> {
        &self.0
    }

    /// A second copy.
    #[must_use]
    pub const fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }
}

impl AuthenticationKey for SoftwareKey {
    fn hmac(&self, crypto: Crypto, message: &[&[u8]]) -> Result<Secret<32>, CryptoError> {
        Ok(Secret::new(crypto.hmac_sha256(self.0.expose(), message)))
    }
}
