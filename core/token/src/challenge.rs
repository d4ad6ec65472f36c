//! Challenge and response with the authentication key (B8): mutual, with no third party and no key
//! on the wire.
//!
//! ```text
//! challenger                                     responder
//!    ── N1 ────────────────────────────────────────>
//!       k = HMAC(SSK, names, roles, binding, N1, KEM key),  E = AEAD_k(N1)
//!    <──────────────────────────── E, N2, KEM key ──
//!    N1 is mine: the responder holds SSK
//!    session = HKDF(k, E, N2, KEM secret, transcript)
//!    ── ct, AEAD_session(N2) ──────────────────────>
//!                                  N2 is mine: so does the challenger
//! ```
//! Either party may start (patent claims 4, 17) or the server does (10, 23). As a context's
//! authentication token ([`ChallengeToken`]) the gateway is the challenger, its number comes with its
//! certificate or from the previous session, and the KEM is the context's own. Within a session
//! either side may be the [`Challenger`], to prove both sides anew and replace the session's keys.
//!
//! What the challenger gave cannot be reflected: the two names stand in `k` in the order of the
//! roles, and an exchange between two of the same name is refused.

mod numbers;
mod renewal;
mod token;

pub use numbers::GatewayNumbers;
pub use renewal::{Challenger, Responder};
pub use token::{ChallengeProved, ChallengeToken, Claimant, ClaimedResponse};

use crate::AuthenticationKey;
use symbolon_crypto::{Crypto, CryptoError, Secret, TAG, TranscriptHash, label};
use symbolon_wire::Writer;

/// A number of a challenge: 32 bytes.
pub type Number = [u8; 32];

/// Who takes part in an exchange; both names and both roles go into every key.
#[derive(Clone, Copy, Debug)]
pub struct Parties<'a> {
    /// Name of the challenger.
    pub challenger: &'a str,
    /// Name of the responder.
    pub responder: &'a str,
}

/// E and N2.
#[derive(Clone, Debug)]
struct Response {
    sealed_number: [u8; 32 + TAG],
    number: Number,
}

/// What one side computes from SSK, the names and the binding.
#[derive(Debug)]
struct ExchangeKey(Secret<32>);

impl ExchangeKey {
    fn new(
        crypto: Crypto,
        key: &dyn AuthenticationKey,
        parties: Parties<'_>,
        binding: &TranscriptHash,
    ) -> Result<Self, CryptoError> {
        let mut w = Writer::new();
        w.bytes8(label::CHALLENGE_KEY);
        w.text16(parties.challenger);
        w.text16(parties.responder);
        w.fixed(binding.as_ref());
        key.hmac(crypto, &[&w.into_bytes()]).map(Self)
    }

    fn seal_number(&self, crypto: Crypto, number: &Number, own: &Number) -> [u8; 32 + TAG] {
        let key = crypto.derive(&self.0, label::CHALLENGE_NUMBER, &[own]);
        let mut out = [0; 32 + TAG];
        out[..32].copy_from_slice(number);
        let tag = crypto.aes256_gcm(&key).seal(&[0; 12], own, &mut out[..32]);
        out[32..].copy_from_slice(&tag);
        out
    }

    fn open_number(&self, crypto: Crypto, response: &Response) -> Result<Number, CryptoError> {
        let key = crypto.derive(&self.0, label::CHALLENGE_NUMBER, &[&response.number]);
        let mut buffer = response.sealed_number;
        crypto.aes256_gcm(&key).open(&[0; 12], &response.number, &mut buffer)?;
        let mut number = [0; 32];
        number.copy_from_slice(&buffer[..32]);
        Ok(number)
    }

    fn session(&self, crypto: Crypto, response: &Response, binding: &TranscriptHash) -> Secret<32> {
        let parts: [&[u8]; 3] = [&response.sealed_number, &response.number, binding.as_ref()];
        crypto.derive(&self.0, label::CHALLENGE_SESSION, &parts)
    }
}
