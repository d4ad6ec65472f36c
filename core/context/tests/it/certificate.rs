//! Certificates as authentication tokens: what signs, what opens an envelope, and what proves nothing.

use crate::pair::{Gateway, NOW, accept, grant, name, options};
use symbolon_context::{
    AcceptError, AwaitSecond, CertificateKey, CertificateProved, CertificateToken, ClaimedCertificate,
    ContextSecrets, Fresh, InitiateError, Initiator,
};
use symbolon_crypto::{
    CryptoError, InitiatorToken, KemPrivateKey, PresentedToken, Revocation, SecretBytes, Signer, SubjectId,
    SubjectTrust, Suite, TokenKind, TokenProof, TranscriptHash, TrustedIssuer, VerifiedSubject,
};
use symbolon_issuer::{CertificateRequest, Issuer, RequestKey, RequestedName, SubjectGrant, Validity};
use symbolon_provider::{Ed25519SigningKey, P256SigningKey, SystemEntropy, crypto};

/// An issuer, a gateway of its, and subjects' keys of every kind.
struct World {
    issuer: Issuer,
    gateway: Gateway,
    ed25519: Ed25519SigningKey,
    p256: P256SigningKey,
    kem: [KemPrivateKey; 2],
}

fn alice() -> SubjectId {
    SubjectId::person("alice").unwrap()
}

impl World {
    fn new() -> Self {
        let issuer = Issuer::create("Example Works", NOW, 10).unwrap();
        let gateway = Gateway::of(&issuer, "gw.example");
        Self {
            issuer,
            gateway,
            ed25519: Ed25519SigningKey::generate(),
            p256: P256SigningKey::generate(),
            kem: Suite::ALL.map(|s| KemPrivateKey::generate(s, crypto(), &mut SystemEntropy)),
        }
    }

    fn certify(&self, key: RequestKey<'_>) -> Vec<Vec<u8>> {
        let request = CertificateRequest::make(&RequestedName::Subject(alice()), key).unwrap();
        let request = CertificateRequest::read(crypto(), &request).unwrap();
        let grant = SubjectGrant {
            subject: alice(),
            common_name: "Alice".into(),
            validity: Validity::starting(NOW, 86_400),
        };
        vec![self.issuer.certify_subject(&request, &grant).unwrap().der().to_vec()]
    }

    fn subject(&self, claimed: &ClaimedCertificate) -> VerifiedSubject {
        let issuer = TrustedIssuer::from_certificate(crypto(), self.issuer.certificate()).unwrap();
        let trust = SubjectTrust::new(crypto(), &[issuer], Revocation::IfListed).unwrap();
        trust.verify(crypto(), &claimed.chain().unwrap(), NOW).unwrap()
    }

    fn first<T: InitiatorToken>(&self, suite: Suite, token: T) -> (AwaitSecond<T>, Vec<u8>) {
        let gateway = &self.gateway.verified;
        Initiator::begin(crypto(), &mut SystemEntropy, gateway, &options(suite), token, NOW).unwrap()
    }

    fn prove(&self, fresh: &Fresh) -> Result<CertificateProved, CryptoError> {
        let claimed = ClaimedCertificate::parse(fresh.token_kind(), fresh.token()).unwrap();
        claimed.prove(crypto(), &self.subject(&claimed), fresh.binding())
    }

    fn accept(&mut self, first: &[u8]) -> (ContextSecrets, Vec<u8>) {
        let fresh = self.gateway.open(first).unwrap();
        let proof = self.prove(&fresh).unwrap();
        accept(fresh, proof, &grant()).unwrap()
    }
}

fn token<'a>(chain: &'a [Vec<u8>], key: CertificateKey<'a>) -> CertificateToken<'a> {
    CertificateToken::new(crypto(), chain, key).unwrap()
}

/// Both sides end with the same keys.
fn opens(world: &mut World, suite: Suite, chain: &[Vec<u8>], key: CertificateKey<'_>) {
    let (waiting, first) = world.first(suite, token(chain, key));
    let (ours, second) = world.accept(&first);
    let theirs = waiting.finish(&second).unwrap();
    assert_eq!(theirs.secrets.session, ours.session);
    assert_eq!(theirs.secrets.export(crypto(), b"x"), ours.export(crypto(), b"x"));
}

#[test]
fn a_certificate_that_signs_opens_a_context() {
    let mut world = World::new();
    let (ed25519, p256) = (Ed25519SigningKey::generate(), P256SigningKey::generate());
    let chain = world.certify(RequestKey::Ed25519(&ed25519));
    opens(&mut world, Suite::XWing, &chain, CertificateKey::Signs(&ed25519));
    let chain = world.certify(RequestKey::P256(&p256));
    opens(&mut world, Suite::X25519, &chain, CertificateKey::Signs(&p256));
}

