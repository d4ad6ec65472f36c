use crate::client::{alice, ask, enrolled, first_message, now, receive, refusal, send, sign_in};
use crate::world::World;
use std::time::Duration;
use symbolon_crypto::Entropy;
use symbolon_provider::SystemEntropy;
use symbolon_wire::{FrameKind, RefusalCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn closed(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest))
        .await
        .expect("it closes");
    true
}

#[tokio::test]
async fn bytes_of_another_protocol_are_hung_up_on() {
    let world = World::new().await;
    for greeting in
        [&b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"SSH-2.0-x\r\n"]
    {
        let mut stream = world.connect().await;
        stream.write_all(greeting).await.unwrap();
        assert!(closed(stream).await);
    }
}

#[tokio::test]
async fn a_frame_that_promises_too_much_is_hung_up_on() {
    let world = World::new().await;
    for kind in [FrameKind::Hello, FrameKind::Wrapped, FrameKind::ContextFirst] {
        let mut stream = world.connect().await;
        stream.write_all(&[kind as u8, 1, 0xff, 0xff, 0xff]).await.unwrap();
        assert!(closed(stream).await);
    }
}

#[tokio::test]
async fn every_kind_of_frame_with_random_bodies_gets_an_answer_or_an_end() {
    let world = World::new().await;
    for kind in FrameKind::ALL {
        for length in [0, 1, 40, 300, 3000] {
            let mut body = vec![0; length];
            SystemEntropy.fill(&mut body);
            let mut stream = world.connect().await;
            send(&mut stream, kind, body).await;
            if let Some(frame) = receive(&mut stream).await {
                assert!(
                    matches!(frame.kind, FrameKind::Refusal | FrameKind::Offer),
                    "{kind:?}: {:?}",
                    frame.kind
                );
            }
        }
    }
    alice(&world).await;
}

#[tokio::test]
async fn a_cut_or_altered_first_message_opens_nothing() {
    let world = World::new().await;
    let token = enrolled(&world).await;
    let mut stream = world.connect().await;
    let (_, bytes, _) = first_message(&mut stream, &token, now()).await;
    for cut in [1, 20, 100, bytes.len() - 1] {
        assert_eq!(
            refusal(ask(&world, FrameKind::ContextFirst, bytes[..cut].to_vec()).await).code,
            RefusalCode::Malformed
        );
    }
    for at in [0, 12, 30, 600, 1200, bytes.len() - 1] {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        let code = refusal(ask(&world, FrameKind::ContextFirst, flipped).await).code;
        assert!(
            matches!(code, RefusalCode::Malformed | RefusalCode::Denied | RefusalCode::UnknownKey),
            "{at}: {code:?}"
        );
    }
    assert_eq!(world.ok("GET", "/v1/sessions", None).await, serde_json::json!([]));
}

#[tokio::test]
async fn cve_dos_before_authentication_a_trickled_message() {
    let world = World::with(|c| c.limits.stranger_secs = 1).await;
    let mut stream = world.connect().await;
    stream.write_all(&[FrameKind::ContextFirst as u8, 1, 0, 10]).await.unwrap();
    assert!(closed(stream).await);
}

#[tokio::test]
async fn cve_dos_before_authentication_stalled_connections() {
    let world = World::with(|c| c.limits.strangers = 3000).await;
    let token = enrolled(&world).await;
    let mut stalled = Vec::new();
    for _ in 0..2000 {
        let mut stream = world.connect().await;
        stream.write_all(&[FrameKind::Hello as u8]).await.unwrap();
        stalled.push(stream);
    }
    sign_in(&world, &token).await.unwrap();
    assert_eq!(stalled.len(), 2000);
}

#[tokio::test]
async fn the_oldest_stranger_of_a_source_gives_way_and_its_place_is_free_again() {
    for (strangers, strangers_per_source) in [(3, 100), (100, 3)] {
        let world = World::with(|c| {
            c.limits.strangers = strangers;
            c.limits.strangers_per_source = strangers_per_source;
            c.limits.stranger_secs = 600;
        })
        .await;
        let stalled = [world.connect().await, world.connect().await, world.connect().await];
        strangers_become(&world, 3).await;
        let newest = world.connect().await;
        let [oldest, ..] = stalled;
        assert!(closed(oldest).await);
        strangers_become(&world, 3).await;
        drop(newest);
        strangers_become(&world, 2).await;
        alice(&world).await;
    }
}

async fn strangers_become(world: &World, count: usize) {
    while world.ok("GET", "/v1/status", None).await["strangers"] != count {}
}

#[tokio::test]
async fn a_wrapped_message_that_was_altered_ends_the_connection_but_not_the_session() {
    let world = World::new().await;
    let (_, mut session) = alice(&world).await;
    let mut frame = session.channel.seal(&symbolon_session::ControlMessage::Ping(1)).unwrap();
    *frame.last_mut().unwrap() ^= 1;
    session.control.write_all(&frame).await.unwrap();
    loop {
        match receive(&mut session.control).await {
            None => break,
            Some(frame) if frame.kind == FrameKind::Refusal => break,
            Some(_) => {}
        }
    }
    session.attach(&world).await.unwrap();
}

#[tokio::test]
async fn a_client_that_never_confirms_its_context_leaves_no_session() {
    let world = World::with(|c| c.limits.stranger_secs = 1).await;
    let token = enrolled(&world).await;
    let mut stream = world.connect().await;
    let (_, bytes, _) = first_message(&mut stream, &token, now()).await;
    send(&mut stream, FrameKind::ContextFirst, bytes).await;
    assert_eq!(receive(&mut stream).await.unwrap().kind, FrameKind::ContextSecond);
    assert!(closed(stream).await);
    assert_eq!(world.ok("GET", "/v1/sessions", None).await, serde_json::json!([]));
}

#[tokio::test]
async fn a_flood_of_refusals_does_not_fill_the_audit() {
    let world = World::new().await;
    let mut token = enrolled(&world).await;
    token.registered.grant.registration_id = [9; 16];
    let before = world.ok("GET", "/v1/audit/verify", None).await["rows"].as_u64().unwrap();
    let began = std::time::Instant::now();
    for _ in 0..150 {
        assert_eq!(sign_in(&world, &token).await.err().unwrap().code, RefusalCode::Denied);
    }
    let seconds = began.elapsed().as_secs() + 2;
    let rows = world.ok("GET", "/v1/audit/verify", None).await["rows"].as_u64().unwrap() - before;
    assert!(rows <= 20 * seconds && rows > 0, "{rows} rows in {seconds} s");
}
