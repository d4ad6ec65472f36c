//! Signing in (A2, A6, B8) and coming back to a session over another connection.
//!
//! With a key set at hand or in the directory, and a number where the proof answers one, it is one round
//! trip; otherwise the gateway is asked for both first. A gateway that does not know the key any more, or
//! denies an old number, is asked once. Wherever a key set comes from, it is checked before anything
//! secret leaves (A1).

use crate::connection::Connection;
use crate::directory::{Directory, file_of};
use crate::gateway::{Trust, meet};
use crate::holder::Holder;
use crate::issuers::Issuers;
use crate::proof::{Proof, open_context};
use crate::status::KeysFrom;
use crate::{AgentError, clock};
use std::sync::Arc;
use symbolon_context::Established;
use symbolon_crypto::{GatewayName, KeySet, KeySetError, Suite, VerifiedKeySet};
use symbolon_policy::TokenClass;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_record::Role;
use symbolon_session::{AttachRequest, ClientSession, Epoch, SessionChannel, SessionId, SessionSecret};
use symbolon_token::Hello;
use symbolon_token::challenge::Number;
use symbolon_wire::{FrameKind, RefusalCode, Time};
use tokio::time::Instant;

/// Where, to whom and how to sign in.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) address: String,
    pub(crate) name: GatewayName,
    pub(crate) issuers: Arc<Issuers>,
    pub(crate) suites: Vec<Suite>,
}

/// What the last exchange with the gateway left.
#[derive(Debug, Default)]
pub(crate) struct AtHand {
    pub(crate) key_set: Option<KeySet>,
    pub(crate) number: Option<Number>,
}

/// A gateway's keys that were checked.
pub(crate) struct Known {
    pub(crate) verified: VerifiedKeySet,
    pub(crate) key_set: KeySet,
    pub(crate) from: KeysFrom,
}

impl Gateway {
    /// The gateway's keys without asking it: what is at hand, or what is published. None when neither is
    /// there and in date.
    ///
    /// # Errors
    /// What is published is not what it should be: nobody is told anything then.
    async fn without_asking(
        &self,
        at_hand: Option<KeySet>,
        deadline: Instant,
    ) -> Result<Option<Known>, AgentError> {
        if let Some(key_set) = at_hand
            && let Ok(verified) = self.issuers.verify_key_set(&key_set, &self.name)
        {
            return Ok(Some(Known { verified, key_set, from: KeysFrom::Pinned }));
        }
        match self.issuers.directory() {
            Some(directory) => published(directory, &self.issuers, &self.name, deadline).await,
            None => Ok(None),
        }
    }
}

/// A gateway's keys as a directory has them by then; none when they are missing or out of date.
///
/// # Errors
/// What is published is not what it should be.
pub(crate) async fn published(
    directory: &Directory,
    issuers: &Issuers,
    name: &GatewayName,
    deadline: Instant,
) -> Result<Option<Known>, AgentError> {
    let Some(key_set) = directory.key_set(name, deadline).await? else { return Ok(None) };
    match issuers.verify_key_set(&key_set, name) {
        Ok(verified) => Ok(Some(Known { verified, key_set, from: KeysFrom::Directory })),
        // Of a revoked identity too: the gateway may have another by now.
        Err(e @ (KeySetError::OutsideValidity | KeySetError::Revoked)) => {
            tracing::debug!(%directory, gateway = %name, "the published keys are out of date: {e}");
            Ok(None)
        }
        Err(e) => Err(directory.wrong(&file_of(name), &e)),
    }
}

/// A connection on which a session is live.
pub(crate) struct Carried {
    pub(crate) stream: tokio::net::TcpStream,
    pub(crate) reader: crate::connection::FrameReader,
    pub(crate) channel: SessionChannel,
}

impl Carried {
    /// The node at the other end.
    pub(crate) fn node(&self) -> Option<std::net::SocketAddr> {
        self.stream.peer_addr().ok()
    }
}

/// A session that was opened just now.
pub(crate) struct SignedIn {
    pub(crate) carried: Carried,
    pub(crate) session: ClientSession,
    pub(crate) verified: VerifiedKeySet,
    pub(crate) key_set: KeySet,
    pub(crate) keys_from: KeysFrom,
    pub(crate) suite: Suite,
    pub(crate) subject: String,
    pub(crate) opened: Time,
    pub(crate) lifetime_secs: u32,
    pub(crate) shown: Shown,
}

/// What was shown to open a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// [`Proof::method`].
    pub(crate) method: &'static str,
    /// What it is worth; of a ticket what the credential was that came before it.
    pub(crate) class: TokenClass,
    /// The user identification code and the access control path, where a registration tells them.
    pub(crate) registered: Option<(String, String)>,
    /// The device that holds the key which proved it, as a PKCS#11 URI.
    pub(crate) device: Option<String>,
    /// Who showed it, where that is known before the gateway says it.
    pub(crate) holder: Option<Holder>,
}

