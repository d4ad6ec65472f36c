//! The token: one file that a person keeps, copies and imports. Its keys are in it, or in a device.
//!
//! ```text
//! "SYMBOLON TOKEN\n" | version (1) | token id (16) | issuer certificate <..>
//! | 0                                        as it is handed out: it has no secret (B1)
//! | 3 | certificate of a gateway <..>        the same for that gateway alone
//! | 1 | Argon2id memory KiB (4), passes (4), lanes (4) | salt (16)      keys behind a PIN
//!     | failed attempts (1) | time of the last one (8) | nonce (12) | sealed registrations <..>
//! | 2 | device's URI <..> | id of its sealing key <.> | salt (16)       keys in a device
//!     | nonce (12) | sealed registrations <..>
//! | SHA-256 of all before (32)
//! ```
//! Version 2 is that of keys in a device, version 1 that of all others, so that older programs go on
//! reading what they know. The seal's associated data is everything before `failed attempts` or
//! `nonce`, so neither the issuer nor the cost of the PIN nor the device can be swapped. The counter
//! cannot be authenticated by a file that anybody may copy: it slows the honest owner's thief at the
//! keyboard, Argon2id slows the one who took the file. A device counts by itself; its file holds no
//! secret at all, and is sealed only so that it tells nobody where its owner is registered, and so
//! that nobody can change it.

mod device;
mod error;
mod file;
mod pin;
mod registration;
mod unlocked;

pub use device::{DeviceReference, ObjectId};
pub use error::TokenError;
pub use pin::{MAX_PIN, MIN_PIN, Pin, PinCost};
pub use registration::{HeldKey, Registration};
pub use unlocked::UnlockedToken;

use crate::AuthenticationKey;
use file::{Lock, Sealed, Top, header};
use symbolon_crypto::{
    Crypto, Entropy, GatewayIdentity, KeySetError, Secret, SecretBytes, TrustedIssuer, label,
};
use symbolon_wire::{Decode as _, Reader, Time};

/// Wrong PINs after which the token locks (B7).
pub const MAX_ATTEMPTS: u8 = 10;
/// Gateways that one token may be registered with.
const MAX_REGISTRATIONS: usize = 256;
/// A file larger than this is no token of ours.
pub const MAX_FILE: usize = 4 * 1024 * 1024;

/// The key that a device makes for one file: HMAC under a key that serves nothing else.
fn device_seal(
    crypto: Crypto,
    key: &dyn AuthenticationKey,
    id: &[u8; 16],
    salt: &[u8; 16],
) -> Result<Secret<32>, TokenError> {
    key.hmac(crypto, &[label::TOKEN_SEAL, &[0], id, salt]).map_err(|_| TokenError::Device)
}

/// A token as its file holds it.
pub struct Token {
    id: [u8; 16],
    issuer: TrustedIssuer,
    /// Of a token that was handed out for one gateway and is not registered.
    gateway: Option<GatewayIdentity>,
    sealed: Option<Sealed>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({}, registered: {})", self.issuer.fingerprint(), self.sealed.is_some())
    }
}

impl Token {
    /// A token as it is handed out: the issuer's public key and no secret (B1).
    pub fn blank(entropy: &mut dyn Entropy, issuer: TrustedIssuer) -> Self {
        Self { id: entropy.number(), issuer, gateway: None, sealed: None }
    }

    /// The same with the verified certificate of the gateway that it is handed out for (B1, claim 1a): it is
    /// registered there first. That is no secret either.
    ///
    /// # Errors
    /// [`TokenError::Gateway`] when another issuer certified it.
    pub fn blank_for(
        entropy: &mut dyn Entropy,
        issuer: TrustedIssuer,
        gateway: GatewayIdentity,
    ) -> Result<Self, TokenError> {
        if gateway.issuer() != issuer.fingerprint() {
            return Err(TokenError::Gateway(KeySetError::OtherIssuer));
        }
        Ok(Self { gateway: Some(gateway), ..Self::blank(entropy, issuer) })
    }

    /// Names the token.
    #[must_use]
    pub const fn id(&self) -> &[u8; 16] {
        &self.id
    }

    /// The root of trust in it.
    #[must_use]
    pub const fn issuer(&self) -> &TrustedIssuer {
        &self.issuer
    }

    /// The gateway that it was handed out for, as long as it is not registered.
    #[must_use]
    pub const fn gateway(&self) -> Option<&GatewayIdentity> {
        self.gateway.as_ref()
    }

    /// Whether it has been registered, and hence has a PIN.
    #[must_use]
    pub const fn is_registered(&self) -> bool {
        self.sealed.is_some()
    }

    /// Wrong PINs since the last right one.
    #[must_use]
    pub fn failures(&self) -> u8 {
        self.sealed.as_ref().map_or(0, |s| s.failures)
    }

