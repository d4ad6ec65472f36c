//! The secrets of both directions of wrapped messages, and the generations of their keys.

use crate::cipher::expand_label;
use crate::frame::nonce;
use crate::{Delivery, Unwrapper, WrapError, Wrapper};
use symbolon_crypto::{Aead, Crypto, CryptoError, Secret, TAG, label};

/// Which side of a context one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sent the first message.
    Initiator,
    /// Answered it.
    Acceptor,
}

/// One secret for each direction.
#[derive(Debug, PartialEq, Eq)]
pub struct WrapSecrets {
    /// Protects what the initiator sends.
    pub from_initiator: Secret<32>,
    /// Protects what the acceptor sends.
    pub from_acceptor: Secret<32>,
}

impl WrapSecrets {
    /// The secrets of a traffic secret that both sides share, bound to what the caller names.
    #[must_use]
    pub fn derive(crypto: Crypto, traffic: &Secret<32>, bound_to: &[&[u8]]) -> Self {
        Self {
            from_initiator: crypto.derive(traffic, label::WRAP_FROM_INITIATOR, bound_to),
            from_acceptor: crypto.derive(traffic, label::WRAP_FROM_ACCEPTOR, bound_to),
        }
    }

    /// What `role` wraps and unwraps with.
    #[must_use]
    pub fn into_pair(self, crypto: Crypto, role: Role, delivery: Delivery) -> (Wrapper, Unwrapper) {
        let (own, peers) = match role {
            Role::Initiator => (self.from_initiator, self.from_acceptor),
            Role::Acceptor => (self.from_acceptor, self.from_initiator),
        };
        (Wrapper::new(crypto, own), Unwrapper::new(crypto, peers, delivery))
    }
}

/// An AES-256-GCM key and the IV that its nonces start from, as records have them (RFC 8446 §5.3).
pub(crate) struct TrafficKey {
    aead: Box<dyn Aead>,
    iv: Secret<12>,
}

impl TrafficKey {
    fn of_secret(crypto: Crypto, secret: &Secret<32>) -> Self {
        Self {
            aead: crypto.aes256_gcm(&expand_label(crypto, secret, b"key")),
            iv: expand_label(crypto, secret, b"iv"),
        }
    }

    #[inline]
    pub(crate) fn seal(&self, sequence: u64, aad: &[u8], in_out: &mut [u8]) -> [u8; TAG] {
        self.aead.seal(&nonce(self.iv.expose(), sequence), aad, in_out)
    }

    #[inline]
    pub(crate) fn open(&self, sequence: u64, aad: &[u8], in_out: &mut [u8]) -> Result<usize, CryptoError> {
        self.aead.open(&nonce(self.iv.expose(), sequence), aad, in_out)
    }
}

/// The key of one generation, and the secret from which the next comes.
pub(crate) struct Generation {
    crypto: Crypto,
    secret: Secret<32>,
    number: u16,
    key: TrafficKey,
}

impl Generation {
    pub(crate) fn new(crypto: Crypto, secret: Secret<32>, number: u16) -> Self {
        let key = TrafficKey::of_secret(crypto, &secret);
        Self { crypto, secret, number, key }
    }

    /// The generation after this one.
    pub(crate) fn next(&self) -> Result<Self, WrapError> {
        let number = self.number.checked_add(1).ok_or(WrapError::Exhausted)?;
        let secret = self.crypto.derive(&self.secret, label::WRAP_REKEY, &[&number.to_be_bytes()]);
        Ok(Self::new(self.crypto, secret, number))
    }

    pub(crate) const fn number(&self) -> u16 {
        self.number
    }

    pub(crate) const fn secret(&self) -> &Secret<32> {
        &self.secret
    }

    pub(crate) const fn key(&self) -> &TrafficKey {
        &self.key
    }
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Generation({})", self.number)
    }
}
