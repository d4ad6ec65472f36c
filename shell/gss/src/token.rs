//! Context tokens on the wire (RFC 2743 §3.1).
//!
//! ```text
//! token = 0x60 | DER length | 0x06 | length | OID | frame
//! frame = Hello         | certified name <8>       initiator: show me your keys
//!       | Offer         | KeySet                   acceptor: here they are
//!       | ContextFirst  | options (1) | channel (32) | Envelope
//!       | ContextSecond | second message
//! ```
//! `Hello` and `Offer` cost a round trip, and happen only when the initiator has no current key set at
//! hand, or the acceptor no longer has the key. Wrapped messages and checks travel as they are.

use crate::oid;
use symbolon_crypto::{Crypto, GatewayName, label};
use symbolon_wire::{Decode, FRAME_HEADER, FrameHeader, FrameKind, Reader, WireError, Writer};

/// Longest token: the longest frame, and what stands around it.
pub(crate) const MAX_TOKEN: usize = symbolon_wire::MAX_BODY_BEFORE_SESSION + 64;

/// The tag of `[APPLICATION 0] IMPLICIT SEQUENCE`.
const INITIAL_TOKEN: u8 = 0x60;

/// The hash of the channel under a context (RFC 5056), zero when there is none.
pub type ChannelHash = [u8; 32];

/// What an initiator wants beside the context itself. It stands in clear before the first message, and
/// the message is bound to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Messages come in order (`GSS_C_SEQUENCE_FLAG`).
    pub in_order: bool,
    /// The channel as the initiator sees it.
    pub channel: ChannelHash,
}

impl Options {
    fn bits(self) -> u8 {
        u8::from(self.in_order)
    }

    /// What the core's context is bound to: this, rather than the channel alone.
    #[must_use]
    pub fn bindings(self, crypto: Crypto) -> [u8; 32] {
        crypto.sha256(&[label::GSS_BINDINGS, &[0, self.bits()], &self.channel])
    }
}

/// A context token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// Show me the keys of this service.
    Hello(GatewayName),
    /// Here they are, a `KeySet`.
    Offer(Vec<u8>),
    /// The first message, an `Envelope`.
    First(Options, Vec<u8>),
    /// The second message.
    Second(Vec<u8>),
}

impl Token {
    /// The bytes that travel.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, body) = match self {
            Self::Hello(name) => {
                let mut w = Writer::new();
                w.text8(name.as_str());
                (FrameKind::Hello, w.into_bytes())
            }
            Self::Offer(key_set) => (FrameKind::Offer, key_set.clone()),
            Self::First(options, message) => {
                let mut w = Writer::with_capacity(33 + message.len());
                w.u8(options.bits());
                w.fixed(&options.channel);
                w.fixed(message);
                (FrameKind::ContextFirst, w.into_bytes())
            }
            Self::Second(message) => (FrameKind::ContextSecond, message.clone()),
        };
        let header = FrameHeader { kind, length: body.len() }.to_bytes();
        let length = 2 + oid::MECHANISM.len() + header.len() + body.len();
        let mut w = Writer::with_capacity(length + 4);
        w.u8(INITIAL_TOKEN);
        der_length(&mut w, length);
        w.u8(6);
        w.bytes8(oid::MECHANISM);
        w.fixed(&header);
        w.fixed(&body);
        w.into_bytes()
    }

    /// Reads a token; there is one encoding of each.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        if r.u8()? != INITIAL_TOKEN {
            return Err(WireError::BadValue("token tag"));
        }
        if read_der_length(&mut r)? != r.rest().len() {
            return Err(WireError::BadValue("token length"));
        }
        if r.u8()? != 6 || r.bytes8()? != oid::MECHANISM {
            return Err(WireError::BadValue("mechanism"));
        }
        let header = FrameHeader::parse(r.fixed::<FRAME_HEADER>()?)?;
        let body = r.take(header.length)?;
        r.finish()?;
        match header.kind {
            FrameKind::Hello => Ok(Self::Hello(GatewayName::from_bytes(body)?)),
            FrameKind::Offer => Ok(Self::Offer(body.to_vec())),
            FrameKind::ContextSecond => Ok(Self::Second(body.to_vec())),
            FrameKind::ContextFirst => {
                let mut r = Reader::new(body);
                let in_order = r.flag()?;
                let channel = r.fixed()?;
                Ok(Self::First(Options { in_order, channel }, r.rest().to_vec()))
            }
            _ => Err(WireError::BadValue("frame kind")),
        }
    }
}

fn der_length(w: &mut Writer, length: usize) {
    let bytes = (length as u32).to_be_bytes();
    if length < 0x80 {
        w.u8(bytes[3]);
    } else {
        let used = &bytes[bytes.iter().take_while(|b| **b == 0).count()..];
        w.u8(0x80 | used.len() as u8);
        w.fixed(used);
    }
}

fn read_der_length(r: &mut Reader<'_>) -> Result<usize, WireError> {
    let bad = WireError::BadValue("token length");
    let first = r.u8()?;
    if first < 0x80 {
        return Ok(first.into());
    }
    let count = usize::from(first & 0x7f);
    if !(1..=3).contains(&count) {
        return Err(bad);
    }
    let digits = r.take(count)?;
    let length = digits.iter().fold(0, |sum, d| sum << 8 | usize::from(*d));
    // Distinguished: no leading zero, and nothing that the short form could say.
    if digits[0] == 0 || length < 0x80 { Err(bad) } else { Ok(length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Token> {
        let options = Options { in_order: true, channel: [7; 32] };
        vec![
            Token::Hello(GatewayName::parse("_http.www.example").unwrap()),
            Token::Offer(vec![1; 90]),
            Token::First(options, vec![2; 300]),
            Token::First(Options::default(), vec![2; 16_000]),
            Token::Second(Vec::new()),
        ]
    }

    #[test]
    fn a_token_has_one_encoding() {
        for token in samples() {
            let bytes = token.to_bytes();
            assert!(bytes.len() <= MAX_TOKEN);
            assert_eq!(Token::parse(&bytes), Ok(token));
            for cut in 0..bytes.len().min(400) {
                assert!(Token::parse(&bytes[..cut]).is_err());
            }
            assert!(Token::parse(&[&bytes[..], &[0]].concat()).is_err());
        }
    }

    #[test]
    fn lengths_in_other_forms_are_refused() {
        let bytes = Token::Second(Vec::new()).to_bytes();
        let length = bytes[1];
        for form in [&[0x81, length][..], &[0x82, 0, length], &[0x80], &[0x84, 0, 0, 0, length]] {
            assert!(Token::parse(&[&bytes[..1], form, &bytes[2..]].concat()).is_err());
        }
    }

    #[test]
    fn options_and_channel_are_bound() {
        let crypto = symbolon_provider::crypto();
        let plain = Options::default();
        let ordered = Options { in_order: true, ..plain };
        let bound = Options { channel: [1; 32], ..plain };
        assert_ne!(plain.bindings(crypto), ordered.bindings(crypto));
        assert_ne!(plain.bindings(crypto), bound.bindings(crypto));
    }
}
