//! TLS connections under a ledger, and native streams, which have the same record layer.

use super::{CONDUCT, Entry, Fault, Intent, Keys, LedgerError, Numbers, Protection, Received};
use symbolon_crypto::{Crypto, SecretBytes};
use symbolon_record::{
    Ahead, Alert, KeyUpdateRequest, MAX_PINNED, Outgoing, RecordError, TLS_STATE, TlsEvent, TlsSession,
    TlsState, TlsSuite,
};
use symbolon_wire::WireError;
use zeroize::Zeroizing;

/// What a state begins with that is no secret and changes with each record (`docs/protocol/record.md`).
const HEAD: usize = 20;
/// Where a state has the number of the next record that we send, and of the next that we receive.
const NUMBERS: [usize; 2] = [HEAD + 92, HEAD + 192];

/// Added to the code of a native stream's end, in the place of an alert's number. Such an end has no
/// sentence: it must follow from the code alone, also in the next version of the program.
pub const STREAM_END: u16 = 256;

/// The record layer of a TLS connection or a native stream that is carried on.
#[derive(Debug)]
pub struct TlsProtection {
    session: TlsSession,
    /// The record that was opened and is on its way to the application.
    ahead: Option<Ahead>,
}

impl TlsProtection {
    /// Goes on from a handshake.
    #[must_use]
    pub fn new(crypto: Crypto, state: &TlsState) -> Self {
        Self { session: TlsSession::resume(crypto, state), ahead: None }
    }

    /// Goes on from what a dead process left in its ledger.
    ///
    /// # Errors
    /// [`LedgerError::Keys`] when it is no state, [`LedgerError::UnknownLayout`] when a newer program
    /// wrote it.
    pub fn restored(crypto: Crypto, keys: &SecretBytes, entry: &Entry) -> Result<Self, LedgerError> {
        let mut bytes: Zeroizing<[u8; TLS_STATE]> = Zeroizing::new([0; TLS_STATE]);
        bytes.copy_from_slice(keys.expose().get(..TLS_STATE).ok_or(LedgerError::Keys)?);
        bytes[..HEAD].copy_from_slice(&entry.conduct[..HEAD]);
        for (at, number) in NUMBERS.into_iter().zip([entry.to_client.number, entry.to_application.number]) {
            bytes[at..at + 8].copy_from_slice(&number.to_be_bytes());
        }
        match TlsState::from_bytes(&bytes) {
            Ok(state) => Ok(Self::new(crypto, &state)),
            Err(WireError::UnknownVersion(version)) => Err(LedgerError::UnknownLayout(version.into())),
            Err(_) => Err(LedgerError::Keys),
        }
    }

    /// The cipher suite, which tells a native stream from TLS.
    #[must_use]
    pub const fn suite(&self) -> TlsSuite {
        self.session.suite()
    }

    fn state(&self) -> Zeroizing<[u8; TLS_STATE]> {
        let mut bytes = Zeroizing::new([0; TLS_STATE]);
        self.session.write_state(&mut bytes);
        bytes
    }
}

/// A fault of our own: the record layer was misused, or is at its end.
const INTERNAL: Fault = Fault(Alert::InternalError as u16);

impl Protection for TlsProtection {
    fn longest_data(&self) -> usize {
        MAX_PINNED
    }

    fn due(&self) -> Option<Intent> {
        Some(match self.session.owed()? {
            Outgoing::KeyUpdate(_) => Intent::KeyUpdate,
            // the keys of TLS 1.2 are used up, and there is more to send: that is no orderly end
            Outgoing::Alert(Alert::CloseNotify) => Intent::Alert(INTERNAL.0),
            Outgoing::Alert(alert) => Intent::Warning(alert as u16),
            // neither is ever owed
            Outgoing::Data | Outgoing::End(_) => return None,
        })
    }

