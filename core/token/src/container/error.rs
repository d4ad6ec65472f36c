use super::{MAX_ATTEMPTS, MAX_PIN, MIN_PIN};
use symbolon_crypto::{KeySetError, X509Error};
use symbolon_wire::WireError;

/// Why a token file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token, cut, or altered.
    #[error("the token file is damaged ({0}); import it again from your copy, or enrol anew")]
    Damaged(&'static str),
    /// Made by a newer program.
    #[error("the token file has version {0}, which this program does not know; use a newer symbolon")]
    NewerVersion(u8),
    /// The issuer's certificate in it is not one.
    #[error("the token's issuer: {0}")]
    Issuer(#[from] X509Error),
    /// The certificate of the gateway that it was handed out for is not one of its issuer's.
    #[error("the gateway that the token was handed out for: {0}")]
    Gateway(KeySetError),
    /// Wrong PIN.
    #[error("wrong PIN; {left} attempts left")]
    WrongPin {
        /// Attempts before the token locks.
        left: u8,
    },
    /// Too soon after a wrong PIN.
    #[error("wait {secs} s before the next attempt")]
    Wait {
        /// Seconds to wait.
        secs: u64,
    },
    /// Ten wrong PINs.
    #[error(
        "the token is locked after {MAX_ATTEMPTS} wrong PINs; ask an administrator for a new invitation \
         (symbolon admin tokens invite USER) and enrol again with --replace"
    )]
    Locked,
    /// The token has no registration, hence no PIN, yet.
    #[error("the token is not registered with any gateway yet; run symbolon enrol")]
    NotRegistered,
    /// A PIN that is too short or too long.
    #[error("a PIN has {MIN_PIN} to {MAX_PIN} characters")]
    PinLength,
    /// The keys are in a device, whose PIN opens the token.
    #[error("the token's keys are in a device: it opens with that device and its PIN")]
    InDevice,
    /// The keys are in the file, which a PIN of its own opens.
    #[error("the token's keys are in its file: it opens with the token's PIN")]
    NotInDevice,
    /// The device that holds the keys does not answer.
    #[error("the device that holds the token's keys does not answer")]
    Device,
    /// The device is another one, or the file was altered.
    #[error("the device does not fit the token file: it is another one, or the file was altered")]
    OtherDevice,
    /// A registration with its key in one place for a token with its keys in another.
    #[error("a token keeps all its keys in one place: in its file, or in one device")]
    OtherPlace,
    /// Already as many gateways as one token can hold.
    #[error("the token holds as many registrations as it can")]
    Full,
}

impl From<WireError> for TokenError {
    fn from(e: WireError) -> Self {
        match e {
            WireError::Truncated => Self::Damaged("it ends too early"),
            WireError::TrailingBytes => Self::Damaged("it is too long"),
            WireError::TooLong(what) | WireError::BadValue(what) => Self::Damaged(what),
            WireError::UnknownVersion(v) => Self::NewerVersion(v),
        }
    }
}
