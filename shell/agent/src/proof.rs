//! What proves who the user is, and how it goes into the one exchange (A2).

use crate::certificate::{HeldCertificate, HeldToken, Naming};
use crate::connection::Connection;
use crate::id_tokens::{self, IdTokens};
use crate::key::Key;
use crate::sign_in::Gateway;
use crate::{AgentError, clock, kerberos};
use std::sync::{Arc, Mutex, PoisonError};
use symbolon_context::{AwaitSecond, Established, InitiateError, Initiator, InitiatorOptions, PasswordToken};
use symbolon_crypto::{
    Crypto, CryptoError, Entropy, InitiatorToken, PresentedToken, SecretBytes, TranscriptHash, VerifiedKeySet,
};
use symbolon_policy::{CanonName, PasswordGateways, TokenClass, UserCode};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_session::Ticket;
use symbolon_tickets::kerberos::ServicePrincipal;
use symbolon_tickets::oidc::JwtToken;
use symbolon_token::challenge::{ChallengeToken, Claimant, Number};
use symbolon_wire::{FrameKind, Refusal, RefusalCode};

/// What proves who the user is.
#[derive(Debug)]
pub(crate) enum Proof {
    /// The authentication key of a registration (B8), and what keeps it.
    Key { key: Key, registration_id: [u8; 16], user: UserCode, class: TokenClass },
    /// A password (A4), and to whom it may be told.
    Password { user: CanonName, password: SecretBytes, gateways: PasswordGateways },
    /// A certificate (A3, A7).
    Certificate(Arc<HeldCertificate>),
    /// Whatever ticket of Kerberos the user has (A5).
    Kerberos(ServicePrincipal),
    /// Whatever ID token is got from there (A5).
    Oidc(IdTokens),
    /// The ticket of an earlier session (A5), as [`Ticket::to_secret_bytes`], and what it stands for.
    Ticket(SecretBytes, TokenClass),
}

impl Proof {
    /// How it proves, in a word for `whoami`.
    pub(crate) const fn method(&self) -> &'static str {
        match self {
            Self::Key { .. } => "challenge",
            Self::Password { .. } => "password",
            Self::Certificate(_) => "certificate",
            Self::Kerberos(_) => "kerberos",
            Self::Oidc(_) => "oidc",
            Self::Ticket(..) => "ticket",
        }
    }

    /// What it is worth.
    pub(crate) const fn class(&self) -> TokenClass {
        match self {
            Self::Key { class, .. } | Self::Ticket(_, class) => *class,
            Self::Password { .. } => TokenClass::Password,
            Self::Certificate(_) => TokenClass::Certificate,
            Self::Kerberos(_) => TokenClass::Kerberos,
            Self::Oidc(_) => TokenClass::Oidc,
        }
    }

    /// The device that holds its key, as a PKCS#11 URI.
    pub(crate) fn device(&self) -> Option<String> {
        match self {
            Self::Key { key, .. } => key.device().map(|device| device.uri().to_string()),
            Self::Certificate(held) => held.key().device().map(|signer| signer.uri().to_string()),
            Self::Password { .. } | Self::Kerberos(_) | Self::Oidc(_) | Self::Ticket(..) => None,
        }
    }

    /// Whether it answers a number of the gateway's, which is good once.
    pub(crate) const fn answers_a_number(&self) -> bool {
        matches!(self, Self::Key { .. })
    }

    /// Whether it costs somebody something: a person, or a server that knows passwords. A key of the
    /// agent's own costs nothing, and proves more than a ticket.
    pub(crate) const fn is_dear(&self) -> bool {
        !matches!(self, Self::Key { .. } | Self::Certificate(_))
    }
}

