//! The wrapped control messages of one connection (A8).

use crate::{ChannelError, ControlMessage, Epoch, Sender};
use symbolon_crypto::{Crypto, TAG};
use symbolon_record::{Delivery, Role, Unwrapper, WRAP_HEADER, WrapError, WrapSecrets, Wrapper};
use symbolon_wire::{Decode, Encode, FRAME_HEADER, FrameHeader, FrameKind, Writer};

/// Both directions of a session's control messages over one connection, strictly in order.
#[derive(Debug)]
pub struct SessionChannel {
    role: Role,
    epoch: Epoch,
    wrapper: Wrapper,
    unwrapper: Unwrapper,
}

impl SessionChannel {
    /// The channel of `epoch`. Right after a context that is [`Epoch::FIRST`], with the context's
    /// own wrap secrets.
    #[must_use]
    pub fn from_secrets(crypto: Crypto, role: Role, epoch: Epoch, secrets: WrapSecrets) -> Self {
        let (wrapper, unwrapper) = secrets.into_pair(crypto, role, Delivery::InOrder);
        Self { role, epoch, wrapper, unwrapper }
    }

    /// Under which epoch the session goes on here.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// A whole Wrapped frame with `message`, header included.
    ///
    /// # Errors
    /// [`ChannelError::WrongDirection`], [`ChannelError::Wrap`] with [`WrapError::AfterLast`] or
    /// [`WrapError::Exhausted`].
    pub fn seal(&mut self, message: &ControlMessage) -> Result<Vec<u8>, ChannelError> {
        if !may_send(self.role, message) {
            return Err(ChannelError::WrongDirection);
        }
        let mut w = Writer::new();
        w.fixed(&[0; FRAME_HEADER + WRAP_HEADER]);
        message.encode(&mut w);
        w.fixed(&[0; TAG]);
        let mut frame = w.into_bytes();
        let length = frame.len() - FRAME_HEADER;
        let (header, body) = frame.split_at_mut(FRAME_HEADER);
        header.copy_from_slice(&FrameHeader { kind: FrameKind::Wrapped, length }.to_bytes());
        if message.is_last() {
            self.wrapper.wrap_last_in_place(body)?;
        } else {
            self.wrapper.wrap_in_place(body)?;
        }
        Ok(frame)
    }

    /// Opens the body of a Wrapped frame. After an error the connection is to be closed.
    ///
    /// # Errors
    /// [`ChannelError`].
    pub fn open(&mut self, body: &mut [u8]) -> Result<ControlMessage, ChannelError> {
        let message = ControlMessage::from_bytes(self.unwrapper.unwrap_in_place(body)?)?;
        let peer = match self.role {
            Role::Initiator => Role::Acceptor,
            Role::Acceptor => Role::Initiator,
        };
        if may_send(peer, &message) { Ok(message) } else { Err(ChannelError::WrongDirection) }
    }

    /// Says that the connection gave its last byte.
    ///
    /// # Errors
    /// [`WrapError::Truncated`] when the peer had not said its last word: the session may go on
    /// over another connection.
    pub const fn end_of_input(&self) -> Result<(), WrapError> {
        self.unwrapper.end_of_input()
    }
}

const fn may_send(role: Role, message: &ControlMessage) -> bool {
    matches!(
        (role, message.sender()),
        (_, Sender::Either) | (Role::Initiator, Sender::Client) | (Role::Acceptor, Sender::Node)
    )
}
