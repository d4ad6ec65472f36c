//! A node in a directory of its own, and applications behind it.

use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use symbolon_server::{Node, NodeConfig};
use symbolon_token::InvitationLink;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

pub(crate) struct World {
    pub(crate) node: Option<Node>,
    pub(crate) config: NodeConfig,
    pub(crate) first_invitation: String,
    _dir: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut NodeConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = NodeConfig::in_dir(dir.path().join("node"));
        config.listen = "127.0.0.1:0".parse().unwrap();
        config.name = Some("gw.example".into());
        change(&mut config);
        let node = Node::start(config.clone()).await.unwrap();
        config.listen = node.address();
        let first_invitation = node.first_invitation().unwrap().to_owned();
        Self { node: Some(node), config, first_invitation, _dir: dir }
    }

    /// A second node on the same store.
    pub(crate) async fn beside(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = self.config.clone();
        config.dir = dir.path().join("node");
        config.with = Some(self.config.home().to_owned());
        config.listen = "127.0.0.1:0".parse().unwrap();
        let node = Node::start(config.clone()).await.unwrap();
        config.listen = node.address();
        Self { node: Some(node), config, first_invitation: self.first_invitation.clone(), _dir: dir }
    }

    pub(crate) async fn stop(&mut self) {
        self.node.take().unwrap().shutdown().await;
    }

    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.node = Some(Node::start(self.config.clone()).await.unwrap());
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.config.listen).await.unwrap()
    }

    /// A call of the administration interface: status and body.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut socket = UnixStream::connect(self.config.dir.join("admin.sock")).await.unwrap();
        let body = body.map(|b| b.to_string()).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        let text = String::from_utf8(answer).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::String(body.to_owned())))
    }

    pub(crate) async fn ok(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, value) = self.admin(method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {value}");
        value
    }

    pub(crate) async fn invite(&self, body: Value) -> InvitationLink {
        let made = self.ok("POST", "/v1/invitations", Some(body)).await;
        InvitationLink::parse(made["link"].as_str().unwrap()).unwrap()
    }

    pub(crate) async fn publish(&self, app: &str, target: &str) {
        self.ok("PUT", &format!("/v1/apps/{app}"), Some(json!({ "target": target }))).await;
    }

    /// An application that gives back what it gets, published as `echo` and granted to `user`.
    pub(crate) async fn echo_for(&self, user: &str) -> Echo {
        let echo = Echo::start().await;
        self.publish("echo", &echo.target).await;
        self.grant(&format!("user:{user}"), "echo").await;
        echo
    }

    /// Grants and returns the entitlement's id.
    pub(crate) async fn grant(&self, grantee: &str, app: &str) -> String {
        let made = self.ok("POST", "/v1/entitlements", Some(json!({ "grantee": grantee, "app": app }))).await;
        made["id"].as_str().unwrap().to_owned()
    }
}

/// An application that gives back what it gets, and counts its connections.
pub(crate) struct Echo {
    pub(crate) target: String,
    pub(crate) connections: Arc<AtomicUsize>,
}

impl Echo {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = format!("tcp:{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                    let _ = write.shutdown().await;
                });
            }
        });
        Self { target, connections }
    }
}
