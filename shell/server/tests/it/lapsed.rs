//! Devices that come back after their certificate's end.

use crate::client::{Token, alice, now, offer, receive, send, verified};
use crate::world::World;
use serde_json::json;
use std::time::Duration;
use symbolon_context::{CertificateKey, CertificateToken, Initiator, InitiatorOptions};
use symbolon_crypto::SubjectId;
use symbolon_issuer::{CertificateRequest, RenewalChallenge, RequestKey, RequestedName, SealedCertificate};
use symbolon_provider::{SubjectKeyKind, SubjectPrivateKey, SystemEntropy, crypto};
use symbolon_record::Role;
use symbolon_session::{CertificateBytes, ControlMessage, Epoch, SessionChannel};
use symbolon_token::Hello;
use symbolon_wire::{Decode as _, Encode as _, FrameKind, Refusal, RefusalCode};
use tokio::net::TcpStream;

/// So short that the tests see its end.
const LIFE: u64 = 1;

async fn short_lived(grace_lives: u32) -> World {
    World::with(|config| {
        config.credentials.certificate_secs = LIFE;
        config.credentials.renewal_grace_lives = grace_lives;
    })
    .await
}

async fn until_it_has_ended() {
    tokio::time::sleep(Duration::from_secs(LIFE + 1)).await;
}

struct Device {
    key: SubjectPrivateKey,
    certificate: Vec<u8>,
}

fn request(code: &str, device: &str, key: &SubjectPrivateKey) -> CertificateRequest {
    let subject = SubjectId::device(code, device).unwrap();
    let der = CertificateRequest::make(&RequestedName::Subject(subject), RequestKey::from(key)).unwrap();
    CertificateRequest::read(crypto(), &der).unwrap()
}

/// A wrapped dialogue about certificates, within a session or not.
struct Dialogue {
    stream: TcpStream,
    channel: SessionChannel,
}

