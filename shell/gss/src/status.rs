//! What a call returns: RFC 2744's major status, and our reason for it as the minor one.

use symbolon_context::gss::GssError;

/// `GSS_S_COMPLETE`.
pub const COMPLETE: u32 = 0;
/// `GSS_S_CONTINUE_NEEDED`.
pub const CONTINUE_NEEDED: u32 = 1;
/// `GSS_S_DUPLICATE_TOKEN`.
pub const DUPLICATE_TOKEN: u32 = 1 << 1;
/// `GSS_S_OLD_TOKEN`.
pub const OLD_TOKEN: u32 = 1 << 2;
/// `GSS_S_GAP_TOKEN`.
pub const GAP_TOKEN: u32 = 1 << 4;

/// `GSS_S_CALL_INACCESSIBLE_READ`.
pub const CALL_INACCESSIBLE_READ: u32 = 1 << 24;
/// `GSS_S_CALL_INACCESSIBLE_WRITE`.
pub const CALL_INACCESSIBLE_WRITE: u32 = 2 << 24;

/// `GSS_S_BAD_MECH`.
pub const BAD_MECH: u32 = 1 << 16;
/// `GSS_S_BAD_NAME`.
pub const BAD_NAME: u32 = 2 << 16;
/// `GSS_S_BAD_NAMETYPE`.
pub const BAD_NAMETYPE: u32 = 3 << 16;
/// `GSS_S_BAD_BINDINGS`.
pub const BAD_BINDINGS: u32 = 4 << 16;
/// `GSS_S_BAD_STATUS`.
pub const BAD_STATUS: u32 = 5 << 16;
/// `GSS_S_BAD_MIC`.
pub const BAD_MIC: u32 = 6 << 16;
/// `GSS_S_NO_CRED`.
pub const NO_CRED: u32 = 7 << 16;
/// `GSS_S_NO_CONTEXT`.
pub const NO_CONTEXT: u32 = 8 << 16;
/// `GSS_S_DEFECTIVE_TOKEN`.
pub const DEFECTIVE_TOKEN: u32 = 9 << 16;
/// `GSS_S_DEFECTIVE_CREDENTIAL`.
pub const DEFECTIVE_CREDENTIAL: u32 = 10 << 16;
/// `GSS_S_CONTEXT_EXPIRED`.
pub const CONTEXT_EXPIRED: u32 = 12 << 16;
/// `GSS_S_FAILURE`.
pub const FAILURE: u32 = 13 << 16;
/// `GSS_S_BAD_QOP`.
pub const BAD_QOP: u32 = 14 << 16;
/// `GSS_S_UNAUTHORIZED`.
pub const UNAUTHORIZED: u32 = 15 << 16;
/// `GSS_S_UNAVAILABLE`.
pub const UNAVAILABLE: u32 = 16 << 16;

/// Why a call failed, for the person in front of the program: `GSS_Display_status` says it in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum Reason {
    /// The major status says it all.
    None = 0,
    /// A fault of ours.
    Internal,
    /// A length that no message has, or no memory for it.
    TooLong,
    /// No configuration file.
    NoConfiguration,
    /// The configuration file cannot be read or understood.
    BadConfiguration,
    /// The file with the default password is missing or open to others.
    PasswordFile,
    /// The name that was asked for is not the configured user's, and there is no password for it.
    OtherUser,
    /// No service's keys can be read here, or none for the name that was asked for.
    NoServiceKeys,
    /// The issuer's certificate is missing or unreadable.
    NoIssuer,
    /// The service's key set does not lead to the issuer, or is for another name, or out of date.
    KeySet,
    /// The issuer has revoked the service's certificate.
    Revoked,
    /// Policy does not let a password go to that service.
    PasswordNotPermitted,
    /// The acceptor has no key that the first message names.
    UnknownKey,
    /// The first message was seen before.
    Replayed,
    /// Clocks differ.
    Clock,
    /// The replay cache cannot be written.
    ReplayCache,
    /// The list of users cannot be read.
    UserList,
    /// Wrong password, or no such user.
    NotAuthenticated,
    /// Too many wrong passwords for that name.
    TooManyGuesses,
    /// The count of wrong passwords cannot be written.
    GuessCount,
    /// The second message was not made by the service.
    NotTheService,
    /// A token that does not belong here.
    UnexpectedToken,
}