/// Signs in.
pub(crate) async fn sign_in(
    gateway: &Gateway,
    proof: &Proof,
    at_hand: AtHand,
) -> Result<SignedIn, AgentError> {
    let AtHand { key_set, number } = at_hand;
    // A gateway whose certificate was revoked meanwhile is to be told nothing.
    let deadline = Directory::deadline();
    gateway.issuers.learn(deadline).await?;
    if (number.is_some() || !proof.answers_a_number())
        && let Some(known) = gateway.without_asking(key_set, deadline).await?
    {
        let mut connection = Connection::dial(&gateway.address).await?;
        match open_context(&mut connection, gateway, proof, &known.verified, number).await? {
            Ok(established) => return finish(connection, gateway, proof, known, established),
            // The key was left behind, or the number became too old: both come with a new offer.
            Err(refusal)
                if refusal.code == RefusalCode::UnknownKey
                    || refusal.code == RefusalCode::Denied && proof.answers_a_number() =>
            {
                tracing::debug!(code = ?refusal.code, "what was at hand is not accepted; asking for an offer");
            }
            Err(refusal) => return Err(AgentError::refused(&refusal, clock::now())),
        }
    }
    let mut connection = Connection::dial(&gateway.address).await?;
    let trust = Trust::Learned(Arc::clone(&gateway.issuers));
    let mut once_more = true;
    loop {
        let met = meet(&mut connection, &Hello::default(), &trust, &gateway.name).await?;
        match open_context(&mut connection, gateway, proof, &met.verified, Some(met.offer.number)).await? {
            Ok(established) => {
                let (verified, key_set) = (met.verified, met.offer.key_set);
                let known = Known { verified, key_set, from: KeysFrom::Sent };
                return finish(connection, gateway, proof, known, established);
            }
            Err(refusal) if refusal.code == RefusalCode::UnknownKey && once_more => {
                once_more = false;
                connection = Connection::dial(&gateway.address).await?;
            }
            Err(refusal) => return Err(AgentError::refused(&refusal, clock::now())),
        }
    }
}

fn finish(
    connection: Connection,
    gateway: &Gateway,
    proof: &Proof,
    known: Known,
    established: Established,
) -> Result<SignedIn, AgentError> {
    let Known { verified, key_set, from } = known;
    let Established { secrets, session_id, lifetime_secs, subject } = established;
    let suite = verified.key(&gateway.suites).map_err(|e| AgentError::key_set(&e))?.public.suite();
    let channel = SessionChannel::from_secrets(crypto(), Role::Initiator, Epoch::FIRST, secrets.wrap);
    let session = ClientSession::new(SessionId(session_id), SessionSecret::new(secrets.session));
    let (stream, reader) = connection.into_session();
    Ok(SignedIn {
        carried: Carried { stream, reader, channel },
        session,
        verified,
        key_set,
        keys_from: from,
        suite,
        subject: subject.chars().filter(|c| !c.is_control()).collect(),
        opened: clock::now(),
        lifetime_secs,
        shown: Shown {
            method: proof.method(),
            class: proof.class(),
            registered: None,
            device: proof.device(),
            holder: None,
        },
    })
}

/// What came of asking a node to carry a session on.
pub(crate) enum Attach {
    /// It goes on.
    Attached(Box<Carried>),
    /// Only a new sign-in helps.
    Over(AgentError),
}

/// Asks the gateway to carry `session` on over a new connection.
pub(crate) async fn attach(gateway: &Gateway, session: &mut ClientSession) -> Result<Attach, AgentError> {
    let over = |why: String| Ok(Attach::Over(AgentError::denied(why)));
    let mut connection = Connection::dial(&gateway.address).await?;
    let (waiting, body) = match AttachRequest::begin(crypto(), &mut SystemEntropy, session) {
        Ok(begun) => begun,
        Err(e) => return over(e.to_string()),
    };
    connection.send(FrameKind::Attach, body).await?;
    match connection.receive(&[FrameKind::Attached]).await? {
        Ok(frame) => match waiting.receive(session, &frame.body) {
            Ok(channel) => {
                let (stream, reader) = connection.into_session();
                Ok(Attach::Attached(Box::new(Carried { stream, reader, channel })))
            }
            // Whoever answered does not hold the session; a sign-in tells who it is.
            Err(e) => over(e.to_string()),
        },
        Err(refusal) => {
            let error = AgentError::refused(&refusal, clock::now());
            match refusal.code {
                RefusalCode::Busy | RefusalCode::Stopping | RefusalCode::Internal => Err(error),
                _ => Ok(Attach::Over(error)),
            }
        }
    }
}
