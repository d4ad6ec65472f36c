//! What a record to the peer is for.

use super::MAX_PINNED;
use super::suite::{TlsSuite, TlsVersion};
use crate::{Alert, KeyUpdateRequest, MAX_END_REASON};

/// What is to be sent, so that it can be remembered in two bytes before it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// Bytes of the application.
    Data,
    /// Our next key, in TLS 1.3 (RFC 8446 §4.6.3).
    KeyUpdate(KeyUpdateRequest),
    /// An alert: [`Alert::CloseNotify`] ends our direction, [`Alert::UserCanceled`] and, in TLS 1.2,
    /// [`Alert::NoRenegotiation`] change nothing, every other ends the connection.
    Alert(Alert),
    /// On native streams, a [`StreamEnd`](crate::StreamEnd) with this code; its reason is the payload.
    /// It may follow a close.
    End(u8),
}

impl Outgoing {
    /// Whether connections of `suite` have it.
    pub(crate) const fn is_of(self, suite: TlsSuite) -> bool {
        match self {
            Self::KeyUpdate(_) => matches!(suite.version(), TlsVersion::Tls13),
            Self::Alert(Alert::NoRenegotiation) => matches!(suite.version(), TlsVersion::Tls12),
            Self::End(_) => matches!(suite, TlsSuite::NativeStream),
            Self::Data | Self::Alert(_) => true,
        }
    }

    /// How many bytes of payload it may have.
    pub(crate) const fn payload(self) -> std::ops::RangeInclusive<usize> {
        match self {
            Self::Data => 1..=MAX_PINNED,
            Self::End(_) => 0..=MAX_END_REASON,
            Self::KeyUpdate(_) | Self::Alert(_) => 0..=0,
        }
    }

    /// Two bytes, of which the first is not zero.
    pub(crate) const fn to_bytes(self) -> [u8; 2] {
        match self {
            Self::Data => [1, 0],
            Self::KeyUpdate(request) => [2, request as u8],
            Self::Alert(alert) => [3, alert as u8],
            Self::End(code) => [4, code],
        }
    }

    pub(crate) fn from_bytes(bytes: [u8; 2]) -> Option<Self> {
        match bytes {
            [1, 0] => Some(Self::Data),
            [2, 0] => Some(Self::KeyUpdate(KeyUpdateRequest::NotRequested)),
            [2, 1] => Some(Self::KeyUpdate(KeyUpdateRequest::Requested)),
            [3, alert] => Alert::from_byte(alert).map(Self::Alert),
            [4, code] => Some(Self::End(code)),
            _ => None,
        }
    }
}

/// What is pinned: the records to be made next, to the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pinned {
    pub(crate) what: Outgoing,
    /// Bytes of payload, within [`Outgoing::payload`].
    pub(crate) length: u32,
}

impl Pinned {
    /// How many records it takes: data fills them, and the last has the rest.
    pub(crate) const fn records(self) -> u64 {
        match self.what {
            Outgoing::Data => (self.length as usize).div_ceil(crate::MAX_PLAINTEXT) as u64,
            _ => 1,
        }
    }
}
