//! A stream: both halves, and the answers that one owes to the other.

use crate::{
    KeyUpdateRequest, ReceiveHalf, RecordError, RecordOpener, RecordSealer, SendHalf, StreamEnd, StreamEvent,
};
use crate::{TlsRole, TlsState};

/// Both directions of a stream. [`StreamRecords::split`] it when each has a task of its own.
///
/// ```
/// # use symbolon_record::*;
/// # use symbolon_crypto::Secret;
/// # let crypto = symbolon_provider::crypto();
/// # let (up, down) = ([1; 32], [2; 32]);
/// let mut client = StreamRecords::new(
///     RecordSealer::new(crypto, Secret::new(up)),
///     RecordOpener::new(crypto, Secret::new(down)),
/// );
/// let mut gateway = StreamRecords::new(
///     RecordSealer::new(crypto, Secret::new(down)),
///     RecordOpener::new(crypto, Secret::new(up)),
/// );
/// let mut buffer = vec![0; DATA_ROOM + 5 + DATA_TAIL];
/// buffer[DATA_ROOM..][..5].copy_from_slice(b"hello");
/// let record = client.seal_data(&mut buffer, 5)?;
///
/// let room = gateway.room();
/// room[..record.len()].copy_from_slice(record); // a socket would read here
/// gateway.filled(record.len());
/// assert_eq!(gateway.next_event()?, Some(StreamEvent::Data(&mut b"hello".to_owned())));
/// # Ok::<(), RecordError>(())
/// ```
#[derive(Debug)]
pub struct StreamRecords {
    send: SendHalf,
    receive: ReceiveHalf,
}

impl StreamRecords {
    /// A stream that goes on after what `sealer` and `opener` have seen.
    #[must_use]
    pub const fn new(sealer: RecordSealer, opener: RecordOpener) -> Self {
        Self { send: SendHalf::new(sealer), receive: ReceiveHalf::new(opener) }
    }

    /// Puts the halves together again.
    #[must_use]
    pub const fn from_halves(send: SendHalf, receive: ReceiveHalf) -> Self {
        Self { send, receive }
    }

    /// The halves. Whoever receives then hands each [`StreamEvent::KeyUpdated`] to
    /// [`SendHalf::peer_updated`].
    #[must_use]
    pub fn split(self) -> (SendHalf, ReceiveHalf) {
        (self.send, self.receive)
    }

    /// The state of a stream whose opening is done and whose content has not begun, so that it is carried on as a
    /// TLS connection is.
    #[must_use]
    pub fn into_state(self, role: TlsRole) -> TlsState {
        TlsState::after_opening(role, self.send.sealer(), self.receive.opener())
    }

    /// Seals data in place: [`SendHalf::seal_data`].
    ///
    /// # Errors
    /// As [`SendHalf::seal_data`].
    #[inline]
    pub fn seal_data<'b>(&mut self, buffer: &'b mut [u8], payload: usize) -> Result<&'b [u8], RecordError> {
        self.send.seal_data(buffer, payload)
    }

    /// Ends our direction: [`SendHalf::close`].
    ///
    /// # Errors
    /// As [`SendHalf::close`].
    pub fn close(&mut self) -> Result<Vec<u8>, RecordError> {
        self.send.close()
    }

    /// Ends both directions with a reason: [`SendHalf::end`].
    ///
    /// # Errors
    /// As [`SendHalf::end`].
    pub fn end(&mut self, end: &StreamEnd) -> Result<Vec<u8>, RecordError> {
        self.send.end(end)
    }

    /// Tells the peer of its fault: [`SendHalf::fail`].
    pub fn fail(&mut self, error: &RecordError) -> Option<Vec<u8>> {
        self.send.fail(error)
    }

    /// Goes over to the next key: [`SendHalf::update_key`].
    ///
    /// # Errors
    /// As [`SendHalf::update_key`].
    pub fn update_key(&mut self, request: KeyUpdateRequest) -> Result<Vec<u8>, RecordError> {
        self.send.update_key(request)
    }

    /// Where to read to: [`ReceiveHalf::room`].
    pub fn room(&mut self) -> &mut [u8] {
        self.receive.room()
    }

    /// How much was read: [`ReceiveHalf::filled`].
    pub fn filled(&mut self, count: usize) {
        self.receive.filled(count);
    }

    /// Copies bytes in: [`ReceiveHalf::feed`].
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        self.receive.feed(bytes)
    }

    /// What the peer said next: [`ReceiveHalf::next_event`]. A key update that it asks for is
    /// noted and goes out before our next data.
    ///
    /// # Errors
    /// As [`ReceiveHalf::next_event`].
    #[inline]
    pub fn next_event(&mut self) -> Result<Option<StreamEvent<'_>>, RecordError> {
        let event = self.receive.next_event();
        if let Ok(Some(StreamEvent::KeyUpdated(request))) = &event {
            self.send.peer_updated(*request);
        }
        event
    }

    /// The connection gave its last byte: [`ReceiveHalf::end_of_input`].
    ///
    /// # Errors
    /// As [`ReceiveHalf::end_of_input`].
    pub fn end_of_input(&self) -> Result<(), RecordError> {
        self.receive.end_of_input()
    }
}
