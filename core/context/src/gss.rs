//! The same contexts in the shape of RFC 2743, for programs that embed Symbolon as a library (A9).
//!
//! ```text
//! init_sec_context ── first message ───────────> accept_sec_context
//! Initiating::step <────────── second message ── Step::Continue
//! Step::Complete ─── confirmation ─────────────> Accepting::step
//!       wrap, unwrap <───────────────────> wrap, unwrap   Step::Complete
//! ```
//! How the tokens travel is the program's business. The third is the context's first wrapped message,
//! with nothing in it: with it the acceptor knows that the initiator is there, and not a recording.
//! Programs with room for two tokens only ask for [`Confirmation::ByFirstUse`].
//! Names are those of RFC 2743 in Rust's spelling; what the calls return is a type where C has a
//! status, so nothing can be wrapped too early. Everything wrapped is encrypted; a message that must
//! stay readable travels beside its `get_mic`.
//!
//! ```
//! use std::collections::HashSet;
//! use symbolon_context::gss::{self, Acceptor, Claim, Request, Step};
//! use symbolon_context::{Grant, PasswordCheck, PasswordToken, PasswordVerifier};
//! use symbolon_crypto::{
//!     ContextKeyId, GatewayName, KemPrivateKey, RevocationLists, SecretBytes, TokenProof, TrustedIssuer,
//! };
//! use symbolon_issuer::{ContextKeys, Issuer, Validity};
//! use symbolon_policy::{CanonName, PasswordGateways};
//! use symbolon_provider::{SystemEntropy, crypto};
//! use symbolon_wire::Time;
//!
//! // The acceptor: its keys, whom it knows, and what it has seen.
//! struct Service {
//!     keys: ContextKeys,
//!     passwords: PasswordCheck,
//!     alice: PasswordVerifier,
//!     seen: HashSet<[u8; 32]>,
//! }
//! impl Acceptor for Service {
//!     fn name(&self) -> &str {
//!         self.keys.identity().name().as_str()
//!     }
//!     fn context_key(&self, id: &ContextKeyId) -> Option<(&KemPrivateKey, &[u8; 32])> {
//!         self.keys.key(id)
//!     }
//!     fn remember(&mut self, first_message: &[u8; 32], _until: Time) -> bool {
//!         self.seen.insert(*first_message)
//!     }
//!     fn check(&mut self, claim: &Claim<'_>) -> Option<(Box<dyn TokenProof>, Grant)> {
//!         let name = PasswordCheck::claimed_name(claim.token).ok()?.ok();
//!         let verifier = name.filter(|n| n.as_str() == "alice").map(|_| &self.alice);
//!         let proof = self.passwords.verify(claim.token, verifier, claim.binding).ok()?;
//!         let grant = Grant { session_id: [1; 16], lifetime_secs: 3600, subject: "alice".into() };
//!         Some((Box::new(proof), grant))
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Time::from_secs(1_800_000_000);
//! let issuer = Issuer::create("Example Works", now, 10)?;
//! let name = GatewayName::parse("service.example")?;
//! let identity = issuer.gateway_identity(&name, Validity::starting(now, 90 * 86_400))?;
//! let mut service = Service {
//!     keys: ContextKeys::new(identity, issuer.certificate().to_vec(), 86_400, now)?,
//!     passwords: PasswordCheck::new(&mut SystemEntropy)?,
//!     alice: PasswordVerifier::new(&SecretBytes::from("correct horse".to_owned()), &mut SystemEntropy)?,
//!     seen: HashSet::new(),
//! };
//!
//! // The initiator trusts the issuer, and checks the service's keys before it says anything.
//! let trusted = TrustedIssuer::from_certificate(crypto(), issuer.certificate())?;
//! let target = service.keys.offer().verify(crypto(), &trusted, &RevocationLists::none(), &name, now)?;
//! let permitted = PasswordGateways::new(["service.example"]).permit("service.example").ok_or("not permitted")?;
//! let password = SecretBytes::from("correct horse".to_owned());
//! let credential = PasswordToken::new(CanonName::parse("alice")?, password, &target, &permitted)?;
//!
//! let (entropy, request) = (&mut SystemEntropy, Request::default());
//! let Step::Continue(initiating, first) =
//!     gss::init_sec_context(crypto(), entropy, &target, credential, &request, now)? else { unreachable!() };
//! let Step::Continue(accepting, second) =
//!     gss::accept_sec_context(crypto(), entropy, &mut service, &request, &first, now)? else { unreachable!() };
//! let Step::Complete(mut ours, third) = initiating.step(&second, now)? else { unreachable!() };
//! let Step::Complete(mut theirs, _) = accepting.step(&third)? else { unreachable!() };
//!
//! let wrapped = ours.wrap(b"transfer 10", now)?;
//! assert_eq!(theirs.unwrap(&wrapped, now)?.expose(), b"transfer 10");
//! assert_eq!(theirs.inquire_context(now).initiator, "alice");
//! # Ok(())
//! # }
//! ```

