//! The receiving half of a stream.

use crate::StreamEnd;
use crate::content::alert_description;
use crate::{
    CallerMisused, ContentType, Deframer, KeyUpdateRequest, PeerMisbehaved, RecordError, RecordOpener,
};

/// How many key updates may follow each other without data between: each costs us three hashes and
/// a key schedule, and no honest peer sends a second (rustls draws the same line).
const MAX_KEY_UPDATES_IN_A_ROW: u8 = 32;

/// What the peer sent.
#[derive(Debug, PartialEq, Eq)]
pub enum StreamEvent<'b> {
    /// Bytes of the application, where they were received; may be empty.
    Data(&'b mut [u8]),
    /// The peer uses the next key from here on. Hand the request to [`crate::SendHalf::peer_updated`].
    KeyUpdated(KeyUpdateRequest),
    /// The peer sends no more data; it still receives.
    PeerClosed,
    /// The stream is over in both directions, for a reason.
    Ended(StreamEnd),
}

/// Opens what the peer sends and keeps the rules of closing and of key changes.
#[derive(Debug)]
pub struct ReceiveHalf {
    opener: RecordOpener,
    deframer: Deframer,
    state: Receiving,
    updates_in_a_row: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Receiving {
    Open,
    /// close_notify came; an end may still follow.
    Closed,
    Ended,
    Failed,
}

impl ReceiveHalf {
    pub(crate) const fn opener(&self) -> &RecordOpener {
        &self.opener
    }

    /// Receives with `opener`, which may have opened records before (a stream's opening is one).
    #[must_use]
    pub const fn new(opener: RecordOpener) -> Self {
        Self { opener, deframer: Deframer::new(), state: Receiving::Open, updates_in_a_row: 0 }
    }

    /// The number of the next record under the present key.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.opener.sequence()
    }

    /// Where to read to. Empty only while [`ReceiveHalf::next_event`] has more to give.
    pub fn room(&mut self) -> &mut [u8] {
        self.deframer.room()
    }

    /// Says that the first `count` bytes of [`ReceiveHalf::room`] were read; then call
    /// [`ReceiveHalf::next_event`] until it gives `None`.
    pub fn filled(&mut self, count: usize) {
        self.deframer.filled(count);
    }

    /// Copies from `bytes` what there is room for and returns how much that was.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        self.deframer.feed(bytes)
    }

    /// Gives the receive buffer back while nothing waits in it, for a stream that has fallen silent.
    pub fn release(&mut self) {
        self.deframer.release();
    }

    /// What the next record says, or `None` until more bytes come.
    ///
    /// # Errors
    /// [`RecordError::PeerMisbehaved`], [`RecordError::PeerGaveUp`]: the stream is over, the
    /// connection is to be closed, and later calls give [`CallerMisused::AlreadyFailed`].
    #[inline]
    pub fn next_event(&mut self) -> Result<Option<StreamEvent<'_>>, RecordError> {
        if self.state == Receiving::Failed {
            return Err(CallerMisused::AlreadyFailed.into());
        }
        let event = read_event(&mut self.opener, &mut self.deframer, self.state);
        match &event {
            Ok(None) => {}
            Ok(Some(StreamEvent::Data(_))) => self.updates_in_a_row = 0,
            Ok(Some(StreamEvent::KeyUpdated(_))) => {
                self.updates_in_a_row += 1;
                if self.updates_in_a_row > MAX_KEY_UPDATES_IN_A_ROW {
                    self.state = Receiving::Failed;
                    return Err(PeerMisbehaved::TooManyKeyUpdates.into());
                }
            }
            Ok(Some(StreamEvent::PeerClosed)) => self.state = Receiving::Closed,
            Ok(Some(StreamEvent::Ended(_))) => self.state = Receiving::Ended,
            Err(_) => self.state = Receiving::Failed,
        }
        event
    }

    /// Says that the connection gave its last byte, after all events were taken.
    ///
    /// # Errors
    /// [`RecordError::Truncated`] unless the peer had closed or ended the stream.
    pub fn end_of_input(&self) -> Result<(), RecordError> {
        match self.state {
            Receiving::Closed | Receiving::Ended if self.deframer.is_empty() => Ok(()),
            Receiving::Failed => Err(CallerMisused::AlreadyFailed.into()),
            _ => Err(RecordError::Truncated),
        }
    }

    /// Whether the peer may still send data.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == Receiving::Open
    }
}

#[inline]
fn read_event<'b>(
    opener: &mut RecordOpener,
    deframer: &'b mut Deframer,
    state: Receiving,
) -> Result<Option<StreamEvent<'b>>, RecordError> {
    let Some(record) = deframer.next_record()? else { return Ok(None) };
    let (content, payload) = opener.open_in_place(record)?;
    match (state, content) {
        (Receiving::Open, ContentType::ApplicationData) => Ok(Some(StreamEvent::Data(payload))),
        (Receiving::Open, ContentType::Handshake) => {
            let request = KeyUpdateRequest::from_message(payload)?;
            opener.update_key()?;
            Ok(Some(StreamEvent::KeyUpdated(request)))
        }
        (Receiving::Open | Receiving::Closed, ContentType::StreamEnd) => {
            Ok(Some(StreamEvent::Ended(StreamEnd::from_content(payload)?)))
        }
        (Receiving::Open | Receiving::Closed, ContentType::Alert) => {
            match (alert_description(payload)?, state) {
                (0, Receiving::Open) => Ok(Some(StreamEvent::PeerClosed)),
                (0, _) => Err(PeerMisbehaved::AfterClose.into()),
                (description, _) => Err(RecordError::PeerGaveUp(description)),
            }
        }
        _ => Err(PeerMisbehaved::AfterClose.into()),
    }
}
