//! Carrying a session on over another connection: two messages, both authenticated by the session.
//!
//! The counter makes a replayed [`Attach`] worthless: without it, whoever recorded one could make a
//! node move the epoch and so cut off the living connection.

use crate::secret::AttachMessage;
use crate::{AttachError, ClientSession, Epoch, SessionChannel, SessionId, SessionSecret, SessionState};
use symbolon_crypto::{Crypto, Entropy, constant_time_eq};
use symbolon_record::Role;
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

/// The client's message, without its MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attach {
    session: SessionId,
    random: [u8; 16],
    last_epoch: Epoch,
    counter: u64,
}

impl Encode for Attach {
    fn encode(&self, w: &mut Writer) {
        self.session.encode(w);
        w.fixed(&self.random);
        self.last_epoch.encode(w);
        w.u64(self.counter);
    }
}

impl Decode for Attach {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            session: SessionId::decode(r)?,
            random: r.fixed()?,
            last_epoch: Epoch::decode(r)?,
            counter: r.u64()?,
        })
    }
}

impl Attach {
    fn mac(&self, crypto: Crypto, secret: &SessionSecret) -> [u8; 32] {
        let key = secret.attach_key(crypto, self.session, AttachMessage::Attach);
        crypto.hmac_sha256(key.expose(), &[&self.to_bytes()])
    }
}

/// The node's message, without its MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attached {
    epoch: Epoch,
    random: [u8; 32],
}

impl Encode for Attached {
    fn encode(&self, w: &mut Writer) {
        self.epoch.encode(w);
        w.fixed(&self.random);
    }
}

impl Decode for Attached {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { epoch: Epoch::decode(r)?, random: r.fixed()? })
    }
}

impl Attached {
    /// Over the question too, so that no answer serves twice.
    fn mac(&self, crypto: Crypto, secret: &SessionSecret, question: &Attach) -> [u8; 32] {
        let key = secret.attach_key(crypto, question.session, AttachMessage::Attached);
        crypto.hmac_sha256(key.expose(), &[&question.to_bytes(), &self.to_bytes()])
    }
}

/// The client's side.
#[derive(Debug)]
pub struct AttachRequest;

impl AttachRequest {
    /// Asks a node to carry `session` on. Returns the body of an Attach frame. Each attempt counts,
    /// also when no answer comes.
    ///
    /// # Errors
    /// [`AttachError::Exhausted`].
    pub fn begin(
        crypto: Crypto,
        entropy: &mut dyn Entropy,
        session: &mut ClientSession,
    ) -> Result<(AwaitAttached, Vec<u8>), AttachError> {
        session.attaches = session.attaches.checked_add(1).ok_or(AttachError::Exhausted)?;
        let question = Attach {
            session: session.id,
            random: entropy.number(),
            last_epoch: session.epoch,
            counter: session.attaches,
        };
        let mut body = question.to_bytes();
        body.extend_from_slice(&question.mac(crypto, &session.secret));
        Ok((AwaitAttached { crypto, question }, body))
    }
}

/// The client has asked and awaits the node's answer.
#[derive(Debug)]
pub struct AwaitAttached {
    crypto: Crypto,
    question: Attach,
}

impl AwaitAttached {
    /// Reads the body of an Attached frame; the session then goes on over the channel, under a
    /// grown epoch and fresh keys. Stream numbers granted before are to be
    /// [forgotten](crate::StreamNumbers::forget): the node may be another one.
    ///
    /// # Errors
    /// [`AttachError::Malformed`], [`AttachError::Forged`], [`AttachError::EpochDoesNotGrow`].
    pub fn receive(self, session: &mut ClientSession, body: &[u8]) -> Result<SessionChannel, AttachError> {
        let (answer, mac) = read_with_mac::<Attached>(body)?;
        if !constant_time_eq(&mac, &answer.mac(self.crypto, &session.secret, &self.question)) {
            return Err(AttachError::Forged);
        }
        if answer.epoch <= session.epoch || answer.epoch <= self.question.last_epoch {
            return Err(AttachError::EpochDoesNotGrow { offered: answer.epoch, seen: session.epoch });
        }
        session.epoch = answer.epoch;
        Ok(channel(self.crypto, Role::Initiator, &session.secret, &self.question, &answer))
    }
}

