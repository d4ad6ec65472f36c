//! The sending half of a stream.

use crate::{
    Alert, CallerMisused, ContentType, KeyUpdateRequest, RECORD_HEADER, RECORD_OVERHEAD, RecordError,
};
use crate::{RecordSealer, StreamEnd};

/// A KeyUpdate as a record: 27 bytes.
const KEY_UPDATE_RECORD: usize = RECORD_OVERHEAD + 5;

/// Room to leave before the payload of [`SendHalf::seal_data`]: a KeyUpdate, when one is due, and
/// the header of the data's own record. 32 bytes, so the payload is aligned as the buffer is.
pub const DATA_ROOM: usize = KEY_UPDATE_RECORD + RECORD_HEADER;

/// Room to leave after the payload of [`SendHalf::seal_data`]: content type and tag.
pub const DATA_TAIL: usize = RECORD_OVERHEAD - RECORD_HEADER;

/// After how many records of its own a half goes over to the next key: half of what the key may
/// seal ([`crate::RECORDS_PER_KEY`]), 128 GiB of full records, so that no delay reaches the limit.
pub const KEY_UPDATE_AFTER: u64 = 1 << 23;

/// Seals what this side sends and keeps the rules of closing and of key changes.
#[derive(Debug)]
pub struct SendHalf {
    sealer: RecordSealer,
    state: Sending,
    answer_due: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Open,
    /// close_notify was sent; an end may still follow.
    Closed,
    Ended,
}

impl SendHalf {
    pub(crate) const fn sealer(&self) -> &RecordSealer {
        &self.sealer
    }

    /// Sends with `sealer`, which may have sealed records before (a stream's opening is one).
    #[must_use]
    pub const fn new(sealer: RecordSealer) -> Self {
        Self { sealer, state: Sending::Open, answer_due: false }
    }

