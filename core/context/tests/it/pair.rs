//! An initiator, an acceptor and a virtual clock.

use std::collections::HashSet;
use symbolon_context::{
    AcceptError, AwaitSecond, ContextSecrets, Established, Fresh, Grant, InitiateError, Initiator,
    InitiatorOptions, Opened,
};
use symbolon_crypto::{
    CheapCheck, CryptoError, Envelope, GatewayName, InitiatorToken, PresentedToken, Purpose, Secret,
    SecretBytes, Suite, TokenKind, TokenProof, TranscriptHash, TrustedIssuer, VerifiedKeySet,
};
use symbolon_issuer::{ContextKeys, Issuer, Validity};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_wire::{Decode, Time};

pub(crate) const NOW: Time = Time::from_secs(1_800_000_000);
const DAY: u64 = 86_400;

pub(crate) fn name(text: &str) -> GatewayName {
    GatewayName::parse(text).unwrap()
}

pub(crate) fn options(suite: Suite) -> InitiatorOptions {
    InitiatorOptions { suites: vec![suite], ..InitiatorOptions::default() }
}

/// A gateway and what its clients verified of it.
pub(crate) struct Gateway {
    pub(crate) keys: ContextKeys,
    pub(crate) verified: VerifiedKeySet,
    pub(crate) clock: Time,
    seen: HashSet<[u8; 32]>,
}

/// Why a first message did not get as far as its token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// Not an envelope.
    NoEnvelope,
    /// Before any private-key work.
    Cheaply,
    /// The context key is not known.
    UnknownKey,
    /// By the private key.
    DoesNotOpen,
    /// By the context core.
    Core(AcceptError),
}

impl Gateway {
    pub(crate) fn new(called: &str) -> Self {
        Self::of(&Issuer::create("Example Works", NOW, 10).unwrap(), called)
    }

    pub(crate) fn of(issuer: &Issuer, called: &str) -> Self {
        let identity = issuer.gateway_identity(&name(called), Validity::starting(NOW, 90 * DAY)).unwrap();
        let keys = ContextKeys::new(identity, issuer.certificate().to_vec(), DAY, NOW).unwrap();
        let trusted = TrustedIssuer::from_certificate(crypto(), issuer.certificate()).unwrap();
        let verified = keys
            .offer()
            .verify(crypto(), &trusted, &symbolon_crypto::RevocationLists::none(), &name(called), NOW)
            .unwrap();
        Self { keys, verified, clock: NOW, seen: HashSet::new() }
    }

    /// Everything up to the token, in the order of cost.
    pub(crate) fn open(&mut self, first: &[u8]) -> Result<Fresh, Stopped> {
        self.open_for(first, Purpose::Context)
    }

    pub(crate) fn open_for(&mut self, first: &[u8], purpose: Purpose) -> Result<Fresh, Stopped> {
        let envelope = Envelope::from_bytes(first).map_err(|_| Stopped::NoEnvelope)?;
        let (key, set) = self.keys.key(&envelope.key()).ok_or(Stopped::UnknownKey)?;
        let checked = CheapCheck::new(crypto(), set, purpose)
            .check(crypto(), envelope)
            .map_err(|_| Stopped::Cheaply)?;
        let content = checked.open(crypto(), key).map_err(|_| Stopped::DoesNotOpen)?;
        let opened = Opened::read(crypto(), content, self.clock).map_err(Stopped::Core)?;
        let absent = self.seen.insert(*opened.replay_key());
        opened.first_time(absent, self.clock).map_err(Stopped::Core)
    }

    /// A whole acceptance of a [`TestToken`].
    pub(crate) fn accept(&mut self, first: &[u8]) -> Result<(ContextSecrets, Vec<u8>), Stopped> {
        let fresh = self.open(first)?;
        let proof = TestProof::check(&fresh);
        accept(fresh, proof, &grant()).map_err(Stopped::Core)
    }

    pub(crate) fn first(&self, suite: Suite) -> (AwaitSecond<TestToken>, Vec<u8>) {
        Initiator::begin(
            crypto(),
            &mut SystemEntropy,
            &self.verified,
            &options(suite),
            TestToken::new(),
            self.clock,
        )
        .unwrap()
    }
}

/// What follows a check that gave `proof`.
pub(crate) fn accept(
    fresh: Fresh,
    proof: impl TokenProof + 'static,
    grant: &Grant,
) -> Result<(ContextSecrets, Vec<u8>), AcceptError> {
    fresh.authenticate(Box::new(proof), ())?.accept(&mut SystemEntropy, grant)
}

pub(crate) fn grant() -> Grant {
    Grant { session_id: [5; 16], lifetime_secs: 3600, subject: "alice".into() }
}

/// A credential that shares a key with its check and returns a number, as challenge and response
/// does (room B has tests with the real one).
#[derive(Debug)]
pub(crate) struct TestToken {
    shared: Secret<32>,
}

impl TestToken {
    pub(crate) fn new() -> Self {
        Self { shared: Secret::new([3; 32]) }
    }
}

pub(crate) fn mac(key: &Secret<32>, binding: &TranscriptHash) -> Secret<32> {
    Secret::new(crypto().hmac_sha256(key.expose(), &[binding.as_ref()]))
}

impl InitiatorToken for TestToken {
    fn present(&mut self, binding: &TranscriptHash) -> Result<PresentedToken, CryptoError> {
        let contribution = mac(&self.shared, binding);
        let body = crypto().sha256(&[contribution.expose()]).to_vec();
        Ok(PresentedToken {
            kind: TokenKind::Challenge,
            body: SecretBytes::new(body),
            contribution: Some(contribution),
        })
    }

    fn confirm(&mut self, reply: &[u8]) -> Result<(), CryptoError> {
        if reply == b"number two" { Ok(()) } else { Err(CryptoError::Forged) }
    }
}

/// What the acceptor makes of a [`TestToken`]; its parts can be spoilt.
pub(crate) struct TestProof {
    pub(crate) binding: TranscriptHash,
    pub(crate) contribution: Option<Secret<32>>,
    pub(crate) reply: Vec<u8>,
}

impl TestProof {
    pub(crate) fn check(fresh: &Fresh) -> Self {
        let contribution = mac(&Secret::new([3; 32]), fresh.binding());
        assert_eq!(fresh.token().expose(), crypto().sha256(&[contribution.expose()]));
        Self { binding: *fresh.binding(), contribution: Some(contribution), reply: b"number two".to_vec() }
    }
}

impl TokenProof for TestProof {
    fn binding(&self) -> &TranscriptHash {
        &self.binding
    }

    fn contribution(&self) -> Option<&Secret<32>> {
        self.contribution.as_ref()
    }

    fn reply(&self) -> &[u8] {
        &self.reply
    }
}

/// Both ends of an open context.
pub(crate) fn connected(suite: Suite) -> (Established, ContextSecrets) {
    let mut gateway = Gateway::new("gw.example");
    let (waiting, first) = gateway.first(suite);
    let (acceptor, second) = gateway.accept(&first).unwrap();
    (waiting.finish(&second).unwrap(), acceptor)
}

/// Every place a message is altered at: all of a short one, a sample of a long one.
pub(crate) fn places(length: usize) -> impl Iterator<Item = usize> {
    (0..length).filter(move |i| *i < 80 || length - *i < 40 || i % 37 == 0)
}

pub(crate) fn refused(result: Result<Established, InitiateError>) -> bool {
    matches!(result, Err(InitiateError::Forged | InitiateError::Malformed(_)))
}
