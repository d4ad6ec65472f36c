//! Percent-encoding (RFC 3986 §2.1).

use super::UriError;
use std::fmt::Write as _;

/// Encodes all but unreserved characters.
pub(super) fn encode(bytes: &[u8]) -> String {
    encode_but(bytes, b"-._~")
}

/// The same for the path of a file, whose slashes stay: only in a query they may.
pub(super) fn encode_path(bytes: &[u8]) -> String {
    encode_but(bytes, b"-._~/")
}

fn encode_but(bytes: &[u8], kept: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            text.push(char::from(byte));
        } else {
            // writing to a string does not fail
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Decodes a value whose literal characters are those that `allowed` adds to the unreserved ones.
pub(super) fn decode(name: &'static str, text: &str, allowed: &[u8]) -> Result<Vec<u8>, UriError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = match (byte, after) {
            (b'%', [high, low, after @ ..]) => {
                let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
                    return Err(UriError::Percent(name));
                };
                bytes.push(high << 4 | low);
                after
            }
            (b'%', _) => return Err(UriError::Percent(name)),
            (byte, after)
                if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || allowed.contains(byte) =>
            {
                bytes.push(*byte);
                after
            }
            _ => return Err(UriError::Character(name)),
        };
    }
    Ok(bytes)
}

fn digit(hex: u8) -> Option<u8> {
    char::from(hex).to_digit(16).and_then(|d| u8::try_from(d).ok())
}