/// The node's side.
#[derive(Debug)]
pub struct Attachment;

impl Attachment {
    /// Reads the body of an Attach frame.
    ///
    /// # Errors
    /// [`AttachError::Malformed`].
    pub fn receive(body: &[u8]) -> Result<ClaimedSession, AttachError> {
        let (question, mac) = read_with_mac(body)?;
        Ok(ClaimedSession { question, mac })
    }
}

/// Somebody says that a session is its own; nothing is proved yet.
#[derive(Debug)]
pub struct ClaimedSession {
    question: Attach,
    mac: [u8; 32],
}

impl ClaimedSession {
    /// Which session: look it up in the store.
    #[must_use]
    pub const fn session_id(&self) -> SessionId {
        self.question.session
    }

    /// Checks the proof against the session's state.
    ///
    /// # Errors
    /// [`AttachError::Forged`], [`AttachError::Replayed`], [`AttachError::Expired`],
    /// [`AttachError::Exhausted`].
    pub fn verify(
        self,
        crypto: Crypto,
        state: &SessionState,
        now: Time,
    ) -> Result<VerifiedAttach, AttachError> {
        let Self { question, mac } = self;
        let fits = constant_time_eq(&mac, &question.mac(crypto, &state.secret));
        if !fits || question.session != state.id {
            return Err(AttachError::Forged);
        }
        if question.counter <= state.last_attach {
            return Err(AttachError::Replayed);
        }
        if !state.is_live(now) {
            return Err(AttachError::Expired);
        }
        let least_epoch = question.last_epoch.next().ok_or(AttachError::Exhausted)?;
        Ok(VerifiedAttach { crypto, question, least_epoch, secret: state.secret.duplicate() })
    }
}

/// The session's owner stands at this connection. Made by [`ClaimedSession::verify`] only.
#[derive(Debug)]
pub struct VerifiedAttach {
    crypto: Crypto,
    question: Attach,
    least_epoch: Epoch,
    secret: SessionSecret,
}

impl VerifiedAttach {
    /// The counter to be stored as [`SessionState::last_attach`] in the same transaction that moves
    /// the epoch.
    #[must_use]
    pub const fn counter(&self) -> u64 {
        self.question.counter
    }

    /// The least epoch that the client will accept. The store's own is normally as high already; a
    /// store that was set back is not.
    #[must_use]
    pub const fn least_epoch(&self) -> Epoch {
        self.least_epoch
    }

    /// Carries the session on under `epoch`, which the store's compare-and-set gave to this node.
    /// Returns the body of an Attached frame and the channel.
    ///
    /// # Errors
    /// [`AttachError::EpochDoesNotGrow`] when `epoch` is below [`VerifiedAttach::least_epoch`].
    pub fn accept(
        self,
        epoch: Epoch,
        entropy: &mut dyn Entropy,
    ) -> Result<(Vec<u8>, SessionChannel), AttachError> {
        if epoch < self.least_epoch {
            return Err(AttachError::EpochDoesNotGrow { offered: epoch, seen: self.question.last_epoch });
        }
        let answer = Attached { epoch, random: entropy.number() };
        let mut body = answer.to_bytes();
        body.extend_from_slice(&answer.mac(self.crypto, &self.secret, &self.question));
        Ok((body, channel(self.crypto, Role::Acceptor, &self.secret, &self.question, &answer)))
    }
}

fn read_with_mac<T: Decode>(body: &[u8]) -> Result<(T, [u8; 32]), WireError> {
    let mut r = Reader::new(body);
    let message = T::decode(&mut r)?;
    let mac = r.fixed()?;
    r.finish()?;
    Ok((message, mac))
}

fn channel(
    crypto: Crypto,
    role: Role,
    secret: &SessionSecret,
    question: &Attach,
    answer: &Attached,
) -> SessionChannel {
    let secrets = secret.wrap_secrets(crypto, answer.epoch, &question.random, &answer.random);
    SessionChannel::from_secrets(crypto, role, answer.epoch, secrets)
}
