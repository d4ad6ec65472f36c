//! Streams to applications, by port and raw.

use crate::fake::Fake;
use crate::fake_session::{Order, grant, nobody};
use crate::world::{Home, Town, app, shouting, until};
use std::net::SocketAddr;
use symbolon_agent::{Agent, ErrorKind};
use symbolon_session::{ControlMessage, EndReason, Line};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

struct Scene {
    home: Home,
    gateway: Fake,
    _agent: Agent,
}

/// Alice is signed in and may reach `db` at `target`.
async fn scene(target: SocketAddr) -> Scene {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    gateway.publish("db", target);
    let agent = home.agent().await;
    Scene { home, gateway, _agent: agent }
}

#[tokio::test]
async fn a_local_port_leads_to_the_application_and_both_ends_can_half_close() {
    let scene = scene(shouting().await).await;
    let listening = scene.home.client().await.listen(&app("db"), None).await.unwrap();
    assert!(listening.address().ip().is_loopback());
    let mut streams = Vec::new();
    for n in 0..3 {
        let mut stream = TcpStream::connect(listening.address()).await.unwrap();
        stream.write_all(format!("hello {n}").as_bytes()).await.unwrap();
        streams.push(stream);
    }
    for (n, stream) in streams.iter_mut().enumerate() {
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, format!("HELLO {n}"));
    }
    drop(streams);
    let quiet = async || {
        let status = scene.home.client().await.status().await.unwrap();
        Some(status).filter(|s| s.streams.is_empty())
    };
    let status = until("the streams' end", quiet).await;
    assert_eq!((status.listeners.len(), status.problems), (1, vec![]));
}

#[tokio::test]
async fn megabytes_pass_unchanged_with_the_counters_right() {
    let scene = scene(shouting().await).await;
    let mut stream = scene.home.client().await.stream(&app("db")).await.unwrap();
    let data: Vec<u8> =
        (0..3 << 20).map(|i: u32| b'a' + (i.wrapping_mul(2_654_435_761) >> 28) as u8).collect();
    let (mut read, mut write) = stream.get_mut().split();
    let sent = async {
        write.write_all(&data).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut back = Vec::new();
    let (_, received) = tokio::join!(sent, read.read_to_end(&mut back));
    received.unwrap();
    assert!(back == data.to_ascii_uppercase());
    stream.outcome().await.unwrap();
}

#[tokio::test]
async fn a_program_that_does_not_read_stops_the_application() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let scene = scene(listener.local_addr().unwrap()).await;
    let mut stream = scene.home.client().await.stream(&app("db")).await.unwrap();
    let (mut application, _) = listener.accept().await.unwrap();
    let mut written = 0;
    let block = vec![7; 1 << 16];
    while let Ok(n) =
        tokio::time::timeout(std::time::Duration::from_millis(500), application.write(&block)).await
    {
        written += n.unwrap();
        assert!(written < 64 << 20, "what is not read piles up somewhere");
    }
    drop(application);
    let mut total = 0;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match stream.get_mut().read(&mut buffer).await.unwrap() {
            0 => break,
            n => total += n,
        }
    }
    assert_eq!(total, written);
}

#[tokio::test]
async fn a_port_is_closed_when_nobody_holds_it_and_foreign_addresses_are_refused() {
    let scene = scene(shouting().await).await;
    let listening = scene.home.client().await.listen(&app("db"), None).await.unwrap();
    let address = listening.address();
    let taken = scene.home.client().await.listen(&app("db"), Some(address)).await.unwrap_err();
    assert_eq!(taken.kind, ErrorKind::Usage);
    drop(listening);
    until("the port's end", async || TcpStream::connect(address).await.err()).await;
    let open = scene.home.client().await.listen(&app("db"), Some("0.0.0.0:0".parse().unwrap())).await;
    assert!(open.unwrap_err().message.contains("other machines"));
}

#[tokio::test]
async fn what_is_unknown_not_permitted_or_down_is_told_before_the_raw_bytes() {
    let nobody = nobody();
    let scene = scene(nobody.local_addr().unwrap()).await;
    let stream = async |name| scene.home.client().await.stream(&app(name)).await.unwrap_err();
    assert_eq!(stream("mail").await.kind, ErrorKind::Denied);
    let down = stream("db").await;
    assert_eq!(
        (down.kind, down.message.as_str()),
        (ErrorKind::Unreachable, "the application does not answer")
    );
    // The gateway's configuration has it, but the gateway decides anew for each stream.
    scene.gateway.state().apps.clear();
    assert_eq!(stream("db").await.kind, ErrorKind::Denied);
}

#[tokio::test]
async fn a_port_to_an_application_that_is_down_is_reset_and_the_problem_remembered() {
    let nobody = nobody();
    let scene = scene(nobody.local_addr().unwrap()).await;
    let listening = scene.home.client().await.listen(&app("db"), None).await.unwrap();
    let mut stream = TcpStream::connect(listening.address()).await.unwrap();
    let mut buffer = [0; 8];
    assert!(matches!(stream.read(&mut buffer).await, Err(_) | Ok(0)));
    let status = scene.home.client().await.status().await.unwrap();
    assert!(status.problems[0].text.contains("does not answer"), "{:?}", status.problems);
}

