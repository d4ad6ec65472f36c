//! The session secret, and what grows from it.

use crate::{Epoch, SessionId};
use symbolon_crypto::{Crypto, Secret, label};
use symbolon_record::WrapSecrets;

/// What a context leaves to its session on both sides (label `SESSION_ROOT`). Whoever has it is the
/// session: it is stored sealed only.
#[derive(Debug, PartialEq, Eq)]
pub struct SessionSecret(Secret<32>);

impl SessionSecret {
    /// Takes over the secret that the context room derived for the session.
    #[must_use]
    pub const fn new(secret: Secret<32>) -> Self {
        Self(secret)
    }

    /// A second copy that is wiped by itself.
    #[must_use]
    pub const fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }

    pub(crate) const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// MAC key of one of the two attach messages; each has its own, so none can be sent back.
    pub(crate) fn attach_key(&self, crypto: Crypto, id: SessionId, message: AttachMessage) -> Secret<32> {
        crypto.derive(&self.0, label::SESSION_ATTACH, &[&id.0, &[message as u8]])
    }

    /// Keys of the wrapped messages of one epoch.
    pub(crate) fn wrap_secrets(
        &self,
        crypto: Crypto,
        epoch: Epoch,
        client_random: &[u8; 16],
        node_random: &[u8; 32],
    ) -> WrapSecrets {
        let epoch = epoch.0.to_be_bytes();
        let root = crypto.derive(&self.0, label::SESSION_EPOCH, &[&epoch, client_random, node_random]);
        WrapSecrets::derive(crypto, &root, &[])
    }

    /// What a ticket of this session is worth: both sides derive it, so it never travels.
    pub(crate) fn ticket_secret(&self, crypto: Crypto, ticket: &[u8; 16]) -> Secret<32> {
        crypto.derive(&self.0, label::TICKET_SECRET, &[ticket])
    }

    pub(crate) fn stream_root(&self, crypto: Crypto, id: SessionId) -> Secret<32> {
        crypto.derive(&self.0, label::STREAM_ROOT, &[&id.0])
    }
}

/// Which of the two attach messages.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum AttachMessage {
    Attach = 1,
    Attached = 2,
}
