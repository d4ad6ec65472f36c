//! Bounded text and bytes: parsed once, right ever after.

use symbolon_policy::free_text;
use symbolon_wire::{Decode, Encode, Reader, WireError, Writer};

/// One line of text for people and logs: at most 200 bytes of UTF-8, canonical, without control
/// characters or bidirectional overrides (RFC 8265 §4.2). May be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Line(Box<str>);

impl Line {
    /// The longest line in bytes.
    pub const MAX: usize = 200;

    /// Reads a line, in any spelling.
    ///
    /// # Errors
    /// [`WireError::TooLong`], [`WireError::BadValue`].
    pub fn parse(text: &str) -> Result<Self, WireError> {
        if is_plain(text) {
            return bounded(text);
        }
        bounded(&free_text(text).map_err(|_| WireError::BadValue("line of text"))?)
    }

    /// Makes a line of whatever an operating system or an error message gives: what cannot stay is
    /// left out, and the end is cut off.
    #[must_use]
    pub fn lossy(text: &str) -> Self {
        let mut line = String::new();
        for c in text.chars() {
            let c = if c.is_whitespace() { ' ' } else { c };
            let mut utf8 = [0; 4];
            let c = c.encode_utf8(&mut utf8);
            if line.len() + c.len() > Self::MAX {
                break;
            }
            if is_plain(c) || free_text(c).is_ok_and(|same| same == *c) {
                line.push_str(c);
            }
        }
        // characters that are right one by one may still not be so together
        Self::parse(&line).unwrap_or_else(|_| Self(line.chars().filter(char::is_ascii).collect()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Printable ASCII needs no look into the tables of Unicode.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

fn bounded(text: &str) -> Result<Line, WireError> {
    if text.len() > Line::MAX { Err(WireError::TooLong("line of text")) } else { Ok(Line(text.into())) }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl Encode for Line {
    fn encode(&self, w: &mut Writer) {
        w.text8(&self.0);
    }
}

impl Decode for Line {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let text = r.text8("line of text")?;
        let line = Self::parse(text)?;
        // one value, one encoding
        if *line.0 == *text { Ok(line) } else { Err(WireError::BadValue("line of text")) }
    }
}

/// Bytes whose meaning another room knows, at most `MAX` of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Opaque<const MAX: usize>(Vec<u8>);

impl<const MAX: usize> Opaque<MAX> {
    /// Takes over `bytes`.
    ///
    /// # Errors
    /// [`WireError::TooLong`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, WireError> {
        const { assert!(MAX < 1 << 24, "the prefix has 24 bits") };
        if bytes.len() > MAX { Err(WireError::TooLong("opaque bytes")) } else { Ok(Self(bytes)) }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, for whoever knows their meaning.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl<const MAX: usize> std::fmt::Debug for Opaque<MAX> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opaque({} bytes)", self.0.len())
    }
}

impl<const MAX: usize> Encode for Opaque<MAX> {
    fn encode(&self, w: &mut Writer) {
        w.bytes24(&self.0);
    }
}

impl<const MAX: usize> Decode for Opaque<MAX> {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let bytes = r.bytes24()?;
        if bytes.len() > MAX { Err(WireError::TooLong("opaque bytes")) } else { Ok(Self(bytes.to_vec())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_canonical_and_short() {
        assert_eq!(Line::parse("Zoe\u{308}'s laptop").unwrap().as_str(), "Zoë's laptop");
        assert_eq!(Line::parse(&"x".repeat(201)), Err(WireError::TooLong("line of text")));
        for bad in ["a\nb", "a\0b", "a\u{202e}b", "\u{7f}"] {
            assert!(Line::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_line_has_one_encoding() {
        let mut w = Writer::new();
        w.text8("Zoe\u{308}");
        assert!(Line::from_bytes(&w.into_bytes()).is_err());
        let line = Line::parse("Zoë").unwrap();
        assert_eq!(Line::from_bytes(&line.to_bytes()), Ok(line));
    }

    #[test]
    fn whatever_a_system_says_becomes_a_line() {
        assert_eq!(Line::lossy("Linux 6.1\t#1 SMP\n").as_str(), "Linux 6.1 #1 SMP ");
        assert_eq!(Line::lossy("a\u{202e}\0b").as_str(), "ab");
        assert_eq!(Line::lossy(&"é".repeat(300)).as_str().len(), 200);
        assert_eq!(Line::lossy("").as_str(), "");
    }
}
