//! Our side of a live connection, carried on.

use crate::handshake::{HandshakeOver, Setup, read_record, shake_hands};
use anyhow::{Result, ensure};
use std::io::{Read, Write};
use symbolon_provider::crypto;
use symbolon_record::{Outgoing, RecordError, TLS_STATE, TlsEvent, TlsSession, TlsState};

/// What came from the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Bytes of its application.
    Data(Vec<u8>),
    /// It uses the next key.
    KeyUpdated,
    /// It sends no more.
    Closed,
    /// Nothing for an application.
    Nothing,
    /// The connection gave its last byte.
    EndOfInput,
    /// It broke the protocol, or says that we did.
    Fault(RecordError),
}

/// A session and its wire. Before each step it is replaced by a successor that knows nothing but the
/// bytes of its state.
#[derive(Debug)]
pub struct Carried<W> {
    /// The peer's end.
    pub wire: W,
    session: TlsSession,
}

impl<W: Read + Write> Carried<W> {
    /// Lets rustls shake hands over `wire`, and carries on.
    ///
    /// # Errors
    /// When the handshake fails.
    pub fn after_handshake(setup: &Setup, mut wire: W) -> Result<Self> {
        let HandshakeOver { state, .. } = shake_hands(setup, &mut wire)?;
        Ok(Self::resume(&state, wire))
    }

    /// Carries on from `state`.
    pub fn resume(state: &TlsState, wire: W) -> Self {
        Self { wire, session: TlsSession::resume(crypto(), state) }
    }

    /// The session, to look at.
    pub fn session(&self) -> &TlsSession {
        &self.session
    }

    /// Sends what is owed, and then `what`.
    ///
    /// # Errors
    /// When the session or the wire refuses.
    pub fn send(&mut self, what: Outgoing, payload: &[u8]) -> Result<()> {
        while let Some(owed) = self.session.owed() {
            self.send_now(owed, b"")?;
        }
        self.send_now(what, payload)
    }

    fn send_now(&mut self, what: Outgoing, payload: &[u8]) -> Result<()> {
        self.succeed()?;
        self.session.pin(what, payload.len())?;
        let mut records = vec![0; self.session.sealed_length()];
        self.session.seal(payload, &mut records)?;
        self.succeed()?;
        let mut again = vec![0; self.session.sealed_length()];
        self.session.seal(payload, &mut again)?;
        ensure!(records == again, "a successor makes other bytes");
        self.session.sent()?;
        self.wire.write_all(&records)?;
        self.wire.flush()?;
        Ok(())
    }

    /// Waits for the next record.
    ///
    /// # Errors
    /// When the wire fails.
    pub fn hear(&mut self) -> Result<Heard> {
        self.succeed()?;
        let Some(record) = read_record(&mut self.wire)? else { return Ok(Heard::EndOfInput) };
        Ok(self.open(&record).unwrap_or_else(|fault| {
            if let Some(alert) = self.session.fail(&fault) {
                // The peer may be gone already.
                let _ = self.send_now(alert, b"");
            }
            Heard::Fault(fault)
        }))
    }

    fn open(&mut self, record: &[u8]) -> Result<Heard, RecordError> {
        self.session.record_length(record)?;
        let mut out = vec![0; record.len()];
        let mut ahead = self.session.ahead();
        let heard = match self.session.open_from(&mut ahead, record, &mut out)? {
            TlsEvent::Data(data) => Heard::Data(data.to_vec()),
            TlsEvent::KeyUpdated => Heard::KeyUpdated,
            TlsEvent::PeerClosed => Heard::Closed,
            TlsEvent::Nothing | TlsEvent::Ended(_) => Heard::Nothing,
        };
        self.session.received(ahead)?;
        Ok(heard)
    }

    /// Hears until so many bytes of data have come.
    ///
    /// # Errors
    /// When the wire fails or something else comes but changes of keys.
    pub fn hear_data(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        while all.len() < length {
            match self.hear()? {
                Heard::Data(data) => all.extend(data),
                Heard::KeyUpdated | Heard::Nothing => {}
                other => anyhow::bail!("{other:?} after {} bytes", all.len()),
            }
        }
        Ok(all)
    }

    fn succeed(&mut self) -> Result<()> {
        let mut bytes = [0; TLS_STATE];
        self.session.write_state(&mut bytes);
        self.session = TlsSession::resume(crypto(), &TlsState::from_bytes(&bytes)?);
        Ok(())
    }
}
