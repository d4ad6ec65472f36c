//! A context key of a service on disk, for all processes that answer as that service.
//!
//! ```text
//! version (1) | suite (2) | hash of key set (32) | until, µs (8)
//! | X25519 private key (32) | ML-KEM-768 decapsulation key <16> (X-Wing)
//! ```
//! A gateway never writes such keys down. A service that is many processes, each of which lives for one
//! request, has no memory to keep them in; so they live for days, are deleted by the next
//! `symbolon-gss rotate` after their end, and are not believed after it in any case.

use crate::private::{self, PrivateFileError, Readers};
use std::path::{Path, PathBuf};
use symbolon_crypto::{ContextKeyId, Entropy, KemPrivateKey, Secret, SecretBytes, Suite};
use symbolon_provider::{SystemEntropy, crypto, ml_kem768_fresh, ml_kem768_from};
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

const VERSION: u8 = 1;

/// How a key file ends.
pub(crate) const EXTENSION: &str = "key";

/// A context key, and the set in which it was shown.
#[derive(Debug)]
pub struct KeyFile {
    /// What the key is for.
    pub suite: Suite,
    /// Hash of the key set that showed the key.
    pub key_set: [u8; 32],
    /// The end of its certificate.
    pub until: Time,
    x25519: Secret<32>,
    ml_kem: SecretBytes,
}

/// A key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// What is in it.
    #[error("not a context key: {0}")]
    Malformed(#[from] WireError),
}

impl KeyFile {
    /// A fresh key; the set that shows it is not made yet.
    #[must_use]
    pub fn generate(suite: Suite, until: Time) -> Self {
        let entropy: &mut dyn Entropy = &mut SystemEntropy;
        let ml_kem = match suite {
            Suite::XWing => ml_kem768_fresh(),
            _ => SecretBytes::new(Vec::new()),
        };
        Self { suite, key_set: [0; 32], until, x25519: entropy.secret(), ml_kem }
    }

    /// The key itself.
    ///
    /// # Errors
    /// [`WireError::BadValue`] when the bytes are no key of the suite.
    pub fn key(&self) -> Result<KemPrivateKey, WireError> {
        let bad = |_| WireError::BadValue("private key");
        let x25519 = crypto().x25519_from(&self.x25519).map_err(bad)?;
        let ml_kem = match self.suite {
            Suite::XWing => Some(ml_kem768_from(&self.ml_kem).map_err(bad)?),
            _ => None,
        };
        KemPrivateKey::from_parts(self.suite, x25519, ml_kem).map_err(bad)
    }

    /// Where the key of that name lies in a service's directory of keys.
    #[must_use]
    pub fn path(keys: &Path, id: &ContextKeyId) -> PathBuf {
        keys.join(hex::encode(id.0)).with_extension(EXTENSION)
    }

    /// Reads a key file that only owner and group can read.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        Ok(Self::parse(&private::read(path, Readers::OwnerAndGroup)?)?)
    }

    /// The content of a file.
    #[must_use]
    pub fn to_secret_bytes(&self) -> SecretBytes {
        SecretBytes::written(128 + self.ml_kem.expose().len(), |w: &mut Writer| {
            w.u8(VERSION);
            self.suite.encode(w);
            w.fixed(&self.key_set);
            self.until.encode(w);
            w.fixed(self.x25519.expose());
            w.bytes16(self.ml_kem.expose());
        })
    }

    /// The content of a file, read.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn parse(bytes: &SecretBytes) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes.expose());
        match r.u8()? {
            VERSION => {}
            other => return Err(WireError::UnknownVersion(other)),
        }
        let file = Self {
            suite: Suite::decode(&mut r)?,
            key_set: r.fixed()?,
            until: Time::decode(&mut r)?,
            x25519: Secret::decode(&mut r)?,
            ml_kem: SecretBytes::new(r.bytes16()?.to_vec()),
        };
        r.finish()?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written() {
        for suite in Suite::ALL {
            let file = KeyFile::generate(suite, Time::from_secs(5));
            let bytes = file.to_secret_bytes();
            let again = KeyFile::parse(&bytes).unwrap();
            assert_eq!(again.key().unwrap().public(), file.key().unwrap().public());
            for cut in 0..bytes.expose().len() {
                let cut = SecretBytes::new(bytes.expose()[..cut].to_vec());
                assert!(KeyFile::parse(&cut).is_err());
            }
        }
    }
}
