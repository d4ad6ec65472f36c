//! HKDF (RFC 5869) over the provider's HMAC, and transcripts.

use crate::{Crypto, Secret};
use zeroize::Zeroize;

impl Crypto {
    /// HKDF-Extract with SHA-256 over the concatenated parts (RFC 5869 §2.2).
    #[must_use]
    pub fn extract(self, salt: &[u8], input: &[&[u8]]) -> Secret<32> {
        Secret::new(self.hmac_sha256(salt, input))
    }

    /// HKDF-Expand with SHA-256 to `N` bytes with the concatenated `info` (RFC 5869 §2.3). `N` is at most 8,160,
    /// and `info` has at most ten parts, all of them ours and none from a peer.
    #[must_use]
    pub fn expand<const N: usize>(self, key: &Secret<32>, info: &[&[u8]]) -> Secret<N> {
        const { assert!(N <= 255 * 32, "RFC 5869: at most 255 blocks") };
        let mut out = [0; N];
        let mut block = [0; 32];
        for (i, chunk) in out.chunks_mut(32).enumerate() {
            let counter = [(i + 1) as u8];
            let mut parts = Parts::new();
            if i > 0 {
                parts.push(&[&block]);
            }
            parts.push(info);
            parts.push(&[&counter]);
            let next = self.hmac_sha256(key.expose(), parts.as_slice());
            block = next;
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        block.zeroize();
        let secret = Secret::new(out);
        out.zeroize();
        secret
    }

    /// HKDF-Expand with SHA-384 to `N` bytes (RFC 5869 §2.3), for the key schedule of TLS. `N` is at
    /// most 48, one block, which is all that TLS derives; `info` has at most ten parts.
    #[must_use]
    pub fn expand_sha384<const N: usize>(self, key: &Secret<48>, info: &[&[u8]]) -> Secret<N> {
        const { assert!(N <= 48, "one block") };
        let mut parts = Parts::new();
        parts.push(info);
        parts.push(&[&[1]]);
        let mut block = self.hmac_sha384(key.expose(), parts.as_slice());
        let mut out = [0; N];
        out.copy_from_slice(&block[..N]);
        block.zeroize();
        let secret = Secret::new(out);
        out.zeroize();
        secret
    }

    /// One key for one purpose: expand with a [`crate::label`] and what it is bound to.
    #[must_use]
    pub fn derive(self, key: &Secret<32>, label: &[u8], bound_to: &[&[u8]]) -> Secret<32> {
        let mut info = Parts::new();
        info.push(&[label, &[0]]);
        info.push(bound_to);
        self.expand(key, info.as_slice())
    }
}

/// What one HMAC covers, piece by piece. Many keys are derived for each context, so the list lies on
/// the stack.
pub(crate) struct Parts<'a> {
    list: [&'a [u8]; 12],
    count: usize,
}

impl<'a> Parts<'a> {
    pub(crate) const fn new() -> Self {
        Self { list: [&[]; 12], count: 0 }
    }

    /// Adds parts, twelve in all.
    pub(crate) fn push(&mut self, parts: &[&'a [u8]]) {
        self.list[self.count..self.count + parts.len()].copy_from_slice(parts);
        self.count += parts.len();
    }

    pub(crate) fn as_slice(&self) -> &[&'a [u8]] {
        &self.list[..self.count]
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