impl Reason {
    const ALL: [Self; 22] = [
        Self::None,
        Self::Internal,
        Self::TooLong,
        Self::NoConfiguration,
        Self::BadConfiguration,
        Self::PasswordFile,
        Self::OtherUser,
        Self::NoServiceKeys,
        Self::NoIssuer,
        Self::KeySet,
        Self::Revoked,
        Self::PasswordNotPermitted,
        Self::UnknownKey,
        Self::Replayed,
        Self::Clock,
        Self::ReplayCache,
        Self::UserList,
        Self::NotAuthenticated,
        Self::TooManyGuesses,
        Self::GuessCount,
        Self::NotTheService,
        Self::UnexpectedToken,
    ];

    /// The reason that a minor status stands for.
    #[must_use]
    pub fn from_minor(minor: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|r| *r as u32 == minor)
    }

    /// In words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::None => "no further reason",
            Self::Internal => "a fault of the mechanism itself",
            Self::TooLong => "too long, or no memory left",
            Self::NoConfiguration => {
                "no configuration: /etc/symbolon/gss.toml or ~/.config/symbolon/gss.toml"
            }
            Self::BadConfiguration => "the configuration file cannot be read or understood",
            Self::PasswordFile => "the password file is missing, or others than its owner may read it",
            Self::OtherUser => "no password for that user: the configuration is for another one",
            Self::NoServiceKeys => "no keys of such a service can be read here",
            Self::NoIssuer => "the issuer's certificate is missing or is none",
            Self::KeySet => {
                "the service's keys do not lead to the issuer, are for another name, or have expired"
            }
            Self::Revoked => "the service's certificate was revoked by its issuer",
            Self::PasswordNotPermitted => "passwords_to does not let a password go to that service",
            Self::UnknownKey => "the first message is for a key that is not in use here",
            Self::Replayed => "the first message was seen before",
            Self::Clock => "the clocks differ by more than two minutes",
            Self::ReplayCache => "the replay cache cannot be written, so nothing is accepted",
            Self::UserList => "the list of users cannot be read",
            Self::NotAuthenticated => "wrong password or unknown user",
            Self::TooManyGuesses => "too many wrong passwords for that user: come again in twenty minutes",
            Self::GuessCount => "the count of wrong passwords cannot be written, so none is checked",
            Self::NotTheService => "the answer was not made by the service that was asked",
            Self::UnexpectedToken => "a token that does not belong here",
        }
    }
}

/// A call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// RFC 2744 §3.9.1.
    pub major: u32,
    /// Becomes the minor status.
    pub reason: Reason,
}

impl Failure {
    /// With a reason.
    #[must_use]
    pub const fn new(major: u32, reason: Reason) -> Self {
        Self { major, reason }
    }

    /// When the major status says it all.
    #[must_use]
    pub const fn plain(major: u32) -> Self {
        Self { major, reason: Reason::None }
    }
}

/// The numbers of the names that the core has for its errors. What only informs in RFC 2744 is an error
/// here, since no message comes out: callers that look at `GSS_ERROR` alone must see it.
impl From<GssError> for Failure {
    fn from(error: GssError) -> Self {
        use symbolon_context::{AcceptError, InitiateError};
        let major = match error.major_status() {
            "GSS_S_BAD_NAME" => BAD_NAME,
            "GSS_S_DEFECTIVE_CREDENTIAL" => DEFECTIVE_CREDENTIAL,
            "GSS_S_DUPLICATE_TOKEN" => FAILURE | DUPLICATE_TOKEN,
            "GSS_S_OLD_TOKEN" => FAILURE | OLD_TOKEN,
            "GSS_S_GAP_TOKEN" => FAILURE | GAP_TOKEN,
            "GSS_S_BAD_MIC" => BAD_MIC,
            "GSS_S_DEFECTIVE_TOKEN" => DEFECTIVE_TOKEN,
            "GSS_S_NO_CRED" => NO_CRED,
            "GSS_S_BAD_BINDINGS" => BAD_BINDINGS,
            "GSS_S_CONTEXT_EXPIRED" => CONTEXT_EXPIRED,
            _ => FAILURE,
        };
        let reason = match error {
            GssError::UnknownKey => Reason::UnknownKey,
            GssError::BadCredential => Reason::NotAuthenticated,
            GssError::Accept(AcceptError::Replayed) => Reason::Replayed,
            GssError::Accept(AcceptError::Clock { .. }) => Reason::Clock,
            GssError::Initiate(InitiateError::Gateway(_)) => Reason::KeySet,
            GssError::Initiate(InitiateError::Forged) => Reason::NotTheService,
            _ => Reason::None,
        };
        Self { major, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_number_and_its_words() {
        for (i, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, i);
            assert_eq!(Reason::from_minor(i as u32), Some(reason));
            assert!(!reason.text().is_empty());
        }
        assert_eq!(Reason::from_minor(Reason::ALL.len() as u32), None);
    }
}
