use crate::{AcceptError, InitiateError};
use symbolon_record::WrapError;
use symbolon_wire::WireError;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GssError {
    /// No context came to be, on the initiator's side.
    #[error(transparent)]
    Initiate(#[from] InitiateError),
    /// A first message or a confirmation was not accepted.
    #[error(transparent)]
    Accept(#[from] AcceptError),
    /// The message is for a key that we do not have, or for a suite that we do not take.
    #[error("the first message is for a key that is not in use here")]
    UnknownKey,
    /// Both sides are not on the same channel, or only one of them is on any (RFC 5056).
    #[error("the peer is on another channel")]
    BadBindings,
    /// The acceptor's check did not take the credential.
    #[error("the credential was not accepted")]
    BadCredential,
    /// A message was not wrapped or unwrapped.
    #[error(transparent)]
    Message(#[from] WrapError),
    /// The context's lifetime is over.
    #[error("the context has expired")]
    Expired,
    /// An exported context cannot be read.
    #[error("not an exported context: {0}")]
    State(WireError),
}

impl GssError {
    /// The status that RFC 2743 §1.2.1 has for it.
    #[must_use]
    pub const fn major_status(&self) -> &'static str {
        match self {
            Self::Initiate(InitiateError::Gateway(_)) => "GSS_S_BAD_NAME",
            Self::Initiate(InitiateError::Credential(_)) | Self::BadCredential => {
                "GSS_S_DEFECTIVE_CREDENTIAL"
            }
            Self::Accept(AcceptError::Replayed) | Self::Message(WrapError::Replayed) => {
                "GSS_S_DUPLICATE_TOKEN"
            }
            Self::Accept(AcceptError::Clock { .. }) | Self::Message(WrapError::TooOld) => "GSS_S_OLD_TOKEN",
            Self::Accept(AcceptError::Forged) | Self::Message(WrapError::Forged) => "GSS_S_BAD_MIC",
            Self::Message(WrapError::OutOfOrder) => "GSS_S_GAP_TOKEN",
            Self::Initiate(_) | Self::Accept(_) | Self::State(_) | Self::Message(WrapError::Malformed) => {
                "GSS_S_DEFECTIVE_TOKEN"
            }
            Self::UnknownKey => "GSS_S_NO_CRED",
            Self::BadBindings => "GSS_S_BAD_BINDINGS",
            Self::Expired => "GSS_S_CONTEXT_EXPIRED",
            Self::Message(_) => "GSS_S_FAILURE",
        }
    }
}
