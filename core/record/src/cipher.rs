//! The ciphers of records, and the secrets that their keys come from.

use crate::RECORDS_PER_KEY;
use symbolon_crypto::{Aead, Crypto, Secret};

/// A cipher that protects records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// AES-128-GCM.
    Aes128Gcm,
    /// AES-256-GCM, which native records and wrapped messages have.
    Aes256Gcm,
    /// ChaCha20-Poly1305 (RFC 8439).
    ChaCha20Poly1305,
}

impl Cipher {
    /// The length of its keys in bytes.
    #[must_use]
    pub const fn key_length(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }

    /// How many records one key may seal (RFC 8446 §5.5). ChaCha20-Poly1305 has no such bound; what
    /// stands for it is more than anybody sends, and keeps sequence numbers from coming near their end.
    #[must_use]
    pub const fn records_per_key(self) -> u64 {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => RECORDS_PER_KEY,
            Self::ChaCha20Poly1305 => 1 << 62,
        }
    }

    /// The cipher under `key`, of which AES-128 takes the first half.
    pub(crate) fn keyed(self, crypto: Crypto, key: &Secret<32>) -> Box<dyn Aead> {
        match self {
            Self::Aes128Gcm => crypto.aes128_gcm(&first_half(key)),
            Self::Aes256Gcm => crypto.aes256_gcm(key),
            Self::ChaCha20Poly1305 => crypto.chacha20_poly1305(key),
        }
    }
}

fn first_half(key: &Secret<32>) -> Secret<16> {
    Secret::new(std::array::from_fn(|i| key.expose()[i]))
}

/// What the keys of one direction come from (RFC 8446 §7.1); as long as its hash.
#[derive(Debug, PartialEq, Eq)]
pub enum TrafficSecret {
    /// Of a suite with SHA-256, and of native records.
    Sha256(Secret<32>),
    /// Of a suite with SHA-384.
    Sha384(Secret<48>),
}

impl TrafficSecret {
    /// From 32 or 48 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Secret::from_slice(bytes).map(Self::Sha256).or_else(|| Secret::from_slice(bytes).map(Self::Sha384))
    }

    /// The bytes, for a primitive or a peer's key schedule.
    #[must_use]
    pub const fn expose(&self) -> &[u8] {
        match self {
            Self::Sha256(secret) => secret.expose(),
            Self::Sha384(secret) => secret.expose(),
        }
    }

    /// A second copy that is wiped by itself.
    #[must_use]
    pub const fn duplicate(&self) -> Self {
        match self {
            Self::Sha256(secret) => Self::Sha256(secret.duplicate()),
            Self::Sha384(secret) => Self::Sha384(secret.duplicate()),
        }
    }

    /// `application_traffic_secret_N+1` (RFC 8446 §7.2).
    pub(crate) fn next(&self, crypto: Crypto) -> Self {
        const LABEL: &[u8] = b"traffic upd";
        match self {
            Self::Sha256(_) => Self::Sha256(self.expand_label(crypto, LABEL)),
            Self::Sha384(_) => Self::Sha384(self.expand_label(crypto, LABEL)),
        }
    }

    /// HKDF-Expand-Label with an empty context (RFC 8446 §7.1).
    pub(crate) fn expand_label<const N: usize>(&self, crypto: Crypto, label: &[u8]) -> Secret<N> {
        match self {
            Self::Sha256(secret) => expand_label(crypto, secret, label),
            Self::Sha384(secret) => with_info::<N, _>(label, |info| crypto.expand_sha384(secret, info)),
        }
    }
}

/// HKDF-Expand-Label with SHA-256 and an empty context (RFC 8446 §7.1).
pub(crate) fn expand_label<const N: usize>(crypto: Crypto, secret: &Secret<32>, label: &[u8]) -> Secret<N> {
    with_info::<N, _>(label, |info| crypto.expand(secret, info))
}

/// Hands `HkdfLabel` for `N` bytes to `expand` (RFC 8446 §7.1).
fn with_info<const N: usize, T>(label: &[u8], expand: impl FnOnce(&[&[u8]]) -> T) -> T {
    const PREFIX: &[u8] = b"tls13 ";
    let length = (N as u16).to_be_bytes();
    let label_length = [(PREFIX.len() + label.len()) as u8];
    expand(&[&length, &label_length, PREFIX, label, &[0]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_provider::crypto;

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
            let traffic = TrafficSecret::from_slice(&hex::decode(traffic).unwrap()).unwrap();
            let derived: Secret<16> = traffic.expand_label(crypto(), b"key");
            assert_eq!(hex::encode(derived.expose()), key);
            let derived: Secret<12> = traffic.expand_label(crypto(), b"iv");
            assert_eq!(hex::encode(derived.expose()), iv);
        }
    }

    #[test]
    fn a_secret_has_the_length_of_a_hash() {
        assert!(matches!(TrafficSecret::from_slice(&[1; 32]), Some(TrafficSecret::Sha256(_))));
        assert!(matches!(TrafficSecret::from_slice(&[1; 48]), Some(TrafficSecret::Sha384(_))));
        for length in [0, 16, 31, 33, 47, 49, 64] {
            assert_eq!(TrafficSecret::from_slice(&vec![1; length]), None);
        }
    }
}
