use super::file::{Lock, Sealed, Top, header};
use super::{DeviceReference, MAX_REGISTRATIONS, Pin, PinCost, Registration, Token, TokenError, device_seal};
use crate::AuthenticationKey;
use symbolon_crypto::{Crypto, Entropy, GatewayName, Secret, SecretBytes, TAG, TrustedIssuer};
use symbolon_wire::{Encode, Time};

/// A token that is open: its registrations can be used and changed.
pub struct UnlockedToken {
    pub(super) id: [u8; 16],
    pub(super) issuer: TrustedIssuer,
    pub(super) lock: Lock,
    pub(super) salt: [u8; 16],
    pub(super) key: Secret<32>,
    pub(super) registrations: Vec<Registration>,
}

impl std::fmt::Debug for UnlockedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UnlockedToken({}, {} registrations)", self.issuer.fingerprint(), self.registrations.len())
    }
}

impl UnlockedToken {
    /// Gives a blank token its first PIN. A token that has one already must be unlocked with it.
    ///
    /// # Errors
    /// [`TokenError::Damaged`] when `cost` is impossible or the token is registered already.
    pub fn first_pin(
        crypto: Crypto,
        entropy: &mut dyn Entropy,
        token: Token,
        pin: &Pin,
        cost: PinCost,
    ) -> Result<Self, TokenError> {
        if token.is_registered() {
            return Err(TokenError::Damaged("it has a PIN already"));
        }
        let salt = entropy.number();
        let key = cost.key(crypto, pin, &salt)?;
        let lock = Lock::Pin(cost);
        Ok(Self { id: token.id, issuer: token.issuer, lock, salt, key, registrations: Vec::new() })
    }

    /// Binds a blank token to a device that will hold its keys. `key` is the sealing key in it, that
    /// `reference` names.
    ///
    /// # Errors
    /// [`TokenError::Damaged`] when the token is registered already, [`TokenError::Device`].
    pub fn first_device(
        crypto: Crypto,
        entropy: &mut dyn Entropy,
        token: Token,
        reference: DeviceReference,
        key: &dyn AuthenticationKey,
    ) -> Result<Self, TokenError> {
        if token.is_registered() {
            return Err(TokenError::Damaged("it has a PIN already"));
        }
        let salt = entropy.number();
        let key = device_seal(crypto, key, &token.id, &salt)?;
        let lock = Lock::Device(reference);
        Ok(Self { id: token.id, issuer: token.issuer, lock, salt, key, registrations: Vec::new() })
    }

    /// The device that holds its keys, when they are in one.
    #[must_use]
    pub const fn device(&self) -> Option<&DeviceReference> {
        match &self.lock {
            Lock::Device(reference) => Some(reference),
            Lock::Pin(_) => None,
        }
    }

    /// Another PIN, with a fresh salt.
    ///
    /// # Errors
    /// [`TokenError::Damaged`] when `cost` is impossible; [`TokenError::InDevice`].
    pub fn change_pin(
        &mut self,
        crypto: Crypto,
        entropy: &mut dyn Entropy,
        pin: &Pin,
        cost: PinCost,
    ) -> Result<(), TokenError> {
        if let Lock::Device(_) = self.lock {
            return Err(TokenError::InDevice);
        }
        let salt = entropy.number();
        self.key = cost.key(crypto, pin, &salt)?;
        (self.salt, self.lock) = (salt, Lock::Pin(cost));
        Ok(())
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

    /// All registrations.
    #[must_use]
    pub fn registrations(&self) -> &[Registration] {
        &self.registrations
    }

    /// The registration with a gateway.
    #[must_use]
    pub fn registration(&self, gateway: &GatewayName) -> Option<&Registration> {
        self.registrations.iter().find(|r| r.gateway == *gateway)
    }

    /// The same, to keep a newer number or key set in it.
    pub fn registration_mut(&mut self, gateway: &GatewayName) -> Option<&mut Registration> {
        self.registrations.iter_mut().find(|r| r.gateway == *gateway)
    }

    /// Puts a registration in; it replaces one with the same gateway.
    ///
    /// # Errors
    /// [`TokenError::Full`]; [`TokenError::OtherPlace`] for a key that is not where the others are.
    pub fn put(&mut self, registration: Registration) -> Result<(), TokenError> {
        if !self.lock.holds(&registration.key) {
            return Err(TokenError::OtherPlace);
        }
        self.registrations.retain(|r| r.gateway != registration.gateway);
        if self.registrations.len() >= MAX_REGISTRATIONS {
            return Err(TokenError::Full);
        }
        self.registrations.push(registration);
        Ok(())
    }

    /// The sealed token, with no failed attempts: write it back.
    #[must_use]
    pub fn seal(&self, crypto: Crypto, entropy: &mut dyn Entropy) -> Token {
        let bound = 2 + self.registrations.iter().map(Registration::encoded_bound).sum::<usize>();
        let plaintext = SecretBytes::written(bound, |w| w.list16(&self.registrations, |w, r| r.encode(w)));
        let nonce: [u8; 12] = entropy.number();
        let aad = header(&self.id, &self.issuer, &Top::Sealed(&self.lock, &self.salt));
        let mut ciphertext = Vec::with_capacity(plaintext.expose().len() + TAG);
        ciphertext.extend_from_slice(plaintext.expose());
        let tag = crypto.aes256_gcm(&self.key).seal(&nonce, &aad, &mut ciphertext);
        ciphertext.extend_from_slice(&tag);
        let sealed = Sealed {
            lock: self.lock.clone(),
            salt: self.salt,
            failures: 0,
            last_failure: Time(0),
            nonce,
            ciphertext,
        };
        Token { id: self.id, issuer: self.issuer.clone(), gateway: None, sealed: Some(sealed) }
    }
}
