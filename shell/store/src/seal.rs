//! Secrets at rest: AES-256-GCM boxes that open only under the node's key and only in their place.

use crate::{Result, StoreError};
use std::sync::{Mutex, PoisonError};
use symbolon_crypto::{Crypto, Entropy, Secret, SecretBytes, label};
use symbolon_wire::Writer;

/// First byte of a box, so that another construction can follow one day.
const VERSION: u8 = 1;
const SALT: usize = 16;
const NONCE: usize = 12;
const HEADER: usize = 1 + SALT + NONCE;

/// Where a sealed value stands: it opens nowhere else.
pub(crate) struct Place<'a> {
    pub(crate) table: &'static str,
    pub(crate) row: &'a [u8],
    pub(crate) column: &'static str,
}

impl Place<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.text8(self.table);
        w.bytes16(self.row);
        w.text8(self.column);
        w.into_bytes()
    }
}

/// The node's key, and everything that is computed with it or drawn at random.
pub(crate) struct Guard {
    crypto: Crypto,
    node_key: Secret<32>,
    audit_key: Secret<32>,
    entropy: Mutex<Box<dyn Entropy + Send>>,
}

impl Guard {
    pub(crate) fn new(crypto: Crypto, node_key: &Secret<32>, entropy: Box<dyn Entropy + Send>) -> Self {
        Self {
            crypto,
            node_key: node_key.duplicate(),
            audit_key: crypto.derive(node_key, label::AUDIT_HEAD, &[]),
            entropy: Mutex::new(entropy),
        }
    }

    /// Fresh random bytes.
    pub(crate) fn draw<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        // an entropy source that panicked in another thread is still an entropy source
        self.entropy.lock().unwrap_or_else(PoisonError::into_inner).fill(&mut bytes);
        bytes
    }

    /// `version | salt | nonce | ciphertext | tag`. Salt and nonce are both random: each box has a
    /// key of its own, so that no number of boxes brings a nonce near its second use.
    pub(crate) fn seal(&self, place: &Place<'_>, secret: &[u8]) -> Vec<u8> {
        let salt: [u8; SALT] = self.draw();
        let nonce: [u8; NONCE] = self.draw();
        let mut boxed = Vec::with_capacity(HEADER + secret.len() + symbolon_crypto::TAG);
        boxed.push(VERSION);
        boxed.extend_from_slice(&salt);
        boxed.extend_from_slice(&nonce);
        boxed.extend_from_slice(secret);
        let key = self.box_key(&salt);
        let tag = self.crypto.aes256_gcm(&key).seal(&nonce, &place.associated_data(), &mut boxed[HEADER..]);
        boxed.extend_from_slice(&tag);
        boxed
    }

    /// Opens what [`Guard::seal`] made for the same place.
    ///
    /// # Errors
    /// [`StoreError::Sealed`].
    pub(crate) fn open(&self, place: &Place<'_>, boxed: &[u8]) -> Result<SecretBytes> {
        let (header, body) = boxed.split_first_chunk::<HEADER>().ok_or(StoreError::Sealed)?;
        let (salt, nonce) = header[1..].split_at(SALT);
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| StoreError::Sealed)?;
        if header[0] != VERSION {
            return Err(StoreError::Sealed);
        }
        let key = self.box_key(salt);
        let mut plain = body.to_vec();
        let n = self
            .crypto
            .aes256_gcm(&key)
            .open(&nonce, &place.associated_data(), &mut plain)
            .map_err(|_| StoreError::Sealed)?;
        plain.truncate(n);
        Ok(SecretBytes::new(plain))
    }

    /// A sealed secret of fixed width.
    pub(crate) fn open_fixed<const N: usize>(&self, place: &Place<'_>, boxed: &[u8]) -> Result<Secret<N>> {
        Secret::from_slice(self.open(place, boxed)?.expose()).ok_or(StoreError::Sealed)
    }

    pub(crate) fn sha256(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.crypto.sha256(parts)
    }

    /// Tells a head of the audit chain that a node wrote from one that somebody else wrote.
    pub(crate) fn audit_mac(&self, seq: i64, hash: &[u8; 32]) -> [u8; 32] {
        self.crypto.hmac_sha256(self.audit_key.expose(), &[&seq.to_be_bytes(), hash])
    }

    fn box_key(&self, salt: &[u8]) -> Secret<32> {
        self.crypto.derive(&self.node_key, label::STORE_SEAL, &[salt])
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guard")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(key: u8) -> Guard {
        Guard::new(
            symbolon_provider::crypto(),
            &Secret::new([key; 32]),
            Box::new(symbolon_provider::SystemEntropy),
        )
    }

    const HERE: Place<'_> = Place { table: "registrations", row: b"alice", column: "ssk" };

    #[test]
    fn a_box_opens_in_its_place() {
        let boxed = guard(1).seal(&HERE, b"canary");
        assert_eq!(guard(1).open(&HERE, &boxed).unwrap().expose(), b"canary");
    }

    #[test]
    fn a_box_opens_nowhere_else_and_under_no_other_key() {
        let boxed = guard(1).seal(&HERE, b"canary");
        assert_eq!(guard(2).open(&HERE, &boxed), Err(StoreError::Sealed));
        for place in [
            Place { table: "sessions", ..HERE },
            Place { row: b"bob", ..HERE },
            Place { column: "answers", ..HERE },
        ] {
            assert_eq!(guard(1).open(&place, &boxed), Err(StoreError::Sealed));
        }
    }

    #[test]
    fn no_altered_or_cut_box_opens() {
        let boxed = guard(1).seal(&HERE, b"canary");
        for i in 0..boxed.len() {
            let mut altered = boxed.clone();
            altered[i] ^= 1;
            assert_eq!(guard(1).open(&HERE, &altered), Err(StoreError::Sealed), "byte {i}");
            assert_eq!(guard(1).open(&HERE, &boxed[..i]), Err(StoreError::Sealed), "cut at {i}");
        }
    }
}