impl Dialogue {
    async fn say(&mut self, message: &ControlMessage) {
        use tokio::io::AsyncWriteExt as _;
        let frame = self.channel.seal(message).unwrap();
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The next word about certificates: what is given, or why nothing is.
    async fn hear(&mut self) -> Result<(u8, Vec<u8>), String> {
        loop {
            let mut frame = receive(&mut self.stream).await.expect("the connection to live on");
            match self.channel.open(&mut frame.body).unwrap() {
                ControlMessage::Certificate(bytes) => {
                    let (tag, rest) = bytes.as_bytes().split_first().unwrap();
                    return Ok((*tag, rest.to_vec()));
                }
                ControlMessage::CertificateRefused { detail } => return Err(detail.as_str().to_owned()),
                _ => {}
            }
        }
    }

    async fn ask(&mut self, tag: u8, rest: &[u8]) -> Result<(u8, Vec<u8>), String> {
        let bytes = CertificateBytes::new([&[tag], rest].concat()).unwrap();
        self.say(&ControlMessage::CertificateRequest(bytes)).await;
        self.hear().await
    }

    async fn confirm(&mut self, confirmation: &[u8]) {
        let bytes = CertificateBytes::new(confirmation.to_vec()).unwrap();
        self.say(&ControlMessage::CertificateConfirm(bytes)).await;
    }

    /// A certificate as it came, and what confirms it.
    fn opened(
        (tag, rest): (u8, Vec<u8>),
        wanted: &CertificateRequest,
        key: &SubjectPrivateKey,
    ) -> (Vec<u8>, Vec<u8>) {
        if tag == 1 {
            let confirmation = crypto().sha256(&[&rest]).to_vec();
            return (rest, confirmation);
        }
        let sealed = SealedCertificate::from_bytes(&rest).unwrap();
        let (certificate, confirmation) = sealed.open(crypto(), key.kem().unwrap(), wanted).unwrap();
        (certificate, confirmation.as_bytes().to_vec())
    }

    /// The next certificate, not confirmed yet.
    async fn renew(&mut self, code: &str, old: &Device) -> Result<(Device, Vec<u8>), String> {
        let (tag, challenge) = self.ask(2, &old.certificate).await?;
        assert_eq!(tag, 3);
        let challenge = RenewalChallenge::from_bytes(&challenge).unwrap();
        let key = SubjectPrivateKey::generate(old.key.kind());
        let wanted = request(code, "phone", &key);
        let der = wanted.der().to_vec();
        let answer = match (old.key.signer(), old.key.kem()) {
            (Some(signer), _) => challenge.answer_signed(crypto(), &old.certificate, der, signer),
            (None, kem) => challenge.answer_opened(crypto(), &old.certificate, der, kem.unwrap()),
        };
        let given = self.ask(3, &answer.unwrap().to_bytes()).await?;
        let (certificate, confirmation) = Self::opened(given, &wanted, &key);
        Ok((Device { key, certificate }, confirmation))
    }
}

/// A device of alice's, got over a session of her token.
async fn device(world: &World, kind: SubjectKeyKind) -> (Token, String, Device) {
    let (token, session) = alice(world).await;
    let code = token.registered.grant.user_code.to_string();
    let mut dialogue = Dialogue { stream: session.control, channel: session.channel };
    let key = SubjectPrivateKey::generate(kind);
    let wanted = request(&code, "phone", &key);
    let given = dialogue.ask(1, wanted.der()).await.unwrap();
    let (certificate, confirmation) = Dialogue::opened(given, &wanted, &key);
    dialogue.confirm(&confirmation).await;
    dialogue.say(&ControlMessage::Logout).await;
    while receive(&mut dialogue.stream).await.is_some() {}
    (token, code, Device { key, certificate })
}

/// Opens a context by the certificate, with the lifetime that the node gives it.
async fn opened(world: &World, token: &Token, device: &Device) -> Result<(u32, Dialogue), Refusal> {
    let mut stream = world.connect().await;
    let gateway = verified(&offer(&mut stream, &Hello::default()).await, &token.link);
    let key = match (device.key.signer(), device.key.kem()) {
        (Some(signer), _) => CertificateKey::Signs(signer),
        (None, kem) => CertificateKey::Opens(kem.unwrap()),
    };
    let chain = [device.certificate.clone()];
    let credential = CertificateToken::new(crypto(), &chain, key).unwrap();
    let options = InitiatorOptions::default();
    let (waiting, first) =
        Initiator::begin(crypto(), &mut SystemEntropy, &gateway, &options, credential, now()).unwrap();
    send(&mut stream, FrameKind::ContextFirst, first).await;
    let frame = receive(&mut stream).await.unwrap();
    if frame.kind == FrameKind::Refusal {
        return Err(Refusal::from_bytes(&frame.body).unwrap());
    }
    let open = waiting.finish(&frame.body).unwrap();
    let channel = SessionChannel::from_secrets(crypto(), Role::Initiator, Epoch::FIRST, open.secrets.wrap);
    Ok((open.lifetime_secs, Dialogue { stream, channel }))
}

/// Of those that count, or may come back.
async fn states(world: &World) -> Vec<String> {
    let list = world.ok("GET", "/v1/ca/certificates", None).await;
    let mut states: Vec<String> =
        list.as_array().unwrap().iter().map(|c| c["state"].as_str().unwrap().to_owned()).collect();
    states.sort();
    states
}

#[tokio::test]
async fn a_device_comes_back_with_a_certificate_that_has_lapsed_and_renews_it() {
    for kind in [SubjectKeyKind::Ed25519, SubjectKeyKind::XWing] {
        let world = short_lived(10).await;
        let (token, code, old) = device(&world, kind).await;
        until_it_has_ended().await;
        let (lifetime, mut dialogue) = opened(&world, &token, &old).await.unwrap();
        assert_eq!(lifetime, 0, "there is no session");
        assert_eq!(world.ok("GET", "/v1/sessions", None).await, json!([]));
        let (next, confirmation) = dialogue.renew(&code, &old).await.unwrap();
        assert_eq!(states(&world).await, ["active", "pending"]);
        dialogue.confirm(&confirmation).await;
        assert!(receive(&mut dialogue.stream).await.is_none(), "that was all");
        assert_eq!(states(&world).await, ["active", "superseded"]);
        assert_ne!(next.certificate, old.certificate);

        let (_, mut dialogue) = opened(&world, &token, &old).await.unwrap();
        let refused = dialogue.renew(&code, &old).await.err().unwrap();
        assert!(refused.contains("renewed already"), "its key may be somebody else's by now: {refused}");
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_costs_no_device_its_return() {
    let world = short_lived(10).await;
    let (token, code, old) = device(&world, SubjectKeyKind::P256).await;
    until_it_has_ended().await;
    let (_, mut dialogue) = opened(&world, &token, &old).await.unwrap();
    let _ = dialogue.renew(&code, &old).await.unwrap();
    drop(dialogue);
    let (_, mut dialogue) = opened(&world, &token, &old).await.unwrap();
    let (next, _) = dialogue.renew(&code, &old).await.unwrap();
    drop(dialogue);
    assert_eq!(states(&world).await, ["active", "pending", "pending"]);
    // its confirmation was lost as well: whoever uses it has it
    until_it_has_ended().await;
    let (_, mut dialogue) = opened(&world, &token, &next).await.unwrap();
    let _ = dialogue.renew(&code, &next).await.unwrap();
    let (_, mut dialogue) = opened(&world, &token, &old).await.unwrap();
    assert!(dialogue.renew(&code, &old).await.err().unwrap().contains("renewed already"));
}

#[tokio::test]
async fn who_came_back_may_renew_that_certificate_and_do_nothing_else() {
    let world = short_lived(10).await;
    let (token, code, old) = device(&world, SubjectKeyKind::Ed25519).await;
    let (_, _, other) = {
        let (_, mut session) = opened(&world, &token, &old).await.unwrap();
        session.say(&ControlMessage::Ping(1)).await;
        let key = SubjectPrivateKey::generate(SubjectKeyKind::P256);
        let made = json!({
            "request": base64::Engine::encode(
                &base64::engine::general_purpose::STANDARD,
                request(&code, "tablet", &key).der(),
            ),
            "lifetime_secs": LIFE,
        });
        let made = world.ok("POST", "/v1/ca/certificates", Some(made)).await;
        let certificate = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            made["certificate"].as_str().unwrap(),
        );
        ((), (), Device { key, certificate: certificate.unwrap() })
    };
    until_it_has_ended().await;
    let (_, mut dialogue) = opened(&world, &token, &old).await.unwrap();
    let key = SubjectPrivateKey::generate(SubjectKeyKind::Ed25519);
    let refused = dialogue.ask(1, request(&code, "laptop", &key).der()).await.unwrap_err();
    assert!(refused.contains("registered token"), "{refused}");
    let refused = dialogue.ask(2, &other.certificate).await.unwrap_err();
    assert!(refused.contains("not the certificate that was shown"), "{refused}");
    dialogue.say(&ControlMessage::TicketRequest).await;
    let frame = receive(&mut dialogue.stream).await.unwrap();
    assert_eq!(frame.kind, FrameKind::Refusal, "no message of a session is taken");
    assert!(receive(&mut dialogue.stream).await.is_none());
}

#[tokio::test]
async fn nobody_comes_back_too_late_or_revoked_or_locked_or_with_anothers_key() {
    let world = short_lived(0).await;
    let (token, _, old) = device(&world, SubjectKeyKind::Ed25519).await;
    until_it_has_ended().await;
    assert_eq!(opened(&world, &token, &old).await.err().unwrap().code, RefusalCode::Denied, "no grace");

    let world = short_lived(10).await;
    let (token, _, old) = device(&world, SubjectKeyKind::Ed25519).await;
    until_it_has_ended().await;
    let stranger = SubjectPrivateKey::generate(SubjectKeyKind::Ed25519);
    let stolen = Device { key: stranger, certificate: old.certificate.clone() };
    assert_eq!(opened(&world, &token, &stolen).await.err().unwrap().code, RefusalCode::Denied);
    world.ok("POST", "/v1/users/alice/lock", None).await;
    assert_eq!(opened(&world, &token, &old).await.err().unwrap().code, RefusalCode::Denied, "locked");
    world.ok("POST", "/v1/users/alice/unlock", None).await;
    assert_eq!(opened(&world, &token, &old).await.unwrap().0, 0);
    let list = world.ok("GET", "/v1/ca/certificates", None).await;
    let revoke = format!("/v1/ca/certificates/{}/revoke", list[0]["serial"].as_str().unwrap());
    world.ok("POST", &revoke, Some(json!({}))).await;
    assert_eq!(opened(&world, &token, &old).await.err().unwrap().code, RefusalCode::Denied, "revoked");
}

#[tokio::test]
async fn who_copied_a_key_and_was_first_is_noticed_by_the_device() {
    let world = short_lived(10).await;
    let (token, code, old) = device(&world, SubjectKeyKind::P256).await;
    until_it_has_ended().await;
    let (_, mut thiefs) = opened(&world, &token, &old).await.unwrap();
    let (_, mut devices) = opened(&world, &token, &old).await.unwrap();
    let (_, thiefs_word) = thiefs.renew(&code, &old).await.unwrap();
    let (next, devices_word) = devices.renew(&code, &old).await.unwrap();
    thiefs.confirm(&thiefs_word).await;
    assert!(receive(&mut thiefs.stream).await.is_none(), "it is in force");
    devices.confirm(&devices_word).await;
    assert!(devices.hear().await.is_err(), "of two the second is not");
    let refused = match opened(&world, &token, &next).await {
        Err(refused) => refused.code,
        Ok((_, mut again)) => {
            assert!(again.renew(&code, &next).await.err().unwrap().contains("renewed already"));
            RefusalCode::Denied
        }
    };
    assert_eq!(refused, RefusalCode::Denied);
}
