//! Two nodes on one store: what one has begun, the other carries on; what one is told, both obey.

use crate::client::{
    Heard, Session, Stream, alice, ask, enrolled, first_message, now, receive, refusal, send, sign_in,
};
use crate::world::World;
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Duration;
use symbolon_server::{Node, NodeError};
use symbolon_session::EndReason;
use symbolon_wire::{Frame, FrameKind, RefusalCode};

/// Far more than a node takes to notice what the other did.
const LIMIT: Duration = Duration::from_secs(20);

async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, event).await.expect("it happens soon")
}

/// Two nodes, and a session at the second that was opened at the first, with a stream through the second.
async fn carried_on() -> (World, World, Session, Stream) {
    let one = World::new().await;
    one.echo_for("alice").await;
    let two = one.beside().await;
    let (_, mut session) = alice(&one).await;
    session.attach(&two).await.unwrap();
    let mut stream = session.open(&two, "echo").await.unwrap();
    stream.write(b"here").await;
    assert_eq!(stream.read_exactly(4).await, b"here");
    (one, two, session, stream)
}

#[tokio::test]
async fn a_session_goes_on_at_the_other_node_and_ends_at_the_first() {
    let one = World::new().await;
    one.echo_for("alice").await;
    let two = one.beside().await;
    let (_, mut session) = alice(&one).await;
    let mut old_stream = session.open(&one, "echo").await.unwrap();
    let (id, epoch) = (session.session.id(), session.session.epoch());
    let (opening, _, _) = session.opening("echo");
    session.attach(&two).await.unwrap();
    assert_eq!(session.session.id(), id);
    assert!(session.session.epoch() > epoch);
    assert_eq!(session.destinations, ["echo"]);
    let mut stream = session.open(&two, "echo").await.unwrap();
    stream.write(b"still me").await;
    assert_eq!(stream.read_exactly(8).await, b"still me");
    assert_eq!(soon(old_stream.read()).await, Heard::Ended(EndReason::Replaced.code()));
    // and the first node has forgotten the numbers that it granted
    let late = soon(ask(&one, FrameKind::StreamOpen, opening)).await;
    assert_eq!(refusal(late).code, RefusalCode::SessionOver);
    let rows = one.ok("GET", "/v1/sessions", None).await;
    assert_eq!(rows[0]["owner"], two.ok("GET", "/v1/status", None).await["node"]);
    assert_ne!(rows[0]["owner"], one.ok("GET", "/v1/status", None).await["node"]);
}

#[tokio::test]
async fn a_session_that_comes_back_at_once_finds_no_stale_copy() {
    let (one, two, mut session, mut stream) = carried_on().await;
    for _ in 0..5 {
        session.attach(&one).await.unwrap();
        session.open(&one, "echo").await.unwrap();
        session.attach(&two).await.unwrap();
        session.open(&two, "echo").await.unwrap();
    }
    assert_eq!(soon(stream.read()).await, Heard::Ended(EndReason::Replaced.code()));
    let mut stream = session.open(&two, "echo").await.unwrap();
    stream.write(b"here").await;
    assert_eq!(stream.read_exactly(4).await, b"here");
}

/// Sends the same message to both nodes at the same time, and returns their answers.
async fn both(one: &World, two: &World, body: &[u8]) -> [Option<Frame>; 2] {
    let (mut left, mut right) = tokio::join!(one.connect(), two.connect());
    tokio::join!(
        send(&mut left, FrameKind::StreamOpen, body.to_vec()),
        send(&mut right, FrameKind::StreamOpen, body.to_vec())
    );
    let (left, right) = tokio::join!(receive(&mut left), receive(&mut right));
    [left, right]
}

