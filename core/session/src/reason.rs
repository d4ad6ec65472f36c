//! Why something is over.

use crate::Line;
use symbolon_record::StreamEnd;
use symbolon_wire::{Decode, Encode, Reader, WireError, Writer};

/// Why a session or a stream ended, or a stream was refused. The numbers stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum EndReason {
    /// The user asked for it.
    Logout = 1,
    /// The right to reach the application was taken back.
    EntitlementWithdrawn = 2,
    /// An administrator locked the user.
    UserLocked = 3,
    /// The token, or its registration, was revoked.
    TokenRevoked = 4,
    /// The session's time is up.
    Expired = 5,
    /// The node stops as planned.
    NodeStopping = 6,
    /// The application does not answer.
    ApplicationUnreachable = 7,
    /// The application broke the connection off.
    ApplicationReset = 8,
    /// The peer broke the protocol.
    ProtocolError = 9,
    /// The session goes on over another connection.
    Replaced = 10,
    /// Not entitled, or there is no such application: a stranger is not told which.
    NotPermitted = 11,
    /// The stream's number was used before or never granted.
    NumberRefused = 12,
    /// More streams or sessions at once than allowed.
    TooMany = 13,
    /// Nothing was said for too long.
    Idle = 14,
    /// An administrator ended it.
    EndedByAdministrator = 15,
    /// The node could not do its work; its log says why.
    InternalError = 16,
}

impl EndReason {
    /// Every reason, for exhaustive tests and tables.
    pub const ALL: [Self; 16] = [
        Self::Logout,
        Self::EntitlementWithdrawn,
        Self::UserLocked,
        Self::TokenRevoked,
        Self::Expired,
        Self::NodeStopping,
        Self::ApplicationUnreachable,
        Self::ApplicationReset,
        Self::ProtocolError,
        Self::Replaced,
        Self::NotPermitted,
        Self::NumberRefused,
        Self::TooMany,
        Self::Idle,
        Self::EndedByAdministrator,
        Self::InternalError,
    ];

    /// The number on the wire and in records.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The reason with that number, if this program knows it.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.code() == code)
    }

    /// A sentence for people.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Logout => "You signed out.",
            Self::EntitlementWithdrawn => "Your right to use this application was withdrawn.",
            Self::UserLocked => "Your account was locked: ask an administrator.",
            Self::TokenRevoked => "Your token was revoked: enrol again or ask an administrator.",
            Self::Expired => "The session has expired: sign in again.",
            Self::NodeStopping => "The gateway is stopping: it will be back, or another one takes over.",
            Self::ApplicationUnreachable => "The application does not answer.",
            Self::ApplicationReset => "The application broke off the connection.",
            Self::ProtocolError => "The other side sent something that it must not send.",
            Self::Replaced => "The session goes on over another connection.",
            Self::NotPermitted => "You have no right to use such an application, or there is none.",
            Self::NumberRefused => "The stream's number cannot be used: try again.",
            Self::TooMany => "Too many connections at once: close some, or try again later.",
            Self::Idle => "Nothing was sent for too long.",
            Self::EndedByAdministrator => "An administrator ended it.",
            Self::InternalError => "The gateway could not do this: its operator finds the cause in the log.",
        }
    }

    /// The end of a stream for this reason, with a detail in place of the sentence when there is one.
    #[must_use]
    pub fn stream_end(self, detail: &Line) -> StreamEnd {
        let text = if detail.as_str().is_empty() { self.sentence() } else { detail.as_str() };
        StreamEnd::new(self.code(), text)
    }
}

impl std::fmt::Display for EndReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.sentence())
    }
}

impl Encode for EndReason {
    fn encode(&self, w: &mut Writer) {
        w.u8(self.code());
    }
}

impl Decode for EndReason {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Self::from_code(r.u8()?).ok_or(WireError::BadValue("reason"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_number_and_a_short_sentence() {
        for (n, reason) in EndReason::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(reason.code()), n + 1, "numbers stay as they are");
            assert_eq!(EndReason::from_bytes(&reason.to_bytes()), Ok(reason));
            let end = reason.stream_end(&Line::default());
            assert_eq!((end.code(), end.reason()), (reason.code(), reason.sentence()));
        }
        assert_eq!(EndReason::from_code(0), None);
        assert_eq!(EndReason::from_code(17), None);
    }
}
