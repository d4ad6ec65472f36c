use super::TokenError;
use argon2::{Algorithm, Argon2, Params, Version};
use symbolon_crypto::{Crypto, Secret, SecretBytes, label};
use zeroize::Zeroizing;

/// Fewest characters of a PIN.
pub const MIN_PIN: usize = 6;
/// Most characters of a PIN.
pub const MAX_PIN: usize = 128;

/// A PIN or passphrase of acceptable length.
#[derive(Debug)]
pub struct Pin(SecretBytes);

impl Pin {
    /// Takes 6 to 128 characters.
    ///
    /// # Errors
    /// [`TokenError::PinLength`].
    pub fn new(pin: String) -> Result<Self, TokenError> {
        let length = pin.chars().count();
        let pin = SecretBytes::from(pin);
        if (MIN_PIN..=MAX_PIN).contains(&length) { Ok(Self(pin)) } else { Err(TokenError::PinLength) }
    }
}

/// What one guess at the PIN costs (RFC 9106).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for PinCost {
    /// 64 MiB, 3 passes, 1 lane: RFC 9106's second recommendation, on one core; about 0.15 s.
    fn default() -> Self {
        Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 }
    }
}

impl PinCost {
    /// Bounds what a file may make us spend: 1 GiB, 16 passes, 16 lanes.
    pub(super) fn params(self) -> Result<Params, TokenError> {
        let bounded = (8..=1024 * 1024).contains(&self.memory_kib)
            && (1..=16).contains(&self.passes)
            && (1..=16).contains(&self.lanes);
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).ok().filter(|_| bounded);
        params.ok_or(TokenError::Damaged("impossible PIN cost"))
    }

    pub(super) fn key(self, crypto: Crypto, pin: &Pin, salt: &[u8; 16]) -> Result<Secret<32>, TokenError> {
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params()?)
            .hash_password_into(pin.0.expose(), salt, key.as_mut())
            .map_err(|_| TokenError::Damaged("impossible PIN cost"))?;
        Ok(crypto.derive(&Secret::new(*key), label::TOKEN_SEAL, &[salt]))
    }
}