#[test]
fn a_certificate_of_a_kem_key_opens_a_context_by_opening_the_envelope() {
    for (context, of_key) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let mut world = World::new();
        let key = KemPrivateKey::generate(Suite::ALL[of_key], crypto(), &mut SystemEntropy);
        let chain = world.certify(RequestKey::Kem(key.public()));
        opens(&mut world, Suite::ALL[context], &chain, CertificateKey::Opens(&key));
    }
}

#[test]
fn a_certificate_that_the_gateway_knows_is_named_by_its_hash() {
    let mut world = World::new();
    let chain = world.certify(RequestKey::P256(&world.p256));
    let whole = {
        let (_, first) = world.first(Suite::X25519, token(&chain, CertificateKey::Signs(&world.p256)));
        let fresh = world.gateway.open(&first).unwrap();
        ClaimedCertificate::parse(fresh.token_kind(), fresh.token()).unwrap()
    };
    let known = world.subject(&whole);
    let short = token(&chain, CertificateKey::Signs(&world.p256)).by_hash();
    let (waiting, first) = world.first(Suite::X25519, short);
    let fresh = world.gateway.open(&first).unwrap();
    let claimed = ClaimedCertificate::parse(fresh.token_kind(), fresh.token()).unwrap();
    assert_eq!((claimed.chain(), claimed.hash(crypto())), (None, *known.certificate_hash()));
    let proof = claimed.prove(crypto(), &known, fresh.binding()).unwrap();
    let (_, second) = accept(fresh, proof, &grant()).unwrap();
    assert!(first.len() + second.len() < 700, "{} and {} bytes", first.len(), second.len());
    waiting.finish(&second).unwrap();
}

#[test]
fn a_bare_certificate_of_somebody_else_opens_nothing() {
    let mut world = World::new();
    let chain = world.certify(RequestKey::Kem(world.kem[0].public()));
    let thief = KemPrivateKey::generate(Suite::XWing, crypto(), &mut SystemEntropy);
    let (waiting, first) = world.first(Suite::XWing, token(&chain, CertificateKey::Opens(&thief)));
    // The gateway cannot know it yet, and answers; what it says is in an envelope to the owner.
    let (_, second) = world.accept(&first);
    assert_eq!(waiting.finish(&second).err(), Some(InitiateError::Forged));

    let chain = world.certify(RequestKey::Ed25519(&world.ed25519));
    let thief = Ed25519SigningKey::generate();
    let (_, first) = world.first(Suite::XWing, token(&chain, CertificateKey::Signs(&thief)));
    let fresh = world.gateway.open(&first).unwrap();
    assert_eq!(world.prove(&fresh).err(), Some(CryptoError::Forged));
}

#[test]
fn a_signature_serves_one_exchange_one_gateway_and_one_certificate() {
    let mut world = World::new();
    let chain = world.certify(RequestKey::P256(&world.p256));
    let body = |binding: &TranscriptHash| {
        token(&chain, CertificateKey::Signs(&world.p256)).present(binding).unwrap().body
    };
    let here = TranscriptHash([1; 32]);
    let claimed = |body: &SecretBytes| ClaimedCertificate::parse(TokenKind::Certificate, body).unwrap();
    let right = claimed(&body(&here));
    let subject = world.subject(&right);
    assert!(right.prove(crypto(), &subject, &here).is_ok());
    assert_eq!(right.prove(crypto(), &subject, &TranscriptHash([2; 32])).err(), Some(CryptoError::Forged));

    // The same key, certified once more: the signature says which certificate was meant.
    let again = world.certify(RequestKey::P256(&world.p256));
    let swapped = Swapped { chain: again, token: token(&chain, CertificateKey::Signs(&world.p256)) };
    let (_, first) = world.first(Suite::X25519, swapped);
    let fresh = world.gateway.open(&first).unwrap();
    let claimed = ClaimedCertificate::parse(fresh.token_kind(), fresh.token()).unwrap();
    let other = world.subject(&claimed);
    assert_eq!(claimed.prove(crypto(), &other, fresh.binding()).err(), Some(CryptoError::Forged));
    assert_eq!(claimed.prove(crypto(), &subject, fresh.binding()).err(), Some(CryptoError::Forged));
}

/// A token that puts another certificate beside its signature.
struct Swapped<'a> {
    chain: Vec<Vec<u8>>,
    token: CertificateToken<'a>,
}

impl InitiatorToken for Swapped<'_> {
    fn present(&mut self, binding: &TranscriptHash) -> Result<PresentedToken, CryptoError> {
        let signed = self.token.present(binding)?;
        let old = signed.body.expose();
        let length = 3 + usize::from(u16::from_be_bytes([old[1], old[2]]));
        let new = &self.chain[0];
        let front = [1, (new.len() >> 8) as u8, new.len() as u8];
        let body = [&front[..], new, &old[length..]].concat();
        Ok(PresentedToken { kind: signed.kind, body: SecretBytes::new(body), contribution: None })
    }
}

