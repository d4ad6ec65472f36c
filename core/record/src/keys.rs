//! From a traffic secret to a key, an IV and the next secret (RFC 8446 §7.1–7.3).

use symbolon_crypto::{Aead, Crypto, CryptoError, Secret, TAG};

/// An AES-256-GCM key and the IV that its nonces start from (RFC 8446 §5.3, §7.3).
///
/// Both protections of this crate are this one key; they differ in how the secret was made.
pub(crate) struct TrafficKey {
    aead: Box<dyn Aead>,
    iv: Secret<12>,
}

impl TrafficKey {
    /// The traffic key of `secret` (RFC 8446 §7.3).
    pub(crate) fn new(crypto: Crypto, secret: &Secret<32>) -> Self {
        Self {
            aead: crypto.aes256_gcm(&expand_label(crypto, secret, b"key")),
            iv: expand_label(crypto, secret, b"iv"),
        }
    }

    #[inline]
    pub(crate) fn seal(&self, sequence: u64, aad: &[u8], in_out: &mut [u8]) -> [u8; TAG] {
        self.aead.seal(&self.nonce(sequence), aad, in_out)
    }

    #[inline]
    pub(crate) fn open(&self, sequence: u64, aad: &[u8], in_out: &mut [u8]) -> Result<usize, CryptoError> {
        self.aead.open(&self.nonce(sequence), aad, in_out)
    }

    /// RFC 8446 §5.3: the sequence number, padded to the left, exclusive or the IV.
    #[inline]
    fn nonce(&self, sequence: u64) -> [u8; 12] {
        let mut nonce = *self.iv.expose();
        for (n, s) in nonce[4..].iter_mut().zip(sequence.to_be_bytes()) {
            *n ^= s;
        }
        nonce
    }
}

/// The key of one direction of a stream, and the secret from which the next comes.
pub struct RecordKeys {
    crypto: Crypto,
    secret: Secret<32>,
    key: TrafficKey,
}

impl RecordKeys {
    /// The keys of `secret`. Whoever holds the secret and a sequence number can carry on.
    #[must_use]
    pub fn from_traffic_secret(crypto: Crypto, secret: Secret<32>) -> Self {
        let key = TrafficKey::new(crypto, &secret);
        Self { crypto, secret, key }
    }

    /// The secret, to be remembered with the sequence number by whoever shall carry on.
    #[must_use]
    pub const fn traffic_secret(&self) -> &Secret<32> {
        &self.secret
    }

    /// `application_traffic_secret_N+1` and its keys (RFC 8446 §7.2).
    #[must_use]
    pub(crate) fn next(&self) -> Self {
        Self::from_traffic_secret(self.crypto, expand_label(self.crypto, &self.secret, b"traffic upd"))
    }

    pub(crate) const fn key(&self) -> &TrafficKey {
        &self.key
    }
}

impl std::fmt::Debug for RecordKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecordKeys")
    }
}

/// HKDF-Expand-Label with an empty context (RFC 8446 §7.1).
fn expand_label<const N: usize>(crypto: Crypto, secret: &Secret<32>, label: &[u8]) -> Secret<N> {
    const PREFIX: &[u8] = b"tls13 ";
    let length = (N as u16).to_be_bytes();
    let label_length = [(PREFIX.len() + label.len()) as u8];
    crypto.expand(secret, &[&length, &label_length, PREFIX, label, &[0]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_provider::crypto;

    fn secret(hex: &str) -> Secret<32> {
        Secret::from_slice(&bytes(hex)).unwrap()
    }

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }

    /// RFC 8448 §3: secret, key and IV of a cipher with 16-byte keys and SHA-256.
    #[test]
    fn keys_and_ivs_are_those_of_rfc_8448() {
        for (traffic, key, iv) in [
            (
                "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21",
                "dbfaa693d1762c5b666af5d950258d01",
                "5bd3c71b836e0b76bb73265f",
            ),
            (
                "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38",
                "3fce516009c21727d0f2e4e86ee403bc",
                "5d313eb2671276ee13000b30",
            ),
            (
                "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
                "9f02283b6c9c07efc26bb9f2ac92e356",
                "cf782b88dd83549aadf1e984",
            ),
        ] {
            let traffic = secret(traffic);
            let derived: Secret<16> = expand_label(crypto(), &traffic, b"key");
            assert_eq!(derived.expose()[..], bytes(key));
            let derived: Secret<12> = expand_label(crypto(), &traffic, b"iv");
            assert_eq!(derived.expose()[..], bytes(iv));
        }
    }

    #[test]
    fn the_sequence_number_enters_the_last_eight_bytes_of_the_nonce() {
        let key = TrafficKey::new(crypto(), &Secret::new([3; 32]));
        let (zero, high) = (key.nonce(0), key.nonce(0x0102_0304_0506_0708));
        assert_eq!(zero, *key.iv.expose());
        assert_eq!(zero[..4], high[..4]);
        let difference: Vec<u8> = zero[4..].iter().zip(&high[4..]).map(|(a, b)| a ^ b).collect();
        assert_eq!(difference, [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
