//! What went wrong, in words that say how to mend it, and with the exit code of a command.

use serde::{Deserialize, Serialize};
use symbolon_context::InitiateError;
use symbolon_crypto::{KeySetError, X509Error};
use symbolon_token::container::TokenError;
use symbolon_token::{LinkError, RegistrationError};
use symbolon_wire::{Refusal, RefusalCode, Time, WireError};

/// Kinds of failure; each is an exit code of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorKind {
    /// Something did not work.
    Failure,
    /// The user asked for something that cannot be, or left something out.
    Usage,
    /// Somebody decided that it may not be.
    Denied,
    /// The other side, or the agent, does not answer.
    Unreachable,
}

impl ErrorKind {
    /// The exit code of a command that failed so: 1, 2, 3 or 4.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Denied => 3,
            Self::Unreachable => 4,
        }
    }
}

/// A failure as a person, a script and the agent's socket are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct AgentError {
    /// What kind.
    pub kind: ErrorKind,
    /// A stable word for programs, where it says more than the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What happened, one sentence without a full stop.
    pub message: String,
    /// What to do about it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl AgentError {
    /// An error of `kind`.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, code: None, message: message.into(), fix: None }
    }

    /// Something did not work.
    #[must_use]
    pub fn failure(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failure, message)
    }

    /// The user has to ask otherwise.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// Somebody said no.
    #[must_use]
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, message)
    }

    /// Nobody answered.
    #[must_use]
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unreachable, message)
    }

    /// The same, with a word for programs.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// A file that cannot be read or written.
    pub(crate) fn file(doing: &str, path: &std::path::Path, e: &std::io::Error) -> Self {
        let error = Self::failure(format!("cannot {doing} {}: {e}", path.display()));
        match e.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                error.fix("make room on that file system and try again; nothing was changed")
            }
            std::io::ErrorKind::ReadOnlyFilesystem => {
                error.fix("mount that file system for writing, or choose another place with --home")
            }
            std::io::ErrorKind::PermissionDenied => {
                error.fix("run this as the owner of that file, or choose another place with --home")
            }
            _ => error,
        }
    }

    /// What a refusal of the gateway means to the user, whose clock says `now`.
    pub(crate) fn refused(refusal: &Refusal, now: Time) -> Self {
        let with_text = |sentence: &str| match refusal.text.as_str() {
            "" => sentence.to_owned(),
            text => format!("{sentence} ({text})"),
        };
        match refusal.code {
            RefusalCode::Clock => Self::clock(refusal.time, now),
            RefusalCode::Invitation => {
                Self::denied("the invitation is unknown, was used, has expired or is for somebody else").fix(
                    "if an enrolment with it broke off, it is good again ten minutes later; otherwise ask for a \
                     new one (symbolon admin tokens invite)",
                )
            }
            RefusalCode::NameTaken => Self::denied("the name is taken, or looks like one that is")
                .fix("choose another name; or, for a name that was made for you, use the invitation for it"),
            RefusalCode::Answers => Self::usage(with_text("the gateway does not accept the answers"))
                .fix("correct them and enrol again; an invitation may be for a template of its own (--template NAME)"),
            RefusalCode::Denied => Self::denied(with_text("the gateway denied it")).fix(
                "ask an administrator whether the user is approved and not locked, and the token not revoked",
            ),
            RefusalCode::Credential => {
                Self::denied(with_text("the gateway does not take this kind of credential, or not this one"))
                    .fix("sign in with a token: symbolon enrol, then symbolon login")
            }
            RefusalCode::Busy => {
                Self::unreachable(with_text("the gateway is busy")).fix("try again in a minute")
            }
            RefusalCode::Stopping => {
                Self::unreachable(with_text("the gateway is stopping")).fix("try again in a minute")
            }
            RefusalCode::SessionOver => {
                Self::denied(with_text("the session is over")).fix("sign in again: symbolon login")
            }
            RefusalCode::UnknownKey => {
                Self::failure("the gateway does not know the key that it showed before")
                    .fix("try again; if it goes on, tell the gateway's operator")
            }
            RefusalCode::Malformed => Self::failure(with_text("the gateway did not understand the message"))
                .fix("use a symbolon of the same version as the gateway's"),
            _ => Self::failure(with_text("something went wrong on the gateway; nothing was changed"))
                .fix("try again; if it goes on, the gateway's operator finds the cause in its log"),
        }
    }

    /// What it means that a gateway's certificates were not accepted.
    pub(crate) fn key_set(e: &KeySetError) -> Self {
        match e {
            KeySetError::OutsideValidity => Self::denied("the gateway's certificate has expired or is not valid yet")
                .fix("check this machine's clock; if it is right, tell the gateway's operator"),
            KeySetError::OtherIssuer => {
                Self::denied("the gateway's certificate is not from the issuer that this token trusts").fix(
                    "check the address; somebody may stand between you and the gateway, so send it nothing",
                )
            }
            KeySetError::OtherName(name) => Self::denied(format!("the gateway at this address is not {name}"))
                .fix("check the address, or name the gateway with --gateway"),
            KeySetError::Revoked => Self::denied("the gateway's certificate was revoked by its issuer")
                .code("gateway-revoked")
                .fix(
                    "somebody else may have its key, so send it nothing; ask its operator whether it has another \
                     certificate by now, and sign in again then",
                ),
            KeySetError::OtherGateway(name) => {
                Self::denied(format!("this is not the gateway {name} that the token was handed out for"))
                    .code("other-gateway")
                    .fix("enrol with that gateway first; or somebody may stand in its place, so send it nothing")
            }
            KeySetError::NoAcceptableSuite => {
                Self::denied("the gateway offers no suite that is accepted here").fix(
                    "update the gateway; or name the weaker suite in the configuration file: suites = [\"x25519\"]",
                )
            }
            other => Self::denied(format!("the gateway's certificates are not in order: {other}"))
                .fix("tell the gateway's operator; nothing secret was sent"),
        }
    }

    /// This machine's clock and the gateway's are too far apart.
    pub(crate) fn clock(theirs: Time, now: Time) -> Self {
        let way = if now < theirs { "behind" } else { "ahead of" };
        let seconds = theirs.distance_secs(now);
        Self::failure(format!("this machine's clock is {seconds} s {way} the gateway's"))
            .fix("set the clock (for example with timedatectl set-ntp true) and try again")
    }
}

