//! Whom an enrolment asks: a person at a terminal, a file, a test.

use crate::AgentError;
use symbolon_token::{Field, RegistrationTemplate};

/// A gateway whose certificates were checked, to be shown before anything is told to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayInfo {
    /// Its verified name.
    pub name: String,
    /// Hash of the key of the issuer that vouches for it.
    pub issuer: String,
    /// Where it was reached.
    pub address: String,
    /// Whether whoever registers without an invitation waits for approval.
    pub awaits_approval: bool,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Go on, or ask again.
    Continue,
    /// Stop here.
    Stop,
}

/// Which PIN is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinPurpose {
    /// A new one for a new token: ask twice.
    New,
    /// The one that the token has.
    Unlock,
    /// The one of the device that holds the token's keys, or will; the device counts attempts.
    Device,
}

/// What an enrolment is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reaching the gateway.
    Connecting,
    /// Its certificates were checked.
    Verified,
    /// Preparing the token; takes about 0.2 s because of the PIN.
    Sealing,
    /// The registration is on its way.
    Registering,
    /// The token is on the disk.
    Saved,
    /// The gateway has confirmed.
    Confirmed,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connecting => "reaching the gateway",
            Self::Verified => "the gateway's certificates are in order",
            Self::Sealing => "preparing the token",
            Self::Registering => "registering",
            Self::Saved => "the token is saved",
            Self::Confirmed => "the gateway has confirmed the registration",
        })
    }
}

/// Answers what an enrolment asks. It may block: no connection waits meanwhile.
pub trait Dialogue: Send {
    /// Shows the verified gateway and asks whether to go on.
    fn gateway(&mut self, gateway: &GatewayInfo) -> Decision;

    /// Shows the template before its questions.
    fn template(&mut self, template: &RegistrationTemplate) {
        let _ = template;
    }

    /// Asks one question of the template; an empty text leaves an optional field out.
    ///
    /// # Errors
    /// Ends the enrolment with that error.
    fn answer(&mut self, field: &Field) -> Result<String, AgentError>;

    /// Asks for a PIN.
    ///
    /// # Errors
    /// Ends the enrolment with that error.
    fn pin(&mut self, purpose: PinPurpose) -> Result<String, AgentError>;

    /// Says what is wrong with the last answer or PIN; asked again on [`Decision::Continue`].
    fn problem(&mut self, text: &str) -> Decision;

    /// Says what is being done.
    fn progress(&mut self, step: Step) {
        let _ = step;
    }
}
