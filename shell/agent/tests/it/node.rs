//! Against the real node: both halves of the product, nothing between them replaced.

use crate::world::{CHEAP, Home, PIN, Script, app, pin, shouting, until};
use serde_json::{Value, json};
use symbolon_agent::{
    Agent, AgentOptions, Credential, EnrolOptions, EnrolTarget, ErrorKind, Link, Status, enrol,
};
use symbolon_crypto::SecretBytes;
use symbolon_policy::CanonName;
use symbolon_server::{Node, NodeConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// A node, and alice, who is enrolled by the invitation of its first start.
struct Scene {
    node: Option<Node>,
    config: NodeConfig,
    home: Home,
    _dir: TempDir,
}

impl Scene {
    async fn new(change: impl FnOnce(&mut NodeConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = NodeConfig::in_dir(dir.path().join("node"));
        config.listen = "127.0.0.1:0".parse().unwrap();
        config.name = Some("gw.example".into());
        change(&mut config);
        let node = Node::start(config.clone()).await.unwrap();
        let port = |address: &str| address.rsplit(':').next().unwrap().to_owned();
        config.listen = format!("127.0.0.1:{}", port(node.public_address())).parse().unwrap();
        let link = node.first_invitation().unwrap().to_owned();
        let mut scene = Self { node: Some(node), config, home: Home::new(), _dir: dir };
        scene.enrol(&link, "alice").await;
        scene
    }

    /// Enrols over the loopback address, whatever name the link has.
    async fn enrol(&mut self, link: &str, user: &str) {
        let mut link = symbolon_token::InvitationLink::parse(link).unwrap();
        link.address = self.config.listen.to_string();
        let answers = [("user-name", user), ("full-name", "Somebody Else")];
        let options = EnrolOptions {
            answers: Some(answers.map(|(k, v)| (k.to_owned(), v.to_owned())).into()),
            pin_cost: CHEAP,
            ..EnrolOptions::new(self.home.paths.clone(), EnrolTarget::Link(link))
        };
        enrol(options, &mut Script::new([PIN])).await.unwrap();
    }

    async fn admin(&self, method: &str, path: &str, body: Value) -> Value {
        let mut socket = UnixStream::connect(self.config.dir.join("admin.sock")).await.unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{method} {path}: {answer}");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or(Value::Null)
    }

    /// Publishes an application that shouts, to alice; the entitlement's id.
    async fn publish(&self, app: &str) -> String {
        let target = format!("tcp:{}", shouting().await);
        self.admin("PUT", &format!("/v1/apps/{app}"), json!({ "target": target })).await;
        self.grant(app).await
    }

    async fn grant(&self, app: &str) -> String {
        let made =
            self.admin("POST", "/v1/entitlements", json!({ "grantee": "user:alice", "app": app })).await;
        made["id"].as_str().unwrap().to_owned()
    }

    async fn status_with(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        until(what, async || Some(self.home.client().await.status().await.unwrap()).filter(&wanted)).await
    }

    async fn destinations(&self, count: usize) {
        let has = |s: &Status| s.session.as_ref().is_some_and(|s| s.destinations == count);
        self.status_with("the destinations", has).await;
    }

    /// Whether bytes come back through a new stream.
    async fn works(&self, name: &str) {
        let mut stream = self.home.client().await.stream(&app(name)).await.unwrap();
        stream.get_mut().write_all(b"hello").await.unwrap();
        stream.get_mut().shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.get_mut().read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"HELLO");
        stream.outcome().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entitlement_acts_at_once_both_ways() {
    let scene = Scene::new(|_| {}).await;
    let agent = scene.home.agent().await;
    assert!(scene.home.client().await.ls().await.unwrap().destinations.is_empty());
    let entitlement = scene.publish("db.office").await;
    scene.destinations(1).await;
    scene.works("db.office").await;

    let mut live = scene.home.client().await.stream(&app("db.office")).await.unwrap();
    scene.admin("DELETE", &format!("/v1/entitlements/{entitlement}"), Value::Null).await;
    assert_eq!(live.get_mut().read(&mut [0; 8]).await.unwrap(), 0);
    let why = live.outcome().await.unwrap_err();
    assert!(why.kind == ErrorKind::Denied && why.message.contains("withdrawn"), "{why}");
    scene.destinations(0).await;
    let refused = scene.home.client().await.stream(&app("db.office")).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Denied);
    agent.logout().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_user_loses_everything_at_once() {
    let scene = Scene::new(|_| {}).await;
    let agent = scene.home.agent().await;
    scene.publish("db").await;
    scene.destinations(1).await;
    let mut live = scene.home.client().await.stream(&app("db")).await.unwrap();
    scene.admin("POST", "/v1/users/alice/lock", Value::Null).await;
    assert_eq!(live.get_mut().read(&mut [0; 8]).await.unwrap(), 0);
    let error = agent.wait().await.unwrap_err();
    assert!(error.kind == ErrorKind::Denied && error.message.contains("locked"), "{error}");
    assert_eq!(Agent::start(scene.home.options()).await.unwrap_err().kind, ErrorKind::Denied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_node_carries_the_session_on() {
    let mut scene = Scene::new(|_| {}).await;
    let _agent = scene.home.agent().await;
    scene.publish("db").await;
    scene.destinations(1).await;
    let before = scene.home.client().await.status().await.unwrap().session.unwrap();
    scene.node.take().unwrap().shutdown().await;
    scene.node = Some(Node::start(scene.config.clone()).await.unwrap());
    let returned =
        |s: &Status| s.link == Link::Connected && s.session.as_ref().is_some_and(|s| s.epoch > before.epoch);
    let after = scene.status_with("the return", returned).await.session.unwrap();
    assert_eq!(after.id, before.id);
    scene.works("db").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_outlives_its_lifetime_and_so_do_its_streams() {
    let scene = Scene::new(|c| c.session_lifetime_secs = 5).await;
    let _agent = scene.home.agent().await;
    scene.publish("db").await;
    scene.destinations(1).await;
    let mut live = scene.home.client().await.stream(&app("db")).await.unwrap();
    let first = scene.home.client().await.status().await.unwrap().session.unwrap();
    let mut expires = first.expires;
    // The second renewal lies beyond the first lifetime.
    for _ in 0..2 {
        let later = |s: &Status| s.session.as_ref().is_some_and(|s| s.expires > expires);
        let renewed = scene.status_with("a renewal", later).await.session.unwrap();
        assert_eq!(renewed.id, first.id, "within the session");
        expires = renewed.expires;
    }
    live.get_mut().write_all(b"still here").await.unwrap();
    let mut answer = [0; 10];
    live.get_mut().read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"STILL HERE");
    scene.works("db").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_signs_in_where_both_sides_allow_it() {
    let scene = Scene::new(|c| c.accept_passwords = true).await;
    scene.admin("PUT", "/v1/users/alice/password", json!({ "password": "open sesame" })).await;
    scene.home.configure("password_gateways = [\"gw.example\"]");
    let options = |password: &str| AgentOptions {
        gateway: Some(crate::world::gateway_name("gw.example")),
        address: Some(scene.config.listen.to_string()),
        ..AgentOptions::new(
            scene.home.paths.clone(),
            Credential::Password {
                user: CanonName::parse("alice").unwrap(),
                password: SecretBytes::from(password.to_owned()),
            },
        )
    };
    assert_eq!(Agent::start(options("open barley")).await.unwrap_err().kind, ErrorKind::Denied);
    let agent = Agent::start(options("open sesame")).await.unwrap();
    assert_eq!(scene.home.client().await.whoami().await.unwrap().token_class, "password");
    agent.logout().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_registers_without_an_invitation_waits_for_approval() {
    let mut scene = Scene::new(|c| c.open_registration = true).await;
    scene.home = Home::new();
    let issuer = scene.node.as_ref().unwrap().issuer_certificate();
    let crypto = symbolon_provider::crypto();
    let trusted = symbolon_crypto::TrustedIssuer::from_certificate(crypto, &issuer).unwrap();
    let link = symbolon_token::InvitationLink {
        address: scene.config.listen.to_string(),
        gateway: crate::world::gateway_name("gw.example"),
        issuer: trusted.fingerprint(),
        code: None,
        template: None,
    };
    scene.enrol(&link.to_link(), "bob").await;
    let options = AgentOptions::new(scene.home.paths.clone(), Credential::Token(pin(PIN)));
    let agent = Agent::start(options).await.unwrap();
    assert!(scene.home.client().await.ls().await.unwrap().destinations.is_empty());
    agent.logout().await.unwrap();
}

/// A way to the node that can be cut.
struct Way {
    address: std::net::SocketAddr,
    cut: tokio::sync::watch::Sender<u32>,
}

impl Way {
    async fn to(node: std::net::SocketAddr) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cut = tokio::sync::watch::Sender::new(0);
        let cuts = cut.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut cut = cuts.subscribe();
                tokio::spawn(async move {
                    let mut server = tokio::net::TcpStream::connect(node).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { address, cut }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_numbers_do_not_run_out_over_many_reconnections() {
    let scene = Scene::new(|_| {}).await;
    let way = Way::to(scene.config.listen).await;
    let options = AgentOptions { address: Some(way.address.to_string()), ..scene.home.options() };
    let _agent = Agent::start(options).await.unwrap();
    scene.publish("db").await;
    scene.destinations(1).await;
    for epoch in 2..5 {
        way.cut.send_modify(|n| *n += 1);
        let returned =
            |s: &Status| s.link == Link::Connected && s.session.as_ref().is_some_and(|s| s.epoch == epoch);
        scene.status_with("the return", returned).await;
    }
    // More than the node deals at once.
    for _ in 0..600 {
        scene.works("db").await;
    }
    let problems = scene.home.client().await.status().await.unwrap().problems;
    assert!(problems.iter().all(|p| p.text.contains("connection to the gateway was lost")), "{problems:?}");
}
