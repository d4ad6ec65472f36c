//! Signing in with other credentials than a registered token.

use crate::client::{Session, alice, enrolled, now, offer, receive, refusal, send, sign_in_with, verified};
use crate::world::World;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use symbolon_context::{CertificateKey, CertificateToken, InitiateError, Initiator, InitiatorOptions};
use symbolon_crypto::{KemPrivateKey, SecretBytes, SubjectId, Suite};
use symbolon_issuer::{
    CertificateRequest, Issuer, RequestKey, RequestedName, SealedCertificate, SubjectGrant, Validity,
};
use symbolon_provider::{P256SigningKey, SubjectKeyKind, SubjectPrivateKey, SystemEntropy, crypto};
use symbolon_record::Role;
use symbolon_session::{CertificateBytes, ControlMessage, Epoch, SessionChannel, Ticket};
use symbolon_token::Hello;
use symbolon_wire::{Decode as _, FrameKind, RefusalCode};
use tokio::io::AsyncWriteExt;

/// A certificate of the world's issuer, for some seconds.
fn certified(world: &World, code: &str, key: RequestKey<'_>, secs: u64) -> Vec<Vec<u8>> {
    let read = |name: &str| std::fs::read(world.config.dir.join(name)).unwrap();
    let issuer = Issuer::load(
        read("issuer.crt"),
        P256SigningKey::from_pkcs8(SecretBytes::new(read("issuer.key"))).unwrap(),
    )
    .unwrap();
    let subject = SubjectId::person(code).unwrap();
    let request = CertificateRequest::make(&RequestedName::Subject(subject.clone()), key).unwrap();
    let request = CertificateRequest::read(crypto(), &request).unwrap();
    let validity = Validity::starting(now(), secs);
    let grant = SubjectGrant { subject, common_name: "Alice".into(), validity };
    vec![issuer.certify_subject(&request, &grant).unwrap().der().to_vec()]
}

fn token<'a>(chain: &'a [Vec<u8>], key: CertificateKey<'a>) -> CertificateToken<'a> {
    CertificateToken::new(crypto(), chain, key).unwrap()
}

async fn signed_in(world: &World) -> Vec<Value> {
    let rows = world.ok("GET", "/v1/audit?limit=1000", None).await;
    let rows = rows.as_array().or_else(|| rows["rows"].as_array()).unwrap().clone();
    rows.into_iter().filter(|r| r["action"] == "sign-in").collect()
}

async fn reaches(session: &mut Session, world: &World, app: &str) {
    session.until_destinations(&[app]).await;
    let mut stream = session.open(world, app).await.unwrap();
    stream.write(b"hello").await;
    assert_eq!(stream.read_exactly(5).await, b"hello");
}

#[tokio::test]
async fn a_certificate_opens_a_session_and_is_known_the_next_time() {
    let world = World::new().await;
    let alice = enrolled(&world).await;
    let code = alice.registered.grant.user_code.as_str();
    let key = P256SigningKey::generate();
    let chain = certified(&world, code, RequestKey::P256(&key), 86_400);
    let unknown = token(&chain, CertificateKey::Signs(&key)).by_hash();
    let refused = sign_in_with(&world, &alice.link, unknown).await.err().unwrap();
    assert_eq!(refused.code, RefusalCode::UnknownCertificate);

    world.echo_for("alice").await;
    let whole = token(&chain, CertificateKey::Signs(&key));
    let mut session = sign_in_with(&world, &alice.link, whole).await.unwrap();
    reaches(&mut session, &world, "echo").await;
    let known = token(&chain, CertificateKey::Signs(&key)).by_hash();
    sign_in_with(&world, &alice.link, known).await.unwrap();
    let rows = signed_in(&world).await;
    assert!(rows.iter().all(|r| r.to_string().contains("certificate")), "{rows:?}");
}

#[tokio::test]
async fn a_certificate_that_the_office_gave_is_known_before_it_was_ever_shown() {
    let mut world = World::new().await;
    let alice = enrolled(&world).await;
    let code = alice.registered.grant.user_code.as_str();
    let key = P256SigningKey::generate();
    let named = RequestedName::Subject(SubjectId::device(code, "phone").unwrap());
    let request = CertificateRequest::make(&named, RequestKey::P256(&key)).unwrap();
    let asked = json!({ "request": STANDARD.encode(request) });
    let made = world.ok("POST", "/v1/ca/certificates", Some(asked)).await;
    let chain = [STANDARD.decode(made["certificate"].as_str().unwrap()).unwrap()];
    let by_hash = || token(&chain, CertificateKey::Signs(&key)).by_hash();
    sign_in_with(&world, &alice.link, by_hash()).await.unwrap();
    world.restart().await;
    sign_in_with(&world, &alice.link, by_hash()).await.unwrap();
    let stranger = P256SigningKey::generate();
    let stolen = token(&chain, CertificateKey::Signs(&stranger)).by_hash();
    let refused = sign_in_with(&world, &alice.link, stolen).await.err().unwrap();
    assert_eq!(refused.code, RefusalCode::Denied);
    let revoke = format!("/v1/ca/certificates/{}/revoke", made["serial"].as_str().unwrap());
    world.ok("POST", &revoke, Some(json!({}))).await;
    let refused = sign_in_with(&world, &alice.link, by_hash()).await.err().unwrap();
    assert_eq!(refused.code, RefusalCode::Denied);
}

