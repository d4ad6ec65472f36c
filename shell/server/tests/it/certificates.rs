//! The certificate office over the administration interface.

use crate::client::{Session, Token, alice, conclude, enrolled, first_message, sign_in_with};
use crate::world::World;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use symbolon_context::{CertificateKey, CertificateToken};
use symbolon_crypto::{
    IssuerChange, IssuerSet, Revocation, RevocationList, SubjectId, SubjectTrust, TrustedIssuer,
};
use symbolon_issuer::{
    CertificateRequest, Issuer, RenewalChallenge, RequestBundle, RequestKey, RequestedName,
    SealedCertificate, SignedItem,
};
use symbolon_provider::{P256SigningKey, SubjectKeyKind, SubjectPrivateKey, crypto};
use symbolon_session::{CertificateBytes, ControlMessage, EndReason};
use symbolon_wire::{Decode as _, Encode as _, RefusalCode};

const CERTIFICATES: &str = "/v1/ca/certificates";

fn now() -> symbolon_wire::Time {
    crate::client::now()
}

/// A node with alice, and her code.
async fn with_alice() -> (World, String) {
    let world = World::new().await;
    enrolled(&world).await;
    let code = world.ok("GET", "/v1/users/alice", None).await["code"].as_str().unwrap().to_owned();
    (world, code)
}

fn request(code: &str, device: &str, key: &SubjectPrivateKey) -> Vec<u8> {
    let subject = SubjectId::device(code, device).unwrap();
    CertificateRequest::make(&RequestedName::Subject(subject), RequestKey::from(key)).unwrap()
}

