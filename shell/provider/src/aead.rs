//! Authenticated encryption (RFC 5116, RFC 8439).

use aws_lc_rs::aead::{Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use symbolon_crypto::{Aead, CryptoError, TAG};

/// An AEAD of aws-lc with nonces of 12 bytes and tags of 16. The caller gives the nonces, in any order:
/// whoever carries a connection on begins in the middle.
struct Keyed(LessSafeKey);

/// `algorithm` under `key`, which has the algorithm's length.
pub(crate) fn keyed(algorithm: &'static Algorithm, key: &[u8]) -> Box<dyn Aead> {
    let key =
        UnboundKey::new(algorithm, key).expect("the key's type has the length that the algorithm takes");
    Box::new(Keyed(LessSafeKey::new(key)))
}

impl Aead for Keyed {
    fn seal(&self, nonce: &[u8; 12], aad: &[u8], in_out: &mut [u8]) -> [u8; TAG] {
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), in_out)
            .expect("only inputs above 64 GiB are refused");
        let mut out = [0; TAG];
        out.copy_from_slice(tag.as_ref());
        out
    }

    fn open(&self, nonce: &[u8; 12], aad: &[u8], in_out: &mut [u8]) -> Result<usize, CryptoError> {
        self.0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), in_out)
            .map(|plaintext| plaintext.len())
            .map_err(|_| CryptoError::Forged)
    }

    fn seal_from(&self, nonce: &[u8; 12], aad: &[u8], plaintext: &[u8], last: &[u8], out: &mut [u8]) {
        let (ciphertext, rest) = out.split_at_mut(plaintext.len());
        self.0
            .seal_out_of_place_scatter(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(aad),
                plaintext,
                ciphertext,
                last,
                rest,
            )
            .expect("the caller gives room for ciphertext and tag, and less than 64 GiB");
    }

    fn open_from(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<usize, CryptoError> {
        let length = sealed.len().checked_sub(TAG).ok_or(CryptoError::Forged)?;
        let (ciphertext, tag) = sealed.split_at(length);
        let out = out.get_mut(..length).ok_or(CryptoError::Forged)?;
        self.0
            .open_separate_gather(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), ciphertext, tag, out)
            .map_err(|_| CryptoError::Forged)?;
        Ok(length)
    }
}
