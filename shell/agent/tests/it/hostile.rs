//! Gateways that are not what they should be, and programs that talk nonsense to the agent.

use crate::fake::{DAY, Fake};
use crate::fake_session::Order;
use crate::world::{Home, PIN, Script, Town, now, until};
use std::time::Duration;
use symbolon_agent::{Agent, AgentError, EnrolTarget, ErrorKind, enrol};
use symbolon_crypto::{KeySet, Suite};
use symbolon_issuer::Validity;
use symbolon_provider::P256SigningKey;
use symbolon_session::{ConfigurationBytes, ControlMessage, Line, StreamRange};
use symbolon_token::Configuration;
use symbolon_wire::FrameKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};

/// What an enrolment with a gateway that shows `key_set` gives; it must not get further than that.
async fn shown(town: &Town, key_set: impl FnOnce(&mut crate::fake::State) -> KeySet) -> AgentError {
    let home = Home::new();
    let gateway = town.gateway("gw.example").await;
    let link = town.invite(&gateway);
    {
        let mut state = gateway.state();
        state.key_set = Some(key_set(&mut state));
    }
    let error =
        enrol(home.enrolment(EnrolTarget::Link(link), "alice"), &mut Script::new([PIN])).await.unwrap_err();
    assert_eq!(gateway.state().firsts, [FrameKind::Hello], "nothing but a hello was sent");
    assert!(!home.paths.token.exists());
    error
}

#[tokio::test]
async fn a_key_set_that_does_not_fit_is_refused_before_anything_secret() {
    let town = Town::new();
    let error = shown(&town, |state| {
        let mut set = state.keys.offer().clone();
        set.signature[9] ^= 1;
        set
    })
    .await;
    assert_eq!(error.kind, ErrorKind::Denied);

    let other_name = shown(&town, |_| {
        let name = symbolon_crypto::GatewayName::parse("evil.example").unwrap();
        let identity = town.issuer.gateway_identity(&name, Validity::starting(now(), DAY)).unwrap();
        let key = identity.context_key(Suite::XWing, Validity::starting(now(), DAY)).unwrap();
        identity.key_set(town.issuer.certificate(), &[key]).unwrap()
    })
    .await;
    assert!(other_name.message.contains("gw.example"), "{other_name}");

    let expired = shown(&town, |state| {
        let past = now().minus_secs(3 * DAY);
        let identity =
            town.issuer.gateway_identity(state.keys.identity().name(), Validity::starting(past, 9 * DAY));
        let identity = identity.unwrap();
        let key = identity.context_key(Suite::XWing, Validity::starting(past, DAY)).unwrap();
        identity.key_set(town.issuer.certificate(), &[key]).unwrap()
    })
    .await;
    assert!(expired.message.contains("expired"), "{expired}");

    let unsigned = shown(&town, |state| {
        let mut set = state.keys.offer().clone();
        set = KeySet::sign(set.issuer, set.identity, set.context_keys, &P256SigningKey::generate()).unwrap();
        set
    })
    .await;
    assert_eq!(unsigned.kind, ErrorKind::Denied);

    let foreign = shown(&town, |state| {
        let other = Town::new();
        let name = state.keys.identity().name();
        let identity = other.issuer.gateway_identity(name, Validity::starting(now(), DAY)).unwrap();
        let key = identity.context_key(Suite::XWing, Validity::starting(now(), DAY)).unwrap();
        // Under the right issuer's certificate, which anybody can show.
        identity.key_set(town.issuer.certificate(), &[key]).unwrap()
    })
    .await;
    assert!(foreign.message.contains("not from the issuer"), "{foreign}");
}

#[tokio::test]
async fn cve_downgrade_to_a_weaker_suite() {
    let town = Town::new();
    let weak = |state: &mut crate::fake::State| {
        let identity = state.keys.identity();
        let key = identity.context_key(Suite::X25519, Validity::starting(now(), DAY)).unwrap();
        identity.key_set(town.issuer.certificate(), &[key]).unwrap()
    };
    let home = Home::new();
    let gateway = town.gateway("gw.example").await;
    let link = town.invite(&gateway);
    {
        let mut state = gateway.state();
        state.key_set = Some(weak(&mut state));
    }
    let error =
        enrol(home.enrolment(EnrolTarget::Link(link), "alice"), &mut Script::new([PIN])).await.unwrap_err();
    assert!(error.message.contains("suite"), "{error}");
    assert!(!gateway.state().firsts.contains(&FrameKind::RegistrationRequest));
}

/// A server that answers everything with `bytes` and then says nothing.
async fn parrot(bytes: &'static [u8]) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(bytes).await;
                let _ = stream.shutdown().await;
                let _ = stream.read(&mut buffer).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn whatever_answers_in_the_gateway_s_place_is_an_error_and_not_a_panic() {
    let town = Town::new();
    let gateway = town.gateway("gw.example").await;
    for bytes in [
        b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(),
        b"",
        &[0xC1, 1, 0, 0, 0],
        &[0xC1, 1, 0xff, 0xff, 0xff],
        &[0xC1, 1, 0, 0, 9, 1, 2, 3],
        &[0xC1, 9, 0, 0, 0],
        &[0xC2, 1, 0, 0, 1, 77],
        &[0xC5, 1, 0, 0, 0],
    ] {
        let home = Home::new();
        let mut link = town.invite(&gateway);
        link.address = parrot(bytes).await.to_string();
        let error = enrol(home.enrolment(EnrolTarget::Link(link), "alice"), &mut Script::new([PIN])).await;
        assert!(matches!(error.unwrap_err().kind, ErrorKind::Failure | ErrorKind::Unreachable), "{bytes:?}");
    }
}

#[tokio::test]
async fn endless_demands_for_cookies_are_given_up() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    gateway.state().cookies = 100;
    let error = home.enrol(&town, &gateway, "alice").await.unwrap_err();
    assert!(error.message.contains("busy"), "{error}");
}