    fn pin(&mut self, intent: Intent) -> Result<(), Fault> {
        let (what, length) = match intent {
            Intent::Data(length) => (Outgoing::Data, length as usize),
            Intent::KeyUpdate => (Outgoing::KeyUpdate(KeyUpdateRequest::NotRequested), 0),
            Intent::CloseNotify => (Outgoing::Alert(Alert::CloseNotify), 0),
            Intent::Alert(end @ STREAM_END..) => (Outgoing::End((end - STREAM_END) as u8), 0),
            Intent::Alert(alert) | Intent::Warning(alert) => (Outgoing::Alert(alert_of(alert)), 0),
        };
        self.session.pin(what, length).map_err(|_| INTERNAL)
    }

    fn sealed_length(&self) -> usize {
        self.session.sealed_length()
    }

    fn seal(&mut self, data: &[u8], record: &mut Vec<u8>) -> Result<(), Fault> {
        record.resize(self.session.sealed_length(), 0);
        self.session.seal(data, record).map(drop).map_err(|_| INTERNAL)
    }

    fn sent(&mut self) -> Result<Keys, Fault> {
        let changes = matches!(self.session.pinned(), Some((Outgoing::KeyUpdate(_), _)));
        self.session.sent().map_err(|_| INTERNAL)?;
        Ok(if changes { Keys::Changed } else { Keys::Same })
    }

    fn record_length(&self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        self.session.record_length(bytes).map_err(|error| fault_of(&error))
    }

    fn open(&mut self, record: &[u8], content: &mut Vec<u8>) -> Result<Received, Fault> {
        content.resize(record.len(), 0);
        let mut ahead = self.session.ahead();
        let (received, length) = match self.session.open_from(&mut ahead, record, content) {
            Ok(TlsEvent::Data(data)) => (Received::Data, data.len()),
            Ok(TlsEvent::KeyUpdated) => (Received::KeyUpdate, 0),
            Ok(TlsEvent::PeerClosed) => (Received::CloseNotify, 0),
            Ok(TlsEvent::Ended(end)) => (Received::Alert(STREAM_END + u16::from(end.code())), 0),
            Ok(TlsEvent::Nothing) => (Received::Nothing, 0),
            Err(error) => {
                content.clear();
                // the session is left as it is: who carries it on meets the same fault again, and tells it
                return match error {
                    RecordError::PeerGaveUp(alert) => Ok(Received::Alert(alert.into())),
                    error => Err(fault_of(&error)),
                };
            }
        };
        content.truncate(length);
        self.ahead = Some(ahead);
        Ok(received)
    }

    fn received(&mut self) -> Result<Keys, Fault> {
        let ahead = self.ahead.take().ok_or(INTERNAL)?;
        let changes = !ahead.may_go_on();
        self.session.received(ahead).map_err(|_| INTERNAL)?;
        Ok(if changes { Keys::Changed } else { Keys::Same })
    }

    fn conduct(&self) -> (Numbers, [u8; CONDUCT]) {
        let state = self.state();
        let number = |at: usize| state[at..at + 8].iter().fold(0, |n, &byte| n << 8 | u64::from(byte));
        let numbers = Numbers { sending: number(NUMBERS[0]), receiving: number(NUMBERS[1]) };
        let mut conduct = [0; CONDUCT];
        conduct[..HEAD].copy_from_slice(&state[..HEAD]);
        (numbers, conduct)
    }

    fn keys(&self) -> SecretBytes {
        SecretBytes::new(self.state().to_vec())
    }
}

fn fault_of(error: &RecordError) -> Fault {
    error.alert().map_or(INTERNAL, |alert| Fault(alert as u16))
}

/// The alert of this number, of those that we send.
fn alert_of(number: u16) -> Alert {
    const SENT: [Alert; 9] = [
        Alert::UnexpectedMessage,
        Alert::BadRecordMac,
        Alert::RecordOverflow,
        Alert::IllegalParameter,
        Alert::AccessDenied,
        Alert::DecodeError,
        Alert::UserCanceled,
        Alert::NoRenegotiation,
        Alert::InternalError,
    ];
    SENT.into_iter().find(|alert| *alert as u16 == number).unwrap_or(Alert::InternalError)
}