    /// The number of the next record under the present key.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sealer.sequence()
    }

    /// Whether data may still be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == Sending::Open
    }

    /// Seals the `payload` bytes at `buffer[DATA_ROOM..]` and returns what is to be written: one
    /// record, with a KeyUpdate before it when one is due. The buffer goes on for [`DATA_TAIL`]
    /// bytes after the payload, which has at most [`crate::MAX_PLAINTEXT`].
    ///
    /// # Errors
    /// [`CallerMisused::AlreadyClosed`], [`CallerMisused::NoRoom`], [`CallerMisused::PayloadTooLong`].
    #[inline]
    pub fn seal_data<'b>(&mut self, buffer: &'b mut [u8], payload: usize) -> Result<&'b [u8], RecordError> {
        if self.state != Sending::Open {
            return Err(CallerMisused::AlreadyClosed.into());
        }
        if buffer.len() < DATA_ROOM + payload + DATA_TAIL {
            return Err(CallerMisused::NoRoom.into());
        }
        let (before, record) = buffer.split_at_mut(KEY_UPDATE_RECORD);
        let mut start = KEY_UPDATE_RECORD;
        if self.key_update_is_due() {
            self.update(before, KeyUpdateRequest::NotRequested)?;
            start = 0;
        }
        let length = self.sealer.seal_in_place(record, payload, ContentType::ApplicationData)?.len();
        Ok(&buffer[start..KEY_UPDATE_RECORD + length])
    }

    /// Ends this direction (RFC 8446 §6.1); the other goes on. Returns the record.
    ///
    /// # Errors
    /// [`CallerMisused::AlreadyClosed`].
    pub fn close(&mut self) -> Result<Vec<u8>, RecordError> {
        if self.state != Sending::Open {
            return Err(CallerMisused::AlreadyClosed.into());
        }
        let out = self.control(ContentType::Alert, &Alert::CloseNotify.content())?;
        self.state = Sending::Closed;
        Ok(out)
    }

    /// Ends the stream in both directions and says why; allowed after [`SendHalf::close`], once.
    /// Returns the record.
    ///
    /// # Errors
    /// [`CallerMisused::AlreadyClosed`] when it had ended already.
    pub fn end(&mut self, end: &StreamEnd) -> Result<Vec<u8>, RecordError> {
        if self.state == Sending::Ended {
            return Err(CallerMisused::AlreadyClosed.into());
        }
        let out = self.control(ContentType::StreamEnd, &end.to_content())?;
        self.state = Sending::Ended;
        Ok(out)
    }

    /// Tells the peer by a fatal alert that it broke the protocol, where it should be told. Returns
    /// the record, after which the connection is to be closed.
    pub fn fail(&mut self, error: &RecordError) -> Option<Vec<u8>> {
        let alert = error.alert().filter(|_| self.state != Sending::Ended)?;
        self.state = Sending::Ended;
        self.control(ContentType::Alert, &alert.content()).ok()
    }

    /// Goes over to the next key now, without waiting for [`KEY_UPDATE_AFTER`], and asks the peer
    /// to do the same or not. Returns the record.
    ///
    /// # Errors
    /// [`CallerMisused::AlreadyClosed`].
    pub fn update_key(&mut self, request: KeyUpdateRequest) -> Result<Vec<u8>, RecordError> {
        if self.state != Sending::Open {
            return Err(CallerMisused::AlreadyClosed.into());
        }
        let mut out = vec![0; KEY_UPDATE_RECORD];
        self.update(&mut out, request)?;
        Ok(out)
    }

    /// Notes the peer's KeyUpdate. When it asks for one of ours, that goes before the next data, as
    /// RFC 8446 §4.6.3 allows, and once however often it was asked for.
    pub fn peer_updated(&mut self, request: KeyUpdateRequest) {
        self.answer_due |= request == KeyUpdateRequest::Requested;
    }

    #[inline]
    fn key_update_is_due(&self) -> bool {
        self.answer_due || self.sealer.sequence() >= KEY_UPDATE_AFTER
    }

    fn update(&mut self, room: &mut [u8], request: KeyUpdateRequest) -> Result<(), RecordError> {
        self.sealer.update_key(request, room)?;
        self.answer_due = false;
        Ok(())
    }

    fn control(&mut self, content: ContentType, payload: &[u8]) -> Result<Vec<u8>, RecordError> {
        let mut out = Vec::with_capacity(payload.len() + RECORD_OVERHEAD);
        self.sealer.seal_into(content, payload, &mut out)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RECORDS_PER_KEY, RecordKeys, RecordOpener};
    use symbolon_crypto::Secret;
    use symbolon_provider::crypto;

    fn keys() -> RecordKeys {
        RecordKeys::from_traffic_secret(crypto(), Secret::new([5; 32]))
    }

    #[test]
    fn a_half_changes_its_key_long_before_the_key_is_used_up() {
        const { assert!(KEY_UPDATE_AFTER <= RECORDS_PER_KEY / 2) };
        let mut half = SendHalf::new(RecordSealer::at_sequence(keys(), KEY_UPDATE_AFTER - 1));
        let mut opener = RecordOpener::at_sequence(keys(), KEY_UPDATE_AFTER - 1);

        let mut buffer = [7; DATA_ROOM + 3 + DATA_TAIL];
        let mut last = half.seal_data(&mut buffer, 3).unwrap().to_vec();
        assert_eq!(opener.open_in_place(&mut last), Ok((ContentType::ApplicationData, &mut [7, 7, 7][..])));

        let mut buffer = [8; DATA_ROOM + 3 + DATA_TAIL];
        let mut both = half.seal_data(&mut buffer, 3).unwrap().to_vec();
        let (update, data) = both.split_at_mut(KEY_UPDATE_RECORD);
        assert_eq!(opener.open_in_place(update).unwrap().0, ContentType::Handshake);
        opener.update_key().unwrap();
        assert_eq!(opener.open_in_place(data), Ok((ContentType::ApplicationData, &mut [8, 8, 8][..])));
        assert_eq!(half.sequence(), 1);
    }

    #[test]
    fn a_used_up_key_seals_nothing_more() {
        let mut sealer = RecordSealer::at_sequence(keys(), RECORDS_PER_KEY);
        let mut out = vec![1];
        assert_eq!(
            sealer.seal_into(ContentType::ApplicationData, b"x", &mut out),
            Err(RecordError::Exhausted)
        );
        assert_eq!(out, [1]);
    }

    #[test]
    fn a_buffer_without_room_is_refused_before_anything_is_used() {
        let mut half = SendHalf::new(RecordSealer::at_sequence(keys(), 0));
        let mut short = [0; DATA_ROOM + 3 + DATA_TAIL - 1];
        assert_eq!(half.seal_data(&mut short, 3), Err(CallerMisused::NoRoom.into()));
        assert_eq!(half.seal_data(&mut [], 0), Err(CallerMisused::NoRoom.into()));
        let mut long = vec![0; DATA_ROOM + crate::MAX_PLAINTEXT + 1 + DATA_TAIL];
        assert_eq!(
            half.seal_data(&mut long, crate::MAX_PLAINTEXT + 1),
            Err(CallerMisused::PayloadTooLong.into())
        );
        assert_eq!(half.sequence(), 0);
    }
}