#[tokio::test]
async fn nonsense_on_the_agent_s_socket_gets_an_error_and_harms_nobody() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    let _agent: Agent = home.agent().await;
    for nonsense in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"{\"schema\":2,\"do\":\"status\"}\n".to_vec(),
        b"{\"schema\":1,\"do\":\"listen\",\"app\":\"../..\"}\n".to_vec(),
        vec![b'x'; 100_000],
    ] {
        let mut socket = UnixStream::connect(&home.paths.socket).await.unwrap();
        let _ = socket.write_all(&nonsense).await;
        let _ = socket.shutdown().await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut answer)).await;
        // A peer that is cut off while it sends may see a reset in place of the answer.
        if read.unwrap().is_ok() {
            assert!(String::from_utf8(answer).unwrap().contains("\"error\""), "{nonsense:?}");
        }
    }
    home.client().await.status().await.unwrap();
}

/// Alice's agent at a gateway that then says `message` within the session.
async fn told(
    message: impl FnOnce(&mut crate::fake::State) -> ControlMessage,
) -> (Home, Fake, Agent, String) {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    let agent = home.agent().await;
    let session = home.client().await.status().await.unwrap().session.unwrap().id;
    {
        let mut state = gateway.state();
        let message = message(&mut state);
        state.sessions.values().for_each(|s| s.order(Order::Say(message.clone())));
    }
    (home, gateway, agent, session)
}

fn configuration(bytes: Vec<u8>) -> ControlMessage {
    ControlMessage::Configuration(ConfigurationBytes::new(bytes).unwrap())
}

async fn problem(home: &Home, text: &str) {
    let look = async || {
        let status = home.client().await.status().await.unwrap();
        Some(()).filter(|()| status.problems.iter().any(|p| p.text.contains(text)))
    };
    until(text, look).await;
}

#[tokio::test]
async fn a_configuration_that_the_gateway_did_not_sign_is_not_applied() {
    let signed_by_another = |state: &mut crate::fake::State| {
        let (id, session) = state.sessions.iter().next().unwrap();
        let forged = Configuration {
            version: 1_000,
            gateway: session.gateway().clone(),
            session_id: id.0,
            issued: now(),
            destinations: Vec::new(),
        };
        configuration(forged.sign(&P256SigningKey::generate()).unwrap())
    };
    let (home, gateway, _agent, before) = told(signed_by_another).await;
    problem(&home, "keys have changed").await;
    let again = async || {
        let session = home.client().await.status().await.unwrap().session;
        session.filter(|s| s.id != before && s.configuration == Some(1))
    };
    until("a new session with its own configuration", again).await;
    assert!(!gateway.state().applied.contains(&1_000));
}

#[tokio::test]
async fn a_configuration_for_another_session_and_nonsense_leave_the_one_that_is_applied() {
    let for_another = |state: &mut crate::fake::State| {
        let gateway = state.keys.identity().name().clone();
        let other = Configuration {
            version: 1_000,
            gateway,
            session_id: [7; 16],
            issued: now(),
            destinations: Vec::new(),
        };
        configuration(other.sign(state.keys.identity().key()).unwrap())
    };
    let (home, gateway, _agent, before) = told(for_another).await;
    problem(&home, "for somebody else").await;
    gateway.state().sessions.values().for_each(|s| s.order(Order::Say(configuration(vec![1, 2, 3]))));
    problem(&home, "malformed configuration").await;
    let session = home.client().await.status().await.unwrap().session.unwrap();
    assert_eq!((session.id, session.configuration), (before, Some(1)));
}

#[tokio::test]
async fn numbers_that_do_not_grow_are_not_taken() {
    let again = |_: &mut crate::fake::State| ControlMessage::StreamsGranted(StreamRange::new(0, 64).unwrap());
    let (home, _gateway, _agent, _) = told(again).await;
    problem(&home, "must grow").await;
}

#[tokio::test]
async fn a_report_is_repeated_on_request() {
    let (home, gateway, _agent, _) = told(|_| ControlMessage::ReportRequest).await;
    until("the report", async || Some(()).filter(|()| gateway.state().reports.len() == 2)).await;
    let stopping = ControlMessage::Stopping { detail: Line::lossy("for new cables") };
    gateway.state().sessions.values().for_each(|s| s.order(Order::Say(stopping.clone())));
    problem(&home, "for new cables").await;
}

#[tokio::test]
async fn a_session_without_a_lifetime_is_for_a_certificate_that_has_lapsed_and_for_nothing_else() {
    let (town, home) = (Town::new(), Home::new());
    let gateway = town.gateway("gw.example").await;
    home.enrol(&town, &gateway, "alice").await.unwrap();
    gateway.state().lifetime_secs = 0;
    let error = Agent::start(home.options()).await.unwrap_err();
    assert!(error.message.contains("over already"), "{error}");
}