/// Opens a context, or says how it was refused.
pub(crate) async fn open_context(
    connection: &mut Connection,
    gateway: &Gateway,
    proof: &Proof,
    verified: &VerifiedKeySet,
    number: Option<Number>,
) -> Result<Result<Established, Refusal>, AgentError> {
    match proof {
        Proof::Key { key, registration_id, user, .. } => {
            let entropy: &mut dyn Entropy = &mut SystemEntropy;
            let token = KeyToken {
                key: key.duplicate(),
                registration_id: *registration_id,
                user: user.clone(),
                gateway: verified.name().to_string(),
                gateway_number: number.ok_or_else(|| AgentError::failure("the gateway gave no number"))?,
                own_number: entropy.number(),
            };
            let begun = begin(gateway, verified, token);
            let begun = begun.map_err(|e| key.trouble().unwrap_or_else(|| e.into()))?;
            exchange(connection, begun).await
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
            exchange(connection, begin(gateway, verified, token)?).await
        }
        Proof::Certificate(held) => {
            let begin = |naming| {
                let begun = begin(gateway, verified, HeldToken { held: Arc::clone(held), naming });
                begun.map_err(|e| held.key().trouble().unwrap_or_else(|| e.into()))
            };
            if held.naming() == Naming::Hash {
                match exchange(connection, begin(Naming::Hash)?).await? {
                    Err(refusal) if refusal.code == RefusalCode::UnknownCertificate => {
                        held.known_as(Naming::Whole);
                        *connection = Connection::dial(&gateway.address).await?;
                    }
                    known => return Ok(known),
                }
            }
            let opened = exchange(connection, begin(Naming::Whole)?).await?;
            if opened.is_ok() {
                held.known_as(Naming::Hash);
            }
            Ok(opened)
        }
        Proof::Kerberos(service) => {
            let asked = service.clone();
            let begun = aside(gateway, verified, move || {
                let token = kerberos::obtain(&asked)?;
                Ok((token.complaint(), token))
            });
            let (begun, complaint) = begun.await?;
            let told = |e: AgentError| complaint.take().map_or(e, |why| kerberos::told(&why, service));
            let begun = begun.map_err(told)?;
            exchange(connection, begun).await.map_err(told)
        }
        Proof::Oidc(source) => {
            let source = source.clone();
            let begun = aside(gateway, verified, move || {
                let token = JwtToken::new(source.source());
                Ok((token.complaint(), token))
            });
            let (begun, complaint) = begun.await?;
            let begun = begun.map_err(|e| complaint.take().map_or(e, |why| id_tokens::told(&why)))?;
            // A gateway does not wait as long as a person needs at a provider.
            *connection = Connection::dial(&gateway.address).await?;
            exchange(connection, begun).await
        }
        Proof::Ticket(bytes, _) => {
            let token = Ticket::from_secret_bytes(bytes)?.into_token(crypto());
            exchange(connection, begin(gateway, verified, token)?).await
        }
    }
}

/// A first message, and what waits for the second.
type Begun<T> = (AwaitSecond<T>, Vec<u8>);

fn begin<T: InitiatorToken>(
    gateway: &Gateway,
    verified: &VerifiedKeySet,
    token: T,
) -> Result<Begun<T>, InitiateError> {
    let options = InitiatorOptions { suites: gateway.suites.clone(), ..InitiatorOptions::default() };
    Initiator::begin(crypto(), &mut SystemEntropy, verified, &options, token, clock::now())
}

/// The same where waiting is allowed, for a token that asks others; `make` gives it and what it will
/// complain by.
async fn aside<T, C>(
    gateway: &Gateway,
    verified: &VerifiedKeySet,
    make: impl FnOnce() -> Result<(C, T), AgentError> + Send + 'static,
) -> Result<(Result<Begun<Alone<T>>, AgentError>, C), AgentError>
where
    T: InitiatorToken + Send + 'static,
    C: Send + 'static,
{
    let options = InitiatorOptions { suites: gateway.suites.clone(), ..InitiatorOptions::default() };
    let verified = verified.clone();
    let begun = tokio::task::spawn_blocking(move || {
        let (complaint, token) = make()?;
        let begun = Initiator::begin(
            crypto(),
            &mut SystemEntropy,
            &verified,
            &options,
            Alone(Mutex::new(token)),
            clock::now(),
        );
        Ok::<_, AgentError>((begun.map_err(AgentError::from), complaint))
    });
    begun.await.map_err(|_| AgentError::failure("getting the ticket broke off"))?
}

async fn exchange<T: InitiatorToken>(
    connection: &mut Connection,
    (waiting, first): Begun<T>,
) -> Result<Result<Established, Refusal>, AgentError> {
    let first = (FrameKind::ContextFirst, first);
    match connection.ask(first, |cookie| waiting.with_cookie(cookie), FrameKind::ContextSecond).await? {
        Ok(second) => Ok(Ok(waiting.finish(&second)?)),
        Err(refusal) => Ok(Err(refusal)),
    }
}

/// A token that one thread may use at a time, in an exchange that moves between threads.
struct Alone<T>(Mutex<T>);

impl<T> Alone<T> {
    fn get(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: InitiatorToken> InitiatorToken for Alone<T> {
    fn present(&mut self, binding: &TranscriptHash) -> Result<PresentedToken, CryptoError> {
        self.get().present(binding)
    }

    fn confirm(&mut self, reply: &[u8]) -> Result<(), CryptoError> {
        self.get().confirm(reply)
    }
}

/// [`ChallengeToken`] with a key of its own, so that the exchange can move between threads.
struct KeyToken {
    key: Key,
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
