//! What stands before every message on a connection: `kind (1) | version (1) | length (3) | body`.
//!
//! The first byte of a connection is never that of a TLS record, an HTTP request or a SIP request,
//! so one port can serve them all. After a [`FrameKind::StreamOpen`] and its answer a connection
//! carries records instead of frames (`docs/protocol/record.md`).

use crate::WireError;

/// Width of what stands before the body, in bytes.
pub const FRAME_HEADER: usize = 5;

/// The version that this program speaks.
const VERSION: u8 = 1;

/// Longest body that a peer may send before it has a session: the largest first message (X-Wing,
/// with a cookie and a filled-in registration template) has room in it, and 4,096 such peers cost
/// 64 MiB.
pub const MAX_BODY_BEFORE_SESSION: usize = 16 * 1024;

/// Longest body within a session: a configuration of about 4,000 destinations.
pub const MAX_BODY_IN_SESSION: usize = 1024 * 1024;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum FrameKind {
    /// Client: show me your certificates, your number and your registration template.
    Hello = 0xC0,
    /// Gateway: here they are.
    Offer = 0xC1,
    /// Either: what you sent cannot be accepted.
    Refusal = 0xC2,
    /// Gateway, under load: come again with this cookie.
    Retry = 0xC3,
    /// Initiator: the first message of a context (A2).
    ContextFirst = 0xC4,
    /// Acceptor: the second message of a context (A6).
    ContextSecond = 0xC5,
    /// Client: registration with the first half key (B5).
    RegistrationRequest = 0xC6,
    /// Gateway: the second half key (B6).
    RegistrationReply = 0xC7,
    /// Client: proof that it holds the authentication key.
    RegistrationConfirm = 0xC8,
    /// Gateway: the registration is kept.
    RegistrationDone = 0xC9,
    /// Client: carry on this session on this connection.
    Attach = 0xCA,
    /// Gateway: it goes on, under this epoch.
    Attached = 0xCB,
    /// Either: a wrapped message of the session (A8).
    Wrapped = 0xCC,
    /// Client: open a stream of this session (the records follow).
    StreamOpen = 0xCD,
    /// Gateway: the stream's first answer (the records follow).
    StreamReply = 0xCE,
}

impl FrameKind {
    /// Every kind, for exhaustive tests.
    pub const ALL: [Self; 15] = [
        Self::Hello,
        Self::Offer,
        Self::Refusal,
        Self::Retry,
        Self::ContextFirst,
        Self::ContextSecond,
        Self::RegistrationRequest,
        Self::RegistrationReply,
        Self::RegistrationConfirm,
        Self::RegistrationDone,
        Self::Attach,
        Self::Attached,
        Self::Wrapped,
        Self::StreamOpen,
        Self::StreamReply,
    ];

    fn from_byte(b: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|k| *k as u8 == b)
    }

    /// Whether `first`, the first byte of a connection, is that of a frame of ours.
    #[must_use]
    pub fn starts_with(first: u8) -> bool {
        Self::from_byte(first).is_some()
    }

    /// The longest body that this kind may have, in bytes.
    #[must_use]
    pub fn max_body(self) -> usize {
        match self {
            Self::Wrapped => MAX_BODY_IN_SESSION,
            _ => MAX_BODY_BEFORE_SESSION,
        }
    }
}

/// A parsed header: the body must follow, and its length is within the bound of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the body is.
    pub kind: FrameKind,
    /// Length of the body in bytes.
    pub length: usize,
}

impl FrameHeader {
    /// Parses the five bytes before a body.
    ///
    /// # Errors
    /// [`WireError::BadValue`] for an unknown kind, [`WireError::UnknownVersion`],
    /// [`WireError::TooLong`] when the body would exceed [`FrameKind::max_body`].
    pub fn parse(header: [u8; FRAME_HEADER]) -> Result<Self, WireError> {
        let [kind, version, a, b, c] = header;
        let kind = FrameKind::from_byte(kind).ok_or(WireError::BadValue("frame kind"))?;
        if version != VERSION {
            return Err(WireError::UnknownVersion(version));
        }
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        if length > kind.max_body() {
            return Err(WireError::TooLong("frame"));
        }
        Ok(Self { kind, length })
    }

    /// The five bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; FRAME_HEADER] {
        debug_assert!(self.length <= self.kind.max_body());
        let [_, a, b, c] = (self.length as u32).to_be_bytes();
        [self.kind as u8, VERSION, a, b, c]
    }
}

/// A whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What the body is.
    pub kind: FrameKind,
    /// The body, within the bound of its kind.
    pub body: Vec<u8>,
}

impl Frame {
    /// A frame around `body`.
    #[must_use]
    pub fn new(kind: FrameKind, body: Vec<u8>) -> Self {
        Self { kind, body }
    }

    /// Header and body in one buffer, for one write.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FRAME_HEADER + self.body.len());
        out.extend_from_slice(&FrameHeader { kind: self.kind, length: self.body.len() }.to_bytes());
        out.extend_from_slice(&self.body);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_the_way_there_and_back() {
        for kind in FrameKind::ALL {
            let h = FrameHeader { kind, length: 77 };
            assert_eq!(FrameHeader::parse(h.to_bytes()), Ok(h));
            assert!(FrameKind::starts_with(kind as u8));
        }
    }

    #[test]
    fn a_frame_is_not_mistaken_for_tls_http_or_sip() {
        for first in [0x16, 0x80, b'G', b'P', b'R', b'I', b'O', b'H'] {
            assert!(!FrameKind::starts_with(first));
        }
    }

    #[test]
    fn an_oversized_or_foreign_header_is_refused() {
        let hello = FrameHeader { kind: FrameKind::Hello, length: 0 }.to_bytes();
        let mut long = hello;
        long[2] = 0xff;
        assert_eq!(FrameHeader::parse(long), Err(WireError::TooLong("frame")));
        let mut newer = hello;
        newer[1] = 2;
        assert_eq!(FrameHeader::parse(newer), Err(WireError::UnknownVersion(2)));
        assert_eq!(FrameHeader::parse([0; 5]), Err(WireError::BadValue("frame kind")));
    }
}
