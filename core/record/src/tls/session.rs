//! A connection that is carried on.

use super::conduct::{Conduct, Phase};
use super::state::{TLS_STATE, TlsState, write_state};
use super::suite::{TlsRole, TlsSuite};
use super::{Ahead, Outgoing, TlsEvent};
use crate::{
    CallerMisused, ContentType, MAX_END_REASON, MAX_PLAINTEXT, RECORD_HEADER, RecordError, RecordKeys,
    TLS_OVERHEAD,
};
use symbolon_crypto::Crypto;

/// Both directions of a live connection, after its handshake or opening.
///
/// ```
/// # use symbolon_record::*;
/// # use symbolon_crypto::Secret;
/// # let crypto = symbolon_provider::crypto();
/// # let sealer = |n| RecordSealer::new(crypto, Secret::new([n; 32]));
/// # let opener = |n| RecordOpener::new(crypto, Secret::new([n; 32]));
/// # let at_gateway = TlsState::after_opening(TlsRole::Server, &sealer(1), &opener(2));
/// # let at_client = TlsState::after_opening(TlsRole::Client, &sealer(2), &opener(1));
/// # let mut client = TlsSession::resume(crypto, &at_client);
/// let mut gateway = TlsSession::resume(crypto, &at_gateway);
/// gateway.pin(Outgoing::Data, 5)?;
/// let remembered = gateway.state().to_bytes(); // a ledger keeps it before the first byte leaves
///
/// // The gateway dies here, or a little later. Its successor makes the same record again.
/// let mut successor = TlsSession::resume(crypto, &TlsState::from_bytes(remembered.expose())?);
/// let mut record = vec![0; successor.sealed_length()];
/// successor.seal(b"hello", &mut record)?; // a socket would write it
/// successor.sent()?;
///
/// let mut out = vec![0; record.len()];
/// let mut ahead = client.ahead();
/// assert_eq!(client.open_from(&mut ahead, &record, &mut out)?, TlsEvent::Data(b"hello"));
/// client.received(ahead)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TlsSession {
    conduct: Conduct,
    send_keys: RecordKeys,
    receive_keys: RecordKeys,
}

impl TlsSession {
    /// Carries on from what was remembered, or handed over after the handshake.
    #[must_use]
    pub fn resume(crypto: Crypto, state: &TlsState) -> Self {
        let (conduct, sending, receiving) = state.parts();
        Self {
            conduct: *conduct,
            send_keys: sending.keys(crypto, conduct.suite),
            receive_keys: receiving.keys(crypto, conduct.suite),
        }
    }

    /// The cipher suite.
    #[must_use]
    pub const fn suite(&self) -> TlsSuite {
        self.conduct.suite
    }

    /// Which side we are.
    #[must_use]
    pub const fn role(&self) -> TlsRole {
        self.conduct.role
    }

    /// Everything that a successor needs.
    #[must_use]
    pub fn state(&self) -> TlsState {
        TlsState::of(self.conduct, &self.send_keys, &self.receive_keys)
    }

    /// Writes [`TlsSession::state`] as [`TlsState::to_bytes`] does, without a copy that would have to be
    /// wiped.
    pub fn write_state(&self, out: &mut [u8; TLS_STATE]) {
        write_state(&self.conduct, &self.send_keys, &self.receive_keys, out);
    }

    // Sending

