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
    /// An end with a reason, the last record (a TLS alert's description, or our own code).
    Alert(u16),
}

/// What a record from the client was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Content for the application, which stands in the buffer.
    Data,
    /// The client's keys change after it; with `reply`, it wants ours changed too.
    KeyUpdate {
        /// Whether the client asks for a key update of ours.
        reply: bool,
    },
    /// The orderly end of what comes from the client.
    CloseNotify,
    /// The client ends the connection with this alert.
    Alert(u16),
    /// Something without content or effect.
    Nothing,
}

/// What must be sent before more data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// A key update: the keys have protected as many records as they may soon.
    KeyUpdate,
    /// The end, with this alert: the keys are used up and cannot be changed.
    End(u16),
}

/// A record of the client is not as it must be, or one of ours cannot be made: what to tell the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record fault, to be told as alert {0}")]
pub struct Fault(pub u16);

/// A record layer with explicit numbers, which the ledger counts.
///
/// Everything is a **function of the arguments and the keys**: sealing the same again gives the same
/// bytes. This is what makes carrying on possible without using a nonce for two contents.
pub trait Protection {
    /// The most bytes of content in one record to the client.
    fn longest_data(&self) -> usize;

    /// How many bytes the record of `intent` has.
    fn sealed_length(&self, intent: Intent) -> usize;

    /// Appends the record of `intent` with this number to `record`; `data` is empty but for
    /// [`Intent::Data`].
    ///
    /// # Errors
    /// [`Fault`] when the keys may not be used for it.
    fn seal(&mut self, number: u64, intent: Intent, data: &[u8], record: &mut Vec<u8>) -> Result<(), Fault>;

    /// What must be sent before data under this number.
    fn due(&self, number: u64) -> Due;

    /// How long the record is that begins with `bytes`; none while too little of it is there. At most
    /// half the client's ring.
    ///
    /// # Errors
    /// [`Fault`] when no record begins so.
    fn record_length(&self, bytes: &[u8]) -> Result<Option<usize>, Fault>;

    /// Opens the whole record with this number and appends its content to `content`. `record` stays as
    /// it is.
    ///
    /// # Errors
    /// [`Fault`] when it does not open or may not come now.
    fn open(&mut self, number: u64, record: &[u8], content: &mut Vec<u8>) -> Result<Received, Fault>;

    /// Goes on to the next keys for sending; numbers begin again at 0.
    fn next_sending_keys(&mut self);

    /// Goes on to the next keys for receiving; numbers begin again at 0.
    fn next_receiving_keys(&mut self);

    /// All that is needed to make this record layer again, without the numbers; at most
    /// [`MAX_KEYS`](super::MAX_KEYS) bytes.
    fn keys(&self) -> SecretBytes;
}
