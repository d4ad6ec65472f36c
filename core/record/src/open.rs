//! Opening records.

use crate::{CallerMisused, ContentType, RecordError, RecordKeys};
use symbolon_crypto::{Crypto, Secret};

/// Opens the native records of one direction, strictly in order.
#[derive(Debug)]
pub struct RecordOpener {
    keys: RecordKeys,
    sequence: u64,
}

impl RecordOpener {
    /// Starts with the first record under `secret`.
    #[must_use]
    pub fn new(crypto: Crypto, secret: Secret<32>) -> Self {
        Self::at_sequence(RecordKeys::from_traffic_secret(crypto, secret), 0)
    }

    /// Carries on: the next record is expected to have `sequence`.
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

    /// Opens one whole record, header included, and returns the type and the content, which stands
    /// within `record`. Padding is accepted and left out.
    ///
    /// # Errors
    /// [`RecordError::PeerMisbehaved`] as [`RecordKeys::open_in_place`] says, or
    /// [`RecordError::Exhausted`]. `record` then holds nothing of use.
    #[inline]
    pub fn open_in_place<'r>(
        &mut self,
        record: &'r mut [u8],
    ) -> Result<(ContentType, &'r mut [u8]), RecordError> {
        let next = self.sequence.checked_add(1).ok_or(RecordError::Exhausted)?;
        let opened = self.keys.open_in_place(self.sequence, record)?;
        self.sequence = next;
        Ok(opened)
    }

    /// Goes over to the key that the peer uses after its KeyUpdate (RFC 8446 §4.6.3).
    pub(crate) fn update_key(&mut self) -> Result<(), CallerMisused> {
        self.keys = self.keys.next()?;
        self.sequence = 0;
        Ok(())
    }
}
