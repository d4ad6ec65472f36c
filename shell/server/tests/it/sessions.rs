use crate::client::{Heard, alice, enrolled, receive, refusal, send, sign_in};
use crate::world::{Echo, World};
use serde_json::json;
use symbolon_crypto::Entropy;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_session::{AttachRequest, ControlMessage, EndReason, RenewalBytes};
use symbolon_token::challenge::{Challenger, Parties, Responder};
use symbolon_wire::{FrameKind, RefusalCode};

#[tokio::test]
async fn a_session_goes_on_over_another_connection_under_a_larger_epoch() {
    let world = World::new().await;
    let (_, mut session) = alice(&world).await;
    let before = session.session.epoch();
    session.attach(&world).await.unwrap();
    assert!(session.session.epoch() > before);
    session.say(&ControlMessage::Ping(7)).await;
    session.until(|m| *m == ControlMessage::Pong(7)).await;
}

#[tokio::test]
async fn a_restarted_node_carries_on_with_the_sessions_it_had() {
    let mut world = World::new().await;
    let _echo = world.echo_for("alice").await;
    let (_, mut session) = alice(&world).await;
    let id = session.session.id();
    world.restart().await;
    session.attach(&world).await.unwrap();
    assert_eq!(session.session.id(), id);
    let mut stream = session.open(&world, "echo").await.unwrap();
    stream.write(b"still me").await;
    assert_eq!(stream.read_exactly(8).await, b"still me");
}

#[tokio::test]
async fn a_replayed_attach_takes_nothing_over() {
    let world = World::new().await;
    let (_, mut session) = alice(&world).await;
    let (waiting, body) = AttachRequest::begin(crypto(), &mut SystemEntropy, &mut session.session).unwrap();
    let mut stream = world.connect().await;
    send(&mut stream, FrameKind::Attach, body.clone()).await;
    let attached = receive(&mut stream).await.unwrap();
    session.channel = waiting.receive(&mut session.session, &attached.body).unwrap();
    session.control = stream;
    let mut thief = world.connect().await;
    send(&mut thief, FrameKind::Attach, body).await;
    assert_eq!(refusal(receive(&mut thief).await).code, RefusalCode::SessionOver);
    session.say(&ControlMessage::Ping(1)).await;
    session.until(|m| *m == ControlMessage::Pong(1)).await;
}

#[tokio::test]
async fn an_attach_to_a_made_up_session_is_refused() {
    let world = World::new().await;
    let mut body = vec![0; 120];
    SystemEntropy.fill(&mut body);
    let mut stream = world.connect().await;
    send(&mut stream, FrameKind::Attach, body).await;
    let code = refusal(receive(&mut stream).await).code;
    assert!(matches!(code, RefusalCode::SessionOver | RefusalCode::Malformed), "{code:?}");
}

#[tokio::test]
async fn after_logging_out_the_session_is_gone() {
    let world = World::new().await;
    let (_, mut session) = alice(&world).await;
    session.say(&ControlMessage::Logout).await;
    assert_eq!(session.hear().await, None);
    assert_eq!(world.ok("GET", "/v1/sessions", None).await, json!([]));
    assert_eq!(session.attach(&world).await.err().unwrap().code, RefusalCode::SessionOver);
}

#[tokio::test]
async fn an_administrator_sees_and_ends_a_session() {
    let world = World::new().await;
    let _echo = world.echo_for("alice").await;
    let (_, mut session) = alice(&world).await;
    let mut stream = session.open(&world, "echo").await.unwrap();
    stream.write(b"12345").await;
    assert_eq!(stream.read_exactly(5).await, b"12345");
    let seen = world.ok("GET", "/v1/sessions", None).await;
    assert_eq!(seen[0]["user"], "alice");
    assert_eq!(seen[0]["place"], "home");
    assert_eq!(seen[0]["streams"][0]["app"], "echo");
    assert_eq!(seen[0]["streams"][0]["bytes_up"], 5);
    let id = seen[0]["id"].as_str().unwrap();
    world.ok("DELETE", &format!("/v1/sessions/{id}"), None).await;
    assert_eq!(session.until_over().await, EndReason::EndedByAdministrator);
    assert_eq!(stream.read().await, Heard::Ended(EndReason::EndedByAdministrator.code()));
}

#[tokio::test]
async fn a_change_of_place_changes_the_configuration() {
    let world = World::new().await;
    world.publish("vault", "tcp:127.0.0.1:9").await;
    let conditions =
        json!({ "grantee": "user:alice", "app": "vault", "conditions": { "places": ["office"] } });
    world.ok("POST", "/v1/entitlements", Some(conditions)).await;
    let (_, mut session) = alice(&world).await;
    assert!(session.destinations.is_empty());
    session.report("office").await;
    session.until_destinations(&["vault"]).await;
    session.report("home").await;
    session.until_destinations(&[]).await;
}

#[tokio::test]
async fn a_condition_on_time_that_ends_cuts_its_streams() {
    let world = World::new().await;
    let echo = Echo::start().await;
    world.publish("echo", &echo.target).await;
    let (_, mut session) = alice(&world).await;
    let until = symbolon_policy::format_time(crate::client::now().plus_secs(2));
    let conditions = json!({ "grantee": "user:alice", "app": "echo", "conditions": { "not_after": until } });
    world.ok("POST", "/v1/entitlements", Some(conditions)).await;
    session.until_destinations(&["echo"]).await;
    let mut stream = session.open(&world, "echo").await.unwrap();
    assert_eq!(stream.read().await, Heard::Ended(EndReason::EntitlementWithdrawn.code()));
    session.until_destinations(&[]).await;
}

