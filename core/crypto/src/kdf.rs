//! HKDF-SHA-256 (RFC 5869) over the provider's HMAC, and transcripts.

use crate::{Crypto, Secret};
use zeroize::Zeroize;

impl Crypto {
    /// HKDF-Extract over the concatenated parts (RFC 5869 §2.2).
    #[must_use]
    pub fn extract(self, salt: &[u8], input: &[&[u8]]) -> Secret<32> {
        Secret::new(self.hmac_sha256(salt, input))
    }

    /// HKDF-Expand to `N` bytes with the concatenated `info` (RFC 5869 §2.3). `N` is at most 8,160.
    #[must_use]
    pub fn expand<const N: usize>(self, key: &Secret<32>, info: &[&[u8]]) -> Secret<N> {
        const { assert!(N <= 255 * 32, "RFC 5869: at most 255 blocks") };
        let mut out = [0; N];
        let mut block = [0; 32];
        for (i, chunk) in out.chunks_mut(32).enumerate() {
            let counter = [(i + 1) as u8];
            let mut parts: Vec<&[u8]> = Vec::with_capacity(info.len() + 2);
            if i > 0 {
                parts.push(&block);
            }
            parts.extend_from_slice(info);
            parts.push(&counter);
            let next = self.hmac_sha256(key.expose(), &parts);
            block = next;
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        block.zeroize();
        let secret = Secret::new(out);
        out.zeroize();
        secret
    }

    /// One key for one purpose: expand with a [`crate::label`] and what it is bound to.
    #[must_use]
    pub fn derive(self, key: &Secret<32>, label: &[u8], bound_to: &[&[u8]]) -> Secret<32> {
        let mut info: Vec<&[u8]> = Vec::with_capacity(bound_to.len() + 2);
        info.push(label);
        info.push(&[0]);
        info.extend_from_slice(bound_to);
        self.expand(key, &info)
    }
}

/// SHA-256 of everything that was said so far in an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TranscriptHash(pub [u8; 32]);

impl AsRef<[u8]> for TranscriptHash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A running transcript: each message is bound with its length, so that no two exchanges share one.
#[derive(Clone, Copy, Debug)]
pub struct Transcript {
    crypto: Crypto,
    hash: [u8; 32],
}

impl Transcript {
    /// Starts under a protocol label.
    #[must_use]
    pub fn new(crypto: Crypto, label: &[u8]) -> Self {
        Self { crypto, hash: crypto.sha256(&[label]) }
    }

    /// With one more message.
    #[must_use]
    pub fn with(self, message: &[u8]) -> Self {
        let length = (message.len() as u64).to_be_bytes();
        Self { hash: self.crypto.sha256(&[&self.hash, &length, message]), ..self }
    }

    /// The hash so far.
    #[must_use]
    pub const fn hash(&self) -> TranscriptHash {
        TranscriptHash(self.hash)
    }
}
