//! The services that answer on this machine, as they lie on disk.
//!
//! ```text
//! SERVICES/_ldap.db.example/
//!   identity.crt, identity.key   the service's certificate; its key is needed to rotate, by root alone
//!   issuer.crt                   who vouches for it
//!   offer.keyset                 what initiators are shown
//!   keys/ID.key                  context keys, for the service's group
//!   replay/, guesses/            the replay cache and the count of wrong passwords, the service's own
//! ```

use crate::key_file::{EXTENSION, KeyFile, KeyFileError};
use crate::private::{self, PrivateFileError, Readers};
use crate::{Guesses, Name, ReplayCache};
use std::fs;
use std::path::{Path, PathBuf};
use symbolon_crypto::{ContextKeyId, GatewayName};

/// Most services in one directory.
const MAX_SERVICES: usize = 1000;

/// The replay cache's directory.
pub(crate) const REPLAY: &str = "replay";
/// The directory of the count of wrong passwords.
pub(crate) const GUESSES: &str = "guesses";

/// A service of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    certified: GatewayName,
    directory: PathBuf,
}

impl Service {
    /// The service with this name in a directory of services; it need not be there.
    #[must_use]
    pub fn within(services: &Path, certified: GatewayName) -> Self {
        let directory = services.join(certified.as_str());
        Self { certified, directory }
    }

    /// All services in a directory, by name.
    ///
    /// # Errors
    /// [`PrivateFileError::Io`] when it cannot be read.
    pub fn all(services: &Path) -> Result<Vec<Self>, PrivateFileError> {
        let entries = fs::read_dir(services).map_err(private::io_error(services))?;
        let names = entries.flatten().filter_map(|e| GatewayName::parse(e.file_name().to_str()?).ok());
        let mut all: Vec<Self> = names.take(MAX_SERVICES).map(|n| Self::within(services, n)).collect();
        all.sort_by(|a, b| a.certified.cmp(&b.certified));
        Ok(all)
    }

    /// Those that this process can answer as, and that answer for what was asked; nothing asked means
    /// any.
    #[must_use]
    pub fn usable(services: &Path, asked: Option<&Name>) -> Vec<Self> {
        let mut found = Self::all(services).unwrap_or_default();
        found.retain(|service| {
            let name = Name::from_certified(&service.certified);
            name.is_some_and(|n| asked.is_none_or(|asked| n.answers_for(asked))) && service.has_keys()
        });
        found
    }

    /// The name that the issuer certified.
    #[must_use]
    pub const fn certified(&self) -> &GatewayName {
        &self.certified
    }

    /// Where it lies.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The directory of its context keys.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.directory.join("keys")
    }

    /// The key set that it shows.
    #[must_use]
    pub fn offer_file(&self) -> PathBuf {
        self.directory.join("offer").with_extension(crate::key_sets::EXTENSION)
    }

    /// What it shows to initiators, if it was made.
    #[must_use]
    pub fn offer(&self) -> Option<Vec<u8>> {
        private::read(&self.offer_file(), Readers::Everybody).ok().map(|b| b.expose().to_vec())
    }

    /// Its context key of that name, if it has one that this process may read.
    #[must_use]
    pub fn key(&self, id: &ContextKeyId) -> Option<KeyFile> {
        KeyFile::read(&KeyFile::path(&self.keys(), id)).ok()
    }

    /// Its replay cache.
    #[must_use]
    pub fn replay(&self) -> ReplayCache {
        ReplayCache::new(self.directory.join(REPLAY))
    }

    /// Its count of wrong passwords.
    #[must_use]
    pub fn guesses(&self) -> Guesses {
        Guesses::new(self.directory.join(GUESSES))
    }

    /// Its context keys that this process may read.
    ///
    /// # Errors
    /// What the first that it may not read gives.
    pub fn key_files(&self) -> Result<Vec<KeyFile>, KeyFileError> {
        let keys = self.keys();
        let entries = fs::read_dir(&keys).map_err(private::io_error(&keys))?;
        let paths = entries.flatten().map(|e| e.path());
        paths.filter(|p| p.extension().is_some_and(|e| e == EXTENSION)).map(|p| KeyFile::read(&p)).collect()
    }

    fn has_keys(&self) -> bool {
        let Ok(entries) = fs::read_dir(self.keys()) else { return false };
        let mut files = entries.flatten().map(|e| e.path());
        files.any(|f| f.extension().is_some_and(|e| e == EXTENSION) && fs::File::open(&f).is_ok())
    }
}
