use crate::client::{
    Token, alice, ask, enrolled, first_message, now, offer, receive, refusal, send, sign_in, sign_in_with,
    verified,
};
use crate::world::World;
use symbolon_context::{Initiator, InitiatorOptions, PasswordToken};
use symbolon_crypto::{CryptoError, InitiatorToken, PresentedToken, SecretBytes, TokenKind, TranscriptHash};
use symbolon_policy::{CanonName, PasswordGateways};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_session::EndReason;
use symbolon_token::{Hello, InvitationLink, SoftwareKey};
use symbolon_wire::{FrameKind, RefusalCode, Time};
use tokio::net::TcpSocket;

fn first(world: &World) -> InvitationLink {
    InvitationLink::parse(&world.first_invitation).unwrap()
}

#[tokio::test]
async fn cve_enumeration_of_tokens() {
    let world = World::new().await;
    let mut token = enrolled(&world).await;
    let key =
        std::mem::replace(&mut token.registered.key, SoftwareKey::new(symbolon_crypto::Secret::new([1; 32])));
    let wrong_key = sign_in(&world, &token).await.err().unwrap();
    token.registered.key = key;
    token.registered.grant.registration_id = [9; 16];
    let unknown = sign_in(&world, &token).await.err().unwrap();
    assert_eq!(wrong_key.code, RefusalCode::Denied);
    assert_eq!((wrong_key.code, wrong_key.text), (unknown.code, unknown.text));
}

#[tokio::test]
async fn cve_replayed_first_message() {
    let world = World::new().await;
    let token = enrolled(&world).await;
    let mut stream = world.connect().await;
    let (_, bytes, _) = first_message(&mut stream, &token, now()).await;
    send(&mut stream, FrameKind::ContextFirst, bytes.clone()).await;
    assert_eq!(receive(&mut stream).await.unwrap().kind, FrameKind::ContextSecond);
    assert_eq!(refusal(ask(&world, FrameKind::ContextFirst, bytes).await).code, RefusalCode::Denied);
}

#[tokio::test]
async fn a_context_that_was_never_confirmed_leaves_no_session() {
    let world = World::new().await;
    let token = enrolled(&world).await;
    let mut stream = world.connect().await;
    let (_, bytes, _) = first_message(&mut stream, &token, now()).await;
    send(&mut stream, FrameKind::ContextFirst, bytes).await;
    assert_eq!(receive(&mut stream).await.unwrap().kind, FrameKind::ContextSecond);
    // a wrapped message that nobody with the keys made
    send(&mut stream, FrameKind::Wrapped, vec![0x57; 64]).await;
    assert_eq!(refusal(receive(&mut stream).await).code, RefusalCode::Denied);
    assert_eq!(world.ok("GET", "/v1/sessions", None).await, serde_json::json!([]));
}

#[tokio::test]
async fn a_clock_that_is_ten_minutes_off_is_told_so() {
    let world = World::new().await;
    let token = enrolled(&world).await;
    for at in [now().plus_secs(600), now().minus_secs(600)] {
        let mut stream = world.connect().await;
        let (_, bytes, _) = first_message(&mut stream, &token, at).await;
        send(&mut stream, FrameKind::ContextFirst, bytes).await;
        let refusal = refusal(receive(&mut stream).await);
        assert_eq!(refusal.code, RefusalCode::Clock);
        assert!(refusal.time.distance_secs(now()) < 60);
        assert_ne!(refusal.time, Time(0));
    }
}

#[tokio::test]
async fn under_load_a_cookie_is_demanded_and_honoured() {
    let world = World::with(|c| c.limits.cookie_above_per_sec = 0).await;
    let mut stream = world.connect().await;
    let link = first(&world);
    let (waiting, bytes) = crate::client::request(&mut stream, &link, "alice").await;
    send(&mut stream, FrameKind::RegistrationRequest, bytes).await;
    let retry = receive(&mut stream).await.unwrap();
    assert_eq!(retry.kind, FrameKind::Retry);
    let again = waiting.with_cookie(retry.body.try_into().unwrap());
    send(&mut stream, FrameKind::RegistrationRequest, again).await;
    let reply = receive(&mut stream).await.unwrap();
    assert_eq!(reply.kind, FrameKind::RegistrationReply);
    let (registered, _, _) = waiting.finish(&reply.body).unwrap();
    sign_in(&world, &Token { registered, link }).await.unwrap();
}