fn body(request: &[u8]) -> Option<Value> {
    Some(json!({ "request": STANDARD.encode(request) }))
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn issuer(world: &World) -> TrustedIssuer {
    let certificate = std::fs::read(world.config.dir.join("issuer.crt")).unwrap();
    TrustedIssuer::from_certificate(crypto(), &certificate).unwrap()
}

fn code_of(world: &World, certificate: &[u8]) -> String {
    let trust = SubjectTrust::new(crypto(), &[issuer(world)], Revocation::IfListed).unwrap();
    trust.verify(crypto(), &[certificate], now()).unwrap().code().to_owned()
}

async fn states(world: &World) -> Vec<String> {
    let list = world.ok("GET", CERTIFICATES, None).await;
    list.as_array().unwrap().iter().map(|c| c["state"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_device_gets_a_certificate_renews_it_and_loses_it() {
    let (world, code) = with_alice().await;
    let key = SubjectPrivateKey::generate(SubjectKeyKind::P256);
    let first = world.ok("POST", CERTIFICATES, body(&request(&code, "phone", &key))).await;
    assert_eq!(first["state"], "active");
    assert_eq!(code_of(&world, &bytes(&first["certificate"])), code);
    let renew = format!("{CERTIFICATES}/{}/renew", first["serial"].as_str().unwrap());
    let second = world.ok("POST", &renew, body(&request(&code, "phone", &key))).await;
    assert_eq!(states(&world).await, ["active", "superseded"]);
    let (status, again) = world.admin("POST", &renew, body(&request(&code, "phone", &key))).await;
    assert_eq!(status, 404, "{again}");

    let revoke = format!("{CERTIFICATES}/{}/revoke", second["serial"].as_str().unwrap());
    let revoked = world.ok("POST", &revoke, Some(json!({ "reason": "key-compromise" }))).await;
    assert_eq!(revoked["revoked"].as_array().unwrap().len(), 2, "all of its key");
    let list = bytes(&world.ok("GET", "/v1/ca/crl", None).await["list"]);
    let list = RevocationList::read(crypto(), &list, issuer(&world).certificate(), now()).unwrap();
    assert_eq!((list.len(), list.number_is(1)), (2, true));
    let (status, refused) = world.admin("POST", CERTIFICATES, body(&request(&code, "phone", &key))).await;
    assert_eq!(status, 422, "a revoked key gets no other: {refused}");
    world.ok("POST", "/v1/ca/crl", None).await;
    let audit = world.ok("GET", "/v1/audit", None).await.to_string();
    for action in ["certificate.issue", "certificate.revoke", "revocation-list.put"] {
        assert!(audit.contains(action), "{action}");
    }
}

#[tokio::test]
async fn cve_outliving_revocation_at_another_node() {
    let world = World::new().await;
    let beside = world.beside().await;
    let token = enrolled(&world).await;
    let code = token.registered.grant.user_code.as_str();
    for kind in [SubjectKeyKind::Ed25519, SubjectKeyKind::XWing] {
        let key = SubjectPrivateKey::generate(kind);
        let (serial, certificate) = certified(&world, code, kind.as_str(), &key).await;
        let chain = [certificate];
        let credential = || {
            let key = match (key.signer(), key.kem()) {
                (Some(signer), _) => CertificateKey::Signs(signer),
                (None, kem) => CertificateKey::Opens(kem.unwrap()),
            };
            CertificateToken::new(crypto(), &chain, key).unwrap()
        };
        let mut here = sign_in_with(&world, &token.link, credential()).await.unwrap();
        let mut there = sign_in_with(&beside, &token.link, credential()).await.unwrap();
        here.say(&ControlMessage::TicketRequest).await;
        let ControlMessage::Ticket(ticket) = here.until(|m| matches!(m, ControlMessage::Ticket(_))).await
        else {
            unreachable!("until waits for a ticket")
        };
        let ticket = here.session.keep(crypto(), ticket).unwrap();
        world.ok("POST", &format!("{CERTIFICATES}/{serial}/revoke"), Some(json!({}))).await;
        assert_eq!(here.until_over().await, EndReason::TokenRevoked);
        assert_eq!(there.until_over().await, EndReason::TokenRevoked);
        let refused = sign_in_with(&world, &token.link, credential()).await.err().unwrap();
        assert_eq!(refused.code, RefusalCode::Denied);
        let refused = sign_in_with(&world, &token.link, ticket.into_token(crypto())).await.err().unwrap();
        assert_eq!(refused.code, RefusalCode::Denied, "nor does a ticket of such a session");
        // the other node looks at the store twice a second; its administrator makes it look now
        beside.ok("POST", "/v1/users/alice/approve", None).await;
        let refused = sign_in_with(&beside, &token.link, credential()).await.err().unwrap();
        assert_eq!(refused.code, RefusalCode::Denied);
    }
}

/// What the gateway says about a certificate.
async fn told(session: &mut Session) -> Result<(u8, Vec<u8>), String> {
    let about = |m: &ControlMessage| {
        matches!(m, ControlMessage::Certificate(_) | ControlMessage::CertificateRefused { .. })
    };
    match session.until(about).await {
        ControlMessage::Certificate(bytes) => {
            let (tag, rest) = bytes.as_bytes().split_first().unwrap();
            Ok((*tag, rest.to_vec()))
        }
        ControlMessage::CertificateRefused { detail } => Err(detail.as_str().to_owned()),
        _ => unreachable!("until waits for these"),
    }
}

async fn asked(session: &mut Session, tag: u8, rest: &[u8]) -> Result<(u8, Vec<u8>), String> {
    let bytes = CertificateBytes::new([&[tag], rest].concat()).unwrap();
    session.say(&ControlMessage::CertificateRequest(bytes)).await;
    told(session).await
}

#[tokio::test]
async fn a_device_gets_its_certificate_over_a_session_of_its_token_and_renews_it() {
    let world = World::new().await;
    let (token, mut session) = alice(&world).await;
    let code = token.registered.grant.user_code.as_str();
    let [first, next] = [(), ()].map(|()| SubjectPrivateKey::generate(SubjectKeyKind::Ed25519));
    let (tag, old) = asked(&mut session, 1, &request(code, "phone", &first)).await.unwrap();
    assert_eq!((tag, code_of(&world, &old)), (1, code.to_owned()));
    let early = asked(&mut session, 2, &old).await.unwrap_err();
    assert!(early.contains("cannot be renewed now"), "{early}");
    // one that the office made a while ago: in the second half of its life
    let half_over =
        json!({ "request": STANDARD.encode(request(code, "tablet", &first)), "lifetime_secs": 60 });
    let made = world.ok("POST", CERTIFICATES, Some(half_over)).await;
    let old = bytes(&made["certificate"]);
    for attempt in ["lost on its way", "kept"] {
        let confirms = |der: &[u8]| {
            let hash = CertificateBytes::new(crypto().sha256(&[der]).to_vec()).unwrap();
            ControlMessage::CertificateConfirm(hash)
        };
        let (tag, challenge) = asked(&mut session, 2, &old).await.unwrap();
        assert_eq!(tag, 3);
        let challenge = RenewalChallenge::from_bytes(&challenge).unwrap();
        let wanted = request(code, "tablet", &next);
        let signer = first.signer().unwrap();
        let answer = challenge.answer_signed(crypto(), &old, wanted, signer).unwrap();
        let (tag, renewed) = asked(&mut session, 3, &answer.to_bytes()).await.unwrap();
        assert_eq!((tag, code_of(&world, &renewed)), (1, code.to_owned()), "{attempt}");
        let again = asked(&mut session, 3, &answer.to_bytes()).await.unwrap_err();
        assert!(again.contains("no request"), "an answer is good once: {again}");
        if attempt == "kept" {
            session.say(&confirms(&renewed)).await;
            session.say(&ControlMessage::Ping(1)).await;
            session.until(|m| *m == ControlMessage::Pong(1)).await;
        }
    }
    let mut all = states(&world).await;
    all.sort();
    assert_eq!(all, ["active", "pending", "pending", "superseded"], "the first was never confirmed");
    let stranger = SubjectPrivateKey::generate(SubjectKeyKind::Ed25519);
    let (_, challenge) = asked(&mut session, 2, &old).await.unwrap();
    let challenge = RenewalChallenge::from_bytes(&challenge).unwrap();
    let wanted = request(code, "tablet", &stranger);
    let answer = challenge.answer_signed(crypto(), &old, wanted, stranger.signer().unwrap()).unwrap();
    let refused = asked(&mut session, 3, &answer.to_bytes()).await.unwrap_err();
    assert!(refused.contains("not proved"), "{refused}");
}

#[tokio::test]
async fn a_token_that_is_revoked_takes_its_certificates_along_and_no_others() {
    let world = World::new().await;
    let (token, mut session) = alice(&world).await;
    let code = token.registered.grant.user_code.as_str();
    let [got, made] = [(), ()].map(|()| SubjectPrivateKey::generate(SubjectKeyKind::Ed25519));
    let (_, by_token) = asked(&mut session, 1, &request(code, "phone", &got)).await.unwrap();
    let (_, by_office) = certified(&world, code, "tablet", &made).await;
    let chains = [([by_token], &got), ([by_office], &made)];
    let credential = |(chain, key): &'_ ([Vec<u8>; 1], &SubjectPrivateKey)| {
        let chain: &'static [Vec<u8>] = Box::leak(Box::new(chain.clone()));
        let signer: &'static SubjectPrivateKey =
            Box::leak(Box::new(SubjectPrivateKey::from_file(&key.to_file()).unwrap()));
        CertificateToken::new(crypto(), chain, CertificateKey::Signs(signer.signer().unwrap())).unwrap()
    };
    let mut stolen = sign_in_with(&world, &token.link, credential(&chains[0])).await.unwrap();
    let tokens = world.ok("GET", "/v1/tokens", None).await;
    world.ok("DELETE", &format!("/v1/tokens/{}", tokens[0]["id"].as_str().unwrap()), None).await;
    assert_eq!(session.until_over().await, EndReason::TokenRevoked);
    assert_eq!(stolen.until_over().await, EndReason::TokenRevoked);
    let refused = sign_in_with(&world, &token.link, credential(&chains[0])).await.err().unwrap();
    assert_eq!(refused.code, RefusalCode::Denied);
    sign_in_with(&world, &token.link, credential(&chains[1])).await.unwrap();
    let mut states = states(&world).await;
    states.sort();
    assert_eq!(states, ["active", "revoked"]);
}

#[tokio::test]
async fn a_key_for_envelopes_is_certified_over_a_session_too() {
    let world = World::new().await;
    let (token, mut session) = alice(&world).await;
    let code = token.registered.grant.user_code.as_str();
    let key = SubjectPrivateKey::generate(SubjectKeyKind::XWing);
    let wanted = request(code, "phone", &key);
    let (tag, sealed) = asked(&mut session, 1, &wanted).await.unwrap();
    assert_eq!(tag, 2);
    let wanted = CertificateRequest::read(crypto(), &wanted).unwrap();
    let sealed = SealedCertificate::from_bytes(&sealed).unwrap();
    let (certificate, confirmation) = sealed.open(crypto(), key.kem().unwrap(), &wanted).unwrap();
    assert_eq!(states(&world).await, ["pending"]);
    let confirm =
        |bytes: &[u8]| ControlMessage::CertificateConfirm(CertificateBytes::new(bytes.to_vec()).unwrap());
    session.say(&confirm(confirmation.as_bytes())).await;
    session.say(&confirm(confirmation.as_bytes())).await;
    assert!(told(&mut session).await.unwrap_err().contains("confirms no certificate"), "the second time");
    assert_eq!(states(&world).await, ["active"]);
    // with it one signs in, but gets no certificate for another device
    let chain = [certificate];
    let credential =
        CertificateToken::new(crypto(), &chain, CertificateKey::Opens(key.kem().unwrap())).unwrap();
    let mut by_certificate = sign_in_with(&world, &token.link, credential).await.unwrap();
    let refused = asked(&mut by_certificate, 1, &request(code, "laptop", &key)).await.unwrap_err();
    assert!(refused.contains("registered token"), "{refused}");
}

#[tokio::test]
async fn cve_missing_authorisation_a_certificate_of_another_user() {
    let world = World::new().await;
    let (token, mut session) = alice(&world).await;
    let code = token.registered.grant.user_code.as_str();
    world.ok("POST", "/v1/users", Some(json!({ "name": "bob" }))).await;
    let bob = world.ok("GET", "/v1/users/bob", None).await["code"].as_str().unwrap().to_owned();
    let key = SubjectPrivateKey::generate(SubjectKeyKind::P256);
    let person = RequestedName::Subject(SubjectId::person(code).unwrap());
    let person = CertificateRequest::make(&person, RequestKey::from(&key)).unwrap();
    let bobs = world.ok("POST", CERTIFICATES, body(&request(&bob, "phone", &key))).await;
    for (tag, rest, why) in [
        (1, request(&bob, "phone", &key), "a device of yours only"),
        (1, person, "a device of yours only"),
        (1, vec![0x30, 0], "malformed request"),
        (2, bytes(&bobs["certificate"]), "cannot be renewed"),
        (2, vec![0x30, 0], "cannot be renewed"),
        (3, Vec::new(), "no request"),
        (4, Vec::new(), "no request"),
    ] {
        let refused = asked(&mut session, tag, &rest).await.unwrap_err();
        assert!(refused.contains(why), "{tag}: {refused}");
    }
    let short = json!({ "request": STANDARD.encode(request(&bob, "tablet", &key)), "lifetime_secs": 60 });
    let bobs = world.ok("POST", CERTIFICATES, Some(short)).await;
    let refused = asked(&mut session, 2, &bytes(&bobs["certificate"])).await.unwrap_err();
    assert!(refused.contains("not a certificate of yours"), "{refused}");
}

/// A certificate from the office, in force: its number, and DER.
async fn certified(world: &World, code: &str, device: &str, key: &SubjectPrivateKey) -> (String, Vec<u8>) {
    let asked = request(code, device, key);
    let made = world.ok("POST", CERTIFICATES, body(&asked)).await;
    let serial = made["serial"].as_str().unwrap().to_owned();
    let Some(kem) = key.kem() else { return (serial, bytes(&made["certificate"])) };
    let envelope = SealedCertificate::from_bytes(&bytes(&made["envelope"])).unwrap();
    let asked = CertificateRequest::read(crypto(), &asked).unwrap();
    let (certificate, confirmation) = envelope.open(crypto(), kem, &asked).unwrap();
    let answer = json!({ "confirmation": STANDARD.encode(confirmation.as_bytes()) });
    world.ok("POST", &format!("{CERTIFICATES}/{serial}/confirm"), Some(answer)).await;
    (serial, certificate)
}

#[tokio::test]
async fn a_key_for_envelopes_is_in_force_when_its_envelope_was_opened() {
    let (world, code) = with_alice().await;
    for kind in [SubjectKeyKind::XWing, SubjectKeyKind::X25519] {
        let key = SubjectPrivateKey::generate(kind);
        let asked = request(&code, kind.as_str(), &key);
        let made = world.ok("POST", CERTIFICATES, body(&asked)).await;
        assert_eq!((made["state"].as_str(), made["certificate"].is_null()), (Some("pending"), true));
        let envelope = SealedCertificate::from_bytes(&bytes(&made["envelope"])).unwrap();
        let asked = CertificateRequest::read(crypto(), &asked).unwrap();
        let (certificate, confirmation) = envelope.open(crypto(), key.kem().unwrap(), &asked).unwrap();
        assert_eq!(code_of(&world, &certificate), code);
        let confirm = format!("{CERTIFICATES}/{}/confirm", made["serial"].as_str().unwrap());
        let answer = |bytes: &[u8]| Some(json!({ "confirmation": STANDARD.encode(bytes) }));
        assert_eq!(world.admin("POST", &confirm, answer(&[0; 32])).await.0, 404, "a wrong answer");
        world.ok("POST", &confirm, answer(confirmation.as_bytes())).await;
        assert_eq!(world.admin("POST", &confirm, answer(confirmation.as_bytes())).await.0, 404, "once");
    }
    assert_eq!(states(&world).await, ["active", "active"]);
}

#[tokio::test]
async fn cve_issuance_without_authentication() {
    let (world, code) = with_alice().await;
    let key = SubjectPrivateKey::generate(SubjectKeyKind::Ed25519);
    let good = request(&code, "phone", &key);
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    let nobody = request("nobody-0a1b2c", "phone", &key);
    let gateway = RequestedName::Gateway(symbolon_crypto::GatewayName::parse("gw.example").unwrap());
    let signer = P256SigningKey::generate();
    let gateway = CertificateRequest::make(&gateway, RequestKey::P256(&signer)).unwrap();
    for (bad, status) in
        [(&forged, 422), (&nobody, 404), (&gateway, 422), (&vec![0x30, 0], 422), (&Vec::new(), 422)]
    {
        let (got, answer) = world.admin("POST", CERTIFICATES, body(bad)).await;
        assert_eq!(got, status, "{answer}");
    }
    let long = json!({ "request": STANDARD.encode(&good), "lifetime_secs": 400 * 86_400 });
    assert_eq!(world.admin("POST", CERTIFICATES, Some(long)).await.0, 422);
    world.ok("POST", "/v1/users/alice/lock", None).await;
    assert_eq!(world.admin("POST", CERTIFICATES, body(&good)).await.0, 422, "a locked user");
    assert_eq!(states(&world).await, [""; 0]);
    // renewed with a request of another subject
    world.ok("POST", "/v1/users/alice/unlock", None).await;
    let made = world.ok("POST", CERTIFICATES, body(&good)).await;
    let renew = format!("{CERTIFICATES}/{}/renew", made["serial"].as_str().unwrap());
    assert_eq!(world.admin("POST", &renew, body(&request(&code, "laptop", &key))).await.0, 422);
    for wrong in ["xyz", "", "00", "é0", &"a".repeat(42)] {
        assert_eq!(
            world.admin("POST", &format!("{CERTIFICATES}/{wrong}/revoke"), Some(json!({}))).await.0,
            404
        );
    }
}

#[tokio::test]
async fn an_issuer_whose_key_is_elsewhere_signs_what_is_taken_to_it() {
    let (mut world, code) = with_alice().await;
    let dir = world.config.dir.clone();
    let key = P256SigningKey::from_pkcs8(symbolon_crypto::SecretBytes::new(
        std::fs::read(dir.join("issuer.key")).unwrap(),
    ))
    .unwrap();
    let elsewhere = Issuer::load(std::fs::read(dir.join("issuer.crt")).unwrap(), key).unwrap();
    world.stop().await;
    std::fs::remove_file(dir.join("issuer.key")).unwrap();
    world.node = Some(symbolon_server::Node::start(world.config.clone()).await.unwrap());

    assert_eq!(world.ok("GET", "/v1/ca", None).await["key_here"], false);
    let key = SubjectPrivateKey::generate(SubjectKeyKind::Ed25519);
    let waiting = world.ok("POST", CERTIFICATES, body(&request(&code, "phone", &key))).await;
    assert_eq!(waiting["state"], "waiting");
    assert_eq!(world.admin("POST", "/v1/ca/crl", None).await.0, 422);
    assert_eq!(world.admin("POST", "/v1/ca/rotate", Some(json!({}))).await.0, 422);
    // one whose user is locked while the file is away
    world.ok("POST", "/v1/users", Some(json!({ "name": "bob" }))).await;
    let bob = world.ok("GET", "/v1/users/bob", None).await["code"].as_str().unwrap().to_owned();
    world.ok("POST", CERTIFICATES, body(&request(&bob, "phone", &key))).await;
    let there = bytes(&world.ok("POST", "/v1/ca/requests", None).await["file"]);
    world.ok("POST", "/v1/users/bob/lock", None).await;
    let bundle = RequestBundle::from_file(crypto(), &there).unwrap();
    let signed = elsewhere.sign_bundle(crypto(), &bundle, now(), |_, _| true).unwrap();
    assert!(matches!(signed.items(), [SignedItem::Certificate(_), SignedItem::Certificate(_)]));
    let back = signed.to_file(crypto());
    let take = |file: &[u8]| Some(json!({ "file": STANDARD.encode(file) }));
    let mut damaged = back.clone();
    damaged[60] ^= 1;
    assert_eq!(world.admin("POST", "/v1/ca/signed", take(&damaged)).await.0, 422);
    let taken = world.ok("POST", "/v1/ca/signed", take(&back)).await;
    assert_eq!(code_of(&world, &bytes(&taken["issued"][0]["certificate"])), code);
    assert_eq!((taken["list"].as_bool(), taken["issued"].as_array().unwrap().len()), (Some(true), 1));
    assert!(taken["refused"][0].as_str().unwrap().contains("bob is locked"), "{taken}");
    assert_eq!(world.ok("GET", "/v1/ca", None).await["waiting"], 0);
    assert_eq!(states(&world).await, ["active"]);
}

#[tokio::test]
async fn another_issuer_follows_and_certificates_of_both_count() {
    let world = World::new().await;
    let (token, mut session) = alice(&world).await;
    let _echo = world.echo_for("alice").await;
    let code = token.registered.grant.user_code.to_string();
    let key = SubjectPrivateKey::generate(SubjectKeyKind::P256);
    let old = issuer(&world);
    world.ok("POST", CERTIFICATES, body(&request(&code, "phone", &key))).await;
    let begun = world.ok("POST", "/v1/ca/rotate", Some(json!({ "overlap_secs": 3600 }))).await;
    // who is there is told, and who comes later, at the other node as well; nobody is cut off
    session.until(|m| matches!(m, ControlMessage::IssuerChange(_))).await;
    let pushed = IssuerChange::from_bytes(&session.issuer_change.clone().unwrap()).unwrap();
    let mut set = IssuerSet::of(old.clone());
    set.follow(crypto(), &pushed, now()).unwrap();
    assert_eq!(set.current().fingerprint().to_string(), begun["new"].as_str().unwrap());
    let beside = world.beside().await;
    let mut later = crate::client::sign_in(&beside, &token).await.unwrap();
    assert_eq!(later.issuer_change, session.issuer_change);
    assert_eq!(begun["old"], old.fingerprint().to_string());
    assert_eq!(world.admin("POST", "/v1/ca/rotate", Some(json!({}))).await.0, 422, "one at a time");

    session.until_destinations(&["echo"]).await;
    let mut stream = session.open(&world, "echo").await.unwrap();
    let mut control = world.connect().await;
    let (waiting, first, gateway) = first_message(&mut control, &token, now()).await;
    let finished = world.ok("POST", "/v1/ca/rotate", Some(json!({ "finish": true }))).await;
    assert_eq!(finished["new"], begun["new"]);
    assert_eq!(world.admin("POST", "/v1/ca/rotate", Some(json!({ "finish": true }))).await.0, 422);
    // it is so as soon as the call returns, for those who are there and for those who held older keys
    assert_eq!(world.ok("GET", "/v1/status", None).await["issuer"], begun["new"]);
    assert_eq!(issuer(&world).fingerprint().to_string(), begun["new"].as_str().unwrap());
    stream.write(b"still here").await;
    assert_eq!(stream.read_exactly(10).await, b"still here");
    world.publish("web", "tcp:127.0.0.1:1").await;
    world.grant("user:alice", "web").await;
    session.until_destinations(&["echo", "web"]).await;
    conclude(control, waiting, first, gateway).await.unwrap();
    let next = world.ok("POST", CERTIFICATES, body(&request(&code, "laptop", &key))).await;
    assert_eq!(code_of(&world, &bytes(&next["certificate"])), code);
    // what is shown from now on is under the new issuer, at the other node within a moment as well
    let link = world.invite(json!({})).await;
    assert_eq!(link.issuer.to_string(), begun["new"].as_str().unwrap());
    let token = Token { registered: token.registered, link };
    crate::client::sign_in(&world, &token).await.unwrap();
    while beside.ok("GET", "/v1/status", None).await["issuer"] != begun["new"] {
        tokio::task::yield_now().await;
    }
    crate::client::sign_in(&beside, &token).await.unwrap();
    later.say(&ControlMessage::Ping(7)).await;
    later.until(|m| *m == ControlMessage::Pong(7)).await;
}

#[tokio::test]
async fn the_old_issuers_certificates_count_until_its_time_is_over_and_no_longer() {
    let world = World::new().await;
    let token = enrolled(&world).await;
    let key = SubjectPrivateKey::generate(SubjectKeyKind::Ed25519);
    let (_, certificate) = certified(&world, token.registered.grant.user_code.as_str(), "phone", &key).await;
    world.ok("POST", "/v1/ca/rotate", Some(json!({ "overlap_secs": 2 }))).await;
    world.ok("POST", "/v1/ca/rotate", Some(json!({ "finish": true }))).await;
    let link = world.invite(json!({})).await;
    let chain = [certificate];
    // nothing else changes meanwhile, and the certificate is known from the first sign-in
    let refused = async {
        loop {
            let signer = CertificateKey::Signs(key.signer().unwrap());
            let shown = CertificateToken::new(crypto(), &chain, signer).unwrap();
            match sign_in_with(&world, &link, shown).await {
                Ok(mut session) => session.say(&ControlMessage::Logout).await,
                Err(refused) if refused.code == RefusalCode::Busy => {}
                Err(refused) => return refused,
            }
        }
    };
    let refused = tokio::time::timeout(std::time::Duration::from_secs(20), refused).await.unwrap();
    assert_eq!(refused.code, RefusalCode::Denied);
}

#[tokio::test]
async fn a_change_of_issuers_that_was_cut_off_anywhere_is_finished_at_the_next_start() {
    let mut world = World::new().await;
    let (token, session) = alice(&world).await;
    drop(session);
    let begun = world.ok("POST", "/v1/ca/rotate", Some(json!({}))).await;
    let dir = world.config.dir.clone();
    let before = |name: &str| (dir.join(name), std::fs::read(dir.join(name)).unwrap());
    let old = ["issuer.crt", "issuer.key", "identity.crt"].map(before);
    let next = ["issuer-next.key", "issuer-next.crt"].map(before);
    world.ok("POST", "/v1/ca/rotate", Some(json!({ "finish": true }))).await;
    let link = world.invite(json!({})).await;
    let token = Token { registered: token.registered, link };
    let certified = std::fs::read(dir.join("identity.crt")).unwrap();
    // as it was right after it was decided, and after each of the steps of the rest
    for steps in 0..=3 {
        world.stop().await;
        std::fs::write(dir.join("identity-next.crt"), &certified).unwrap();
        for (path, content) in next.iter().chain(&old[..3 - steps]) {
            std::fs::write(path, content).unwrap();
        }
        world.node = Some(symbolon_server::Node::start(world.config.clone()).await.unwrap());
        assert_eq!(world.ok("GET", "/v1/status", None).await["issuer"], begun["new"], "{steps}");
        crate::client::sign_in(&world, &token).await.unwrap();
        let left = ["identity-next.crt", "issuer-next.key", "issuer-next.crt"];
        assert_eq!(left.map(|name| dir.join(name).exists()), [false; 3]);
    }
}
