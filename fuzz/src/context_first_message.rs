//! What a stranger sends first: frames, envelopes, and what is inside a first message of a context.

use symbolon_context::{ClaimedCertificate, Grant, Initiator, InitiatorOptions, Opened, PasswordCheck};
use symbolon_crypto::{
    CheapCheck, CookieJar, Entropy, Envelope, InitiatorToken, Purpose, Secret, Suite, TokenKind, TokenProof,
    TranscriptHash,
};
use symbolon_policy::{CanonName, PasswordGateways, UserCode};
use symbolon_session::{ClaimedTicket, TicketKeys};
use symbolon_tickets::oidc::claimed_issuer;
use symbolon_token::challenge::{ChallengeToken, Claimant, ClaimedResponse, GatewayNumbers};
use symbolon_token::{Hello, Offer, SoftwareKey};
use symbolon_wire::{Encode, FRAME_HEADER, Frame, FrameHeader, FrameKind, Reader, Refusal};

use crate::encoding::one_encoding;
use crate::gateway::{NOW, Seeded, crypto, gateway};
use crate::{Target, by};

pub(crate) const TARGET: Target = Target { name: "context_first_message", feed, seeds };

/// The rest is what a connection brings.
const CONNECTION: u8 = 0;
/// The rest is sealed into a first message.
const CONTENT: u8 = 1;
/// The rest is an answer to an initiator.
const ANSWER: u8 = 2;

fn feed(data: &[u8]) {
    match data.split_first() {
        Some((&CONNECTION, rest)) => connection(rest),
        Some((&CONTENT, rest)) => content(rest),
        Some((&ANSWER, rest)) => answer(rest),
        _ => {}
    }
}

fn connection(data: &[u8]) {
    let mut r = Reader::new(data);
    while let Ok(header) = r.fixed::<FRAME_HEADER>() {
        let Ok(parsed) = FrameHeader::parse(header) else { return };
        assert!(parsed.length <= parsed.kind.max_body(), "a body is bounded before it is read");
        assert_eq!(parsed.to_bytes(), header, "two encodings of one header");
        let Ok(body) = r.take(parsed.length) else { return };
        match parsed.kind {
            FrameKind::Hello => drop(one_encoding::<Hello>(body)),
            FrameKind::Offer => drop(one_encoding::<Offer>(body)),
            FrameKind::Refusal => drop(one_encoding::<Refusal>(body)),
            FrameKind::ContextFirst => envelope(Purpose::Context, body),
            FrameKind::RegistrationRequest => envelope(Purpose::Registration, body),
            _ => {}
        }
    }
}

fn envelope(purpose: Purpose, body: &[u8]) {
    let Some(envelope) = one_encoding::<Envelope>(body) else { return };
    let check = CheapCheck::new(crypto(), gateway().verified.hash(), purpose);
    if let Ok(checked) = check.check(crypto(), envelope.clone()) {
        let jar = CookieJar::new(Secret::new([3; 32]));
        assert!(!jar.accepts(crypto(), &checked, b"192.0.2.1", NOW), "no cookie was ever baked");
    }
    if let Some(content) = gateway().open(purpose, envelope) {
        drop(Opened::read(crypto(), content, NOW));
    }
}

/// A proof for any exchange: what a check of tokens would give, so that what comes after it is reached.
struct Believed(TranscriptHash);

impl TokenProof for Believed {
    fn binding(&self) -> &TranscriptHash {
        &self.0
    }
}

fn content(data: &[u8]) {
    let envelope = gateway().seal(Purpose::Context, data);
    let content = gateway().open(Purpose::Context, envelope).expect("an envelope that was just sealed opens");
    let Ok(opened) = Opened::read(crypto(), content, NOW) else { return };
    let fresh = opened.first_time(true, NOW).expect("nobody saw it before");
    match fresh.token_kind() {
        TokenKind::Challenge => {
            if let Ok(claimed) = ClaimedResponse::parse(fresh.token()) {
                let proved = claimed.verify(crypto(), &key(), NAME, &numbers(), fresh.binding(), NOW);
                assert!(proved.is_err(), "a response serves the exchange that it was made for, and no other");
            }
        }
        // Checking a password is Argon2id on a bounded text; the bound is what can be wrong.
        TokenKind::Password => drop(PasswordCheck::claimed_name(fresh.token())),
        kind @ (TokenKind::Certificate | TokenKind::KemCertificate) => {
            drop(ClaimedCertificate::parse(kind, fresh.token()));
        }
        TokenKind::SessionTicket => {
            let keys = TicketKeys::new(crypto(), &Secret::new([21; 32]));
            let claimed = ClaimedTicket::parse(fresh.token());
            let proved = claimed.map(|c| c.verify(crypto(), &keys, fresh.binding(), NOW));
            assert!(!matches!(proved, Ok(Ok(_))), "a ticket serves the exchange that it is shown in");
        }
        TokenKind::Jwt => drop(claimed_issuer(fresh.token().expose())),
        // The frame of Kerberos is fed by a target of its own: behind it stands the machine's library.
        _ => {}
    }
    let proof = Believed(*fresh.binding());
    let grant = Grant { session_id: [1; 16], lifetime_secs: 60, subject: "alice".into() };
    let authenticated = fresh.authenticate(Box::new(proof), ()).expect("a proof for this exchange");
    drop(authenticated.accept(&mut Seeded::new(), &grant));
}

fn answer(data: &[u8]) {
    let (waiting, _) = begin();
    assert!(
        waiting.finish(data).is_err(),
        "an answer serves the exchange that it was made for, and no other"
    );
}

