//! Making records.

use crate::content::KeyUpdateRequest;
use crate::{CallerMisused, ContentType, RECORD_HEADER, RECORD_OVERHEAD, RecordError, RecordKeys};
use symbolon_crypto::{Crypto, Secret};

/// Seals the native records of one direction, each under the next sequence number.
///
/// Sealing is deterministic: the same keys, sequence number, type and content give the same bytes,
/// so a successor that knows what was meant can make them again (`docs/protocol/record.md`).
#[derive(Debug)]
pub struct RecordSealer {
    keys: RecordKeys,
    sequence: u64,
}

impl RecordSealer {
    /// Starts with the first record under `secret`.
    #[must_use]
    pub fn new(crypto: Crypto, secret: Secret<32>) -> Self {
        Self::at_sequence(RecordKeys::from_traffic_secret(crypto, secret), 0)
    }

    /// Carries on: the next record gets `sequence`. Another content under a number that was used
    /// before would break the key, so the caller must know what was sealed.
    #[must_use]
    pub const fn at_sequence(keys: RecordKeys, sequence: u64) -> Self {
        Self { keys, sequence }
    }

    /// The number of the next record under this key.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The present keys.
    #[must_use]
    pub const fn keys(&self) -> &RecordKeys {
        &self.keys
    }

    /// Seals the `payload` bytes that stand at `buffer[RECORD_HEADER..]` and returns the record,
    /// which begins at the start of `buffer` and is [`RECORD_OVERHEAD`] longer than the payload.
    ///
    /// # Errors
    /// [`CallerMisused::NoRoom`], [`CallerMisused::PayloadTooLong`],
    /// [`RecordError::Exhausted`] after [`crate::RECORDS_PER_KEY`] records.
    #[inline]
    pub fn seal_in_place<'b>(
        &mut self,
        buffer: &'b mut [u8],
        payload: usize,
        content: ContentType,
    ) -> Result<&'b [u8], RecordError> {
        if self.sequence >= self.keys.cipher().records_per_key() {
            return Err(RecordError::Exhausted);
        }
        self.seal(buffer, payload, content)
    }

    /// Seals `payload` into a record at the end of `out`.
    ///
    /// # Errors
    /// As [`RecordSealer::seal_in_place`]; `out` is then as it was.
    pub fn seal_into(
        &mut self,
        content: ContentType,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), RecordError> {
        let start = out.len();
        out.reserve(payload.len() + RECORD_OVERHEAD);
        out.resize(start + RECORD_HEADER, 0);
        out.extend_from_slice(payload);
        out.resize(start + payload.len() + RECORD_OVERHEAD, 0);
        let sealed = self.seal_in_place(&mut out[start..], payload.len(), content).map(drop);
        if sealed.is_err() {
            out.truncate(start);
        }
        sealed
    }

    /// Writes a KeyUpdate at the start of `buffer` and goes over to the next key (RFC 8446 §4.6.3).
    /// Works for a used-up key too: the message is the last that it seals.
    pub(crate) fn update_key(
        &mut self,
        request: KeyUpdateRequest,
        buffer: &mut [u8],
    ) -> Result<(), RecordError> {
        let message = request.message();
        buffer
            .get_mut(RECORD_HEADER..RECORD_HEADER + message.len())
            .ok_or(CallerMisused::NoRoom)?
            .copy_from_slice(&message);
        let next = self.keys.next()?;
        self.seal(buffer, message.len(), ContentType::Handshake)?;
        self.keys = next;
        self.sequence = 0;
        Ok(())
    }

    #[inline]
    fn seal<'b>(
        &mut self,
        buffer: &'b mut [u8],
        payload: usize,
        content: ContentType,
    ) -> Result<&'b [u8], RecordError> {
        let next = self.sequence.checked_add(1).ok_or(RecordError::Exhausted)?;
        let record = self.keys.seal_in_place(self.sequence, content, buffer, payload)?;
        self.sequence = next;
        Ok(record)
    }
}
