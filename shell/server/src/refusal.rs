//! The one place that decides what a peer is told. The operator's log and the audit get the reason.

use crate::connection::ConnectionError;
use symbolon_context::AcceptError;
use symbolon_store::{StoreError, What};
use symbolon_token::RegistrationError;
use symbolon_wire::RefusalCode;

/// A refusal: a code and a few words for the peer, the reason for the operator.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) code: RefusalCode,
    pub(crate) told: String,
    pub(crate) reason: String,
}

/// How a conversation can end before its time.
#[derive(Debug)]
pub(crate) enum Ended {
    Refused(Refused),
    Connection(ConnectionError),
}

impl From<Refused> for Ended {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<ConnectionError> for Ended {
    fn from(e: ConnectionError) -> Self {
        Self::Connection(e)
    }
}

impl Refused {
    /// The peer is told what every such code tells; the reason is for the operator alone.
    pub(crate) fn new(code: RefusalCode, reason: impl Into<String>) -> Self {
        let told = match code {
            RefusalCode::Malformed => "that is no message of this protocol",
            RefusalCode::Denied => "not accepted",
            RefusalCode::Clock => "your clock differs too much from mine",
            RefusalCode::UnknownKey => "ask for my present keys",
            RefusalCode::Busy => "too many at once; try again later",
            RefusalCode::Invitation => "the invitation is not valid (any more)",
            RefusalCode::NameTaken => "the name is taken, or looks like one that is",
            RefusalCode::Answers => "the answers do not fit the template",
            RefusalCode::SessionOver => "the session is over; sign in again",
            RefusalCode::Stopping => "this node is stopping",
            RefusalCode::UnknownCertificate => "send the whole certificate",
            RefusalCode::Credential => "this kind of credential is not taken here",
            _ => "something went wrong here; nothing was changed",
        };
        Self { code, told: told.to_owned(), reason: reason.into() }
    }

    pub(crate) fn malformed(reason: String) -> Self {
        Self::new(RefusalCode::Malformed, reason)
    }

    pub(crate) fn denied(reason: impl Into<String>) -> Self {
        Self::new(RefusalCode::Denied, reason)
    }
}

impl From<StoreError> for Refused {
    fn from(e: StoreError) -> Self {
        let code = match &e {
            StoreError::Invitation(_) => RefusalCode::Invitation,
            StoreError::Conflict { what: What::UserName | What::ConfusableName } => RefusalCode::NameTaken,
            StoreError::Busy | StoreError::Unreachable(_) | StoreError::NotReplicated => RefusalCode::Busy,
            _ => RefusalCode::Internal,
        };
        Self::new(code, e.to_string())
    }
}

impl From<StoreError> for Ended {
    fn from(e: StoreError) -> Self {
        Self::Refused(e.into())
    }
}

impl From<AcceptError> for Refused {
    fn from(e: AcceptError) -> Self {
        let code = match &e {
            AcceptError::Malformed(_) => RefusalCode::Malformed,
            AcceptError::Clock { .. } => RefusalCode::Clock,
            _ => RefusalCode::Denied,
        };
        Self::new(code, e.to_string())
    }
}

impl From<RegistrationError> for Refused {
    fn from(e: RegistrationError) -> Self {
        let code = match &e {
            RegistrationError::Malformed(_) => RefusalCode::Malformed,
            RegistrationError::Clock { .. } => RefusalCode::Clock,
            _ => RefusalCode::Denied,
        };
        Self::new(code, e.to_string())
    }
}

impl From<crate::NodeError> for Refused {
    fn from(e: crate::NodeError) -> Self {
        Self::new(RefusalCode::Internal, e.to_string())
    }
}
