//! Why a key in a device cannot be used, and what helps.

use crate::pin::Tries;
use crate::{ObjectType, UriError};
use cryptoki::error::{Error as Pkcs11Error, RvError};
use std::path::PathBuf;

/// What went wrong with a device, its module or its PIN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HardwareError {
    /// The URI is none.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// No PKCS#11 module is there by that name, or none at all.
    #[error("{}", no_module(name.as_deref()))]
    NoModule {
        /// The name that was asked for.
        name: Option<String>,
    },
    /// The module's file cannot be loaded.
    #[error("the PKCS#11 module {} cannot be loaded: {why}", path.display())]
    Load {
        /// Its file.
        path: PathBuf,
        /// What the loader says.
        why: String,
    },
    /// The module is loaded but does not start.
    #[error("the PKCS#11 module {} does not start: {why}", path.display())]
    Start {
        /// Its file.
        path: PathBuf,
        /// What it says.
        why: String,
    },
    /// No token fits the URI.
    #[error("no token fits {wanted}; {}{}", listed("there is no token", "there is", present), also(problems))]
    NoToken {
        /// The URI.
        wanted: String,
        /// The tokens that are there, as URIs.
        present: Vec<String>,
        /// What kept modules from being searched.
        problems: Vec<String>,
    },
    /// Several tokens fit the URI.
    #[error("several tokens fit {wanted}; {}", listed("", "name one of them:", matching))]
    SeveralTokens {
        /// The URI.
        wanted: String,
        /// The tokens that fit, as URIs.
        matching: Vec<String>,
    },
    /// The URI asks for an object of another type.
    #[error("the URI names an object of type={found}, and only one of type={wanted} serves here")]
    ObjectType {
        /// The type that it names.
        found: ObjectType,
        /// The one that serves.
        wanted: ObjectType,
    },
    /// The token cannot compute what is needed.
    #[error("the token {token} cannot compute {needs}")]
    NoMechanism {
        /// Its label.
        token: String,
        /// What it lacks.
        needs: &'static str,
    },
    /// Nobody has given the token a user PIN yet.
    #[error("the token {token} has no user PIN yet")]
    NoUserPin {
        /// Its label.
        token: String,
    },
    /// The PIN is wrong.
    #[error("wrong PIN for the token {token}; {left}")]
    WrongPin {
        /// The token's label.
        token: String,
        /// What the token says about further attempts.
        left: Tries,
    },
    /// Too many wrong PINs.
    #[error("the PIN of the token {token} is locked after too many wrong ones")]
    PinLocked {
        /// The token's label.
        token: String,
    },
    /// The token wants a new PIN first.
    #[error("the PIN of the token {token} has expired, or is the one it was delivered with")]
    PinExpired {
        /// The token's label.
        token: String,
    },
    /// A PIN of a length that the token does not take.
    #[error("a PIN of the token {token} has {least} to {most} characters")]
    PinLength {
        /// The token's label.
        token: String,
        /// Fewest bytes.
        least: usize,
        /// Most bytes.
        most: usize,
    },
    /// The file that holds the PIN cannot be used.
    #[error("the PIN's file {}: {why}", path.display())]
    PinSource {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The token was there and is not any more.
    #[error("the token {token} is not there any more")]
    Gone {
        /// Its label.
        token: String,
    },
    /// The PIN was changed or the token locked while it was in use.
    #[error("the token {token} does not take the PIN any more that opened it")]
    PinNoLonger {
        /// Its label.
        token: String,
    },
    /// The token is there but has no such key.
    #[error("the token {token} does not hold the key {object}")]
    NoKey {
        /// The token's label.
        token: String,
        /// The key's id or label.
        object: String,
    },
    /// Several keys fit.
    #[error("the token {token} holds several keys {object}")]
    SeveralKeys {
        /// The token's label.
        token: String,
        /// Their id or label.
        object: String,
    },
    /// The key cannot sign as a certificate's key must.
    #[error("the key {object} of the token {token} is of no use here: {why}")]
    KeyKind {
        /// The token's label.
        token: String,
        /// The key's id or label.
        object: String,
        /// Why not.
        why: &'static str,
    },
    /// The token does not take another key.
    #[error("the token {token} does not take the key: {why}")]
    Refuses {
        /// The token's label.
        token: String,
        /// Why.
        why: String,
    },
    /// The token took the key but would give it out again, or does not compute what it should.
    #[error("the token {token} does not keep the key as it must: {why}; the key was removed from it")]
    Unfit {
        /// The token's label.
        token: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Importing a key into a TPM did not work.
    #[error("the TPM's tools did not import the key: {why}")]
    TpmTools {
        /// What they say.
        why: String,
    },
    /// Any other complaint of a device.
    #[error("the token {token} does not answer as it should ({why})")]
    Device {
        /// The token's label.
        token: String,
        /// What the module says.
        why: String,
    },
}

impl HardwareError {
    /// What helps, where that is known: a sentence without a full stop.
    #[must_use]
    pub fn fix(&self) -> Option<&'static str> {
        Some(match self {
            Self::Uri(_) => "p11tool --list-tokens and pkcs11-tool -L show the tokens that are there",
            Self::NoModule { .. } | Self::Load { .. } => {
                "install the device's PKCS#11 module (for example softhsm2, opensc, libtpm2-pkcs11-1), or name its \
                 file: 'pkcs11:token=NAME?module-path=/path/to/module.so'"
            }
            Self::Start { .. } => {
                "check the module's own configuration (SOFTHSM2_CONF, pcscd, TPM2_PKCS11_STORE, TPM2_PKCS11_TCTI)"
            }
            Self::NoToken { .. } => "plug the device in, or correct the URI",
            Self::SeveralTokens { .. } => "add the serial number to the URI",
            Self::ObjectType { .. } => "leave the type out",
            Self::NoMechanism { .. } => "use another token, or keep the key in a file",
            Self::NoUserPin { .. } => "give it one with pkcs11-tool --init-pin, as its security officer",
            Self::WrongPin { left: Tries::Last, .. } => {
                "find the PIN before you try again: with the next wrong one the token locks"
            }
            Self::WrongPin { .. } => "try again with the token's own PIN",
            Self::PinLocked { .. } => {
                "unlock it with its security officer's PIN or PUK: pkcs11-tool --login --login-type so --init-pin, \
                 for a TPM tpm2_ptool initpin, or tpm2_dictionarylockout --clear-lockout; the keys in it stay. \
                 Without that PIN, enrol another token with a new invitation"
            }
            Self::PinExpired { .. } => "change it with pkcs11-tool --change-pin",
            Self::PinSource { .. } => "chmod 600 it, and put the PIN alone in its first line",
            Self::Gone { .. } => "plug it in again; nothing else is needed",
            Self::PinNoLonger { .. } => "sign in again with the token's new PIN",
            Self::NoKey { .. } => {
                "correct the name in the URI; if the token was initialised anew, the key is gone: enrol again with a new \
                 invitation and --replace, or request another certificate"
            }
            Self::Refuses { .. } => "delete what is not needed any more from the token, or use another one",
            Self::TpmTools { .. } => {
                "install libtpm2-pkcs11-tools and tpm2-tools, and check TPM2_PKCS11_STORE and the TPM's resource manager"
            }
            Self::SeveralKeys { .. } => "name one of them with id=… in the URI",
            Self::KeyKind { .. } => {
                "P-256 and RSA keys that may sign serve; make such a key, or name another with object=… or id=…"
            }
            Self::PinLength { .. } | Self::Unfit { .. } | Self::Device { .. } => {
                return None;
            }
        })
    }
}

