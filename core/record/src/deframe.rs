//! Finding whole records in a stream of bytes.

use crate::{MAX_PLAINTEXT, MAX_RECORD, PeerMisbehaved, RECORD_HEADER, RECORD_OVERHEAD, RecordError};

/// How much a [`Deframer`] holds, in bytes: four records of full size, so that a fast sender's
/// records leave no piece to be moved, and one read fetches as much as a socket usually has.
pub const RECEIVE_BUFFER: usize = 4 * (MAX_PLAINTEXT + RECORD_OVERHEAD);

/// Collects bytes and gives out whole records, to be opened where they lie.
///
/// Alternate: read into [`Deframer::room`], tell [`Deframer::filled`], then call
/// [`Deframer::next_record`] until it gives `None`. The buffer is made at the first read and can be
/// given back while nothing waits in it.
#[derive(Debug, Default)]
pub struct Deframer {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Deframer {
    /// Without a buffer yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { buffer: Vec::new(), start: 0, end: 0 }
    }

    /// Where to read to. Empty only while whole records wait to be taken.
    pub fn room(&mut self) -> &mut [u8] {
        if self.buffer.is_empty() {
            self.buffer.resize(RECEIVE_BUFFER, 0);
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start > 0 && self.buffer.len() - self.end < MAX_RECORD {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.buffer[self.end..]
    }

    /// Says that the first `count` bytes of [`Deframer::room`] were read.
    pub fn filled(&mut self, count: usize) {
        debug_assert!(count <= self.buffer.len() - self.end, "more than there was room for");
        self.end = (self.end + count).min(self.buffer.len());
    }

    /// Copies from `bytes` what there is room for and returns how much that was.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        let room = self.room();
        let count = room.len().min(bytes.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.filled(count);
        count
    }

    /// The next whole record, header included, or `None` until more bytes come.
    ///
    /// # Errors
    /// [`PeerMisbehaved::NotARecord`] when the bytes cannot be a TLS record's header,
    /// [`PeerMisbehaved::Oversized`]; what follows has no meaning then.
    pub fn next_record(&mut self) -> Result<Option<&mut [u8]>, RecordError> {
        match self.announced()? {
            Some(total) if total <= self.end - self.start => {
                let start = self.start;
                self.start += total;
                Ok(Some(&mut self.buffer[start..start + total]))
            }
            _ => Ok(None),
        }
    }

    /// How many bytes are missing before [`Deframer::next_record`] can give something: 0 when a
    /// record waits, those of the header while it is not complete, then those of the record.
    ///
    /// # Errors
    /// As [`Deframer::next_record`].
    pub fn missing(&self) -> Result<usize, RecordError> {
        let total = self.announced()?.unwrap_or(RECORD_HEADER);
        Ok(total.saturating_sub(self.end - self.start))
    }

    /// Whether no byte waits: the only place where a stream may end.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Gives the buffer back while nothing waits in it, for a stream that has fallen silent.
    pub fn release(&mut self) {
        if self.is_empty() {
            *self = Self::new();
        }
    }

    /// The length of the record that comes next, once its header is there.
    fn announced(&self) -> Result<Option<usize>, RecordError> {
        let Some([kind, major, _, high, low]) =
            self.buffer[self.start..self.end].first_chunk::<RECORD_HEADER>()
        else {
            return Ok(None);
        };
        // change_cipher_spec … application_data, of SSL 3's major version: what every TLS record has
        if !(20..=23).contains(kind) || *major != 3 {
            return Err(PeerMisbehaved::NotARecord.into());
        }
        let total = RECORD_HEADER + usize::from(u16::from_be_bytes([*high, *low]));
        if total > MAX_RECORD {
            return Err(PeerMisbehaved::Oversized.into());
        }
        Ok(Some(total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deframer_says_how_many_bytes_are_missing() {
        let mut deframer = Deframer::new();
        assert_eq!(deframer.missing(), Ok(5));
        deframer.feed(&[23, 3]);
        assert_eq!(deframer.missing(), Ok(3));
        deframer.feed(&[3, 0, 20]);
        assert_eq!(deframer.missing(), Ok(20));
        assert_eq!(deframer.next_record(), Ok(None));
        deframer.feed(&[7; 20]);
        assert_eq!(deframer.missing(), Ok(0));
        assert_eq!(deframer.next_record().unwrap().map(|r| r.len()), Some(25));
        assert!(deframer.is_empty());
    }

    #[test]
    fn a_header_that_no_record_has_is_refused_at_once() {
        for (header, error) in [
            ([0x16 + 8, 3, 3, 0, 20], PeerMisbehaved::NotARecord),
            ([23, 2, 3, 0, 20], PeerMisbehaved::NotARecord),
            (*b"GET /", PeerMisbehaved::NotARecord),
            ([23, 3, 3, 0x41, 0x01], PeerMisbehaved::Oversized),
        ] {
            let mut deframer = Deframer::new();
            deframer.feed(&header);
            assert_eq!(deframer.next_record(), Err(error.into()));
        }
    }

    #[test]
    fn a_silent_stream_can_give_its_buffer_back() {
        let mut deframer = Deframer::new();
        deframer.feed(&[23, 3, 3, 0, 1]);
        deframer.release();
        assert_eq!(deframer.buffer.len(), RECEIVE_BUFFER, "bytes wait, so they are kept");
        deframer.feed(&[9]);
        assert_eq!(deframer.next_record().unwrap(), Some(&mut [23, 3, 3, 0, 1, 9][..]));
        deframer.release();
        assert_eq!(deframer.buffer.capacity(), 0);
    }

    #[test]
    fn there_is_always_room_once_the_records_are_taken() {
        let mut deframer = Deframer::new();
        let mut record = vec![23, 3, 3, 0x41, 0x00];
        record.resize(MAX_RECORD, 1);
        let stream = record.repeat(9);
        let (mut fed, mut seen) = (0, 0);
        while fed < stream.len() {
            let count = deframer.feed(&stream[fed..]);
            assert!(count > 0);
            fed += count;
            while deframer.next_record().unwrap().is_some() {
                seen += 1;
            }
        }
        assert_eq!(seen, 9);
        assert!(deframer.is_empty());
    }
}
