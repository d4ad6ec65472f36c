use super::Number;
use symbolon_crypto::{Crypto, Entropy, Secret, constant_time_eq, label};
use symbolon_wire::Time;

/// How long a number that a gateway gave out may be answered, in seconds: a client that was away
/// for a long weekend still signs in with one round trip.
const GATEWAY_NUMBER_LIFETIME_SECS: u64 = 4 * 24 * 3600;

/// The gateway's numbers: `expiry (8) | random (8) | MAC (16)`, so that no list of them need be kept
/// and every node of a domain knows its own. A number may be answered more than once until it
/// expires; that no *answer* serves twice is seen to by the replay cache of first messages, to which
/// each answer is bound.
#[derive(Debug)]
pub struct GatewayNumbers {
    key: Secret<32>,
}

impl GatewayNumbers {
    /// Under a key of the domain.
    #[must_use]
    pub fn new(crypto: Crypto, domain_key: &Secret<32>) -> Self {
        Self { key: crypto.derive(domain_key, label::GATEWAY_NUMBER, &[]) }
    }

    /// A fresh number.
    #[must_use]
    pub fn issue(&self, crypto: Crypto, entropy: &mut dyn Entropy, now: Time) -> Number {
        let mut number = [0; 32];
        number[..8].copy_from_slice(&now.plus_secs(GATEWAY_NUMBER_LIFETIME_SECS).0.to_be_bytes());
        entropy.fill(&mut number[8..16]);
        let mac = self.mac(crypto, &number);
        number[16..].copy_from_slice(&mac);
        number
    }

    fn mac(&self, crypto: Crypto, number: &Number) -> [u8; 16] {
        let mut mac = [0; 16];
        mac.copy_from_slice(&crypto.hmac_sha256(self.key.expose(), &[&number[..16]])[..16]);
        mac
    }

    pub(super) fn is_ours(&self, crypto: Crypto, number: &Number, now: Time) -> bool {
        let mut expiry = [0; 8];
        expiry.copy_from_slice(&number[..8]);
        constant_time_eq(&self.mac(crypto, number), &number[16..]) && now.0 <= u64::from_be_bytes(expiry)
    }
}