#[tokio::test]
async fn a_bare_certificate_leaves_no_session_and_no_word_in_the_audit() {
    let world = World::new().await;
    let alice = enrolled(&world).await;
    let code = alice.registered.grant.user_code.as_str();
    let kem = |_| KemPrivateKey::generate(Suite::XWing, crypto(), &mut SystemEntropy);
    let [owner, thief] = [0, 1].map(kem);
    let chain = certified(&world, code, RequestKey::Kem(owner.public()), 86_400);

    let mut control = world.connect().await;
    let gateway = verified(&offer(&mut control, &Hello::default()).await, &alice.link);
    let stolen = token(&chain, CertificateKey::Opens(&thief));
    let options = InitiatorOptions::default();
    let (waiting, first) =
        Initiator::begin(crypto(), &mut SystemEntropy, &gateway, &options, stolen, now()).unwrap();
    send(&mut control, FrameKind::ContextFirst, first).await;
    let answer = receive(&mut control).await.unwrap();
    assert_eq!(answer.kind, FrameKind::ContextSecond, "nothing could be known before");
    assert_eq!(waiting.finish(&answer.body).err(), Some(InitiateError::Forged), "the envelope stays shut");
    send(&mut control, FrameKind::Wrapped, vec![7; 60]).await;
    assert_eq!(refusal(receive(&mut control).await).code, RefusalCode::Denied);
    assert_eq!(world.ok("GET", "/v1/sessions", None).await, json!([]));
    assert!(signed_in(&world).await.is_empty());

    let owner = token(&chain, CertificateKey::Opens(&owner));
    sign_in_with(&world, &alice.link, owner).await.unwrap();
    assert_eq!(signed_in(&world).await.len(), 1);
}

/// Asks for a ticket and keeps it.
async fn ticket(session: &mut Session) -> Ticket {
    session.say(&ControlMessage::TicketRequest).await;
    match session.until(|m| matches!(m, ControlMessage::Ticket(_))).await {
        ControlMessage::Ticket(ticket) => session.session.keep(crypto(), ticket).unwrap(),
        _ => unreachable!("until waits for a ticket"),
    }
}

fn copy(ticket: &Ticket) -> Ticket {
    Ticket::from_secret_bytes(&ticket.to_secret_bytes()).unwrap()
}

#[tokio::test]
async fn a_session_ticket_opens_the_next_session_at_another_node_and_acts_once() {
    let one = World::new().await;
    one.echo_for("alice").await;
    let two = one.beside().await;
    let (token, mut session) = alice(&one).await;
    let ticket = ticket(&mut session).await;
    let mut next = sign_in_with(&two, &token.link, copy(&ticket).into_token(crypto())).await.unwrap();
    reaches(&mut next, &two, "echo").await;
    while session.hear().await.is_some() {}
    assert_eq!(session.attach(&one).await.err().unwrap().code, RefusalCode::SessionOver, "it was followed");
    for node in [&one, &two] {
        let again = sign_in_with(node, &token.link, copy(&ticket).into_token(crypto())).await;
        assert_eq!(again.err().unwrap().code, RefusalCode::Denied);
    }
}

#[tokio::test]
async fn a_session_ticket_raced_at_two_nodes_acts_once() {
    let one = World::new().await;
    let two = one.beside().await;
    let (token, mut session) = alice(&one).await;
    let ticket = ticket(&mut session).await;
    let at = |node| sign_in_with(node, &token.link, copy(&ticket).into_token(crypto()));
    let (here, there) = tokio::join!(at(&one), at(&two));
    assert_eq!([here.is_ok(), there.is_ok()].iter().filter(|ok| **ok).count(), 1);
}

#[tokio::test]
async fn a_session_ticket_of_a_locked_user_or_a_revoked_token_opens_nothing() {
    let world = World::new().await;
    let (token, mut session) = alice(&world).await;
    let (first, second) = (ticket(&mut session).await, ticket(&mut session).await);
    world.ok("POST", "/v1/users/alice/lock", None).await;
    let refused = sign_in_with(&world, &token.link, first.into_token(crypto())).await;
    assert_eq!(refused.err().unwrap().code, RefusalCode::Denied);
    world.ok("POST", "/v1/users/alice/unlock", None).await;
    let tokens = world.ok("GET", "/v1/tokens", None).await;
    let id = tokens[0]["id"].as_str().unwrap();
    world.ok("DELETE", &format!("/v1/tokens/{id}"), None).await;
    let refused = sign_in_with(&world, &token.link, second.into_token(crypto())).await;
    assert_eq!(refused.err().unwrap().code, RefusalCode::Denied);
}

