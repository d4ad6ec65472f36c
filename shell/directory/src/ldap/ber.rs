//! The encoding of LDAP messages (X.690, restricted by RFC 4511 §5.1): definite lengths only.
//!
//! Written here because a reader for it must not be led to recurse as deep as a server likes, must
//! take lengths in long form (Active Directory's), and because a request contains a password that
//! must lie in one wiped buffer; the crates that were looked at do otherwise.

use symbolon_crypto::SecretBytes;
use symbolon_wire::Writer;

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The most that is taken for one message, in bytes: one entry with its groups.
pub(super) const MAX_MESSAGE: usize = 1 << 20;

/// Bytes that are not the encoding of anything that is expected here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A value to be written.
pub(super) enum Node<'a> {
    Bytes(u8, &'a [u8]),
    Number(u8, u32),
    List(u8, Vec<Self>),
}

impl Node<'_> {
    /// The whole encoding, in a buffer that is wiped.
    pub(super) fn encode(&self) -> SecretBytes {
        SecretBytes::written(self.length(), |w| self.write(w))
    }

    fn length(&self) -> usize {
        let content = self.content_length();
        1 + length_of_length(content) + content
    }

    fn content_length(&self) -> usize {
        match self {
            Self::Bytes(_, bytes) => bytes.len(),
            Self::Number(_, number) => number_bytes(*number).1,
            Self::List(_, nodes) => nodes.iter().map(Self::length).sum(),
        }
    }

    fn write(&self, w: &mut Writer) {
        let (Self::Bytes(tag, _) | Self::Number(tag, _) | Self::List(tag, _)) = self;
        w.u8(*tag);
        let length = self.content_length();
        if length < 0x80 {
            w.u8(length as u8);
        } else {
            let bytes = length.to_be_bytes();
            let digits = length_of_length(length) - 1;
            w.u8(0x80 | digits as u8);
            w.fixed(&bytes[bytes.len() - digits..]);
        }
        match self {
            Self::Bytes(_, bytes) => w.fixed(bytes),
            Self::Number(_, number) => {
                let (bytes, digits) = number_bytes(*number);
                w.fixed(&bytes[5 - digits..]);
            }
            Self::List(_, nodes) => nodes.iter().for_each(|n| n.write(w)),
        }
    }
}

fn length_of_length(length: usize) -> usize {
    if length < 0x80 { 1 } else { 1 + (usize::BITS - length.leading_zeros()).div_ceil(8) as usize }
}

/// A number that is not negative, big endian, and how many bytes of that are needed: the first bit is
/// the sign.
const fn number_bytes(number: u32) -> ([u8; 5], usize) {
    let [a, b, c, d] = number.to_be_bytes();
    let digits = 1 + (u32::BITS - number.leading_zeros()) as usize / 8;
    ([0, a, b, c, d], digits)
}

/// Values to be read, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Ber<'a>(pub(super) &'a [u8]);

impl<'a> Ber<'a> {
    pub(super) const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Tag and content of the next value.
    pub(super) fn next(&mut self) -> Result<(u8, &'a [u8]), Malformed> {
        let (tag, header, length) = header(self.0)?.ok_or(Malformed)?;
        let content = self.0.get(header..header + length).ok_or(Malformed)?;
        self.0 = &self.0[header + length..];
        Ok((tag, content))
    }

    /// The content of the next value, which must have that tag.
    pub(super) fn expect(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        match self.next()? {
            (found, content) if found == tag => Ok(content),
            _ => Err(Malformed),
        }
    }

    /// A number of at most four bytes that is not negative.
    pub(super) fn number(&mut self, tag: u8) -> Result<u32, Malformed> {
        let content = self.expect(tag)?;
        match content {
            [first, rest @ ..] if rest.len() < 4 && first & 0x80 == 0 => {
                Ok(content.iter().fold(0, |n, &b| n << 8 | u32::from(b)))
            }
            _ => Err(Malformed),
        }
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.expect(OCTETS)?).map_err(|_| Malformed)
    }
}

/// How long the message at the start of `bytes` is, once so much has come that it can be told.
pub(super) fn message_length(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    if bytes.first().is_some_and(|tag| *tag != SEQUENCE) {
        return Err(Malformed);
    }
    Ok(header(bytes)?.map(|(_, header, length)| header + length))
}

/// Tag, length of the header, and length of the content; none while the header is not complete.
fn header(bytes: &[u8]) -> Result<Option<(u8, usize, usize)>, Malformed> {
    let [tag, first, rest @ ..] = bytes else { return Ok(None) };
    // LDAP has no tag number above 30.
    if tag & 0x1f == 0x1f {
        return Err(Malformed);
    }
    let digits = match first {
        0..=0x7f => return Ok(Some((*tag, 2, usize::from(*first)))),
        0x81..=0x84 => usize::from(first & 0x7f),
        _ => return Err(Malformed),
    };
    let Some(digits) = rest.get(..digits) else { return Ok(None) };
    let length = digits.iter().fold(0, |n, &b| n << 8 | usize::from(b));
    if length > MAX_MESSAGE {
        return Err(Malformed);
    }
    Ok(Some((*tag, 2 + digits.len(), length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_length_in_long_form_is_read_and_an_indefinite_one_is_not() {
        assert_eq!(Ber(b"\x04\x84\0\0\0\x01x").expect(OCTETS), Ok(&b"x"[..]));
        assert_eq!(Ber(b"\x04\x80x\0\0").next(), Err(Malformed));
        assert_eq!(Ber(b"\x04\x85\0\0\0\0\x01x").next(), Err(Malformed));
        assert_eq!(Ber(b"\x04\x84\xff\xff\xff\xff").next(), Err(Malformed));
    }

    #[test]
    fn a_message_is_waited_for_only_if_it_can_be_one() {
        assert_eq!(message_length(b""), Ok(None));
        assert_eq!(message_length(b"\x30"), Ok(None));
        assert_eq!(message_length(b"\x30\x82\x01"), Ok(None));
        assert_eq!(message_length(b"\x30\x05"), Ok(Some(7)));
        assert_eq!(message_length(b"HTTP"), Err(Malformed));
        assert_eq!(message_length(b"\x30\x84\x7f\xff\xff\xff"), Err(Malformed));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(number: u32, bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let node = Node::List(SEQUENCE, vec![Node::Number(INTEGER, number), Node::Bytes(OCTETS, &bytes)]);
            let encoded = node.encode();
            let mut outer = Ber(encoded.expose());
            let mut inner = Ber(outer.expect(SEQUENCE).unwrap());
            prop_assert!(outer.is_empty());
            if number <= i32::MAX as u32 {
                prop_assert_eq!(inner.number(INTEGER), Ok(number));
            } else {
                inner.next().unwrap();
            }
            prop_assert_eq!(inner.expect(OCTETS), Ok(&bytes[..]));
            prop_assert!(inner.is_empty());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut ber = Ber(&bytes);
            while ber.next().is_ok() {}
            let _ = message_length(&bytes);
        }
    }
}
