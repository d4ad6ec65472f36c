#![forbid(unsafe_code)]
//! The canonical encoding of every byte that Symbolon sends or stores.
//!
//! One writer, one reader. Integers are big-endian, variable fields carry a length prefix of
//! fixed width (the presentation language of RFC 8446 §3), fields stand in a fixed order and
//! nothing is optional without a tag byte, so that a value has exactly one encoding and a hash of
//! it (a transcript) means one thing only.
//!
//! ```
//! use symbolon_wire::{Decode, Encode, Reader, WireError, Writer};
//!
//! struct Hello { name: String, number: u64 }
//!
//! impl Encode for Hello {
//!     fn encode(&self, w: &mut Writer) {
//!         w.text8(&self.name);
//!         w.u64(self.number);
//!     }
//! }
//! impl Decode for Hello {
//!     fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
//!         Ok(Self { name: r.text8("name")?.to_owned(), number: r.u64()? })
//!     }
//! }
//! let bytes = Hello { name: "alice".into(), number: 7 }.to_bytes();
//! assert_eq!(Hello::from_bytes(&bytes).unwrap().name, "alice");
//! assert_eq!(Hello::from_bytes(&bytes[1..]).err(), Some(WireError::Truncated));
//! ```

mod frame;
mod read;
mod refusal;
mod time;
mod write;

pub use frame::{FRAME_HEADER, Frame, FrameHeader, FrameKind, MAX_BODY_BEFORE_SESSION, MAX_BODY_IN_SESSION};
pub use read::Reader;
pub use refusal::{Refusal, RefusalCode};
pub use time::Time;
pub use write::Writer;

/// Why bytes are not the value that was expected. The sender erred, whoever that is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The input ended within a field.
    #[error("truncated")]
    Truncated,
    /// Bytes were left after the last field.
    #[error("bytes after the end")]
    TrailingBytes,
    /// A field is longer than its bound.
    #[error("{0} is longer than allowed")]
    TooLong(&'static str),
    /// A field holds a value that its type does not have.
    #[error("{0} has an impossible value")]
    BadValue(&'static str),
    /// A frame or a stored value of a version that this program does not know.
    #[error("unknown version {0}")]
    UnknownVersion(u8),
}

/// A value with exactly one encoding.
pub trait Encode {
    /// Appends the encoding.
    fn encode(&self, w: &mut Writer);

    /// The encoding alone.
    fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        self.encode(&mut w);
        w.into_bytes()
    }
}

/// The other direction of [`Encode`].
pub trait Decode: Sized {
    /// Reads the value from the front of `r`.
    ///
    /// # Errors
    /// [`WireError`] when the bytes are not such a value.
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError>;

    /// Reads a value that must fill `bytes` to the end.
    ///
    /// # Errors
    /// [`WireError`], [`WireError::TrailingBytes`] among them.
    fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let value = Self::decode(&mut r)?;
        r.finish()?;
        Ok(value)
    }
}