mod error;
mod security_context;

pub use error::GssError;
pub use security_context::{ContextInfo, Flags, SecurityContext};
pub use symbolon_record::{Delivery, Role};

use crate::{AcceptError, AwaitSecond, ContextSecrets, Grant, Initiator, InitiatorOptions, Opened};
use security_context::Agreed;
use symbolon_crypto::{
    CheapCheck, ContextKeyId, Crypto, CryptoError, Entropy, Envelope, InitiatorToken, KemPrivateKey, Purpose,
    SecretBytes, Suite, TokenKind, TokenProof, TranscriptHash, VerifiedKeySet, constant_time_eq,
};
use symbolon_wire::{Decode, Time};

/// What a party wants of a context. Both sides must want the same delivery and be on the same
/// channel.
#[derive(Clone, Debug)]
pub struct Request {
    /// Acceptable suites, best first. An acceptor answers in the suite of the first message, and
    /// refuses one that is not among these.
    pub suites: Vec<Suite>,
    /// Hash of the channel that the context is bound to (RFC 5056), zero when there is none.
    pub channel_bindings: [u8; 32],
    /// Whether messages must arrive in order, or may come late, early or never.
    pub delivery: Delivery,
    /// How the acceptor learns that the initiator is there.
    pub confirmation: Confirmation,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            suites: vec![Suite::XWing],
            channel_bindings: [0; 32],
            delivery: Delivery::InOrder,
            confirmation: Confirmation::ByThirdToken,
        }
    }
}

/// How the acceptor learns that the initiator is there, and not a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// By a third token, before its context is complete.
    ByThirdToken,
    /// By the first message or check that it verifies. The context is complete with the first token,
    /// so until then the replay cache alone keeps a recording out: it must be shared by all processes
    /// that hold the key, and outlive them. A credential that the confirmation itself proves (A7) is
    /// refused.
    ByFirstUse,
}

/// What a step came to: `GSS_S_CONTINUE_NEEDED` or `GSS_S_COMPLETE`, with the token for the peer.
#[derive(Debug)]
pub enum Step<S> {
    /// Send the token and hand what comes back to the state's `step`.
    Continue(S, Vec<u8>),
    /// The context is open. Send the token unless it is empty.
    Complete(Box<SecurityContext>, Vec<u8>),
}

/// Begins a context with `target`, whose keys were checked (`GSS_Init_sec_context`).
///
/// # Errors
/// [`GssError::Initiate`] when no acceptable suite is offered or the credential cannot answer.
pub fn init_sec_context<T: InitiatorToken>(
    crypto: Crypto,
    entropy: &mut dyn Entropy,
    target: &VerifiedKeySet,
    credential: T,
    request: &Request,
    now: Time,
) -> Result<Step<Initiating<T>>, GssError> {
    let options =
        InitiatorOptions { suites: request.suites.clone(), channel_bindings: request.channel_bindings };
    let (waiting, first) = Initiator::begin(crypto, entropy, target, &options, credential, now)?;
    let acceptor = target.name().as_str().to_owned();
    Ok(Step::Continue(Initiating { crypto, waiting, acceptor, request: request.clone() }, first))
}

/// An initiator that waits for the second message.
#[derive(Debug)]
pub struct Initiating<T> {
    crypto: Crypto,
    waiting: AwaitSecond<T>,
    acceptor: String,
    request: Request,
}

impl<T: InitiatorToken> Initiating<T> {
    /// Takes the acceptor's token; the one that comes out is the confirmation, if there is one.
    ///
    /// # Errors
    /// [`GssError::Initiate`]; the exchange is over then.
    pub fn step(self, token: &[u8], now: Time) -> Result<Step<Self>, GssError> {
        let established = self.waiting.finish(token)?;
        let agreed = Agreed {
            role: Role::Initiator,
            initiator: established.subject,
            acceptor: self.acceptor,
            session_id: established.session_id,
            expires: now.plus_secs(established.lifetime_secs.into()),
            channel_bound: self.request.channel_bindings != [0; 32],
        };
        let mut context =
            SecurityContext::new(self.crypto, established.secrets, agreed, self.request.delivery);
        let confirmation = match self.request.confirmation {
            Confirmation::ByThirdToken => context.wrap(&[], now)?,
            Confirmation::ByFirstUse => Vec::new(),
        };
        Ok(Step::Complete(Box::new(context), confirmation))
    }
}

