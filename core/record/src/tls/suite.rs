//! Versions, suites and sides of the connections that can be carried on.

use crate::Cipher;

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// Which side of a connection we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TlsRole {
    /// The peer is a client.
    Server = 0,
    /// The peer is a server.
    Client = 1,
}

impl TlsRole {
    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Server),
            1 => Some(Self::Client),
            _ => None,
        }
    }
}

/// The cipher suites, by their number at IANA: those of TLS 1.3, of TLS 1.2 those with forward secrecy
/// and an AEAD, and our own, from the range that is left to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
#[expect(missing_docs, reason = "the names are those of the registry")]
pub enum TlsSuite {
    Tls13Aes128GcmSha256 = 0x1301,
    Tls13Aes256GcmSha384 = 0x1302,
    Tls13ChaCha20Poly1305Sha256 = 0x1303,
    EcdheEcdsaAes128GcmSha256 = 0xc02b,
    EcdheEcdsaAes256GcmSha384 = 0xc02c,
    EcdheRsaAes128GcmSha256 = 0xc02f,
    EcdheRsaAes256GcmSha384 = 0xc030,
    EcdheRsaChaCha20Poly1305Sha256 = 0xcca8,
    EcdheEcdsaChaCha20Poly1305Sha256 = 0xcca9,
    /// Not of TLS: a native stream, with the records of TLS 1.3, AES-256-GCM and SHA-256, which may end
    /// with a reason.
    NativeStream = 0xff45,
}

impl TlsSuite {
    /// All that are of TLS.
    pub const TLS: [Self; 9] = [
        Self::Tls13Aes128GcmSha256,
        Self::Tls13Aes256GcmSha384,
        Self::Tls13ChaCha20Poly1305Sha256,
        Self::EcdheEcdsaAes128GcmSha256,
        Self::EcdheEcdsaAes256GcmSha384,
        Self::EcdheRsaAes128GcmSha256,
        Self::EcdheRsaAes256GcmSha384,
        Self::EcdheRsaChaCha20Poly1305Sha256,
        Self::EcdheEcdsaChaCha20Poly1305Sha256,
    ];

    /// The suite with this number.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        let mut all = Self::TLS.into_iter().chain([Self::NativeStream]);
        all.find(|suite| suite.number() == number)
    }

    /// Its number at IANA.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The version that it belongs to.
    #[must_use]
    pub const fn version(self) -> TlsVersion {
        match self {
            Self::Tls13Aes128GcmSha256
            | Self::Tls13Aes256GcmSha384
            | Self::Tls13ChaCha20Poly1305Sha256
            | Self::NativeStream => TlsVersion::Tls13,
            _ => TlsVersion::Tls12,
        }
    }

    /// The cipher of its records.
    #[must_use]
    pub const fn cipher(self) -> Cipher {
        match self {
            Self::Tls13Aes128GcmSha256 | Self::EcdheEcdsaAes128GcmSha256 | Self::EcdheRsaAes128GcmSha256 => {
                Cipher::Aes128Gcm
            }
            Self::Tls13Aes256GcmSha384
            | Self::EcdheEcdsaAes256GcmSha384
            | Self::EcdheRsaAes256GcmSha384
            | Self::NativeStream => Cipher::Aes256Gcm,
            Self::Tls13ChaCha20Poly1305Sha256
            | Self::EcdheRsaChaCha20Poly1305Sha256
            | Self::EcdheEcdsaChaCha20Poly1305Sha256 => Cipher::ChaCha20Poly1305,
        }
    }

    /// How long a traffic secret is in bytes: none in TLS 1.2.
    #[must_use]
    pub const fn secret_length(self) -> usize {
        match self {
            Self::Tls13Aes128GcmSha256 | Self::Tls13ChaCha20Poly1305Sha256 | Self::NativeStream => 32,
            Self::Tls13Aes256GcmSha384 => 48,
            _ => 0,
        }
    }
}