#[tokio::test]
async fn a_message_for_a_key_of_before_a_restart_is_sent_to_the_present_keys() {
    let mut world = World::new().await;
    let token = enrolled(&world).await;
    let mut stream = world.connect().await;
    let (_, bytes, _) = first_message(&mut stream, &token, now()).await;
    drop(stream);
    world.restart().await;
    assert_eq!(refusal(ask(&world, FrameKind::ContextFirst, bytes).await).code, RefusalCode::UnknownKey);
    sign_in(&world, &token).await.unwrap();
}

#[tokio::test]
async fn cve_outliving_revocation_by_a_new_sign_in() {
    let world = World::new().await;
    let (token, mut session) = alice(&world).await;
    world.ok("POST", "/v1/users/alice/lock", None).await;
    assert_eq!(session.until_over().await, EndReason::UserLocked);
    assert_eq!(sign_in(&world, &token).await.err().unwrap().code, RefusalCode::Denied);
    world.ok("POST", "/v1/users/alice/unlock", None).await;
    let mut session = sign_in(&world, &token).await.unwrap();
    let tokens = world.ok("GET", "/v1/tokens", None).await;
    let id = tokens[0]["id"].as_str().unwrap();
    world.ok("DELETE", &format!("/v1/tokens/{id}"), None).await;
    assert_eq!(session.until_over().await, EndReason::TokenRevoked);
    assert_eq!(sign_in(&world, &token).await.err().unwrap().code, RefusalCode::Denied);
}

async fn with_password(world: &World, user: &str, password: &str) -> Option<symbolon_wire::Refusal> {
    let mut stream = world.connect().await;
    let offer = crate::client::offer(&mut stream, &Hello::default()).await;
    let gateway = crate::client::verified(&offer, &first(world));
    let permitted = PasswordGateways::new(["gw.example"]).permit("gw.example").unwrap();
    let password = SecretBytes::from(password.to_owned());
    let token = PasswordToken::new(CanonName::parse(user).unwrap(), password, &gateway, &permitted).unwrap();
    let options = InitiatorOptions::default();
    let (waiting, bytes) =
        Initiator::begin(crypto(), &mut SystemEntropy, &gateway, &options, token, now()).unwrap();
    send(&mut stream, FrameKind::ContextFirst, bytes).await;
    let frame = receive(&mut stream).await.unwrap();
    if frame.kind == FrameKind::Refusal {
        return Some(refusal(Some(frame)));
    }
    assert_eq!(waiting.finish(&frame.body).unwrap().subject, user);
    None
}

#[tokio::test]
async fn one_user_has_only_so_many_sessions() {
    let world = World::with(|c| c.limits.sessions_per_user = 2).await;
    let token = enrolled(&world).await;
    let _held = [sign_in(&world, &token).await.unwrap(), sign_in(&world, &token).await.unwrap()];
    assert_eq!(sign_in(&world, &token).await.err().unwrap().code, RefusalCode::Busy);
}

#[tokio::test]
async fn a_password_opens_a_context_where_passwords_are_taken() {
    let world = World::with(|c| c.accept_passwords = true).await;
    world.ok("POST", "/v1/users", Some(serde_json::json!({ "name": "bob" }))).await;
    let password = serde_json::json!({ "password": "correct horse" });
    world.ok("PUT", "/v1/users/bob/password", Some(password)).await;
    assert_eq!(with_password(&world, "bob", "correct horse").await, None);
    let wrong = with_password(&world, "bob", "wrong horse").await.unwrap();
    let unknown = with_password(&world, "nobody", "wrong horse").await.unwrap();
    assert_eq!((wrong.code, wrong.text), (unknown.code, unknown.text));
}

