//! What every message promises.

use symbolon_wire::{Decode, Encode};

/// Decodes a value that, if the bytes are one, has no other encoding: a hash of it means one thing only.
pub(crate) fn one_encoding<T: Decode + Encode>(bytes: &[u8]) -> Option<T> {
    let value = T::from_bytes(bytes).ok()?;
    assert_eq!(value.to_bytes(), bytes, "two encodings of one {}", std::any::type_name::<T>());
    Some(value)
}

/// The same for a value with names in it, whose capital letters become small when they are read: one encoding is left
/// after that.
pub(crate) fn one_encoding_when_read<T: Decode + Encode>(bytes: &[u8]) -> Option<T> {
    one_encoding(&T::from_bytes(bytes).ok()?.to_bytes())
}
