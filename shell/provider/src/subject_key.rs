//! The private key of a person's or a device's certificate, and its file.

use crate::{Ed25519SigningKey, P256SigningKey, SystemEntropy, crypto, ml_kem768_fresh, ml_kem768_from};
use symbolon_crypto::{CryptoError, Entropy, KemPrivateKey, Secret, SecretBytes, Signer, Suite};
use symbolon_wire::{Decode, Reader, WireError};

const MAGIC: &[u8; 25] = b"SYMBOLON CERTIFICATE KEY\n";
const VERSION: u8 = 1;
/// Room for the longest: an X-Wing key, 2,400 bytes of which are ML-KEM's.
const MAX_FILE: usize = 4096;

/// What kind of key a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SubjectKeyKind {
    /// Opens envelopes, also in the days of quantum computers.
    XWing = 1,
    /// Opens envelopes.
    X25519 = 2,
    /// Signs, as nearly every program and token can check.
    P256 = 3,
    /// Signs.
    Ed25519 = 4,
}

impl SubjectKeyKind {
    /// All kinds, the best first.
    pub const ALL: [Self; 4] = [Self::XWing, Self::X25519, Self::P256, Self::Ed25519];

    /// As people write it: `x-wing`, `x25519`, `p256`, `ed25519`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::XWing => "x-wing",
            Self::X25519 => "x25519",
            Self::P256 => "p256",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl std::str::FromStr for SubjectKeyKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|k| k.as_str() == text)
            .ok_or_else(|| "a key is x-wing, x25519, p256 or ed25519".to_owned())
    }
}

/// A private key of one of those kinds.
///
/// ```text
/// "SYMBOLON CERTIFICATE KEY\n" | version 1 (1) | kind (1)
///     | PKCS #8 <16>                                            P-256, Ed25519
///     | X25519 private key (32) | ML-KEM-768 key <16>           X-Wing, and X25519 with none of ML-KEM's
/// ```
/// The file is for its owner's eyes only; nothing seals it.
#[derive(Debug)]
pub enum SubjectPrivateKey {
    /// Signs.
    P256(P256SigningKey),
    /// Signs.
    Ed25519(Ed25519SigningKey),
    /// Opens envelopes.
    Kem(KemKey),
}

/// A key for envelopes, with the bytes that it is written as.
#[derive(Debug)]
pub struct KemKey {
    key: KemPrivateKey,
    x25519: Secret<32>,
    ml_kem: SecretBytes,
}

impl KemKey {
    /// The key itself.
    #[must_use]
    pub const fn key(&self) -> &KemPrivateKey {
        &self.key
    }

    fn new(suite: Suite, x25519: Secret<32>, ml_kem: SecretBytes) -> Result<Self, CryptoError> {
        let lattice = if suite == Suite::XWing { Some(ml_kem768_from(&ml_kem)?) } else { None };
        let key = KemPrivateKey::from_parts(suite, crypto().x25519_from(&x25519)?, lattice)?;
        Ok(Self { key, x25519, ml_kem })
    }
}