#[tokio::test]
async fn a_stream_opened_at_both_nodes_acts_once() {
    let one = World::new().await;
    let echo = one.echo_for("alice").await;
    let two = one.beside().await;
    let (_, mut session) = alice(&one).await;
    let mut opened = 0;
    for _ in 0..20 {
        let (body, _, _) = session.opening("echo");
        both(&one, &two, &body).await;
        opened += 1;
        assert_eq!(echo.connections.load(Ordering::SeqCst), opened);
        both(&two, &one, &body).await;
        assert_eq!(echo.connections.load(Ordering::SeqCst), opened, "nor ever again");
    }
    // raced against the session's own move: what the first node granted acts there or nowhere
    for n in 0..10 {
        let (from, to) = if n % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let (body, _, _) = session.opening("echo");
        let before = echo.connections.load(Ordering::SeqCst);
        let (moved, answers) = tokio::join!(session.attach(to), both(from, to, &body));
        moved.unwrap();
        both(from, to, &body).await;
        let acted = echo.connections.load(Ordering::SeqCst) - before;
        let accepted = answers.iter().flatten().filter(|a| a.kind == FrameKind::StreamReply).count();
        assert!(acted <= 1, "{acted} connections, {accepted} replies");
    }
}

#[tokio::test]
async fn cve_replayed_at_another_node() {
    let one = World::new().await;
    let two = one.beside().await;
    let token = enrolled(&one).await;
    let mut stream = one.connect().await;
    let (_, bytes, _) = first_message(&mut stream, &token, now()).await;
    send(&mut stream, FrameKind::ContextFirst, bytes.clone()).await;
    assert_eq!(receive(&mut stream).await.unwrap().kind, FrameKind::ContextSecond);
    let replayed = refusal(ask(&two, FrameKind::ContextFirst, bytes.clone()).await);
    assert_eq!(replayed.code, RefusalCode::UnknownKey, "context keys are each node's own");
    assert_eq!(refusal(ask(&one, FrameKind::ContextFirst, bytes).await).code, RefusalCode::Denied);
}

#[tokio::test]
async fn an_attach_for_one_node_takes_nothing_over_when_replayed_at_the_other() {
    let (one, two, mut session, mut stream) = carried_on().await;
    let (_, body) = symbolon_session::AttachRequest::begin(
        symbolon_provider::crypto(),
        &mut symbolon_provider::SystemEntropy,
        &mut session.session,
    )
    .unwrap();
    session.attach(&two).await.unwrap();
    assert_eq!(refusal(ask(&one, FrameKind::Attach, body).await).code, RefusalCode::SessionOver);
    stream.write(b"x").await;
    assert_eq!(stream.read_exactly(1).await, b"x");
}

#[tokio::test]
async fn a_token_that_was_registered_at_one_node_signs_in_at_both() {
    let one = World::new().await;
    one.echo_for("alice").await;
    let two = one.beside().await;
    let token = enrolled(&two).await;
    for world in [&one, &two] {
        let mut session = sign_in(world, &token).await.unwrap();
        soon(session.until_destinations(&["echo"])).await;
        session.open(world, "echo").await.unwrap();
    }
}

#[tokio::test]
async fn a_right_that_is_withdrawn_at_one_node_ends_streams_at_the_other() {
    let (one, _two, mut session, mut stream) = carried_on().await;
    let rows = one.ok("GET", "/v1/entitlements", None).await;
    one.ok("DELETE", &format!("/v1/entitlements/{}", rows[0]["id"].as_str().unwrap()), None).await;
    assert_eq!(soon(stream.read()).await, Heard::Ended(EndReason::EntitlementWithdrawn.code()));
    soon(session.until_destinations(&[])).await;
}

#[tokio::test]
async fn a_user_who_is_locked_at_one_node_is_out_at_the_other() {
    let (one, two, mut session, mut stream) = carried_on().await;
    one.ok("POST", "/v1/users/alice/lock", None).await;
    assert_eq!(soon(stream.read()).await, Heard::Ended(EndReason::UserLocked.code()));
    assert_eq!(soon(session.until_over()).await, EndReason::UserLocked);
    assert_eq!(session.attach(&two).await.err().unwrap().code, RefusalCode::SessionOver);
}

