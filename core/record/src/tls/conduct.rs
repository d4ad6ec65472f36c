//! The rules of sending, and everything about a connection that is remembered and is not secret.

use super::MAX_PINNED;
use super::outgoing::{Outgoing, Pinned};
use super::reception::ReceiveConduct;
use super::suite::{TlsRole, TlsSuite, TlsVersion};
use crate::{Alert, CallerMisused, KEY_UPDATE_AFTER, KeyUpdateRequest, MAX_PLAINTEXT, RecordError};

/// No direction goes on beyond this number, nor does a state with a greater one exist, so that none comes
/// near the end. Keys are used up long before; what reaches it is a broken state.
pub(super) const HIGHEST_SEQUENCE: u64 = 1 << 63;

/// How far one direction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    Open = 0,
    /// close_notify went this way.
    Closed = 1,
    /// A fault ended the connection.
    Failed = 2,
    /// An end with a reason went this way, on a native stream.
    Ended = 3,
}

impl Phase {
    pub(super) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Open),
            1 => Some(Self::Closed),
            2 => Some(Self::Failed),
            3 => Some(Self::Ended),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Conduct {
    pub(super) role: TlsRole,
    pub(super) suite: TlsSuite,
    pub(super) send: SendConduct,
    pub(super) receive: ReceiveConduct,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SendConduct {
    pub(super) phase: Phase,
    /// The number of the next record.
    pub(super) sequence: u64,
    pub(super) pinned: Option<Pinned>,
    /// The peer asked for a KeyUpdate of ours.
    pub(super) owes_key_update: bool,
    /// The peer asked for new keys by a new handshake.
    pub(super) owes_refusal: bool,
}

impl Conduct {
    /// Of a connection after `sent` and `received` records under its keys.
    pub(super) const fn new(role: TlsRole, suite: TlsSuite, sent: u64, received: u64) -> Self {
        let send = SendConduct {
            phase: Phase::Open,
            sequence: sent,
            pinned: None,
            owes_key_update: false,
            owes_refusal: false,
        };
        Self { role, suite, send, receive: ReceiveConduct::new(received) }
    }

    /// What must be sent before the next data.
    pub(super) fn owed(&self) -> Option<Outgoing> {
        if self.send.phase != Phase::Open {
            return None;
        }
        match self.suite.version() {
            TlsVersion::Tls13 => (self.send.owes_key_update || self.send.sequence >= KEY_UPDATE_AFTER)
                .then_some(Outgoing::KeyUpdate(KeyUpdateRequest::NotRequested)),
            // Keys of TLS 1.2 change by a new handshake only, which nobody should do any more.
            TlsVersion::Tls12 if self.send.sequence + LONGEST_PIN > self.records_per_key() => {
                Some(Outgoing::Alert(Alert::CloseNotify))
            }
            TlsVersion::Tls12 => self.send.owes_refusal.then_some(Outgoing::Alert(Alert::NoRenegotiation)),
        }
    }

    /// Decides on what is made next.
    pub(super) fn pin(&mut self, what: Outgoing, length: usize) -> Result<(), RecordError> {
        if self.send.pinned.is_some() {
            return Err(CallerMisused::PinnedBefore.into());
        }
        let after_close = self.send.phase == Phase::Closed && matches!(what, Outgoing::End(_));
        if self.send.phase != Phase::Open && !after_close {
            return Err(CallerMisused::AlreadyClosed.into());
        }
        if !what.is_of(self.suite) {
            return Err(CallerMisused::NotInThisVersion.into());
        }
        if !what.payload().contains(&length) {
            return Err(CallerMisused::PayloadLength.into());
        }
        if what == Outgoing::Data && self.owed().is_some() {
            return Err(CallerMisused::OwesAnother.into());
        }
        // Bounded by MAX_PINNED, so it fits.
        let pinned = Pinned { what, length: length as u32 };
        if self.send.sequence + pinned.records() > HIGHEST_SEQUENCE {
            return Err(RecordError::Exhausted);
        }
        self.send.pinned = Some(pinned);
        Ok(())
    }

    /// Goes on after what was pinned. Says whether the keys change with it.
    pub(super) fn sent(&mut self) -> Result<bool, CallerMisused> {
        let pinned = self.send.pinned.take().ok_or(CallerMisused::NothingPinned)?;
        self.send.sequence += pinned.records();
        match pinned.what {
            Outgoing::Data | Outgoing::Alert(Alert::UserCanceled) => {}
            Outgoing::KeyUpdate(_) => {
                self.send.sequence = 0;
                self.send.owes_key_update = false;
                return Ok(true);
            }
            Outgoing::Alert(Alert::NoRenegotiation) => self.send.owes_refusal = false,
            Outgoing::Alert(Alert::CloseNotify) => self.send.phase = Phase::Closed,
            Outgoing::End(_) => self.send.phase = Phase::Ended,
            Outgoing::Alert(_) => (self.send.phase, self.receive.phase) = (Phase::Failed, Phase::Failed),
        }
        Ok(false)
    }

    /// The highest number that a record may have is below this and a few alerts more.
    pub(super) const fn records_per_key(&self) -> u64 {
        self.suite.cipher().records_per_key()
    }
}

/// Records that one pin may take.
const LONGEST_PIN: u64 = (MAX_PINNED / MAX_PLAINTEXT) as u64;
