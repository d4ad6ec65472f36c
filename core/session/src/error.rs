//! Everything that can go wrong, by who erred.

use crate::Epoch;
use symbolon_record::{RecordError, WrapError};
use symbolon_wire::WireError;

/// Why a session was not carried on over a new connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// The peer sent something that is no such message.
    #[error("malformed attach message: {0}")]
    Malformed(#[from] WireError),
    /// The peer does not hold the session's secret, or the message was altered.
    #[error("the peer does not prove that the session is its own")]
    Forged,
    /// The attach was used before: a replay, or an attempt that a later one overtook.
    #[error("the attach message was used before")]
    Replayed,
    /// The session's time is over.
    #[error("the session has expired")]
    Expired,
    /// The node's epoch does not grow: it carries a state that was left behind. The node, or
    /// whoever gave it an old state, erred.
    #[error("the node answers under epoch {offered}, but {seen} was seen already")]
    EpochDoesNotGrow {
        /// What the node says.
        offered: Epoch,
        /// What the client has seen.
        seen: Epoch,
    },
    /// Epochs or counters have come to their end; open a new context.
    #[error("the session cannot be carried on any more")]
    Exhausted,
}

/// Why a control message was not sent or not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// The wrapping was not as it must be: the path or the peer erred, or keys are used up.
    #[error(transparent)]
    Wrap(#[from] WrapError),
    /// The peer wrapped something that is no control message.
    #[error("malformed control message: {0}")]
    Malformed(#[from] WireError),
    /// The peer sent what only our side sends, or our caller what only the peer sends.
    #[error("a control message that this side does not send")]
    WrongDirection,
}

/// Why a stream did not come to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The peer sent something that is no such message.
    #[error("malformed stream message: {0}")]
    Malformed(#[from] WireError),
    /// The stream names another session than the one whose keys were asked.
    #[error("the stream belongs to another session")]
    OtherSession,
    /// The record does not open: the peer does not hold the session's secret, or it was altered.
    #[error("the stream's first record: {0}")]
    Record(#[from] RecordError),
    /// The first record does not hold what it must.
    #[error("the stream's first record has another content")]
    UnexpectedContent,
}

/// Why an authentic stream may not act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// The number acted before: a replay.
    #[error("the stream's number was used before")]
    AlreadyUsed,
    /// The number was never granted by this node, or its range was given up.
    #[error("the stream's number was not granted here")]
    NotGranted,
    /// Our caller asked the claims of another session.
    #[error("the stream belongs to another session")]
    OtherSession,
}

/// Why a range of stream numbers was not taken. Whoever dealt it erred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// Numbers at or below ones that were granted before would repeat.
    #[error("stream numbers must grow")]
    DoesNotGrow,
}
