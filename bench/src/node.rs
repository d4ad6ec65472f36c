//! A real node in a child process, and what an administrator does to it.

use crate::child::{Child, answer_parent};
use crate::parties::GATEWAY;
use anyhow::{Result, anyhow, bail};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use symbolon_server::{Node, NodeConfig};
use symbolon_token::InvitationLink;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// The role's name.
pub(crate) const ROLE: &str = "node";

/// A node with a directory of its own.
pub(crate) struct NodeChild {
    pub(crate) process: Child,
    pub(crate) address: SocketAddr,
    pub(crate) invitation: InvitationLink,
    admin: PathBuf,
    _dir: TempDir,
}

impl NodeChild {
    pub(crate) fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let process = Child::start(ROLE, &[&dir.path().join("node").to_string_lossy()])?;
        let address = process.said("address")?.parse()?;
        let invitation = InvitationLink::parse(process.said("invitation")?)?;
        let admin = process.said("admin")?.into();
        Ok(Self { process, address, invitation, admin, _dir: dir })
    }

    /// Publishes an application and grants it to everybody at the access control path `path`.
    pub(crate) async fn publish(&self, app: &str, target: SocketAddr, path: &str) -> Result<()> {
        let target = json!({ "target": format!("tcp:{target}") });
        self.call("PUT", &format!("/v1/apps/{app}"), &target).await?;
        self.call("POST", "/v1/entitlements", &json!({ "grantee": format!("path:{path}"), "app": app })).await
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> Result<()> {
        let mut socket = UnixStream::connect(&self.admin).await?;
        let body = body.to_string();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await?;
        match answer.split(' ').nth(1) {
            Some("200") => Ok(()),
            _ => bail!("{method} {path}: {answer}"),
        }
    }
}

/// The child's side.
pub(crate) fn run(dir: &str) -> Result<()> {
    let mut config = NodeConfig::in_dir(dir);
    config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.name = Some(GATEWAY.to_owned());
    // One machine stands for thousands of clients here.
    config.limits.cookie_above_per_sec = u32::MAX;
    config.limits.sessions_per_user = usize::MAX;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let node = runtime.block_on(Node::start(config))?;
    let invitation = node.first_invitation().ok_or_else(|| anyhow!("no first invitation"))?;
    let admin = node.admin_socket();
    answer_parent(&json!({
        "address": node.address().to_string(),
        "invitation": invitation,
        "admin": admin.to_string_lossy(),
    }))
}
