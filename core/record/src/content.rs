//! What a record may hold.

use crate::PeerMisbehaved;

/// The type of a record's content, hidden behind the encryption (RFC 8446 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ContentType {
    /// Two bytes: level and description (RFC 8446 §6).
    Alert = 21,
    /// A handshake message; on a stream that is open, a KeyUpdate and nothing else.
    Handshake = 22,
    /// Bytes of the application.
    ApplicationData = 23,
    /// [`StreamEnd`]. On native streams only: TLS has no such type.
    StreamEnd = 0x45,
}

impl ContentType {
    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            21 => Some(Self::Alert),
            22 => Some(Self::Handshake),
            23 => Some(Self::ApplicationData),
            0x45 => Some(Self::StreamEnd),
            _ => None,
        }
    }
}

/// The outer type of every protected record (RFC 8446 §5.2).
pub(crate) const OUTER_TYPE: u8 = ContentType::ApplicationData as u8;

/// The description of an alert's two bytes.
pub(crate) fn alert_description(payload: &[u8]) -> Result<u8, PeerMisbehaved> {
    match payload {
        [_level, description] => Ok(*description),
        _ => Err(PeerMisbehaved::Malformed("alert")),
    }
}

/// Whether an alert's two bytes call it a warning. Only TLS 1.2 asks.
pub(crate) fn alert_is_warning(payload: &[u8]) -> Result<bool, PeerMisbehaved> {
    match payload {
        [1, _] => Ok(true),
        [2, _] => Ok(false),
        [_, _] => Err(PeerMisbehaved::IllegalValue("alert")),
        _ => Err(PeerMisbehaved::Malformed("alert")),
    }
}

/// Whether the receiver of a KeyUpdate shall change its own keys too (RFC 8446 §4.6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyUpdateRequest {
    /// `update_not_requested`.
    NotRequested = 0,
    /// `update_requested`.
    Requested = 1,
}

impl KeyUpdateRequest {
    /// The handshake message (RFC 8446 §4.6.3).
    pub(crate) const fn message(self) -> [u8; 5] {
        [24, 0, 0, 1, self as u8]
    }

    /// RFC 8446 §4.6.3: other values are illegal.
    pub(crate) const fn from_byte(byte: u8) -> Result<Self, PeerMisbehaved> {
        match byte {
            0 => Ok(Self::NotRequested),
            1 => Ok(Self::Requested),
            _ => Err(PeerMisbehaved::IllegalValue("key update")),
        }
    }

    /// Reads a handshake record's content, which must be one KeyUpdate and nothing else: no
    /// message may straddle a change of keys (RFC 8446 §5.1).
    pub(crate) fn from_message(payload: &[u8]) -> Result<Self, PeerMisbehaved> {
        match payload {
            [24, 0, 0, 1, request] => Self::from_byte(*request),
            [24, ..] => Err(PeerMisbehaved::Malformed("key update")),
            _ => Err(PeerMisbehaved::UnexpectedContent(ContentType::Handshake as u8)),
        }
    }
}

/// The longest reason in a [`StreamEnd`] in bytes: a sentence, not a document.
pub const MAX_END_REASON: usize = 200;

/// Why a stream ends before its time, for both directions at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEnd {
    code: u8,
    reason: String,
}

impl StreamEnd {
    /// An end with a code of the caller's list and a sentence for people. Control characters are
    /// left out and a long sentence is cut at [`MAX_END_REASON`].
    #[must_use]
    pub fn new(code: u8, reason: &str) -> Self {
        let mut clean = String::with_capacity(reason.len().min(MAX_END_REASON));
        for c in reason.chars().filter(|c| !c.is_control()) {
            if clean.len() + c.len_utf8() > MAX_END_REASON {
                break;
            }
            clean.push(c);
        }
        Self { code, reason: clean }
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> u8 {
        self.code
    }

    /// The sentence: at most [`MAX_END_REASON`] bytes, without control characters.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    pub(crate) fn to_content(&self) -> Vec<u8> {
        let mut content = Vec::with_capacity(1 + self.reason.len());
        content.push(self.code);
        content.extend_from_slice(self.reason.as_bytes());
        content
    }

    pub(crate) fn from_content(content: &[u8]) -> Result<Self, PeerMisbehaved> {
        let malformed = PeerMisbehaved::Malformed("end");
        let (&code, reason) = content.split_first().ok_or(malformed)?;
        let reason = std::str::from_utf8(reason).map_err(|_| malformed)?;
        let end = Self::new(code, reason);
        if end.reason == reason { Ok(end) } else { Err(malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_short_printable_sentence() {
        let end = StreamEnd::new(7, &format!("a\0b\n{}", "é".repeat(200)));
        assert!(end.reason().starts_with("abé"));
        assert_eq!(end.reason().len(), MAX_END_REASON);
        assert_eq!(StreamEnd::from_content(&end.to_content()), Ok(end));
    }

    #[test]
    fn an_end_that_no_sender_writes_is_refused() {
        let malformed = Err(PeerMisbehaved::Malformed("end"));
        assert_eq!(StreamEnd::from_content(b""), malformed);
        assert_eq!(StreamEnd::from_content(b"\x01\xff"), malformed);
        assert_eq!(StreamEnd::from_content(b"\x01two\nlines"), malformed);
        assert_eq!(StreamEnd::from_content(&[b'x'; 202]), malformed);
        assert_eq!(StreamEnd::from_content(b"\x01"), Ok(StreamEnd::new(1, "")));
    }

    #[test]
    fn a_key_update_stands_alone_in_its_record() {
        for request in [KeyUpdateRequest::NotRequested, KeyUpdateRequest::Requested] {
            assert_eq!(KeyUpdateRequest::from_message(&request.message()), Ok(request));
        }
        let illegal = Err(PeerMisbehaved::IllegalValue("key update"));
        assert_eq!(KeyUpdateRequest::from_message(&[24, 0, 0, 1, 2]), illegal);
        let malformed = Err(PeerMisbehaved::Malformed("key update"));
        assert_eq!(KeyUpdateRequest::from_message(&[24, 0, 0, 1, 0, 24, 0, 0, 1, 0]), malformed);
        assert_eq!(KeyUpdateRequest::from_message(&[1, 0, 0, 0]), Err(PeerMisbehaved::UnexpectedContent(22)));
    }
}
