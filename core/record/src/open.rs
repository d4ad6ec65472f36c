//! Opening records.

use crate::content::OUTER_TYPE;
use crate::{ContentType, MAX_PLAINTEXT, MAX_RECORD, PeerMisbehaved, RECORD_HEADER, RECORD_OVERHEAD};
use crate::{RecordError, RecordKeys};
use symbolon_crypto::{Crypto, Secret};

/// Opens the records of one direction, strictly in order.
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
    /// [`RecordError::PeerMisbehaved`]: [`PeerMisbehaved::Forged`], [`PeerMisbehaved::NotARecord`],
    /// [`PeerMisbehaved::Undersized`], [`PeerMisbehaved::Oversized`], [`PeerMisbehaved::NoContent`],
    /// [`PeerMisbehaved::UnexpectedContent`]; or [`RecordError::Exhausted`]. `record` then holds
    /// nothing of use.
    #[inline]
    pub fn open_in_place<'r>(
        &mut self,
        record: &'r mut [u8],
    ) -> Result<(ContentType, &'r mut [u8]), RecordError> {
        let Some((&mut header, body)) = record.split_first_chunk_mut::<RECORD_HEADER>() else {
            return Err(PeerMisbehaved::Undersized.into());
        };
        check_header(header, body.len())?;
        let next = self.sequence.checked_add(1).ok_or(RecordError::Exhausted)?;
        let length =
            self.keys.key().open(self.sequence, &header, body).map_err(|_| PeerMisbehaved::Forged)?;
        self.sequence = next;

        // RFC 8446 §5.2: the content with its type, without the padding, has at most 2^14 + 1 bytes;
        // §5.4 counts the padding in.
        if length > MAX_PLAINTEXT + 1 {
            return Err(PeerMisbehaved::Oversized.into());
        }
        let last = body[..length].iter().rposition(|b| *b != 0).ok_or(PeerMisbehaved::NoContent)?;
        let content =
            ContentType::from_byte(body[last]).ok_or(PeerMisbehaved::UnexpectedContent(body[last]))?;
        Ok((content, &mut body[..last]))
    }

    /// Goes over to the key that the peer uses after its KeyUpdate (RFC 8446 §4.6.3).
    pub(crate) fn update_key(&mut self) {
        self.keys = self.keys.next();
        self.sequence = 0;
    }
}

fn check_header(header: [u8; RECORD_HEADER], body: usize) -> Result<(), PeerMisbehaved> {
    if header[..3] != [OUTER_TYPE, 3, 3] {
        return Err(PeerMisbehaved::NotARecord);
    }
    let announced = usize::from(u16::from_be_bytes([header[3], header[4]]));
    if announced > MAX_RECORD - RECORD_HEADER {
        return Err(PeerMisbehaved::Oversized);
    }
    if announced != body || body < RECORD_OVERHEAD - RECORD_HEADER {
        return Err(PeerMisbehaved::Undersized);
    }
    Ok(())
}