#[tokio::test]
async fn cve_outliving_revocation_by_a_session_ticket() {
    let world = World::new().await;
    let (token, mut session) = alice(&world).await;
    let left_behind = ticket(&mut session).await;
    session.say(&ControlMessage::Logout).await;
    while session.hear().await.is_some() {}
    let refused = sign_in_with(&world, &token.link, left_behind.into_token(crypto())).await;
    assert_eq!(refused.err().unwrap().code, RefusalCode::Denied, "logout means it");

    // a stolen certificate, and the ticket that the thief got for it
    let key = SubjectPrivateKey::generate(SubjectKeyKind::P256);
    let (serial, chain) = registered(&world, token.registered.grant.user_code.as_str(), &key).await;
    let signer = key.signer().unwrap();
    let credential = self::token(&chain, CertificateKey::Signs(signer));
    let mut thief = sign_in_with(&world, &token.link, credential).await.unwrap();
    let stolen = ticket(&mut thief).await;
    world.ok("POST", &format!("/v1/ca/certificates/{serial}/revoke"), Some(json!({}))).await;
    let refused = sign_in_with(&world, &token.link, stolen.into_token(crypto())).await;
    assert_eq!(refused.err().unwrap().code, RefusalCode::Denied, "what it was given for counts no more");
}

#[tokio::test]
async fn a_session_by_ticket_ends_when_the_credential_behind_it_would() {
    let world = World::new().await;
    let alice = enrolled(&world).await;
    let key = P256SigningKey::generate();
    let chain = certified(&world, alice.registered.grant.user_code.as_str(), RequestKey::P256(&key), 3600);
    let credential = token(&chain, CertificateKey::Signs(&key));
    let mut session = sign_in_with(&world, &alice.link, credential).await.unwrap();
    let ends =
        async || world.ok("GET", "/v1/sessions", None).await[0]["expires"].as_str().unwrap().to_owned();
    let first = ends().await;
    let ticket = ticket(&mut session).await;
    let _next = sign_in_with(&world, &alice.link, ticket.into_token(crypto())).await.unwrap();
    assert!(ends().await <= first, "a ticket makes a certificate no longer");
}

/// A certificate that the node's own office made, with its number.
async fn registered(world: &World, code: &str, key: &SubjectPrivateKey) -> (String, Vec<Vec<u8>>) {
    let subject = SubjectId::device(code, "phone").unwrap();
    let asked = CertificateRequest::make(&RequestedName::Subject(subject), RequestKey::from(key)).unwrap();
    let body = json!({ "request": STANDARD.encode(&asked) });
    let made = world.ok("POST", "/v1/ca/certificates", Some(body)).await;
    let bytes = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    let certificate = match key.kem() {
        None => bytes(&made["certificate"]),
        Some(kem) => {
            let asked = CertificateRequest::read(crypto(), &asked).unwrap();
            let envelope = SealedCertificate::from_bytes(&bytes(&made["envelope"])).unwrap();
            envelope.open(crypto(), kem, &asked).unwrap().0
        }
    };
    (made["serial"].as_str().unwrap().to_owned(), vec![certificate])
}

#[tokio::test]
async fn a_certificate_that_is_revoked_before_its_proof_opens_nothing() {
    let world = World::new().await;
    let alice = enrolled(&world).await;
    let key = SubjectPrivateKey::generate(SubjectKeyKind::XWing);
    let (serial, chain) = registered(&world, alice.registered.grant.user_code.as_str(), &key).await;
    let mut control = world.connect().await;
    let gateway = verified(&offer(&mut control, &Hello::default()).await, &alice.link);
    let credential = token(&chain, CertificateKey::Opens(key.kem().unwrap()));
    let options = InitiatorOptions::default();
    let (waiting, first) =
        Initiator::begin(crypto(), &mut SystemEntropy, &gateway, &options, credential, now()).unwrap();
    send(&mut control, FrameKind::ContextFirst, first).await;
    let second = receive(&mut control).await.unwrap();
    let open = waiting.finish(&second.body).unwrap();
    world.ok("POST", &format!("/v1/ca/certificates/{serial}/revoke"), Some(json!({}))).await;
    let mut channel =
        SessionChannel::from_secrets(crypto(), Role::Initiator, Epoch::FIRST, open.secrets.wrap);
    let word = channel.seal(&ControlMessage::Ping(1)).unwrap();
    control.write_all(&word).await.unwrap();
    assert_eq!(refusal(receive(&mut control).await).code, RefusalCode::Denied);
    assert_eq!(world.ok("GET", "/v1/sessions", None).await, json!([]));
}

