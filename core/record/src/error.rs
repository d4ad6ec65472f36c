//! Everything that can go wrong, by who erred.

use crate::Alert;

/// Why a record was not sealed or opened. None of them is recoverable within the stream but
/// [`RecordError::CallerMisused`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The peer, or somebody on the path in its place, broke the protocol.
    #[error("the peer broke the record protocol: {0}")]
    PeerMisbehaved(#[from] PeerMisbehaved),
    /// The peer found fault with us and said so by an alert (RFC 8446 §6.2).
    #[error("the peer gave up with alert {0}")]
    PeerGaveUp(u8),
    /// The bytes ended without a closing record: the connection was lost or cut (RFC 8446 §6.1).
    #[error("the connection ended without a closing record")]
    Truncated,
    /// Our own caller did what the documentation rules out.
    #[error("the record layer was misused: {0}")]
    CallerMisused(#[from] CallerMisused),
    /// The key has sealed or opened as many records as it may.
    #[error("the key is used up")]
    Exhausted,
}

impl RecordError {
    /// The alert that tells the peer (RFC 8446 §6), where it should be told: the one place that
    /// decides it.
    #[must_use]
    pub const fn alert(&self) -> Option<Alert> {
        let Self::PeerMisbehaved(fault) = self else {
            return match self {
                Self::Exhausted => Some(Alert::InternalError),
                _ => None,
            };
        };
        Some(match fault {
            // RFC 8446 §5.2: what cannot be decrypted, whatever the cause
            PeerMisbehaved::Forged | PeerMisbehaved::Undersized => Alert::BadRecordMac,
            PeerMisbehaved::Oversized => Alert::RecordOverflow,
            PeerMisbehaved::Malformed(_) => Alert::DecodeError,
            PeerMisbehaved::IllegalValue(_) => Alert::IllegalParameter,
            PeerMisbehaved::NotARecord
            | PeerMisbehaved::NoContent
            | PeerMisbehaved::UnexpectedContent(_)
            | PeerMisbehaved::UnexpectedHandshake(_)
            | PeerMisbehaved::AfterClose
            | PeerMisbehaved::TooManyKeyUpdates
            | PeerMisbehaved::TooManyWithoutData => Alert::UnexpectedMessage,
        })
    }
}

/// What the peer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerMisbehaved {
    /// The tag does not fit: altered, made up, replayed, out of order, or under another key.
    #[error("a record does not authenticate")]
    Forged,
    /// The bytes are not a protected record: an outer type or version that none has.
    #[error("not a record")]
    NotARecord,
    /// A record or its content is longer than allowed (RFC 8446 §5.2, §5.4).
    #[error("a record is too long")]
    Oversized,
    /// A record cannot hold a type and a tag, or is shorter than its header says.
    #[error("a record is too short")]
    Undersized,
    /// A record with padding and nothing else (RFC 8446 §5.4).
    #[error("a record without content")]
    NoContent,
    /// A content type that has no meaning here.
    #[error("unexpected content type {0}")]
    UnexpectedContent(u8),
    /// A handshake message that has no place on a connection whose handshake is over, or not here.
    #[error("unexpected handshake message {0}")]
    UnexpectedHandshake(u8),
    /// A field of a message with a value that it may not have.
    #[error("an illegal value in a {0}")]
    IllegalValue(&'static str),
    /// An alert, handshake message or end that does not have the form of one.
    #[error("a malformed {0}")]
    Malformed(&'static str),
    /// A record after the one that was to be the last.
    #[error("a record after the last")]
    AfterClose,
    /// Keys were changed again and again with no data between.
    #[error("too many key updates")]
    TooManyKeyUpdates,
    /// Record after record came with no data in it.
    #[error("too many records without data")]
    TooManyWithoutData,
}

/// What our caller did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallerMisused {
    /// The buffer has no room for header, payload, type and tag.
    #[error("the buffer has no room for the record")]
    NoRoom,
    /// More payload than a record holds.
    #[error("the payload exceeds one record")]
    PayloadTooLong,
    /// Data of no length or of more than is sealed at once, or a payload where none belongs.
    #[error("a payload of the wrong length")]
    PayloadLength,
    /// Sending after close or end.
    #[error("this direction is closed")]
    AlreadyClosed,
    /// A message that TLS 1.2 does not have.
    #[error("this version has no such message")]
    NotInThisVersion,
    /// Pinning a second time before the first was sent.
    #[error("something else is pinned")]
    PinnedBefore,
    /// Sealing or sending what was not pinned.
    #[error("nothing is pinned")]
    NothingPinned,
    /// Sealing another payload than was pinned.
    #[error("the payload is not what was pinned")]
    NotAsPinned,
    /// Sending data before what is owed to the peer.
    #[error("something else must be sent first")]
    OwesAnother,
    /// Opening a record under the next key before the change of keys was received.
    #[error("a change of keys must be received first")]
    ReceiveFirst,
    /// Going on after an error that ended the stream.
    #[error("the stream has failed before")]
    AlreadyFailed,
}

/// Why a message was not wrapped or unwrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// The same message came before. The path, or the peer, erred.
    #[error("a message came twice")]
    Replayed,
    /// A message is missing before this one. The path, or the peer, erred.
    #[error("a message is missing or out of order")]
    OutOfOrder,
    /// The tag does not fit: altered, made up, or under another key.
    #[error("a message does not authenticate")]
    Forged,
    /// Older than the window, or of a key that was left behind.
    #[error("a message is too old")]
    TooOld,
    /// Not a wrapped message at all.
    #[error("not a wrapped message")]
    Malformed,
    /// The sequence numbers or the keys of this direction are used up: open a new context.
    #[error("the keys of this direction are used up")]
    Exhausted,
    /// The connection ended before the message that was marked as the last.
    #[error("the conversation was cut off")]
    Truncated,
    /// A message after the one that was marked as the last.
    #[error("a message after the last")]
    AfterLast,
    /// Our caller gave a buffer without room for header and tag.
    #[error("the buffer has no room for header and tag")]
    NoRoom,
}
