//! Whole contexts by tickets: what the two rooms and this shell say to each other fits.

use std::collections::HashSet;
use std::ffi::OsString;

use symbolon_context::{AwaitSecond, Fresh, Grant, InitiateError, Initiator, InitiatorOptions, Opened};
use symbolon_crypto::{
    CheapCheck, CryptoError, Envelope, GatewayName, InitiatorToken, Purpose, Suite, TokenKind, TokenProof,
    TrustedIssuer, VerifiedKeySet,
};
use symbolon_issuer::{ContextKeys, Issuer, Validity};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_tickets::oidc::{CommandSource, JwtToken, OidcError};
use symbolon_wire::Decode as _;

use crate::kerberos::{acceptor, token_for};
use crate::provider::{LIMIT, NOW, TestProvider};
use crate::realm::{Realm, in_a_realm};

struct Gateway {
    keys: ContextKeys,
    verified: VerifiedKeySet,
    seen: HashSet<[u8; 32]>,
}

impl Gateway {
    fn new() -> Self {
        let name = GatewayName::parse("gw.sym.test").unwrap();
        let issuer = Issuer::create("Example Works", NOW, 10).unwrap();
        let identity = issuer.gateway_identity(&name, Validity::starting(NOW, 90 * 86_400)).unwrap();
        let keys = ContextKeys::new(identity, issuer.certificate().to_vec(), 86_400, NOW).unwrap();
        let trusted = TrustedIssuer::from_certificate(crypto(), issuer.certificate()).unwrap();
        let verified = keys
            .offer()
            .verify(crypto(), &trusted, &symbolon_crypto::RevocationLists::none(), &name, NOW)
            .unwrap();
        Self { keys, verified, seen: HashSet::new() }
    }

    fn begin<T: InitiatorToken>(&self, token: T) -> Result<(AwaitSecond<T>, Vec<u8>), InitiateError> {
        let options = InitiatorOptions { suites: vec![Suite::X25519], ..InitiatorOptions::default() };
        Initiator::begin(crypto(), &mut SystemEntropy, &self.verified, &options, token, NOW)
    }

    fn open(&mut self, first: &[u8]) -> Fresh {
        let envelope = Envelope::from_bytes(first).unwrap();
        let (key, set) = self.keys.key(&envelope.key()).unwrap();
        let cheap = CheapCheck::new(crypto(), set, Purpose::Context);
        let content = cheap.check(crypto(), envelope).unwrap().open(crypto(), key).unwrap();
        let opened = Opened::read(crypto(), content, NOW).unwrap();
        let absent = self.seen.insert(*opened.replay_key());
        opened.first_time(absent, NOW).unwrap()
    }
}

fn second(fresh: Fresh, proof: impl TokenProof + 'static, subject: &str) -> Vec<u8> {
    let grant = Grant { session_id: [5; 16], lifetime_secs: 3600, subject: subject.to_owned() };
    let authenticated = fresh.authenticate(Box::new(proof), subject.to_owned()).unwrap();
    authenticated.accept(&mut SystemEntropy, &grant).unwrap().1
}

#[test]
fn a_kerberos_ticket_opens_a_context() {
    in_a_realm("context::a_kerberos_ticket_opens_a_context", |realm| {
        realm.kinit("alice");
        let mut gateway = Gateway::new();
        let (waiting, first) = gateway.begin(token_for("gw.sym.test")).unwrap();
        let fresh = gateway.open(&first);
        assert_eq!(fresh.token_kind(), TokenKind::Kerberos);
        let proved = acceptor(realm).accept(fresh.token().expose(), fresh.binding()).unwrap();
        let user = proved.user().clone();
        let established = waiting.finish(&second(fresh, proved, user.as_str())).unwrap();
        assert_eq!(established.subject, "alice");
    });
}

#[test]
fn a_gateway_without_the_services_key_cannot_answer_a_kerberos_ticket() {
    in_a_realm("context::a_gateway_without_the_services_key_cannot_answer_a_kerberos_ticket", |realm| {
        realm.kinit("alice");
        let mut gateway = Gateway::new();
        let (waiting, first) = gateway.begin(token_for("gw.sym.test")).unwrap();
        // It takes the answer of another exchange, in which it was shown a ticket of its own.
        let other = gateway.begin(token_for("gw.sym.test")).unwrap().1;
        let other = gateway.open(&other);
        let borrowed = acceptor(realm).accept(other.token().expose(), other.binding()).unwrap();
        let proof = Borrowed { binding: *gateway.open(&first).binding(), reply: borrowed.reply().to_vec() };
        gateway.seen.clear();
        let answer = second(gateway.open(&first), proof, "alice");
        assert!(matches!(waiting.finish(&answer), Err(InitiateError::Forged)));
    });
}

struct Borrowed {
    binding: symbolon_crypto::TranscriptHash,
    reply: Vec<u8>,
}

impl TokenProof for Borrowed {
    fn binding(&self) -> &symbolon_crypto::TranscriptHash {
        &self.binding
    }

    fn reply(&self) -> &[u8] {
        &self.reply
    }
}

fn id_token(provider: &TestProvider) -> JwtToken {
    let script = format!(
        "curl -sf -d \"username=alice&password=wonderland&nonce=$SYMBOLON_NONCE\" {}/token | cut -d '\"' -f 4",
        provider.issuer
    );
    let arguments: Vec<OsString> = vec!["-c".into(), script.into()];
    JwtToken::new(Box::new(CommandSource::new("sh".into(), arguments, LIMIT)))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_opens_a_context_and_no_other() {
    let provider = TestProvider::start("ES256").await;
    let verifier = provider.verifier();
    let mut gateway = Gateway::new();
    let (waiting, first) = gateway.begin(id_token(&provider)).unwrap();
    let fresh = gateway.open(&first);
    assert_eq!(fresh.token_kind(), TokenKind::Jwt);
    let proved = verifier.verify(fresh.token().expose(), fresh.binding(), NOW).await.unwrap();
    // The gateway takes the token elsewhere, as if it were the person.
    let stolen = fresh.token().duplicate();
    let user = proved.user().clone();
    assert_eq!(waiting.finish(&second(fresh, proved, user.as_str())).unwrap().subject, "alice");
    let mut elsewhere = Gateway::new();
    let (_, other) = elsewhere.begin(id_token(&provider)).unwrap();
    let other = elsewhere.open(&other);
    let refused = verifier.verify(stolen.expose(), other.binding(), NOW).await.unwrap_err();
    assert_eq!(refused, OidcError::NotBound);
}

#[test]
fn who_cannot_answer_says_why() {
    in_a_realm("context::who_cannot_answer_says_why", |realm: &Realm| {
        realm.kinit("alice");
        let token = token_for("gw.sym.test");
        let complaint = token.complaint();
        std::fs::remove_file(realm.path("tickets")).unwrap();
        let refused = Gateway::new().begin(token).unwrap_err();
        assert!(matches!(refused, InitiateError::Credential(CryptoError::BadKey)));
        assert!(complaint.take().is_some());
    });
}