#[tokio::test]
async fn a_token_that_is_revoked_at_one_node_is_out_at_the_other() {
    let (one, _two, mut session, mut stream) = carried_on().await;
    let rows = one.ok("GET", "/v1/tokens", None).await;
    one.ok("DELETE", &format!("/v1/tokens/{}", rows[0]["id"].as_str().unwrap()), None).await;
    assert_eq!(soon(stream.read()).await, Heard::Ended(EndReason::TokenRevoked.code()));
    assert_eq!(soon(session.until_over()).await, EndReason::TokenRevoked);
}

#[tokio::test]
async fn a_session_that_is_ended_at_one_node_ends_at_the_other() {
    let (one, _two, mut session, mut stream) = carried_on().await;
    one.ok("DELETE", &format!("/v1/sessions/{}", session.session.id()), None).await;
    assert_eq!(soon(stream.read()).await, Heard::Ended(EndReason::EndedByAdministrator.code()));
    assert_eq!(soon(session.until_over()).await, EndReason::EndedByAdministrator);
}

#[tokio::test]
async fn a_session_outlives_the_node_that_opened_it() {
    let (mut one, two, mut session, mut stream) = carried_on().await;
    one.stop().await;
    stream.write(b"alone").await;
    assert_eq!(stream.read_exactly(5).await, b"alone");
    one.node = Some(Node::start(one.config.clone()).await.unwrap());
    session.attach(&one).await.unwrap();
    session.open(&one, "echo").await.unwrap();
    assert_eq!(soon(stream.read()).await, Heard::Ended(EndReason::Replaced.code()));
    drop(two);
}

#[tokio::test]
async fn sessions_are_counted_at_both_nodes_and_one_that_nobody_carries_gives_way() {
    let one = World::with(|c| c.limits.sessions_per_user = 2).await;
    let mut two = one.beside().await;
    let token = enrolled(&one).await;
    let _first = sign_in(&one, &token).await.unwrap();
    let second = sign_in(&two, &token).await.unwrap();
    for world in [&one, &two] {
        assert_eq!(sign_in(world, &token).await.err().unwrap().code, RefusalCode::Busy);
    }
    assert_eq!(one.ok("GET", "/v1/users/alice", None).await["sessions"], 2);
    drop(second);
    two.restart().await;
    sign_in(&two, &token).await.unwrap();
    assert_eq!(one.ok("GET", "/v1/users/alice", None).await["sessions"], 2);
}

#[tokio::test]
async fn both_nodes_write_one_audit() {
    let one = World::new().await;
    let two = one.beside().await;
    let users = async |world: &World, first: u32| {
        for n in first..first + 10 {
            world.ok("POST", "/v1/users", Some(json!({ "name": format!("user{n}") }))).await;
        }
    };
    tokio::join!(users(&one, 10), users(&two, 30), users(&one, 50), users(&two, 70));
    for world in [&one, &two] {
        let verdict = world.ok("GET", "/v1/audit/verify", None).await;
        assert_eq!(verdict["ok"], true, "{verdict}");
        assert_eq!(world.ok("GET", "/v1/users", None).await.as_array().unwrap().len(), 40);
    }
}

#[tokio::test]
async fn a_second_node_needs_a_directory_of_its_own_and_a_node_to_share_with() {
    let mut one = World::new().await;
    let mut config = one.config.clone();
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.with = Some(one.config.dir.clone());
    let error = Node::start(config.clone()).await.unwrap_err();
    assert!(matches!(error, NodeError::Store(symbolon_store::StoreError::InUse { .. })), "{error}");
    one.stop().await;
    let error = Node::start(config.clone()).await.unwrap_err();
    assert!(matches!(&error, NodeError::Config(e) if e.contains("of its own")), "{error}");
    config.dir = one.config.dir.join("other");
    config.with = Some(one.config.dir.join("nowhere"));
    let error = Node::start(config).await.unwrap_err();
    assert!(matches!(&error, NodeError::Config(e) if e.contains("start that one first")), "{error}");
}
