//! A gateway, a client that registers with it, and a virtual clock.

use std::collections::HashSet;
use symbolon_crypto::{
    CheapCheck, Envelope, EnvelopeContent, GatewayName, Purpose, Secret, Suite, Transcript, TranscriptHash,
    TrustedIssuer, VerifiedKeySet,
};
use symbolon_issuer::{ContextKeys, Issuer, Validity};
use symbolon_policy::{AccessPath, CanonName, TemplateName, TokenClass, UserCode};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::container::{HeldKey, Registration};
use symbolon_token::{
    AwaitConfirm, AwaitReply, FreshRequest, InvitationCode, RegistrationError, RegistrationGrant,
    RegistrationOpened, RegistrationRequest, SoftwareKey,
};
use symbolon_wire::{Decode, Time};

pub(crate) const NOW: Time = Time::from_secs(1_800_000_000);
const DAY: u64 = 86_400;

pub(crate) fn name(text: &str) -> GatewayName {
    GatewayName::parse(text).unwrap()
}

pub(crate) fn binding(of: &[u8]) -> TranscriptHash {
    Transcript::new(crypto(), of).hash()
}

/// A gateway and what its clients verified of it.
pub(crate) struct Gateway {
    pub(crate) keys: ContextKeys,
    pub(crate) issuer: TrustedIssuer,
    pub(crate) verified: VerifiedKeySet,
    pub(crate) clock: Time,
    seen: HashSet<[u8; 32]>,
}

impl Gateway {
    pub(crate) fn new(called: &str) -> Self {
        let issuer = Issuer::create("Example Works", NOW, 10).unwrap();
        let identity = issuer.gateway_identity(&name(called), Validity::starting(NOW, 90 * DAY)).unwrap();
        let keys = ContextKeys::new(identity, issuer.certificate().to_vec(), DAY, NOW).unwrap();
        let issuer = TrustedIssuer::from_certificate(crypto(), issuer.certificate()).unwrap();
        let verified = keys
            .offer()
            .verify(crypto(), &issuer, &symbolon_crypto::RevocationLists::none(), &name(called), NOW)
            .unwrap();
        Self { keys, issuer, verified, clock: NOW, seen: HashSet::new() }
    }

    /// The content of an envelope; nothing when it is not for us.
    pub(crate) fn content(&self, first: &[u8], purpose: Purpose) -> Option<EnvelopeContent> {
        let envelope = Envelope::from_bytes(first).ok()?;
        let (key, set) = self.keys.key(&envelope.key())?;
        let checked = CheapCheck::new(crypto(), set, purpose).check(crypto(), envelope).ok()?;
        checked.open(crypto(), key).ok()
    }

    pub(crate) fn open(&mut self, request: &[u8]) -> Result<FreshRequest, RegistrationError> {
        let content = self.content(request, Purpose::Registration).ok_or(RegistrationError::Forged)?;
        let opened = RegistrationOpened::read(crypto(), content, self.clock)?;
        let absent = self.seen.insert(*opened.replay_key());
        opened.first_time(absent, self.clock)
    }

    pub(crate) fn accept(
        &mut self,
        request: &[u8],
    ) -> Result<(SoftwareKey, Vec<u8>, AwaitConfirm), RegistrationError> {
        self.open(request)?.accept(&mut SystemEntropy, &grant())
    }

    pub(crate) fn request(&self, suite: Suite) -> (AwaitReply, Vec<u8>) {
        AwaitReply::begin(crypto(), &mut SystemEntropy, &self.verified, &[suite], &request(), self.clock)
            .unwrap()
    }
}

pub(crate) fn code() -> UserCode {
    UserCode::parse("alice-7f3a").unwrap()
}

pub(crate) fn request() -> RegistrationRequest {
    RegistrationRequest {
        template: TemplateName::parse("person").unwrap(),
        answers: b"canonical answers".to_vec(),
        invitation: Some(InvitationCode::new(Secret::new([8; 16]))),
        class: TokenClass::Software,
        label: "work laptop".into(),
    }
}

pub(crate) fn grant() -> RegistrationGrant {
    RegistrationGrant {
        registration_id: [6; 16],
        user_code: code(),
        user: CanonName::parse("alice").unwrap(),
        access_path: AccessPath::parse("/people/alice").unwrap(),
        awaits_approval: false,
        next_number: [4; 32],
    }
}

/// A registration as a token keeps it.
pub(crate) fn registration(gateway: &Gateway, key: [u8; 32]) -> Registration {
    let grant = grant();
    Registration {
        gateway: gateway.verified.name().clone(),
        address: "gw.example:7843".into(),
        key_set: gateway.keys.offer().clone(),
        registration_id: grant.registration_id,
        user_code: grant.user_code,
        user: grant.user,
        access_path: grant.access_path,
        registered: NOW,
        key: HeldKey::Software(SoftwareKey::new(Secret::new(key))),
        next_number: Some(grant.next_number),
    }
}

/// Every place a message is altered at: all of a short one, a sample of a long one.
pub(crate) fn places(length: usize) -> impl Iterator<Item = usize> {
    (0..length).filter(move |i| *i < 80 || length - *i < 40 || i % 37 == 0)
}