#[tokio::test]
async fn a_bare_certificate_ends_no_session_of_its_owner() {
    let mut world = World::with(|config| config.limits.sessions_per_user = 1).await;
    let (alice, session) = alice(&world).await;
    drop(session);
    // from now on nobody carries it, so it may give way to another of its user
    world.restart().await;
    let owner = KemPrivateKey::generate(Suite::XWing, crypto(), &mut SystemEntropy);
    let code = alice.registered.grant.user_code.as_str();
    let chain = certified(&world, code, RequestKey::Kem(owner.public()), 3600);
    let mut control = world.connect().await;
    let gateway = verified(&offer(&mut control, &Hello::default()).await, &alice.link);
    let credential = token(&chain, CertificateKey::Opens(&owner));
    let options = InitiatorOptions::default();
    let (_, first) =
        Initiator::begin(crypto(), &mut SystemEntropy, &gateway, &options, credential, now()).unwrap();
    send(&mut control, FrameKind::ContextFirst, first).await;
    assert_eq!(receive(&mut control).await.unwrap().kind, FrameKind::ContextSecond);
    let sessions = world.ok("GET", "/v1/sessions", None).await;
    assert_eq!(sessions.as_array().map(Vec::len), Some(1), "nothing was proved: {sessions}");
}

#[tokio::test]
async fn cve_privilege_escalation_a_ticket_gets_no_certificate() {
    let world = World::new().await;
    let (token, mut session) = alice(&world).await;
    let ticket = ticket(&mut session).await;
    let mut thief = sign_in_with(&world, &token.link, ticket.into_token(crypto())).await.unwrap();
    let key = SubjectPrivateKey::generate(SubjectKeyKind::P256);
    let subject = SubjectId::device(token.registered.grant.user_code.as_str(), "loot").unwrap();
    let asked = CertificateRequest::make(&RequestedName::Subject(subject), RequestKey::from(&key)).unwrap();
    let bytes = CertificateBytes::new([&[1], &asked[..]].concat()).unwrap();
    thief.say(&ControlMessage::CertificateRequest(bytes)).await;
    let about = |m: &ControlMessage| {
        matches!(m, ControlMessage::Certificate(_) | ControlMessage::CertificateRefused { .. })
    };
    let answer = thief.until(about).await;
    assert!(matches!(answer, ControlMessage::CertificateRefused { .. }), "it would outlive the ticket");
}

#[tokio::test]
async fn a_node_that_takes_no_tickets_or_certificates_gives_none_and_says_so() {
    let world = World::with(|config| {
        config.credentials.tickets = false;
        config.credentials.certificates = false;
    })
    .await;
    let (token, mut session) = alice(&world).await;
    session.say(&ControlMessage::TicketRequest).await;
    session.say(&ControlMessage::Ping(7)).await;
    session
        .until(|m| {
            assert!(!matches!(m, ControlMessage::Ticket(_)));
            matches!(m, ControlMessage::Pong(7))
        })
        .await;
    let key = P256SigningKey::generate();
    let chain = certified(&world, token.registered.grant.user_code.as_str(), RequestKey::P256(&key), 86_400);
    let refused = sign_in_with(&world, &token.link, self::token(&chain, CertificateKey::Signs(&key))).await;
    assert_eq!(refused.err().unwrap().code, RefusalCode::Credential);
}

#[tokio::test]
async fn cve_downgrade_to_a_weaker_token_kind() {
    let world = World::new().await;
    let alice = enrolled(&world).await;
    world.echo_for("alice").await;
    let demanding = json!({ "grantee": "user:alice", "app": "echo", "conditions": { "assurance": "high" } });
    let rights = world.ok("GET", "/v1/entitlements", None).await;
    let plain = rights[0]["id"].as_str().unwrap();
    world.ok("DELETE", &format!("/v1/entitlements/{plain}"), None).await;
    let high = world.ok("POST", "/v1/entitlements", Some(demanding.clone())).await;
    let key = P256SigningKey::generate();
    let chain = certified(&world, alice.registered.grant.user_code.as_str(), RequestKey::P256(&key), 86_400);
    let credential = || token(&chain, CertificateKey::Signs(&key));
    let mut session = sign_in_with(&world, &alice.link, credential()).await.unwrap();
    assert!(session.destinations.is_empty(), "a certificate in a file is no device");
    let mut enough = demanding;
    enough["conditions"]["assurance"] = json!("substantial");
    world.ok("POST", "/v1/entitlements", Some(enough)).await;
    session.until_destinations(&["echo"]).await;
    world.ok("DELETE", &format!("/v1/entitlements/{}", high["id"].as_str().unwrap()), None).await;
}