#[tokio::test]
async fn a_stream_that_the_gateway_cuts_ends_with_its_reason() {
    let scene = scene(shouting().await).await;
    let mut raw = scene.home.client().await.stream(&app("db")).await.unwrap();
    let listening = scene.home.client().await.listen(&app("db"), None).await.unwrap();
    let mut port = TcpStream::connect(listening.address()).await.unwrap();
    port.write_all(b"x").await.unwrap();
    let mut buffer = [0; 8];
    assert_eq!(port.read(&mut buffer).await.unwrap(), 1);

    scene.gateway.state().sessions.values().for_each(|s| s.cut(app("db"), EndReason::EntitlementWithdrawn));
    assert_eq!(raw.get_mut().read(&mut buffer).await.unwrap(), 0);
    let why = raw.outcome().await.unwrap_err();
    assert_eq!(why.kind, ErrorKind::Denied);
    assert!(why.message.contains("withdrawn"), "{why}");
    assert!(port.read(&mut buffer).await.is_err(), "a reset, not an end");
}

#[tokio::test]
async fn streams_outlive_the_control_connection() {
    let scene = scene(shouting().await).await;
    let mut raw = scene.home.client().await.stream(&app("db")).await.unwrap();
    scene.gateway.state().sessions.values().for_each(|s| s.order(Order::Break));
    let back = async || {
        let status = scene.home.client().await.status().await.unwrap();
        status.session.filter(|s| s.epoch == 2)
    };
    until("the return", back).await;
    raw.get_mut().write_all(b"still here").await.unwrap();
    let mut buffer = [0; 10];
    raw.get_mut().read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"STILL HERE");
}

#[tokio::test]
async fn many_streams_ask_for_more_numbers_in_time() {
    let scene = scene(shouting().await).await;
    let listening = scene.home.client().await.listen(&app("db"), None).await.unwrap();
    for n in 0..200 {
        let mut stream = TcpStream::connect(listening.address()).await.unwrap();
        stream.write_all(b"a").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'A', "stream {n}");
    }
}

#[tokio::test]
async fn a_gateway_whose_store_is_slow_is_asked_for_numbers_once() {
    let scene = scene(shouting().await).await;
    scene.gateway.state().store_hangs = true;
    let open = async |count| {
        for _ in 0..count {
            scene.home.client().await.stream(&app("db")).await.unwrap();
        }
    };
    // All that it has granted.
    open(64).await;
    until("the question", async || Some(()).filter(|()| scene.gateway.state().asked > 0)).await;
    let answer = async {
        let id = *scene.gateway.state().sessions.keys().next().unwrap();
        let granted = grant(&mut scene.gateway.state(), id);
        scene.gateway.state().sessions[&id].order(Order::Say(granted));
    };
    tokio::join!(open(1), answer);
    assert_eq!(scene.gateway.state().asked, 1);
    open(31).await;
    until("another question", async || Some(()).filter(|()| scene.gateway.state().asked == 2)).await;
}

#[tokio::test]
async fn a_logout_ends_the_streams() {
    let scene = scene(shouting().await).await;
    let mut raw = scene.home.client().await.stream(&app("db")).await.unwrap();
    let Scene { home, _agent: agent, .. } = scene;
    let waiting = tokio::spawn(agent.wait());
    home.client().await.logout().await.unwrap();
    assert_eq!(raw.get_mut().read(&mut [0; 8]).await.unwrap(), 0);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_application_that_closes_first_still_hears_the_rest() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let scene = scene(listener.local_addr().unwrap()).await;
    let application = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"bye").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        rest
    });
    let mut stream = scene.home.client().await.stream(&app("db")).await.unwrap();
    let mut answer = String::new();
    stream.get_mut().read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "bye");
    stream.get_mut().write_all(b"one more thing").await.unwrap();
    stream.get_mut().shutdown().await.unwrap();
    assert_eq!(application.await.unwrap(), "one more thing");
    stream.outcome().await.unwrap();
}

#[tokio::test]
async fn a_program_that_breaks_off_is_told_to_the_gateway_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let scene = scene(listener.local_addr().unwrap()).await;
    let listening = scene.home.client().await.listen(&app("db"), None).await.unwrap();
    let mut program = TcpStream::connect(listening.address()).await.unwrap();
    program.write_all(b"half a sent").await.unwrap();
    let (mut application, _) = listener.accept().await.unwrap();
    let mut heard = [0; 11];
    application.read_exact(&mut heard).await.unwrap();
    // What the program has not read when it goes makes its end a reset.
    application.write_all(b"unread").await.unwrap();
    let waiting = async || {
        let mut byte = [0];
        program.peek(&mut byte).await.ok().filter(|n| *n == 1)
    };
    until("the answer", waiting).await;
    drop(program);
    let told = async || scene.gateway.state().ends.pop();
    assert!(until("the end", told).await.contains("local program broke off"));
    let status = scene.home.client().await.status().await.unwrap();
    assert_eq!(status.problems, [], "programs may do that");
}

#[tokio::test]
async fn a_number_that_the_node_forgot_costs_another_try() {
    let scene = scene(shouting().await).await;
    scene.gateway.state().sessions.values_mut().for_each(crate::fake_session::Session::forget_claims);
    scene.home.client().await.stream(&app("db")).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_the_gateway_calls_ended_ends_even_without_its_record() {
    let scene = scene(shouting().await).await;
    let mut raw = scene.home.client().await.stream(&app("db")).await.unwrap();
    let number = scene.home.client().await.status().await.unwrap().streams[0].number;
    let ended = ControlMessage::StreamEnded {
        number,
        reason: EndReason::EndedByAdministrator,
        detail: Line::default(),
    };
    scene.gateway.state().sessions.values().for_each(|s| s.order(Order::Say(ended.clone())));
    assert_eq!(raw.get_mut().read(&mut [0; 8]).await.unwrap(), 0);
    assert!(raw.outcome().await.unwrap_err().message.contains("administrator"));
}
