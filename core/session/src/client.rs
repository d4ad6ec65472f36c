//! What a client remembers of its session.

use crate::{Epoch, IssuedTicket, SessionId, SessionSecret, StreamRoot, Ticket};
use symbolon_crypto::Crypto;
use symbolon_wire::WireError;

/// The client's side of a session, as it outlives connections.
#[derive(Debug)]
pub struct ClientSession {
    pub(crate) id: SessionId,
    pub(crate) secret: SessionSecret,
    /// The highest epoch that was seen.
    pub(crate) epoch: Epoch,
    /// The counter of the last attach that was sent.
    pub(crate) attaches: u64,
}

impl ClientSession {
    /// A session whose context was opened just now.
    #[must_use]
    pub const fn new(id: SessionId, secret: SessionSecret) -> Self {
        Self { id, secret, epoch: Epoch::FIRST, attaches: 0 }
    }

    /// The session's name.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// The highest epoch that a node has shown.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// What to keep of a ticket that the node gave within this session (A5).
    ///
    /// # Errors
    /// [`WireError`] when it is no ticket.
    pub fn keep(&self, crypto: Crypto, ticket: IssuedTicket) -> Result<Ticket, WireError> {
        ticket.keep(crypto, &self.secret)
    }

    /// What streams are opened with.
    #[must_use]
    pub fn stream_root(&self, crypto: Crypto) -> StreamRoot {
        StreamRoot::new(crypto, self.id, &self.secret)
    }

    /// Goes on with the secret of a renewal, as the node does: streams and attaches grow from it.
    pub fn renewed(&mut self, secret: SessionSecret) {
        self.secret = secret;
    }
}
