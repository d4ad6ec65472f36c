//! The rules of receiving.

use super::MAX_WITHOUT_DATA;
use super::conduct::{Conduct, HIGHEST_SEQUENCE, Phase};
use super::post_handshake::{Asked, PartMessage};
use super::suite::{TlsSuite, TlsVersion};
use crate::content::{alert_description, alert_is_warning};
use crate::{CallerMisused, ContentType, KeyUpdateRequest, PeerMisbehaved, RecordError, StreamEnd};

/// What a record of the peer was for.
#[derive(Debug, PartialEq, Eq)]
pub enum TlsEvent<'o> {
    /// Bytes of the application, one at least.
    Data(&'o [u8]),
    /// The peer uses the next key from here on. The next record opens after [`Ahead`] was handed to
    /// `received`.
    KeyUpdated,
    /// The peer sends nothing more; it still receives. What it sends nevertheless is ignored.
    PeerClosed,
    /// A native stream is over in both directions, for a reason.
    Ended(StreamEnd),
    /// Nothing for the application: an empty record, a ticket, a warning, a request to renegotiate.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReceiveConduct {
    pub(super) phase: Phase,
    /// The number of the next record.
    pub(super) sequence: u64,
    /// How many records came one after the other without data.
    pub(super) without_data: u8,
    pub(super) message: PartMessage,
}

/// How far the peer's records have been opened, while what they said is on its way to the application.
///
/// Begin with [`TlsSession::ahead`](super::TlsSession::ahead), open as many records as are to be
/// delivered together, and hand it to [`TlsSession::received`](super::TlsSession::received) once they
/// are. Dropping it undoes them.
#[derive(Debug)]
#[must_use = "records that were delivered and not received are opened again"]
pub struct Ahead {
    pub(super) conduct: ReceiveConduct,
    pub(super) asked: Asked,
    pub(super) renegotiation: bool,
}

impl Ahead {
    pub(super) const fn new(conduct: ReceiveConduct) -> Self {
        Self { conduct, asked: Asked::Nothing, renegotiation: false }
    }

    /// Whether the next record may be opened: a change of keys must be received first.
    #[must_use]
    pub fn may_go_on(&self) -> bool {
        !matches!(self.asked, Asked::KeyUpdate(_))
    }

    /// The request of a KeyUpdate that the peer sent, the last record so far.
    pub(super) const fn key_update(&self) -> Option<KeyUpdateRequest> {
        match self.asked {
            Asked::KeyUpdate(request) => Some(request),
            Asked::Nothing | Asked::Renegotiation => None,
        }
    }
}

impl ReceiveConduct {
    pub(super) const fn new(sequence: u64) -> Self {
        let message = PartMessage { header: [0; 3], held: 0, skip: 0 };
        Self { phase: Phase::Open, sequence, without_data: 0, message }
    }

    /// Whether a record is opened at all.
    pub(super) fn is_open(&self, suite: TlsSuite) -> Result<bool, RecordError> {
        match (self.phase, suite) {
            (Phase::Open, _) | (Phase::Closed, TlsSuite::NativeStream) => Ok(true),
            // RFC 8446 §6.1: what comes after a close is ignored
            (Phase::Closed, _) => Ok(false),
            (Phase::Ended, _) => Err(PeerMisbehaved::AfterClose.into()),
            (Phase::Failed, _) => Err(CallerMisused::AlreadyFailed.into()),
        }
    }
}

impl Ahead {
    /// Notes what a record that authenticated holds.
    #[inline]
    pub(super) fn take<'o>(
        &mut self,
        connection: &Conduct,
        content: ContentType,
        payload: &'o [u8],
    ) -> Result<TlsEvent<'o>, RecordError> {
        if self.conduct.sequence >= HIGHEST_SEQUENCE {
            return Err(RecordError::Exhausted);
        }
        self.conduct.sequence += 1;
        let farewell = matches!(content, ContentType::StreamEnd | ContentType::Alert);
        if self.conduct.phase == Phase::Closed && !farewell {
            return Err(PeerMisbehaved::AfterClose.into());
        }
        if content == ContentType::ApplicationData && self.conduct.message.is_none() && !payload.is_empty() {
            self.conduct.without_data = 0;
            return Ok(TlsEvent::Data(payload));
        }
        self.take_other(connection, content, payload)
    }

    fn take_other(
        &mut self,
        connection: &Conduct,
        content: ContentType,
        payload: &[u8],
    ) -> Result<TlsEvent<'static>, RecordError> {
        let version = connection.suite.version();
        if content == ContentType::Alert {
            return self.take_alert(version, payload);
        }
        if content == ContentType::StreamEnd && connection.suite == TlsSuite::NativeStream {
            self.conduct.phase = Phase::Ended;
            return Ok(TlsEvent::Ended(StreamEnd::from_content(payload)?));
        }
        // RFC 8446 §5.1: no other record between the parts of a handshake message
        if content != ContentType::Handshake && !self.conduct.message.is_none() {
            return Err(PeerMisbehaved::UnexpectedContent(content as u8).into());
        }
        self.count_without_data()?;
        match content {
            ContentType::ApplicationData => Ok(TlsEvent::Nothing),
            ContentType::Handshake => {
                self.asked = self.conduct.message.take(version, connection.role, payload)?;
                self.renegotiation |= self.asked == Asked::Renegotiation;
                let updated = self.key_update().is_some();
                Ok(if updated { TlsEvent::KeyUpdated } else { TlsEvent::Nothing })
            }
            ContentType::Alert | ContentType::StreamEnd => {
                Err(PeerMisbehaved::UnexpectedContent(content as u8).into())
            }
        }
    }

    /// RFC 8446 §6, RFC 5246 §7.2.
    fn take_alert(&mut self, version: TlsVersion, payload: &[u8]) -> Result<TlsEvent<'static>, RecordError> {
        const CLOSE_NOTIFY: u8 = 0;
        const USER_CANCELED: u8 = 90;
        if payload.is_empty() {
            return Err(PeerMisbehaved::NoContent.into());
        }
        let warning = version == TlsVersion::Tls12 && alert_is_warning(payload)?;
        match alert_description(payload)? {
            CLOSE_NOTIFY if self.conduct.phase == Phase::Closed => Err(PeerMisbehaved::AfterClose.into()),
            CLOSE_NOTIFY => {
                self.conduct.phase = Phase::Closed;
                Ok(TlsEvent::PeerClosed)
            }
            // In TLS 1.3 the level says nothing, and everything else is fatal.
            description if description == USER_CANCELED || warning => {
                self.count_without_data()?;
                Ok(TlsEvent::Nothing)
            }
            description => Err(RecordError::PeerGaveUp(description)),
        }
    }

    fn count_without_data(&mut self) -> Result<(), PeerMisbehaved> {
        self.conduct.without_data += 1;
        if self.conduct.without_data > MAX_WITHOUT_DATA {
            return Err(PeerMisbehaved::TooManyWithoutData);
        }
        Ok(())
    }
}