#[tokio::test]
async fn a_password_that_is_changed_takes_its_sessions_along_and_no_others() {
    let world = World::with(|c| c.accept_passwords = true).await;
    let (token, _by_token) = alice(&world).await;
    let change = async |password: &str| {
        let password = serde_json::json!({ "password": password });
        world.ok("PUT", "/v1/users/alice/password", Some(password)).await;
    };
    change("correct horse").await;
    let gateway = verified(&offer(&mut world.connect().await, &Hello::default()).await, &token.link);
    let permitted = PasswordGateways::new([gateway.name().as_str()]).permit(gateway.name().as_str()).unwrap();
    let password = SecretBytes::from("correct horse".to_owned());
    let credential =
        PasswordToken::new(CanonName::parse("alice").unwrap(), password, &gateway, &permitted).unwrap();
    let mut by_password = sign_in_with(&world, &token.link, credential).await.unwrap();
    change("battery staple").await;
    assert_eq!(by_password.until_over().await, EndReason::EndedByAdministrator);
    let left = world.ok("GET", "/v1/sessions", None).await;
    assert_eq!(left.as_array().map(Vec::len), Some(1), "{left}");
}

#[tokio::test]
async fn cve_lockout_bypass_by_many_guesses() {
    let world = World::with(|c| {
        c.accept_passwords = true;
        c.limits.wrong_passwords = 2;
    })
    .await;
    for _ in 0..2 {
        assert_eq!(with_password(&world, "bob", "wrong horse").await.unwrap().code, RefusalCode::Denied);
    }
    assert_eq!(with_password(&world, "bob", "wrong horse").await.unwrap().code, RefusalCode::Busy);
}

/// A name exactly as somebody spells it, with a password.
struct Spelt(&'static str);

impl InitiatorToken for Spelt {
    fn present(&mut self, _: &TranscriptHash) -> Result<PresentedToken, CryptoError> {
        let body = SecretBytes::written(64, |w| {
            w.text16(self.0);
            w.bytes16(b"wrong horse");
        });
        Ok(PresentedToken { kind: TokenKind::Password, body, contribution: None })
    }
}

/// Guesses a password from one of this machine's addresses, 127.0.0.`place`.
async fn guess(world: &World, place: u8, name: &'static str) -> RefusalCode {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, place], 0).into()).unwrap();
    let mut stream = socket.connect(world.config.listen).await.unwrap();
    let offer = offer(&mut stream, &Hello::default()).await;
    let gateway = verified(&offer, &first(world));
    let options = InitiatorOptions::default();
    let (_, bytes) =
        Initiator::begin(crypto(), &mut SystemEntropy, &gateway, &options, Spelt(name), now()).unwrap();
    send(&mut stream, FrameKind::ContextFirst, bytes).await;
    refusal(receive(&mut stream).await).code
}

#[tokio::test]
async fn cve_lockout_bypass_by_another_spelling() {
    let world = World::with(|c| {
        c.accept_passwords = true;
        c.limits.wrong_passwords = 3;
    })
    .await;
    // Never twice from one place, so that the name alone is counted.
    for (place, name) in [(2, "bob"), (3, "BOB"), (4, "\u{ff22}ob")] {
        assert_eq!(guess(&world, place, name).await, RefusalCode::Denied, "{name}");
    }
    for (place, name) in [(5, "bob"), (6, "Bob"), (7, "bo\u{ff42}")] {
        assert_eq!(guess(&world, place, name).await, RefusalCode::Busy, "{name}");
    }
    assert_eq!(guess(&world, 8, "carol").await, RefusalCode::Denied, "somebody else is not locked out");
}

#[tokio::test]
async fn cve_downgrade_to_a_password_that_is_not_taken() {
    let world = World::new().await;
    assert_eq!(with_password(&world, "bob", "correct horse").await.unwrap().code, RefusalCode::Credential);
}