    /// The device that holds its keys, when they are in one.
    #[must_use]
    pub fn device(&self) -> Option<&DeviceReference> {
        match self.sealed.as_ref().map(|s| &s.lock) {
            Some(Lock::Device(reference)) => Some(reference),
            _ => None,
        }
    }

    /// Counts an attempt. **Write [`Attempt::to_file`] before trying the PIN**, so that pulling the
    /// plug saves no attempt.
    ///
    /// # Errors
    /// [`TokenError::NotRegistered`], [`TokenError::Locked`], [`TokenError::Wait`],
    /// [`TokenError::InDevice`].
    pub fn attempt(mut self, now: Time) -> Result<Attempt, TokenError> {
        let sealed = self.sealed.as_mut().ok_or(TokenError::NotRegistered)?;
        if let Lock::Device(_) = sealed.lock {
            return Err(TokenError::InDevice);
        }
        if sealed.failures >= MAX_ATTEMPTS {
            return Err(TokenError::Locked);
        }
        let ready = sealed.last_failure.plus_secs(delay_secs(sealed.failures));
        // A clock that was set back must not lock the owner out for longer than the delay itself.
        if now < ready && now >= sealed.last_failure {
            return Err(TokenError::Wait { secs: (ready.0 - now.0).div_ceil(1_000_000) });
        }
        sealed.failures += 1;
        sealed.last_failure = now;
        Ok(Attempt(self))
    }

    /// Opens a token whose keys are in a device, with the sealing key in it ([`DeviceReference::seal`]);
    /// the device has asked for its PIN.
    ///
    /// # Errors
    /// [`TokenError::NotRegistered`]; [`TokenError::NotInDevice`]; [`TokenError::Device`] when it does
    /// not answer; [`TokenError::OtherDevice`] when it is not the one that sealed the file, or the file
    /// was altered.
    pub fn unlock_with(
        self,
        crypto: Crypto,
        key: &dyn AuthenticationKey,
    ) -> Result<UnlockedToken, TokenError> {
        let Self { id, issuer, sealed, .. } = self;
        let sealed = sealed.ok_or(TokenError::NotRegistered)?;
        if let Lock::Pin(_) = sealed.lock {
            return Err(TokenError::NotInDevice);
        }
        let key = device_seal(crypto, key, &id, &sealed.salt)?;
        open(crypto, id, issuer, sealed, key)?.ok_or(TokenError::OtherDevice)
    }
}

/// Opens the seal; nothing when the key is another.
fn open(
    crypto: Crypto,
    id: [u8; 16],
    issuer: TrustedIssuer,
    sealed: Sealed,
    key: Secret<32>,
) -> Result<Option<UnlockedToken>, TokenError> {
    let Sealed { lock, salt, nonce, ciphertext: mut buffer, .. } = sealed;
    let aad = header(&id, &issuer, &Top::Sealed(&lock, &salt));
    let Ok(length) = crypto.aes256_gcm(&key).open(&nonce, &aad, &mut buffer) else { return Ok(None) };
    buffer.truncate(length);
    let plaintext = SecretBytes::new(buffer);
    let mut r = Reader::new(plaintext.expose());
    let registrations = r.list16("registrations", MAX_REGISTRATIONS, Registration::decode)?;
    r.finish()?;
    if registrations.iter().any(|r| !lock.holds(&r.key)) {
        return Err(TokenError::Damaged("its keys are in two places"));
    }
    Ok(Some(UnlockedToken { id, issuer, lock, salt, key, registrations }))
}

/// No delay for the first three slips, then 2, 4, 8 … s.
const fn delay_secs(failures: u8) -> u64 {
    if failures <= 3 { 0 } else { 1 << (failures - 3) }
}

/// An attempt that is already counted.
#[derive(Debug)]
pub struct Attempt(Token);

impl Attempt {
    /// The token file with the attempt counted.
    #[must_use]
    pub fn to_file(&self, crypto: Crypto) -> Vec<u8> {
        self.0.to_file(crypto)
    }

    /// Tries the PIN.
    ///
    /// # Errors
    /// [`TokenError::WrongPin`], [`TokenError::Locked`] when that was the last attempt,
    /// [`TokenError::Damaged`].
    pub fn unlock(self, crypto: Crypto, pin: &Pin) -> Result<UnlockedToken, TokenError> {
        let Token { id, issuer, sealed, .. } = self.0;
        let sealed = sealed.ok_or(TokenError::NotRegistered)?;
        let Lock::Pin(cost) = sealed.lock else { return Err(TokenError::InDevice) };
        let key = cost.key(crypto, pin, &sealed.salt)?;
        let left = MAX_ATTEMPTS.saturating_sub(sealed.failures);
        let wrong = if left == 0 { TokenError::Locked } else { TokenError::WrongPin { left } };
        open(crypto, id, issuer, sealed, key)?.ok_or(wrong)
    }
}
