//! The keys of a connection, sealed in the ledger.

use super::layout::SEALED_WORDS;
use super::{LAYOUT, LedgerError};
use crate::ConnectionId;
use symbolon_crypto::{Aead, Entropy, SecretBytes, TAG};

/// The most bytes that the keys of a record layer take.
pub const MAX_KEYS: usize = 8 * SEALED_WORDS - NONCE - TAG;

const NONCE: usize = 12;

/// Seals and opens the keys in ledgers, under one key that the processes of a family share and keep
/// out of files, dumps and logs.
///
/// Nonces are random: with 2^32 connections and key updates under one family's key, two are the same
/// with a chance of 2^-32.
pub struct KeySeal<'a> {
    family: &'a dyn Aead,
    entropy: &'a mut dyn Entropy,
}

impl std::fmt::Debug for KeySeal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeySeal")
    }
}

/// A place for sealed keys, as words.
pub(super) type SealedWords = [u64; SEALED_WORDS];

impl<'a> KeySeal<'a> {
    /// With the family's key and a source of nonces.
    pub fn new(family: &'a dyn Aead, entropy: &'a mut dyn Entropy) -> Self {
        Self { family, entropy }
    }

    /// nonce | ciphertext | tag, and how many bytes of the words that is.
    pub(super) fn seal(&mut self, connection: ConnectionId, keys: &SecretBytes) -> (SealedWords, u16) {
        let keys = keys.expose();
        assert!(keys.len() <= MAX_KEYS, "a record layer keeps to the bound that `Protection::keys` names");
        let mut bytes = [0; 8 * SEALED_WORDS];
        let nonce: [u8; NONCE] = self.entropy.number();
        bytes[..NONCE].copy_from_slice(&nonce);
        let end = NONCE + keys.len() + TAG;
        self.family.seal_from(&nonce, &aad(connection), keys, &[], &mut bytes[NONCE..end]);
        let mut words = [0; SEALED_WORDS];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        }
        (words, end as u16)
    }

    /// What [`KeySeal::seal`] sealed for this connection.
    pub(super) fn open(
        &self,
        connection: ConnectionId,
        words: &SealedWords,
        length: u16,
    ) -> Result<SecretBytes, LedgerError> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let sealed = bytes.get(NONCE..usize::from(length)).ok_or(LedgerError::Keys)?;
        let nonce: [u8; NONCE] = bytes[..NONCE].try_into().map_err(|_| LedgerError::Keys)?;
        let length = sealed.len().checked_sub(TAG).ok_or(LedgerError::Keys)?;
        let mut keys = vec![0; length];
        let opened = self.family.open_from(&nonce, &aad(connection), sealed, &mut keys);
        let keys = SecretBytes::new(keys);
        opened.map(|_| keys).map_err(|_| LedgerError::Keys)
    }
}

/// Keys of one connection do not open as another's, nor under another layout.
fn aad(connection: ConnectionId) -> [u8; 39] {
    let mut aad = *b"symbolon/1 ledger keys\0................";
    aad[23..].copy_from_slice(&connection.0);
    aad[22] = LAYOUT as u8;
    aad
}
