//! Signing in (A2, A6, B8) and coming back to a session over another connection.
//!
//! With a key set and a number at hand it is one round trip; otherwise the gateway is asked for
//! both first. A gateway that does not know the key any more, or denies an old number, is asked
//! once.

use crate::connection::Connection;
use crate::gateway::{Trust, meet};
use crate::{AgentError, clock};
use symbolon_context::{Established, Initiator, InitiatorOptions, PasswordToken};
use symbolon_crypto::{
    Crypto, CryptoError, Entropy, GatewayName, InitiatorToken, KeySet, PresentedToken, SecretBytes, Suite,
    TranscriptHash, TrustedIssuer, VerifiedKeySet,
};
use symbolon_policy::{CanonName, PasswordGateways, UserCode};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_record::Role;
use symbolon_session::{AttachRequest, ClientSession, Epoch, SessionChannel, SessionId, SessionSecret};
use symbolon_token::challenge::{ChallengeToken, Claimant, Number};
use symbolon_token::{Hello, SoftwareKey};
use symbolon_wire::{FrameKind, Refusal, RefusalCode, Time};

/// Where, to whom and how to sign in.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) address: String,
    pub(crate) name: GatewayName,
    pub(crate) issuer: TrustedIssuer,
    pub(crate) suites: Vec<Suite>,
}

/// What proves who the user is.
#[derive(Debug)]
pub(crate) enum Proof {
    /// The authentication key of a registration (B8).
    Key { key: SoftwareKey, registration_id: [u8; 16], user: UserCode },
    /// A password (A4), and to whom it may be told.
    Password { user: CanonName, password: SecretBytes, gateways: PasswordGateways },
}

/// What the last exchange with the gateway left.
#[derive(Debug)]
pub(crate) struct AtHand {
    pub(crate) key_set: KeySet,
    pub(crate) number: Number,
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
    pub(crate) suite: Suite,
    pub(crate) subject: String,
    pub(crate) opened: Time,
    pub(crate) lifetime_secs: u32,
}

/// Signs in.
pub(crate) async fn sign_in(
    gateway: &Gateway,
    proof: &Proof,
    at_hand: Option<AtHand>,
) -> Result<SignedIn, AgentError> {
    if let Some(AtHand { key_set, number }) = at_hand
        && let Ok(verified) = key_set.verify(crypto(), &gateway.issuer, &gateway.name, clock::now())
    {
        let mut connection = Connection::dial(&gateway.address).await?;
        match open_context(&mut connection, gateway, proof, &verified, number).await? {
            Ok(established) => return finish(connection, gateway, verified, key_set, established),
            // The key was left behind, or the number became too old: both come with a new offer.
            Err(refusal) if matches!(refusal.code, RefusalCode::UnknownKey | RefusalCode::Denied) => {
                tracing::debug!(code = ?refusal.code, "what was at hand is not accepted; asking for an offer");
            }
            Err(refusal) => return Err(AgentError::refused(&refusal, clock::now())),
        }
    }
    let mut connection = Connection::dial(&gateway.address).await?;
    let trust = Trust::Issuer(gateway.issuer.clone());
    let mut once_more = true;
    loop {
        let met = meet(&mut connection, &Hello::default(), &trust, &gateway.name).await?;
        match open_context(&mut connection, gateway, proof, &met.verified, met.offer.number).await? {
            Ok(established) => {
                return finish(connection, gateway, met.verified, met.offer.key_set, established);
            }
            Err(refusal) if refusal.code == RefusalCode::UnknownKey && once_more => {
                once_more = false;
                connection = Connection::dial(&gateway.address).await?;
            }
            Err(refusal) => return Err(AgentError::refused(&refusal, clock::now())),
        }
    }
}

async fn open_context(
    connection: &mut Connection,
    gateway: &Gateway,
    proof: &Proof,
    verified: &VerifiedKeySet,
    number: Number,
) -> Result<Result<Established, Refusal>, AgentError> {
    match proof {
        Proof::Key { key, registration_id, user } => {
            let entropy: &mut dyn Entropy = &mut SystemEntropy;
            let token = KeyToken {
                key: key.duplicate(),
                registration_id: *registration_id,
                user: user.clone(),
                gateway: verified.name().to_string(),
                gateway_number: number,
                own_number: entropy.number(),
            };
            exchange(connection, gateway, verified, token).await
        }
        Proof::Password { user, password, gateways } => {
            let permitted = gateways.permit(verified.name().as_str()).ok_or_else(|| {
                AgentError::denied(format!("the password may not be told to {}", verified.name())).fix(format!(
                    "if that gateway may know it, name it in the configuration file: password_gateways = [\"{}\"]",
                    verified.name()
                ))
            })?;
            let token = PasswordToken::new(user.clone(), password.duplicate(), verified, &permitted)
                .map_err(|_| AgentError::usage("the password is too long"))?;
            exchange(connection, gateway, verified, token).await
        }
    }
}

async fn exchange<T: InitiatorToken>(
    connection: &mut Connection,
    gateway: &Gateway,
    verified: &VerifiedKeySet,
    token: T,
) -> Result<Result<Established, Refusal>, AgentError> {
    let options = InitiatorOptions { suites: gateway.suites.clone(), ..InitiatorOptions::default() };
    let (waiting, first) =
        Initiator::begin(crypto(), &mut SystemEntropy, verified, &options, token, clock::now())?;
    let first = (FrameKind::ContextFirst, first);
    match connection.ask(first, |cookie| waiting.with_cookie(cookie), FrameKind::ContextSecond).await? {
        Ok(second) => Ok(Ok(waiting.finish(&second)?)),
        Err(refusal) => Ok(Err(refusal)),
    }
}

fn finish(
    connection: Connection,
    gateway: &Gateway,
    verified: VerifiedKeySet,
    key_set: KeySet,
    established: Established,
) -> Result<SignedIn, AgentError> {
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
        suite,
        subject: subject.chars().filter(|c| !c.is_control()).collect(),
        opened: clock::now(),
        lifetime_secs,
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

/// [`ChallengeToken`] with a key of its own, so that the exchange can move between threads.
struct KeyToken {
    key: SoftwareKey,
    registration_id: [u8; 16],
    user: UserCode,
    gateway: String,
    gateway_number: Number,
    own_number: Number,
}

/// Hands out the number that was drawn before.
struct Drawn(Number);

impl Entropy for Drawn {
    fn fill(&mut self, out: &mut [u8]) {
        debug_assert_eq!(out.len(), self.0.len(), "a challenge token draws its number and nothing else");
        for (out, drawn) in out.iter_mut().zip(self.0) {
            *out = drawn;
        }
    }
}

impl KeyToken {
    fn token(&self) -> ChallengeToken<'_> {
        let crypto: Crypto = crypto();
        let claimed = Claimant { registration_id: self.registration_id, user: &self.user };
        let mut drawn = Drawn(self.own_number);
        ChallengeToken::new(crypto, &mut drawn, &self.key, claimed, &self.gateway, self.gateway_number)
    }
}

impl InitiatorToken for KeyToken {
    fn present(&mut self, binding: &TranscriptHash) -> Result<PresentedToken, CryptoError> {
        self.token().present(binding)
    }

    fn confirm(&mut self, reply: &[u8]) -> Result<(), CryptoError> {
        self.token().confirm(reply)
    }
}
