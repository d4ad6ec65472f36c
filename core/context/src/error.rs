use symbolon_crypto::{CryptoError, KeySetError};
use symbolon_wire::WireError;

/// Why a first message was not accepted. The operator may read it; the peer is told only what
/// `symbolon-server` maps it to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// The peer sent something that is no such message.
    #[error("malformed first message: {0}")]
    Malformed(#[from] WireError),
    /// Altered, or sealed to another key.
    #[error("the first message does not open")]
    Forged,
    /// The initiator's clock, or the message's age, is out of tolerance.
    #[error("the initiator's clock differs by {seconds} s")]
    Clock {
        /// How far it is off, in seconds.
        seconds: u64,
    },
    /// Seen before.
    #[error("first message was seen before")]
    Replayed,
    /// The proof was made for another exchange.
    #[error("the proof belongs to another exchange")]
    ForeignProof,
}

impl From<CryptoError> for AcceptError {
    fn from(_: CryptoError) -> Self {
        Self::Forged
    }
}

/// Why no context came to be, on the initiator's side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InitiateError {
    /// The gateway's keys cannot be used.
    #[error(transparent)]
    Gateway(#[from] KeySetError),
    /// The gateway sent something that is no such message.
    #[error("malformed second message: {0}")]
    Malformed(#[from] WireError),
    /// The second message was not made by the gateway, or was altered.
    #[error("the second message does not open: it was not made by the gateway for this exchange")]
    Forged,
    /// The credential could not answer.
    #[error("the credential could not be used: {0}")]
    Credential(CryptoError),
}
