use crate::client::{ask, enrolled, receive, refusal, register, request, send, sign_in};
use crate::world::World;
use serde_json::json;
use symbolon_token::InvitationLink;
use symbolon_wire::{FrameKind, RefusalCode};

fn first(world: &World) -> InvitationLink {
    InvitationLink::parse(&world.first_invitation).unwrap()
}

#[tokio::test]
async fn an_invited_person_registers_and_signs_in() {
    let world = World::new().await;
    let token = enrolled(&world).await;
    let grant = &token.registered.grant;
    assert_eq!(grant.access_path.as_str(), "/people/alice");
    assert!(grant.user_code.as_str().starts_with("alice-"));
    assert!(!grant.awaits_approval);
    sign_in(&world, &token).await.unwrap();
}

#[tokio::test]
async fn cve_code_reuse_of_an_invitation() {
    let world = World::new().await;
    register(&world, first(&world), "alice").await.unwrap();
    let again = register(&world, first(&world), "bob").await.err().unwrap();
    assert_eq!(again.code, RefusalCode::Invitation);
}

#[tokio::test]
async fn a_spent_invitation_tells_nothing_about_names() {
    let world = World::new().await;
    register(&world, first(&world), "alice").await.unwrap();
    let known = register(&world, first(&world), "alice").await.err().unwrap();
    let unknown = register(&world, first(&world), "zoe").await.err().unwrap();
    assert_eq!((known.code, known.text), (unknown.code, unknown.text));
}

#[tokio::test]
async fn of_two_clients_that_race_for_an_invitation_one_wins() {
    let world = World::new().await;
    let (a, b) =
        tokio::join!(register(&world, first(&world), "alice"), register(&world, first(&world), "bob"));
    assert_eq!([a.is_ok(), b.is_ok()].iter().filter(|ok| **ok).count(), 1);
}

#[tokio::test]
async fn an_invitation_for_somebody_else_is_refused() {
    let world = World::new().await;
    let link = world.invite(json!({ "user": "carol" })).await;
    assert_eq!(register(&world, link, "mallory").await.err().unwrap().code, RefusalCode::Invitation);
}

#[tokio::test]
async fn an_expired_invitation_is_refused() {
    let world = World::new().await;
    let link = world.invite(json!({ "expires_secs": 0 })).await;
    assert_eq!(register(&world, link, "alice").await.err().unwrap().code, RefusalCode::Invitation);
}

#[tokio::test]
async fn without_an_invitation_nobody_registers_unless_registration_is_open() {
    let world = World::new().await;
    let link = InvitationLink { code: None, ..first(&world) };
    assert_eq!(register(&world, link, "alice").await.err().unwrap().code, RefusalCode::Invitation);
}

#[tokio::test]
async fn an_open_registration_is_granted_nothing_until_somebody_approves_it() {
    let world = World::with(|c| c.open_registration = true).await;
    world.publish("web", "tcp:127.0.0.1:9").await;
    world.grant("user:alice", "web").await;
    let link = InvitationLink { code: None, ..first(&world) };
    let token = register(&world, link, "alice").await.unwrap();
    assert!(token.registered.grant.awaits_approval);
    let mut session = sign_in(&world, &token).await.unwrap();
    assert!(session.destinations.is_empty());
    world.ok("POST", "/v1/users/alice/approve", None).await;
    session.until_destinations(&["web"]).await;
}

#[tokio::test]
async fn a_name_that_looks_like_another_does_not_become_a_second_account() {
    let world = World::new().await;
    register(&world, first(&world), "alice").await.unwrap();
    for lookalike in ["alice", "ALICE", "Ａlice", "a1ice"] {
        let link = world.invite(json!({})).await;
        assert_eq!(
            register(&world, link, lookalike).await.err().unwrap().code,
            RefusalCode::NameTaken,
            "{lookalike}"
        );
    }
}

#[tokio::test]
async fn a_second_token_of_the_same_user_needs_an_invitation_with_the_name() {
    let world = World::new().await;
    let one = register(&world, first(&world), "alice").await.unwrap();
    let link = world.invite(json!({ "user": "alice" })).await;
    let two = register(&world, link, "alice").await.unwrap();
    assert_eq!(one.registered.grant.user_code, two.registered.grant.user_code);
    assert_ne!(one.registered.key, two.registered.key);
    sign_in(&world, &one).await.unwrap();
    sign_in(&world, &two).await.unwrap();
}

#[tokio::test]
async fn a_replayed_registration_request_is_refused() {
    let world = World::new().await;
    let mut stream = world.connect().await;
    let (_, bytes) = request(&mut stream, &first(&world), "alice").await;
    send(&mut stream, FrameKind::RegistrationRequest, bytes.clone()).await;
    assert_eq!(receive(&mut stream).await.unwrap().kind, FrameKind::RegistrationReply);
    let replayed = refusal(ask(&world, FrameKind::RegistrationRequest, bytes).await);
    assert_eq!(replayed.code, RefusalCode::Denied);
}

#[tokio::test]
async fn a_lost_confirmation_is_made_good_by_the_first_sign_in() {
    let world = World::new().await;
    let mut stream = world.connect().await;
    let link = first(&world);
    let (waiting, bytes) = request(&mut stream, &link, "alice").await;
    send(&mut stream, FrameKind::RegistrationRequest, bytes).await;
    let reply = receive(&mut stream).await.unwrap();
    let (registered, _, _) = waiting.finish(&reply.body).unwrap();
    drop(stream);
    let token = crate::client::Token { registered, link };
    sign_in(&world, &token).await.unwrap();
    assert_eq!(register(&world, first(&world), "bob").await.err().unwrap().code, RefusalCode::Invitation);
}

#[tokio::test]
async fn an_invitation_for_an_application_asks_what_that_application_asks() {
    let world = World::new().await;
    let bank = json!({ "target": "tcp:127.0.0.1:9", "template": "bank-customer" });
    world.ok("PUT", "/v1/apps/bank", Some(bank)).await;
    let link = world.invite(json!({ "app": "bank" })).await;
    // the client that fills in another template is told so
    assert_eq!(register(&world, link, "alice").await.err().unwrap().code, RefusalCode::Answers);
}

#[tokio::test]
async fn whoever_only_says_hello_is_sent_away() {
    let world = World::new().await;
    let mut stream = world.connect().await;
    let hello = symbolon_token::Hello::default();
    for _ in 0..8 {
        crate::client::offer(&mut stream, &hello).await;
    }
    assert_eq!(refusal(receive(&mut stream).await).code, RefusalCode::Malformed);
}