#[test]
fn cve_key_confusion_of_proofs_of_a_certificate() {
    let mut world = World::new();
    let chain = world.certify(RequestKey::Kem(world.kem[1].public()));
    let signer: &dyn Signer = &world.p256;
    for (chain, key) in [
        (chain, CertificateKey::Signs(signer)),
        (world.certify(RequestKey::P256(&world.p256)), CertificateKey::Opens(&world.kem[1])),
    ] {
        let (_, first) = world.first(Suite::X25519, token(&chain, key));
        let fresh = world.gateway.open(&first).unwrap();
        let claimed = ClaimedCertificate::parse(fresh.token_kind(), fresh.token()).unwrap();
        let subject = world.subject(&claimed);
        assert_eq!(claimed.prove(crypto(), &subject, fresh.binding()).err(), Some(CryptoError::BadKey));
    }
}

/// What a gateway would send that takes a certificate for a proof.
struct NoEnvelope(TranscriptHash);

impl TokenProof for NoEnvelope {
    fn binding(&self) -> &TranscriptHash {
        &self.0
    }
}

#[test]
fn an_initiator_insists_on_its_envelope_and_takes_no_other() {
    let mut world = World::new();
    let chain = world.certify(RequestKey::Kem(world.kem[0].public()));
    let (waiting, first) = world.first(Suite::XWing, token(&chain, CertificateKey::Opens(&world.kem[0])));
    let fresh = world.gateway.open(&first).unwrap();
    let proof = NoEnvelope(*fresh.binding());
    let (_, second) = accept(fresh, proof, &grant()).unwrap();
    assert_eq!(waiting.finish(&second).err(), Some(InitiateError::Forged));

    let signing = world.certify(RequestKey::Ed25519(&world.ed25519));
    let (waiting, first) = world.first(Suite::XWing, token(&signing, CertificateKey::Signs(&world.ed25519)));
    let fresh = world.gateway.open(&first).unwrap();
    let proof = Enveloped(*fresh.binding(), world.kem[0].public().clone());
    let (_, second) = accept(fresh, proof, &grant()).unwrap();
    assert_eq!(waiting.finish(&second).err(), Some(InitiateError::Forged));
}

struct Enveloped(TranscriptHash, symbolon_crypto::KemPublicKey);

impl TokenProof for Enveloped {
    fn binding(&self) -> &TranscriptHash {
        &self.0
    }

    fn envelope_to(&self) -> Option<&symbolon_crypto::KemPublicKey> {
        Some(&self.1)
    }
}

#[test]
fn cve_malformed_certificate_token_never_fails_open() {
    let world = World::new();
    let chain = world.certify(RequestKey::Ed25519(&world.ed25519));
    let body =
        token(&chain, CertificateKey::Signs(&world.ed25519)).present(&TranscriptHash([0; 32])).unwrap().body;
    assert!(ClaimedCertificate::parse(TokenKind::Certificate, &body).is_ok());
    for kind in TokenKind::ALL {
        let refused = ClaimedCertificate::parse(kind, &body).is_err();
        assert_eq!(refused, kind != TokenKind::Certificate, "{kind:?}");
    }
    for end in 0..body.expose().len() {
        let cut = SecretBytes::new(body.expose()[..end].to_vec());
        assert!(ClaimedCertificate::parse(TokenKind::Certificate, &cut).is_err(), "cut at {end}");
    }
    for count in [6, 255] {
        let mut bytes = body.expose().to_vec();
        bytes[0] = count;
        assert!(ClaimedCertificate::parse(TokenKind::Certificate, &SecretBytes::new(bytes)).is_err());
    }
    let huge = [vec![0; 65_536]];
    assert!(CertificateToken::new(crypto(), &huge, CertificateKey::Signs(&world.ed25519)).is_err());
    let none: [Vec<u8>; 0] = [];
    assert!(CertificateToken::new(crypto(), &none, CertificateKey::Signs(&world.ed25519)).is_err());
}

#[test]
fn the_proof_is_for_the_gateway_that_was_verified() {
    let mut world = World::new();
    let mut other = Gateway::of(&world.issuer, "other.example");
    assert_eq!(other.verified.name(), &name("other.example"));
    let chain = world.certify(RequestKey::Ed25519(&world.ed25519));
    let (_, first) = world.first(Suite::XWing, token(&chain, CertificateKey::Signs(&world.ed25519)));
    // A gateway that passes on what it was told reaches nobody: the message is sealed to itself, and
    // the signature covers the key set to which it was.
    let fresh = world.gateway.open(&first).unwrap();
    let stolen = ClaimedCertificate::parse(fresh.token_kind(), fresh.token()).unwrap();
    let (_, theirs) = other.first(Suite::XWing);
    let there = other.open(&theirs).unwrap();
    let refused = stolen.prove(crypto(), &world.subject(&stolen), there.binding());
    assert_eq!(refused.err(), Some(CryptoError::Forged));
    let proof = world.prove(&fresh).unwrap();
    assert_eq!(accept(there, proof, &grant()).err(), Some(AcceptError::ForeignProof));
}