impl SubjectPrivateKey {
    /// A fresh key.
    #[must_use]
    pub fn generate(kind: SubjectKeyKind) -> Self {
        let kem = |suite, ml_kem| {
            let entropy: &mut dyn Entropy = &mut SystemEntropy;
            KemKey::new(suite, entropy.secret(), ml_kem).expect("any 32 bytes are an X25519 key")
        };
        match kind {
            SubjectKeyKind::P256 => Self::P256(P256SigningKey::generate()),
            SubjectKeyKind::Ed25519 => Self::Ed25519(Ed25519SigningKey::generate()),
            SubjectKeyKind::X25519 => Self::Kem(kem(Suite::X25519, SecretBytes::new(Vec::new()))),
            SubjectKeyKind::XWing => Self::Kem(kem(Suite::XWing, ml_kem768_fresh())),
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> SubjectKeyKind {
        match self {
            Self::P256(_) => SubjectKeyKind::P256,
            Self::Ed25519(_) => SubjectKeyKind::Ed25519,
            Self::Kem(kem) if kem.key.public().suite() == Suite::XWing => SubjectKeyKind::XWing,
            Self::Kem(_) => SubjectKeyKind::X25519,
        }
    }

    /// The key as one that signs, if it does.
    #[must_use]
    pub fn signer(&self) -> Option<&dyn Signer> {
        match self {
            Self::P256(key) => Some(key),
            Self::Ed25519(key) => Some(key),
            Self::Kem(_) => None,
        }
    }

    /// The key as one that opens envelopes, if it does.
    #[must_use]
    pub const fn kem(&self) -> Option<&KemPrivateKey> {
        match self {
            Self::P256(_) | Self::Ed25519(_) => None,
            Self::Kem(kem) => Some(&kem.key),
        }
    }

    /// The file.
    #[must_use]
    pub fn to_file(&self) -> SecretBytes {
        SecretBytes::written(MAX_FILE, |w| {
            w.fixed(MAGIC);
            w.u8(VERSION);
            w.u8(self.kind() as u8);
            match self {
                Self::P256(key) => w.bytes16(key.pkcs8().expose()),
                Self::Ed25519(key) => w.bytes16(key.pkcs8().expose()),
                Self::Kem(kem) => {
                    w.fixed(kem.x25519.expose());
                    w.bytes16(kem.ml_kem.expose());
                }
            }
        })
    }

    /// From the file.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn from_file(file: &SecretBytes) -> Result<Self, WireError> {
        let mut r = Reader::new(file.expose());
        if r.take(MAGIC.len())? != MAGIC {
            return Err(WireError::BadValue("key of a certificate"));
        }
        match r.u8()? {
            VERSION => {}
            other => return Err(WireError::UnknownVersion(other)),
        }
        let kind = r.u8()?;
        let kind = SubjectKeyKind::ALL.into_iter().find(|k| *k as u8 == kind);
        let bad = |_| WireError::BadValue("key of a certificate");
        let key = match kind.ok_or(WireError::BadValue("kind of key"))? {
            SubjectKeyKind::P256 => Self::P256(P256SigningKey::from_pkcs8(pkcs8(&mut r)?).map_err(bad)?),
            SubjectKeyKind::Ed25519 => {
                Self::Ed25519(Ed25519SigningKey::from_pkcs8(pkcs8(&mut r)?).map_err(bad)?)
            }
            kind => {
                let suite = if kind == SubjectKeyKind::XWing { Suite::XWing } else { Suite::X25519 };
                let (x25519, ml_kem) = (Secret::decode(&mut r)?, pkcs8(&mut r)?);
                if ml_kem.expose().is_empty() == (suite == Suite::XWing) {
                    return Err(WireError::BadValue("key of a certificate"));
                }
                Self::Kem(KemKey::new(suite, x25519, ml_kem).map_err(bad)?)
            }
        };
        r.finish()?;
        Ok(key)
    }
}

fn pkcs8(r: &mut Reader<'_>) -> Result<SecretBytes, WireError> {
    Ok(SecretBytes::new(r.bytes16()?.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written() {
        for kind in SubjectKeyKind::ALL {
            let key = SubjectPrivateKey::generate(kind);
            let read = SubjectPrivateKey::from_file(&key.to_file()).unwrap();
            assert_eq!(read.kind(), kind);
            assert_eq!(read.kem().map(KemPrivateKey::public), key.kem().map(KemPrivateKey::public));
            assert_eq!(read.signer().is_some(), key.signer().is_some());
            assert_eq!(kind.as_str().parse(), Ok(kind));
            if let Some(kem) = read.kem() {
                let sent = key.kem().unwrap().public().encapsulate(crypto(), &mut SystemEntropy).unwrap();
                assert_eq!(kem.decapsulate(crypto(), &sent.bytes).unwrap(), sent.secret);
            }
        }
    }

    #[test]
    fn no_cut_or_changed_head_is_read() {
        for kind in SubjectKeyKind::ALL {
            let file = SubjectPrivateKey::generate(kind).to_file();
            let bytes = file.expose();
            for end in 0..bytes.len() {
                assert!(SubjectPrivateKey::from_file(&SecretBytes::new(bytes[..end].to_vec())).is_err());
            }
            for position in 0..MAGIC.len() + 2 {
                let mut changed = bytes.to_vec();
                changed[position] ^= 0x10;
                assert!(SubjectPrivateKey::from_file(&SecretBytes::new(changed)).is_err(), "{position}");
            }
            let longer = [bytes, &[0]].concat();
            assert!(SubjectPrivateKey::from_file(&SecretBytes::new(longer)).is_err());
        }
        assert!("rsa".parse::<SubjectKeyKind>().is_err());
    }
}