impl From<TokenError> for AgentError {
    fn from(e: TokenError) -> Self {
        match e {
            TokenError::WrongPin { .. } => Self::denied(e.to_string()).fix("try again with the right PIN"),
            TokenError::Wait { .. } => Self::denied(e.to_string()),
            TokenError::Locked => Self::denied("the token is locked after too many wrong PINs").fix(
                "ask an administrator for a new invitation (symbolon admin tokens invite USER) and enrol again \
                 with --replace",
            ),
            TokenError::Damaged(what) => Self::failure(format!("the token file is damaged: {what}"))
                .fix("import it again from your copy (symbolon token import FILE), or enrol anew with --replace"),
            TokenError::NewerVersion(v) => {
                Self::failure(format!("the token file has version {v}, which this program does not know"))
                    .fix("use a newer symbolon")
            }
            TokenError::NotRegistered => {
                Self::usage("the token is not registered with any gateway yet").fix("run symbolon enrol")
            }
            TokenError::PinLength => Self::usage(e.to_string()),
            TokenError::InDevice => Self::usage(e.to_string()).fix(
                "use the device's own tools for its PIN: pkcs11-tool --change-pin, or tpm2_ptool changepin for a TPM",
            ),
            TokenError::NotInDevice | TokenError::OtherPlace => Self::usage(e.to_string()).fix(
                "enrol with the token that is in use, or give it up with --replace, or use another --home",
            ),
            TokenError::Device => Self::failure(e.to_string()).fix("plug the device in again and try again"),
            TokenError::OtherDevice => Self::denied(e.to_string())
                .fix("use the device that the token was registered with, or import the token's file again"),
            TokenError::Full => Self::failure(e.to_string()),
            TokenError::Issuer(e) => e.into(),
            TokenError::Gateway(_) => Self::denied(e.to_string())
                .fix("somebody may have altered the token: ask whoever handed it out for another one"),
        }
    }
}

impl From<X509Error> for AgentError {
    fn from(e: X509Error) -> Self {
        match e {
            X509Error::OtherIssuer => {
                Self::denied("the gateway's issuer is not the one that the invitation names")
                    .fix("check the link; somebody may stand between you and the gateway, so send it nothing")
            }
            X509Error::Malformed(what) => {
                Self::failure(format!("the issuer's certificate cannot be read: {what}"))
            }
        }
    }
}

impl From<LinkError> for AgentError {
    fn from(e: LinkError) -> Self {
        Self::usage(e.to_string()).fix("copy the whole link, in quotation marks")
    }
}

impl From<RegistrationError> for AgentError {
    fn from(e: RegistrationError) -> Self {
        match e {
            RegistrationError::Gateway(e) => Self::key_set(&e),
            other => Self::failure(format!("the registration broke off: {other}"))
                .fix("try again; an invitation is used up only when the registration is complete"),
        }
    }
}

impl From<InitiateError> for AgentError {
    fn from(e: InitiateError) -> Self {
        match e {
            InitiateError::Gateway(e) => Self::key_set(&e),
            other => Self::failure(format!("signing in broke off: {other}")).fix("try again"),
        }
    }
}

impl From<WireError> for AgentError {
    fn from(e: WireError) -> Self {
        Self::failure(format!("the gateway sent something that is no message of ours: {e}"))
            .fix("check that the address is that of a symbolon gateway of the same version")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: RefusalCode) -> Refusal {
        Refusal { code, time: Time::from_secs(1_000_600), text: String::new() }
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        for code in RefusalCode::ALL {
            let error = AgentError::refused(&refusal(code), Time::from_secs(1_000_600));
            assert!(error.fix.is_some(), "{code:?}");
        }
    }

    #[test]
    fn a_wrong_clock_is_told_by_how_much_and_which_way() {
        let slow = AgentError::refused(&refusal(RefusalCode::Clock), Time::from_secs(1_000_000));
        assert_eq!(slow.message, "this machine's clock is 600 s behind the gateway's");
        let fast = AgentError::refused(&refusal(RefusalCode::Clock), Time::from_secs(1_001_200));
        assert_eq!(fast.message, "this machine's clock is 600 s ahead of the gateway's");
    }

    #[test]
    fn an_error_travels_as_json() {
        let error = AgentError::denied("no").fix("ask");
        let json = serde_json::to_string(&error).unwrap();
        assert_eq!(json, r#"{"kind":"denied","message":"no","fix":"ask"}"#);
        assert_eq!(serde_json::from_str::<AgentError>(&json).unwrap(), error);
    }
}
