//! Renewal of a session within itself (B8): both sides prove the authentication key anew, and the
//! session gets a new secret and a new lifetime. Its streams notice nothing.
//!
//! ```text
//! agent, at four fifths of the lifetime                          gateway
//!   ── RenewFirst N1 ──────────────────────────────────────────────>
//!   <─────────────────────────────── RenewSecond E, N2, KEM key ────
//!   ── RenewThird ct, AEAD(N2) ────────────────────────────────────>
//!   <──────────── NextNumber: the new secret is in force ───────────
//! ```
//! The gateway may start as well, with the parts exchanged.

use crate::AgentError;
use crate::key::Key;
use crate::proof::Proof;
use symbolon_crypto::{CryptoError, Secret, Transcript, TranscriptHash, label};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_session::{ClientSession, ControlMessage, RenewalBytes, SessionSecret};
use symbolon_token::challenge::{Challenger, Parties, Responder};

/// How far a renewal has come.
#[derive(Debug, Default)]
pub(crate) enum Renewal {
    /// None is under way.
    #[default]
    None,
    /// We gave the first number.
    Challenged(Challenger),
    /// We answered the gateway's number.
    Answered(Responder),
    /// Both sides are proved; the gateway has still to say that the secret is in force.
    Proved(Secret<32>),
}

impl Renewal {
    /// Whether one is under way.
    pub(crate) const fn is_under_way(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Starts one.
    pub(crate) fn begin(&mut self, session: &ClientSession) -> Result<ControlMessage, AgentError> {
        let (challenger, first) = Challenger::begin(crypto(), &mut SystemEntropy, binding(session));
        *self = Self::Challenged(challenger);
        Ok(ControlMessage::RenewFirst(bytes(first)?))
    }

    /// Takes the gateway's message about a renewal; gives the answer, if there is one.
    ///
    /// # Errors
    /// What the gateway sent does not prove the key, or does not belong here.
    pub(crate) fn receive(
        &mut self,
        gateway: &str,
        proof: Option<&Proof>,
        session: &ClientSession,
        message: &ControlMessage,
    ) -> Result<Option<ControlMessage>, AgentError> {
        let Some(Proof::Key { key, user, .. }) = proof else {
            return Err(AgentError::failure("only a token's session can be renewed within itself"));
        };
        let user = user.as_str();
        match (std::mem::take(self), message) {
            // Both began at once: the gateway answers ours.
            (ours @ Self::Challenged(_), ControlMessage::RenewFirst(_)) => {
                *self = ours;
                Ok(None)
            }
            (_, ControlMessage::RenewFirst(first)) => {
                let parties = Parties { challenger: gateway, responder: user };
                let entropy = &mut SystemEntropy;
                let (responder, answer) =
                    Responder::answer(crypto(), entropy, key, parties, first.as_bytes(), binding(session))
                        .map_err(broken(key))?;
                *self = Self::Answered(responder);
                Ok(Some(ControlMessage::RenewSecond(bytes(answer)?)))
            }
            (Self::Challenged(challenger), ControlMessage::RenewSecond(answer)) => {
                let parties = Parties { challenger: user, responder: gateway };
                let (secret, last) = challenger
                    .conclude(&mut SystemEntropy, key, parties, answer.as_bytes())
                    .map_err(broken(key))?;
                *self = Self::Proved(secret);
                Ok(Some(ControlMessage::RenewThird(bytes(last)?)))
            }
            (Self::Answered(responder), ControlMessage::RenewThird(last)) => {
                *self = Self::Proved(responder.finish(last.as_bytes()).map_err(broken(key))?);
                Ok(None)
            }
            _ => Err(AgentError::failure("a message of a renewal that is not under way")),
        }
    }

    /// The new secret, once the gateway says by its next number that it is in force.
    pub(crate) fn in_force(&mut self) -> Option<SessionSecret> {
        match std::mem::take(self) {
            Self::Proved(secret) => Some(SessionSecret::new(secret)),
            other => {
                *self = other;
                None
            }
        }
    }
}

/// What a renewal is bound to: this session, in this epoch.
fn binding(session: &ClientSession) -> TranscriptHash {
    Transcript::new(crypto(), label::SESSION_RENEWAL)
        .with(&session.id().0)
        .with(&session.epoch().0.to_be_bytes())
        .hash()
}

fn bytes(message: Vec<u8>) -> Result<RenewalBytes, AgentError> {
    RenewalBytes::new(message).map_err(|e| AgentError::failure(e.to_string()))
}

/// The device with the key failed, or the gateway did.
fn broken(key: &Key) -> impl Fn(CryptoError) -> AgentError {
    |_| {
        key.trouble().unwrap_or_else(|| {
            AgentError::denied("the gateway did not prove the authentication key in a renewal")
        })
    }
}