const NAME: &str = "gateway.example";

fn key() -> SoftwareKey {
    SoftwareKey::new(Secret::new([9; 32]))
}

fn numbers() -> GatewayNumbers {
    GatewayNumbers::new(crypto(), &Secret::new([4; 32]))
}

/// A token that answers as if it were somebody's.
struct Anybody;

impl InitiatorToken for Anybody {
    fn present(
        &mut self,
        binding: &TranscriptHash,
    ) -> Result<symbolon_crypto::PresentedToken, symbolon_crypto::CryptoError> {
        let entropy: &mut dyn Entropy = &mut Seeded::new();
        let user = UserCode::parse("alice-1").expect("a code");
        let number = numbers().issue(crypto(), entropy, NOW);
        let key = key();
        let claimed = Claimant { registration_id: [1; 16], user: &user };
        ChallengeToken::new(crypto(), entropy, &key, claimed, NAME, number).present(binding)
    }

    fn confirm(&mut self, _reply: &[u8]) -> Result<(), symbolon_crypto::CryptoError> {
        Ok(())
    }
}

fn begin() -> (symbolon_context::AwaitSecond<Anybody>, Vec<u8>) {
    let options = InitiatorOptions { suites: vec![Suite::X25519], channel_bindings: [0; 32] };
    Initiator::begin(crypto(), &mut Seeded::new(), &gateway().verified, &options, Anybody, NOW)
        .expect("the gateway offers both suites")
}

fn seeds() -> Vec<Vec<u8>> {
    let opened = |first: &[u8]| {
        let envelope = one_encoding::<Envelope>(first).expect("an envelope");
        gateway().open(Purpose::Context, envelope).expect("it opens")
    };
    let (_, first) = begin();
    let content = opened(&first).plaintext.expose().to_vec();
    let fresh = Opened::read(crypto(), opened(&first), NOW).expect("it is well formed");
    let fresh = fresh.first_time(true, NOW).expect("nobody saw it before");
    let proof = Believed(*fresh.binding());
    let grant = Grant { session_id: [1; 16], lifetime_secs: 60, subject: "alice".into() };
    let authenticated = fresh.authenticate(Box::new(proof), ()).expect("a proof for this exchange");
    let (_, second) = authenticated.accept(&mut Seeded::new(), &grant).expect("its key is a key");

    let mut seeds = vec![by(CONTENT, &content), by(CONTENT, &password()), by(ANSWER, &second)];
    seeds.extend(TokenKind::ALL.map(|kind| by(CONTENT, &content_of(Shaped(kind)))));
    let offer = Offer {
        key_set: gateway().keys.offer().clone(),
        number: [5; 32],
        time: NOW,
        template: Vec::new(),
        open_registration: true,
        issuer_change: Vec::new(),
    };
    let frames = [
        (FrameKind::Hello, Hello::default().to_bytes()),
        (FrameKind::Offer, offer.to_bytes()),
        (FrameKind::ContextFirst, first),
        (FrameKind::RegistrationRequest, gateway().seal(Purpose::Registration, b"no request").to_bytes()),
    ];
    seeds.extend(frames.into_iter().map(|(kind, body)| by(CONNECTION, &Frame::new(kind, body).to_bytes())));
    seeds.extend(FrameKind::ALL.map(|kind| by(CONNECTION, &Frame::new(kind, vec![0; 40]).to_bytes())));
    seeds
}

/// A token of a kind, of which nothing but the shape is right.
struct Shaped(TokenKind);

impl InitiatorToken for Shaped {
    fn present(
        &mut self,
        _binding: &TranscriptHash,
    ) -> Result<symbolon_crypto::PresentedToken, symbolon_crypto::CryptoError> {
        let body = match self.0 {
            // A certificate, and a signature.
            TokenKind::Certificate => [&[1, 0, 80][..], &[0x30; 80], &[0, 64], &[7; 64]].concat(),
            TokenKind::KemCertificate => [&[1, 0, 80][..], &[0x30; 80]].concat(),
            // A sealed ticket of this day, and a MAC.
            TokenKind::SessionTicket => {
                let day = (NOW.secs() / 86_400) as u32;
                [&[0, 140][..], &day.to_be_bytes(), &[5; 136], &[7; 32]].concat()
            }
            TokenKind::Jwt => {
                b"eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUub3JnIn0.c2ln".to_vec()
            }
            _ => vec![0; 100],
        };
        let body = symbolon_crypto::SecretBytes::new(body);
        Ok(symbolon_crypto::PresentedToken { kind: self.0, body, contribution: None })
    }
}

/// What a first message with a token holds.
fn content_of(token: impl InitiatorToken) -> Vec<u8> {
    let options = InitiatorOptions { suites: vec![Suite::X25519], channel_bindings: [0; 32] };
    let begun = Initiator::begin(crypto(), &mut Seeded::new(), &gateway().verified, &options, token, NOW);
    let (_, first) = begun.expect("the gateway offers both suites");
    let envelope = one_encoding::<Envelope>(&first).expect("an envelope");
    gateway().open(Purpose::Context, envelope).expect("it opens").plaintext.expose().to_vec()
}

/// What a first message with a password holds.
fn password() -> Vec<u8> {
    let permitted = PasswordGateways::new([NAME]).permit(NAME).expect("it was named");
    let user = CanonName::parse("alice").expect("a name");
    let password = symbolon_crypto::SecretBytes::new(b"correct horse".to_vec());
    let token = symbolon_context::PasswordToken::new(user, password, &gateway().verified, &permitted)
        .expect("it is short");
    content_of(token)
}