    /// Whether data may still be sent.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        self.conduct.send.phase == Phase::Open
    }

    /// What must be sent before the next data. The answer to KeyUpdates is owed once, however many of
    /// them came. TLS 1.2 owes a close when its key is nearly used up.
    #[must_use]
    pub fn owed(&self) -> Option<Outgoing> {
        self.conduct.owed()
    }

    /// Decides that `what` is sent next, with so many bytes of payload: data has 1 to
    /// [`MAX_PINNED`](super::MAX_PINNED), an end those of its reason, all else none. Remember the state
    /// before the first byte of it leaves.
    ///
    /// # Errors
    /// [`CallerMisused::PinnedBefore`], [`CallerMisused::AlreadyClosed`],
    /// [`CallerMisused::OwesAnother`], [`CallerMisused::NotInThisVersion`],
    /// [`CallerMisused::PayloadLength`]; [`RecordError::Exhausted`] for a state that no connection
    /// reaches.
    pub fn pin(&mut self, what: Outgoing, payload: usize) -> Result<(), RecordError> {
        self.conduct.pin(what, payload)
    }

    /// What is pinned, and how many bytes of payload it has.
    #[must_use]
    pub fn pinned(&self) -> Option<(Outgoing, usize)> {
        self.conduct.send.pinned.map(|p| (p.what, p.length as usize))
    }

    /// How many bytes [`TlsSession::seal`] makes: 0 when nothing is pinned.
    #[must_use]
    pub fn sealed_length(&self) -> usize {
        let Some(pinned) = self.conduct.send.pinned else { return 0 };
        let overhead = self.send_keys.head() + self.send_keys.tail();
        let content = match pinned.what {
            Outgoing::Data => pinned.length as usize,
            Outgoing::End(_) => 1 + pinned.length as usize,
            Outgoing::KeyUpdate(request) => request.message().len(),
            Outgoing::Alert(alert) => alert.content().len(),
        };
        content + pinned.records() as usize * overhead
    }

    /// Makes the records of what is pinned at the beginning of `out` and returns their length,
    /// [`TlsSession::sealed_length`]. The same state and payload give the same bytes, as often as one
    /// likes; another payload under the same state must never be sent.
    ///
    /// # Errors
    /// [`CallerMisused::NothingPinned`]; [`CallerMisused::NotAsPinned`] when the payload has another
    /// length than was pinned; [`CallerMisused::NoRoom`].
    pub fn seal(&self, payload: &[u8], out: &mut [u8]) -> Result<usize, RecordError> {
        let (what, length) = self.pinned().ok_or(CallerMisused::NothingPinned)?;
        if payload.len() != length {
            return Err(CallerMisused::NotAsPinned.into());
        }
        let (keys, sequence) = (&self.send_keys, self.conduct.send.sequence);
        Ok(match what {
            Outgoing::Data => {
                let mut end = 0;
                for (number, part) in (sequence..).zip(payload.chunks(MAX_PLAINTEXT)) {
                    end += keys.seal_from(number, ContentType::ApplicationData, part, &mut out[end..])?;
                }
                end
            }
            Outgoing::KeyUpdate(request) => {
                keys.seal_from(sequence, ContentType::Handshake, &request.message(), out)?
            }
            Outgoing::Alert(alert) => keys.seal_from(sequence, ContentType::Alert, &alert.content(), out)?,
            Outgoing::End(code) => {
                let mut content = [code; 1 + MAX_END_REASON];
                content[1..=length].copy_from_slice(payload);
                keys.seal_from(sequence, ContentType::StreamEnd, &content[..=length], out)?
            }
        })
    }

    /// Says that the last byte of what was pinned is on its way; then remember the state.
    ///
    /// # Errors
    /// [`CallerMisused::NothingPinned`].
    pub fn sent(&mut self) -> Result<(), RecordError> {
        if self.conduct.sent()? {
            self.send_keys = self.send_keys.next()?;
        }
        Ok(())
    }

    /// Pins, seals and sends in one go, for a connection that nobody will carry on: appends the records
    /// to `out`.
    ///
    /// # Errors
    /// As [`TlsSession::pin`].
    pub fn send(&mut self, what: Outgoing, payload: &[u8], out: &mut Vec<u8>) -> Result<(), RecordError> {
        self.pin(what, payload.len())?;
        let start = out.len();
        out.resize(start + self.sealed_length(), 0);
        self.seal(payload, &mut out[start..])?;
        self.sent()
    }

    // Receiving

    /// How long the record is that begins with `front`, header included, or none until the header is
    /// there. At most [`MAX_RECORD`](crate::MAX_RECORD).
    ///
    /// # Errors
    /// [`PeerMisbehaved::NotARecord`](crate::PeerMisbehaved::NotARecord),
    /// [`PeerMisbehaved::Oversized`](crate::PeerMisbehaved::Oversized),
    /// [`PeerMisbehaved::Undersized`](crate::PeerMisbehaved::Undersized).
    pub fn record_length(&self, front: &[u8]) -> Result<Option<usize>, RecordError> {
        let Some(header) = front.first_chunk::<RECORD_HEADER>() else { return Ok(None) };
        Ok(Some(self.receive_keys.form().announced(*header)?))
    }

    /// Begins where the last record was received.
    pub const fn ahead(&self) -> Ahead {
        Ahead::new(self.conduct.receive)
    }

    /// Opens the next whole record to the beginning of `out`, which is as long as the record or longer.
    /// Nothing is changed but `ahead`; the same record opens again as long as `ahead` is not received.
    ///
    /// # Errors
    /// [`RecordError::PeerMisbehaved`], [`RecordError::PeerGaveUp`]: hand it to [`TlsSession::fail`].
    /// [`CallerMisused::ReceiveFirst`] after a change of keys; [`CallerMisused::NoRoom`];
    /// [`CallerMisused::AlreadyFailed`].
    #[inline]
    pub fn open_from<'o>(
        &self,
        ahead: &mut Ahead,
        record: &[u8],
        out: &'o mut [u8],
    ) -> Result<TlsEvent<'o>, RecordError> {
        if !ahead.may_go_on() {
            return Err(CallerMisused::ReceiveFirst.into());
        }
        if !ahead.conduct.is_open(self.conduct.suite)? {
            return Ok(TlsEvent::Nothing);
        }
        let (content, payload) = self.receive_keys.open_from(ahead.conduct.sequence, record, out)?;
        ahead.take(&self.conduct, content, payload)
    }

    /// Says that what was opened has been delivered; then remember the state.
    ///
    /// # Errors
    /// None on a session that has come to `ahead` by itself.
    pub fn received(&mut self, ahead: Ahead) -> Result<(), RecordError> {
        self.conduct.receive = ahead.conduct;
        self.conduct.send.owes_refusal |= ahead.renegotiation;
        if let Some(request) = ahead.key_update() {
            self.receive_keys = self.receive_keys.next()?;
            self.conduct.receive.sequence = 0;
            self.conduct.send.owes_key_update |= request == crate::KeyUpdateRequest::Requested;
        }
        Ok(())
    }

    /// Ends receiving after `error` and returns what the peer is to be told, if anything, to be pinned
    /// and sent before the connection is closed. What was pinned before must be sent first.
    pub fn fail(&mut self, error: &RecordError) -> Option<Outgoing> {
        self.conduct.receive.phase = Phase::Failed;
        if let RecordError::PeerGaveUp(_) = error {
            self.conduct.send.phase = Phase::Failed;
        }
        error.alert().filter(|_| self.is_sending()).map(Outgoing::Alert)
    }

    /// Whether the peer may still send.
    #[must_use]
    pub fn is_receiving(&self) -> bool {
        self.conduct.receive.phase == Phase::Open
    }

    /// Says that the connection gave its last byte, after all whole records were received.
    ///
    /// # Errors
    /// [`RecordError::Truncated`] unless the peer had closed (RFC 8446 §6.1).
    pub fn end_of_input(&self) -> Result<(), RecordError> {
        match self.conduct.receive.phase {
            Phase::Closed | Phase::Ended => Ok(()),
            Phase::Open => Err(RecordError::Truncated),
            Phase::Failed => Err(CallerMisused::AlreadyFailed.into()),
        }
    }
}

const _: () = assert!(TLS_OVERHEAD == RECORD_HEADER + 8 + symbolon_crypto::TAG);
