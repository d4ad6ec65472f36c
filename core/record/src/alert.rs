//! What one side tells the other before it gives up (RFC 8446 §6, RFC 5246 §7.2).

/// The alerts that we send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Alert {
    /// The sender sends nothing more; no fault.
    CloseNotify = 0,
    /// Something that has no place here.
    UnexpectedMessage = 10,
    /// A record does not authenticate.
    BadRecordMac = 20,
    /// A record is too long.
    RecordOverflow = 22,
    /// A field has a value that it may not have.
    IllegalParameter = 47,
    /// The peer is who it says, and is not permitted (any more).
    AccessDenied = 49,
    /// A message does not have the form of one.
    DecodeError = 50,
    /// Our own fault, or the key is used up.
    InternalError = 80,
    /// The user does not want to go on; no fault.
    UserCanceled = 90,
    /// TLS 1.2: keys stay as they are; a warning.
    NoRenegotiation = 100,
}

impl Alert {
    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::CloseNotify,
            10 => Self::UnexpectedMessage,
            20 => Self::BadRecordMac,
            22 => Self::RecordOverflow,
            47 => Self::IllegalParameter,
            49 => Self::AccessDenied,
            50 => Self::DecodeError,
            80 => Self::InternalError,
            90 => Self::UserCanceled,
            100 => Self::NoRenegotiation,
            _ => return None,
        })
    }

    /// Level and description. Everything is fatal but these three, of which only the first two are left
    /// in TLS 1.3.
    pub(crate) const fn content(self) -> [u8; 2] {
        const WARNING: u8 = 1;
        const FATAL: u8 = 2;
        let level = match self {
            Self::CloseNotify | Self::UserCanceled | Self::NoRenegotiation => WARNING,
            _ => FATAL,
        };
        [level, self as u8]
    }
}
