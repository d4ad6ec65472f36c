use crate::client::{Heard, Stream, alice, receive, seal, send};
use crate::world::{Echo, World};
use std::sync::atomic::Ordering;
use symbolon_session::{ControlMessage, EndReason};
use symbolon_wire::FrameKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

#[tokio::test]
async fn a_permitted_stream_carries_bytes_both_ways_and_closes_each_way_by_itself() {
    let world = World::new().await;
    let _echo = world.echo_for("alice").await;
    let (_, mut session) = alice(&world).await;
    let mut stream = session.open(&world, "echo").await.unwrap();
    let data: Vec<u8> = (0..100_000u32).map(|i| i as u8).collect();
    for chunk in data.chunks(16_384) {
        stream.write(chunk).await;
    }
    assert_eq!(stream.read_exactly(data.len()).await, data);
    stream.close().await;
    assert_eq!(stream.read().await, Heard::Closed);
}

#[tokio::test]
async fn data_may_follow_an_opening_without_waiting() {
    let world = World::new().await;
    let _echo = world.echo_for("alice").await;
    let (_, mut session) = alice(&world).await;
    let (mut tcp, mut send_half, reply) = session.begin(&world, "echo").await;
    tcp.write_all(&seal(&mut send_half, b"early")).await.unwrap();
    let mut stream = Stream::accepted(tcp, send_half, reply).await.unwrap();
    assert_eq!(stream.read_exactly(5).await, b"early");
}

#[tokio::test]
async fn cve_missing_authorisation_what_is_not_granted_is_not_reached() {
    let world = World::new().await;
    let echo = Echo::start().await;
    world.publish("echo", &echo.target).await;
    let (_, mut session) = alice(&world).await;
    assert_eq!(session.open(&world, "echo").await.unwrap_err(), EndReason::NotPermitted);
    assert_eq!(session.open(&world, "nothing").await.unwrap_err(), EndReason::NotPermitted);
    assert_eq!(echo.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_grant_and_a_withdrawal_reach_a_connected_client() {
    let world = World::new().await;
    let echo = Echo::start().await;
    world.publish("echo", &echo.target).await;
    let (_, mut session) = alice(&world).await;
    assert!(session.destinations.is_empty());
    let id = world.grant("user:alice", "echo").await;
    session.until_destinations(&["echo"]).await;
    let mut stream = session.open(&world, "echo").await.unwrap();
    stream.write(b"hello").await;
    assert_eq!(stream.read_exactly(5).await, b"hello");
    world.ok("DELETE", &format!("/v1/entitlements/{id}"), None).await;
    assert_eq!(stream.read().await, Heard::Ended(EndReason::EntitlementWithdrawn.code()));
    let told = session.until(|m| matches!(m, ControlMessage::StreamEnded { .. })).await;
    assert!(matches!(told, ControlMessage::StreamEnded { reason: EndReason::EntitlementWithdrawn, .. }));
    session.until_destinations(&[]).await;
    assert_eq!(session.open(&world, "echo").await.unwrap_err(), EndReason::NotPermitted);
}

#[tokio::test]
async fn locking_a_user_ends_streams_and_session_at_once() {
    let world = World::new().await;
    let _echo = world.echo_for("alice").await;
    let (_, mut session) = alice(&world).await;
    let mut stream = session.open(&world, "echo").await.unwrap();
    world.ok("POST", "/v1/users/alice/lock", None).await;
    assert_eq!(stream.read().await, Heard::Ended(EndReason::UserLocked.code()));
    assert_eq!(session.until_over().await, EndReason::UserLocked);
}

#[tokio::test]
async fn a_stream_opened_twice_with_the_same_message_acts_once() {
    let mut world = World::new().await;
    let echo = world.echo_for("alice").await;
    let (_, mut session) = alice(&world).await;
    let (body, _, reply) = session.opening("echo");
    let mut first = world.connect().await;
    send(&mut first, FrameKind::StreamOpen, body.clone()).await;
    let accepted = receive(&mut first).await.unwrap();
    assert!(matches!(reply.receive(accepted.body).unwrap(), symbolon_session::StreamReply::Accepted(_)));
    let mut second = world.connect().await;
    send(&mut second, FrameKind::StreamOpen, body.clone()).await;
    assert_eq!(receive(&mut second).await.unwrap().kind, FrameKind::StreamReply);
    assert_eq!(second.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(echo.connections.load(Ordering::SeqCst), 1);
    drop(first);
    world.restart().await;
    session.attach(&world).await.unwrap();
    let mut third = world.connect().await;
    send(&mut third, FrameKind::StreamOpen, body).await;
    assert_eq!(receive(&mut third).await.unwrap().kind, FrameKind::StreamReply);
    assert_eq!(third.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(echo.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_application_that_is_down_is_told_as_such() {
    let world = World::new().await;
    // Bound and kept, so that no other program listens there.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    world.publish("down", &format!("tcp:{}", nobody.local_addr().unwrap())).await;
    world.grant("user:alice", "down").await;
    let (_, mut session) = alice(&world).await;
    assert_eq!(session.open(&world, "down").await.unwrap_err(), EndReason::ApplicationUnreachable);
}

#[tokio::test]
async fn a_client_that_vanishes_is_an_end_that_the_application_does_not_mistake_for_a_close() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.publish("sink", &format!("tcp:{}", listener.local_addr().unwrap())).await;
    world.grant("user:alice", "sink").await;
    let (_, mut session) = alice(&world).await;
    let (accepted, stream) = tokio::join!(listener.accept(), session.open(&world, "sink"));
    let (mut application, _) = accepted.unwrap();
    let mut stream = stream.unwrap();
    stream.write(b"half a me").await;
    let mut seen = [0; 9];
    application.read_exact(&mut seen).await.unwrap();
    drop(stream);
    let end = application.read(&mut [0; 1]).await;
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn an_application_that_resets_is_told_with_its_reason() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.publish("rude", &format!("tcp:{}", listener.local_addr().unwrap())).await;
    world.grant("user:alice", "rude").await;
    let (_, mut session) = alice(&world).await;
    let (accepted, stream) = tokio::join!(listener.accept(), session.open(&world, "rude"));
    let mut stream = stream.unwrap();
    let (application, _) = accepted.unwrap();
    stream.write(b"never read").await;
    application.readable().await.unwrap();
    rustix::net::sockopt::set_socket_linger(&application, Some(std::time::Duration::ZERO)).unwrap();
    drop(application);
    assert_eq!(stream.read().await, Heard::Ended(EndReason::ApplicationReset.code()));
}

#[tokio::test]
async fn a_unix_socket_application_is_reached() {
    let world = World::new().await;
    let path = world.config.dir.join("app.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    world.publish("local", &format!("unix:{}", path.display())).await;
    world.grant("path:/people", "local").await;
    let (_, mut session) = alice(&world).await;
    let (accepted, stream) = tokio::join!(listener.accept(), session.open(&world, "local"));
    let mut stream = stream.unwrap();
    accepted.unwrap().0.write_all(b"hi").await.unwrap();
    assert_eq!(stream.read_exactly(2).await, b"hi");
}
