//! What the ledger asks of a record layer, TLS 1.2, TLS 1.3 or our own records alike.

use symbolon_crypto::SecretBytes;

/// What the record in hand towards the client is. Its bytes must follow from this, the keys, the
/// number and, for data, the content of the application's ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// So many bytes from the tail of the application's ring, at least one.
    Data(u32),
    /// The sending keys change after it.
    KeyUpdate,
    /// The orderly end of what goes to the client.
    CloseNotify,
    /// An end with a reason, the last record (a TLS alert's description, or our own code, see
    /// [`STREAM_END`](super::STREAM_END)).
    Alert(u16),
    /// An alert that changes nothing.
    Warning(u16),
}

/// What a record from the client was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Content for the application, which stands in the buffer.
    Data,
    /// The client's keys change after it.
    KeyUpdate,
    /// The orderly end of what comes from the client.
    CloseNotify,
    /// The client ends the connection with this alert.
    Alert(u16),
    /// Something without content or effect.
    Nothing,
}

/// A record of the client is not as it must be, or one of ours cannot be made: what to tell the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record fault, to be told as alert {0}")]
pub struct Fault(pub u16);

/// Whether keys changed with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// They are the same.
    Same,
    /// The next one goes on under others.
    Changed,
}

/// The numbers of the next record each way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// To the client.
    pub sending: u64,
    /// From the client.
    pub receiving: u64,
}

/// Bytes of a [`Protection::conduct`] beside the numbers.
pub const CONDUCT: usize = 32;

/// A record layer that can be made again from what it remembers: keys, numbers, and its conduct.
///
/// Everything is a **function of that memory and the arguments**: sealing the same again gives the same
/// bytes. This is what makes carrying on possible without using a nonce for two contents. Each way goes
/// by two halves, between which the ledger lies:
/// ```text
///   pin(intent) ── commit ── seal(data), write ── sent()
///   open(record), deliver ── received() ── commit
/// ```
pub trait Protection {
    /// The most bytes of content that one intent may have, in as many records as that takes.
    fn longest_data(&self) -> usize;

    /// What must be sent before more data; no data.
    fn due(&self) -> Option<Intent>;

    /// Decides what is sent next. Its conduct says so from now on.
    ///
    /// # Errors
    /// [`Fault`] when it may not be sent any more.
    fn pin(&mut self, intent: Intent) -> Result<(), Fault>;

    /// How many bytes [`Protection::seal`] makes of what is pinned.
    fn sealed_length(&self) -> usize;

    /// Puts the records of what is pinned in the place of what `record` holds, so that its room is used again without
    /// being cleared; `data` is empty but for [`Intent::Data`].
    ///
    /// # Errors
    /// [`Fault`] when nothing is pinned, or the keys may not be used for it.
    fn seal(&mut self, data: &[u8], record: &mut Vec<u8>) -> Result<(), Fault>;

    /// What was pinned is sent whole.
    ///
    /// # Errors
    /// [`Fault`] when nothing was pinned.
    fn sent(&mut self) -> Result<Keys, Fault>;

    /// How long the record is that begins with `bytes`; none while too little of it is there. At most
    /// half the client's ring.
    ///
    /// # Errors
    /// [`Fault`] when no record begins so.
    fn record_length(&self, bytes: &[u8]) -> Result<Option<usize>, Fault>;

    /// Opens the next whole record and puts its content in the place of what `content` holds. `record` stays as it
    /// is, and opens again as long as it is not received.
    ///
    /// # Errors
    /// [`Fault`] when it does not open or may not come now.
    fn open(&mut self, record: &[u8], content: &mut Vec<u8>) -> Result<Received, Fault>;

    /// What was opened is with the application.
    ///
    /// # Errors
    /// [`Fault`] when nothing was opened.
    fn received(&mut self) -> Result<Keys, Fault>;

    /// The numbers of the next records, and what else it remembers beside keys: what is pinned and owed,
    /// what it counts. No secret; it stands in each entry, so it is asked for each commit.
    fn conduct(&self) -> (Numbers, [u8; CONDUCT]);

    /// The keys of both directions, at most [`MAX_KEYS`](super::MAX_KEYS) bytes. They are sealed into the
    /// ledger when they change.
    fn keys(&self) -> SecretBytes;
}