#[tokio::test]
async fn a_session_whose_time_is_up_ends() {
    let world = World::with(|c| c.session_lifetime_secs = 1).await;
    let token = enrolled(&world).await;
    let mut session = sign_in(&world, &token).await.unwrap();
    assert_eq!(session.until_over().await, EndReason::Expired);
}

#[tokio::test]
async fn a_node_that_stops_says_so_and_ends_streams_with_the_reason() {
    let mut world = World::new().await;
    let _echo = world.echo_for("alice").await;
    let (_, mut session) = alice(&world).await;
    let mut stream = session.open(&world, "echo").await.unwrap();
    stream.write(b"x").await;
    assert_eq!(stream.read_exactly(1).await, b"x");
    let stop = world.stop();
    let watch = async {
        session.until(|m| matches!(m, ControlMessage::Stopping { .. })).await;
        stream.read().await
    };
    let ((), heard) = tokio::join!(stop, watch);
    assert_eq!(heard, Heard::Ended(EndReason::NodeStopping.code()));
}

fn binding(session: &crate::client::Session) -> symbolon_crypto::TranscriptHash {
    symbolon_crypto::Transcript::new(crypto(), symbolon_crypto::label::SESSION_RENEWAL)
        .with(&session.session.id().0)
        .with(&session.session.epoch().0.to_be_bytes())
        .hash()
}

/// The next message about a renewal.
async fn renewal(session: &mut crate::client::Session) -> Vec<u8> {
    let wanted = session
        .until(|m| {
            matches!(
                m,
                ControlMessage::RenewFirst(_)
                    | ControlMessage::RenewSecond(_)
                    | ControlMessage::RenewThird(_)
            )
        })
        .await;
    match wanted {
        ControlMessage::RenewFirst(b) | ControlMessage::RenewSecond(b) | ControlMessage::RenewThird(b) => {
            b.into_bytes()
        }
        _ => unreachable!("only these were waited for"),
    }
}

async fn streams_work_with(
    world: &World,
    session: &mut crate::client::Session,
    secret: symbolon_crypto::Secret<32>,
) {
    session.until(|m| matches!(m, ControlMessage::NextNumber(_))).await;
    let id = session.session.id();
    session.root =
        symbolon_session::StreamRoot::new(crypto(), id, &symbolon_session::SessionSecret::new(secret));
    let mut stream = session.open(world, "echo").await.unwrap();
    stream.write(b"renewed").await;
    assert_eq!(stream.read_exactly(7).await, b"renewed");
}

#[tokio::test]
async fn a_client_renews_its_session_and_both_sides_prove_themselves() {
    let world = World::new().await;
    let _echo = world.echo_for("alice").await;
    let (token, mut session) = alice(&world).await;
    session.until_destinations(&["echo"]).await;
    let code = &token.registered.grant.user_code;
    let (challenger, first) = Challenger::begin(crypto(), &mut SystemEntropy, binding(&session));
    session.say(&ControlMessage::RenewFirst(RenewalBytes::new(first).unwrap())).await;
    let answer = renewal(&mut session).await;
    let parties = Parties { challenger: code.as_str(), responder: "gw.example" };
    let (secret, last) =
        challenger.conclude(&mut SystemEntropy, &token.registered.key, parties, &answer).unwrap();
    session.say(&ControlMessage::RenewThird(RenewalBytes::new(last).unwrap())).await;
    // a stream that was opened with the keys of before is still let in
    session.open(&world, "echo").await.unwrap();
    streams_work_with(&world, &mut session, secret).await;
}

#[tokio::test]
async fn the_node_renews_a_session_whose_client_forgot() {
    let world = World::with(|c| c.session_lifetime_secs = 5).await;
    let _echo = world.echo_for("alice").await;
    let (token, mut session) = alice(&world).await;
    let first = renewal(&mut session).await;
    let code = &token.registered.grant.user_code;
    let parties = Parties { challenger: "gw.example", responder: code.as_str() };
    let key = &token.registered.key;
    let binding = binding(&session);
    let (responder, answer) =
        Responder::answer(crypto(), &mut SystemEntropy, key, parties, &first, binding).unwrap();
    session.say(&ControlMessage::RenewSecond(RenewalBytes::new(answer).unwrap())).await;
    let last = renewal(&mut session).await;
    let secret = responder.finish(&last).unwrap();
    streams_work_with(&world, &mut session, secret).await;
}

#[tokio::test]
async fn a_renewal_with_a_wrong_key_ends_the_connection_and_renews_nothing() {
    let world = World::new().await;
    let (_, mut session) = alice(&world).await;
    let (_, first) = Challenger::begin(crypto(), &mut SystemEntropy, binding(&session));
    session.say(&ControlMessage::RenewFirst(RenewalBytes::new(first).unwrap())).await;
    renewal(&mut session).await;
    session.say(&ControlMessage::RenewThird(RenewalBytes::new(vec![0; 1200]).unwrap())).await;
    while let Some(frame) = receive(&mut session.control).await {
        assert!(matches!(frame.kind, FrameKind::Wrapped | FrameKind::Refusal));
    }
    session.attach(&world).await.unwrap();
}
