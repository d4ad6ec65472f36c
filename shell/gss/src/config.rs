//! The configuration file.
//!
//! `SYMBOLON_GSS_CONFIG` names it; otherwise an initiator takes `~/.config/symbolon/gss.toml` if it is
//! there, and everybody `/etc/symbolon/gss.toml`. A program with more rights than its caller (setuid)
//! looks at the last alone.

use crate::private::{self, Readers};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::path::{Path, PathBuf};
use symbolon_crypto::Suite;

const SYSTEM_FILE: &str = "/etc/symbolon/gss.toml";
const USER_FILE: &str = ".config/symbolon/gss.toml";

/// Which side asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Somebody who opens contexts.
    Initiate,
    /// A service that answers.
    Accept,
}

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// For programs that open contexts.
    pub initiator: Option<InitiatorConfig>,
    /// For services that answer.
    pub acceptor: Option<AcceptorConfig>,
}

/// What an initiator trusts, and who it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitiatorConfig {
    /// The issuer's certificate, DER.
    pub issuer: Option<PathBuf>,
    /// Instead of it: the hash of the issuer's key, 64 hexadecimal digits. The certificate then comes
    /// with the key sets.
    pub issuer_fingerprint: Option<String>,
    /// Directory of key sets, one file `NAME.keyset` for each service. What is missing there is asked
    /// of the service itself.
    pub key_sets: Option<PathBuf>,
    /// The issuer's revocation list, PEM or DER, beside those (`*.crl`) in that directory. However old it
    /// is, a service that stands on it is told nothing.
    pub revocation_list: Option<PathBuf>,
    /// The services that may be told a password, as `ldap@db.example`.
    #[serde(default)]
    pub passwords_to: Vec<String>,
    /// Acceptable suites, best first, as `["X-Wing", "X25519"]`; without it X-Wing alone. The second has
    /// no protection against quantum computers, and first tokens a quarter as long.
    #[serde(default = "best_suite", deserialize_with = "read_suites")]
    pub suites: Vec<Suite>,
    /// Who one is when the program does not say.
    pub user: Option<String>,
    /// The user's password, in a file that nobody else can read.
    pub password_file: Option<PathBuf>,
}

/// What services of this machine need.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptorConfig {
    /// The directory that `symbolon-gss init-acceptor` fills, one subdirectory for each service.
    pub services: PathBuf,
    /// The list of users that `symbolon-gss add-user` writes.
    pub users: PathBuf,
    /// How long a context may be used, in seconds.
    #[serde(default = "ten_hours")]
    pub lifetime_secs: u32,
    /// How many wrong passwords a name may have in ten to twenty minutes; then none is checked.
    #[serde(default = "ten")]
    pub wrong_passwords: u32,
}

fn best_suite() -> Vec<Suite> {
    vec![Suite::XWing]
}

fn read_suites<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Suite>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let suites = names.iter().map(|n| find_suite(n).ok_or_else(|| D::Error::custom(format!("no suite {n}"))));
    match suites.collect::<Result<Vec<_>, _>>()? {
        none if none.is_empty() => Err(D::Error::custom("at least one suite")),
        suites => Ok(suites),
    }
}

/// The suite that people call so, whatever the case.
#[must_use]
pub fn find_suite(name: &str) -> Option<Suite> {
    Suite::ALL.into_iter().find(|s| s.to_string().eq_ignore_ascii_case(name))
}

/// A working day, as Kerberos tickets live.
const fn ten_hours() -> u32 {
    36_000
}

/// As at a gateway.
const fn ten() -> u32 {
    10
}

/// There is no configuration to go by.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No file, or none for this side.
    #[error("no configuration for this use in {}", .0.display())]
    Missing(PathBuf),
    /// It cannot be read or understood.
    #[error("{}: {reason}", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl Config {
    /// Finds and reads the file for `purpose`.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn find(purpose: Purpose) -> Result<Self, ConfigError> {
        let mut last = PathBuf::from(SYSTEM_FILE);
        for path in candidates(purpose) {
            match Self::read(&path) {
                Err(ConfigError::Missing(path)) => last = path,
                other => return other,
            }
        }
        Err(ConfigError::Missing(last))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let bad = |reason: String| ConfigError::Bad { path: path.to_owned(), reason };
        match private::read(path, Readers::Everybody) {
            Ok(bytes) => {
                let text = std::str::from_utf8(bytes.expose()).map_err(|e| bad(e.to_string()))?;
                toml::from_str(text).map_err(|e| bad(e.to_string()))
            }
            Err(e) if e.is_missing() => Err(ConfigError::Missing(path.to_owned())),
            Err(e) => Err(bad(e.to_string())),
        }
    }
}

fn candidates(purpose: Purpose) -> Vec<PathBuf> {
    // As `secure_getenv` decides: whoever started such a program must not choose whom it trusts.
    if crate::abi::memory::is_privileged() {
        return vec![SYSTEM_FILE.into()];
    }
    if let Some(named) = std::env::var_os("SYMBOLON_GSS_CONFIG").filter(|n| !n.is_empty()) {
        return vec![named.into()];
    }
    let home = std::env::var_os("HOME").filter(|_| purpose == Purpose::Initiate);
    home.map(|h| PathBuf::from(h).join(USER_FILE)).into_iter().chain([SYSTEM_FILE.into()]).collect()
}