fn no_module(name: Option<&str>) -> String {
    match name {
        Some(name) => format!("there is no PKCS#11 module with the name {name}"),
        None => "there is no PKCS#11 module on this machine".to_owned(),
    }
}

fn listed(none: &str, some: &str, uris: &[String]) -> String {
    if uris.is_empty() { none.to_owned() } else { format!("{some} {}", uris.join(" and ")) }
}

fn also(problems: &[String]) -> String {
    problems.iter().map(|problem| format!("; {problem}")).collect()
}

/// What a module says, in its own words: `CKR_…` is what its manual explains.
pub(crate) fn words(e: &Pkcs11Error) -> String {
    match e {
        Pkcs11Error::Pkcs11(code, function) => format!("C_{function:?}: {}", ckr(*code)),
        other => other.to_string(),
    }
}

/// `PinLocked` is `CKR_PIN_LOCKED`.
fn ckr(code: RvError) -> String {
    let mut name = String::from("CKR");
    for c in format!("{code:?}").chars() {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

/// The code of a complaint, if a module made it.
pub(crate) fn code(e: &Pkcs11Error) -> Option<RvError> {
    match e {
        Pkcs11Error::Pkcs11(code, _) => Some(*code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryptoki::context::Function;

    #[test]
    fn a_modules_complaint_is_named_as_in_its_manual() {
        let e = Pkcs11Error::Pkcs11(RvError::TokenNotPresent, Function::Sign);
        assert_eq!(words(&e), "C_Sign: CKR_TOKEN_NOT_PRESENT");
    }
}
