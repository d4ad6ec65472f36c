//! From the handshake to the first state.

use super::conduct::Conduct;
use super::state::{Material, TlsState};
use super::suite::{TlsRole, TlsSuite};
use crate::TrafficSecret;
use crate::keys::KeyAndIv;
use symbolon_crypto::{Crypto, Secret};
use zeroize::Zeroizing;

/// What the library that did the handshake says of one direction: rustls gives the first three by
/// `dangerous_extract_secrets`, and the secret through its `KeyLog` as `CLIENT_TRAFFIC_SECRET_0` or
/// `SERVER_TRAFFIC_SECRET_0`.
#[derive(Clone, Copy)]
pub struct HandedOver<'a> {
    /// The number of the next record under this key.
    pub sequence: u64,
    /// The cipher's key.
    pub key: &'a [u8],
    /// The IV. In TLS 1.2 with GCM its last eight bytes are what the explicit nonces start from.
    pub iv: &'a [u8; 12],
    /// The traffic secret of TLS 1.3; none in TLS 1.2.
    pub traffic_secret: Option<&'a [u8]>,
}

/// Why a connection cannot be carried on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandoverError {
    /// A key that is not as long as the suite's.
    #[error("a key does not have the length of the suite")]
    KeyLength,
    /// A traffic secret that is not as long as the suite's, missing, or there in TLS 1.2.
    #[error("a traffic secret does not have the length of the suite")]
    SecretLength,
    /// The traffic secret does not give this key and IV: it is of another connection or direction, or
    /// keys changed in between.
    #[error("traffic secret and key do not belong together")]
    Disagreement,
    /// A sequence number that no connection reaches.
    #[error("a sequence number is out of range")]
    Sequence,
}

impl TlsState {
    /// The state of a connection whose handshake is done, all of whose records so far are counted in the
    /// sequence numbers.
    ///
    /// # Errors
    /// [`HandoverError`] when the parts do not fit each other.
    pub fn after_handshake(
        crypto: Crypto,
        role: TlsRole,
        suite: TlsSuite,
        sending: HandedOver<'_>,
        receiving: HandedOver<'_>,
    ) -> Result<Self, HandoverError> {
        let limit = suite.cipher().records_per_key();
        if sending.sequence >= limit || receiving.sequence >= limit {
            return Err(HandoverError::Sequence);
        }
        let conduct = Conduct::new(role, suite, sending.sequence, receiving.sequence);
        Ok(Self::new(conduct, sending.material(crypto, suite)?, receiving.material(crypto, suite)?))
    }
}

impl HandedOver<'_> {
    fn material(&self, crypto: Crypto, suite: TlsSuite) -> Result<Material, HandoverError> {
        if self.key.len() != suite.cipher().key_length() {
            return Err(HandoverError::KeyLength);
        }
        let mut key = Zeroizing::new([0; 32]);
        key[..self.key.len()].copy_from_slice(self.key);
        let raw = KeyAndIv { key: Secret::new(*key), iv: Secret::new(*self.iv) };
        if self.traffic_secret.map_or(0, <[u8]>::len) != suite.secret_length() {
            return Err(HandoverError::SecretLength);
        }
        let secret = self.traffic_secret.and_then(TrafficSecret::from_slice);
        if let Some(secret) = &secret
            && KeyAndIv::derive(crypto, suite.cipher(), secret) != raw
        {
            return Err(HandoverError::Disagreement);
        }
        Ok(Material { secret, raw })
    }
}

impl std::fmt::Debug for HandedOver<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HandedOver({})", self.sequence)
    }
}