/// A credential that somebody presents.
#[derive(Debug)]
pub struct Claim<'a> {
    /// Its kind.
    pub kind: TokenKind,
    /// Its bytes, in the encoding of its kind.
    pub token: &'a SecretBytes,
    /// The exchange that a proof of it must be for.
    pub binding: &'a TranscriptHash,
}

/// What an accepting program knows and remembers.
pub trait Acceptor {
    /// The name that its certificate has.
    fn name(&self) -> &str;

    /// The private key that a first message names, and the hash of the set in which it was shown.
    fn context_key(&self, id: &ContextKeyId) -> Option<(&KemPrivateKey, &[u8; 32])>;

    /// Puts a first message into the replay cache, shared by all who hold the key, and tells whether
    /// it was absent. It must be remembered until `until`.
    fn remember(&mut self, first_message: &[u8; 32], until: Time) -> bool;

    /// Checks a credential, and says what is granted to whom. Unknown subjects should cost as much
    /// as wrong credentials.
    fn check(&mut self, claim: &Claim<'_>) -> Option<(Box<dyn TokenProof>, Grant)>;
}

/// Answers a first message (`GSS_Accept_sec_context`).
///
/// # Errors
/// [`GssError::Accept`], [`GssError::BadBindings`], [`GssError::UnknownKey`],
/// [`GssError::BadCredential`]. Tell the peer no more than that it was refused.
pub fn accept_sec_context(
    crypto: Crypto,
    entropy: &mut dyn Entropy,
    acceptor: &mut dyn Acceptor,
    request: &Request,
    token: &[u8],
    now: Time,
) -> Result<Step<Accepting>, GssError> {
    let envelope = Envelope::from_bytes(token).map_err(AcceptError::from)?;
    let (key, key_set) = acceptor.context_key(&envelope.key()).ok_or(GssError::UnknownKey)?;
    if !request.suites.contains(&key.public().suite()) {
        return Err(GssError::UnknownKey);
    }
    let content = CheapCheck::new(crypto, key_set, Purpose::Context)
        .check(crypto, envelope)
        .and_then(|checked| checked.open(crypto, key))
        .map_err(AcceptError::from)?;
    let opened = Opened::read(crypto, content, now)?;
    let was_absent = acceptor.remember(opened.replay_key(), opened.remember_until());
    let fresh = opened.first_time(was_absent, now)?;
    if !constant_time_eq(fresh.channel_bindings(), &request.channel_bindings) {
        return Err(GssError::BadBindings);
    }
    let claim = Claim { kind: fresh.token_kind(), token: fresh.token(), binding: fresh.binding() };
    let (proof, grant) = acceptor.check(&claim).ok_or(GssError::BadCredential)?;
    if request.confirmation == Confirmation::ByFirstUse && proof.envelope_to().is_some() {
        // Nothing is proved before the confirmation, so there must be one.
        return Err(GssError::BadCredential);
    }
    let (secrets, second) = fresh.authenticate(proof, ())?.accept(entropy, &grant)?;
    let agreed = Agreed {
        role: Role::Acceptor,
        initiator: grant.subject,
        acceptor: acceptor.name().to_owned(),
        session_id: grant.session_id,
        expires: now.plus_secs(grant.lifetime_secs.into()),
        channel_bound: request.channel_bindings != [0; 32],
    };
    match request.confirmation {
        Confirmation::ByThirdToken => {
            Ok(Step::Continue(Accepting { crypto, secrets, agreed, delivery: request.delivery, now }, second))
        }
        Confirmation::ByFirstUse => {
            let context = SecurityContext::new(crypto, secrets, agreed, request.delivery);
            Ok(Step::Complete(Box::new(context), second))
        }
    }
}

/// An acceptor that waits for the confirmation.
#[derive(Debug)]
pub struct Accepting {
    crypto: Crypto,
    secrets: ContextSecrets,
    agreed: Agreed,
    delivery: Delivery,
    now: Time,
}

impl Accepting {
    /// Takes the confirmation; nothing that the initiator asks for should be done before.
    ///
    /// # Errors
    /// [`GssError::Accept`] when it is no confirmation of this context.
    pub fn step(self, token: &[u8]) -> Result<Step<Self>, GssError> {
        let mut context = SecurityContext::new(self.crypto, self.secrets, self.agreed, self.delivery);
        match context.unwrap(token, self.now) {
            Ok(message) if message.expose().is_empty() => Ok(Step::Complete(Box::new(context), Vec::new())),
            _ => Err(AcceptError::from(CryptoError::Forged).into()),
        }
    }
}
