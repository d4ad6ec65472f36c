//! A node from start to stop.

use crate::admin::{self, InvitationTerms};
use crate::clock::now;
use crate::config::NodeConfig;
use crate::desk::Desk;
use crate::draw::draw;
use crate::error::NodeError;
use crate::gateway::Gateway;
use crate::keys::NodeKeys;
use crate::live::LiveSessions;
use crate::meter::Meter;
use crate::passwords::Passwords;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use symbolon_crypto::{Secret, TrustedIssuer};
use symbolon_issuer::ContextKeys;
use symbolon_policy::TemplateName;
use symbolon_provider::SystemEntropy;
use symbolon_session::{ControlMessage, EndReason, Line};
use symbolon_store::{Actor, HotStore as _, NodeId, Store, StoreError, StoreOptions};
use symbolon_token::RegistrationTemplate;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Refusals written to the audit in a second: more than people and their programs mistype, and half a
/// percent of what the disk can take.
const REFUSALS_PER_SEC: u32 = 20;
/// How long streams may go on after the node was told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// How long the reason may take to reach clients that still have to read what came before it: longer than an agent lets
/// a stream go on whose end it was told.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What all parts of a node share.
pub(crate) struct Shared {
    pub(crate) config: NodeConfig,
    pub(crate) gateway: Gateway,
    pub(crate) issuer: TrustedIssuer,
    pub(crate) public_address: String,
    pub(crate) store: Store,
    pub(crate) node_id: NodeId,
    pub(crate) desk: Desk,
    pub(crate) live: LiveSessions,
    pub(crate) passwords: Passwords,
    pub(crate) code_key: Secret<32>,
    pub(crate) default_template: TemplateName,
    pub(crate) strangers: Semaphore,
    /// Refusals that are audited in the current second, and how many were not before.
    pub(crate) refusals: Meter,
    pub(crate) refusals_unwritten: AtomicU64,
    pub(crate) reviewing: tokio::sync::Mutex<()>,
    pub(crate) stopping: watch::Sender<bool>,
}

/// A running node.
pub struct Node {
    shared: Arc<Shared>,
    address: SocketAddr,
    first_invitation: Option<String>,
    tasks: JoinSet<()>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({})", self.address)
    }
}

impl Node {
    /// Starts a node. The first start makes issuer, certificates and store.
    ///
    /// # Errors
    /// [`NodeError`]; then nothing runs.
    pub async fn start(config: NodeConfig) -> Result<Self, NodeError> {
        let crypto = symbolon_provider::crypto();
        let default_template = TemplateName::parse(&config.template)
            .map_err(|e| NodeError::Config(format!("template = \"{}\": {e}", config.template)))?;
        // The port first: what cannot be had should cost nothing.
        let listener =
            listen(config.listen).map_err(|source| NodeError::Listen { address: config.listen, source })?;
        let address =
            listener.local_addr().map_err(|source| NodeError::Listen { address: config.listen, source })?;
        let keys = NodeKeys::load_or_make(&config, now())?;
        let first_start = keys.first_start;
        let store = Store::open(
            &StoreOptions::exclusive(config.dir.join("store")),
            &keys.node_key,
            crypto,
            Box::new(SystemEntropy),
        )
        .await?;
        let node_id = node_id(&store).await?;
        put_shipped_templates(&store).await?;
        let issuer = TrustedIssuer::from_certificate(crypto, &keys.issuer_certificate)?;
        let derive = |purpose: &[u8]| crypto.derive(&keys.node_key, purpose, &[]);
        let (domain_key, code_key) = (derive(b"symbolon/1 node domain"), derive(b"symbolon/1 user code"));
        let context_keys = ContextKeys::new(
            keys.identity,
            keys.issuer_certificate,
            config.context_key_lifetime_secs,
            now(),
        )?;
        let gateway = Gateway::new(crypto, context_keys, &domain_key, config.limits.cookie_above_per_sec);
        let public_address = config
            .public_address
            .clone()
            .unwrap_or_else(|| default_public_address(gateway.name().as_str(), address));
        let shared = Arc::new(Shared {
            passwords: Passwords::new(&config.limits).map_err(|e| NodeError::Config(e.to_string()))?,
            desk: Desk::open(&store).await?,
            live: LiveSessions::default(),
            strangers: Semaphore::new(config.limits.strangers),
            refusals: Meter::new(REFUSALS_PER_SEC),
            refusals_unwritten: AtomicU64::new(0),
            reviewing: tokio::sync::Mutex::new(()),
            stopping: watch::Sender::new(false),
            config,
            gateway,
            issuer,
            public_address,
            store,
            node_id,
            code_key,
            default_template,
        });
        shared
            .store
            .record(&Actor::node(&node_id.to_string()), "node.start", "", &serde_json::json!({}), now())
            .await?;
        shared.store.hot().skip_streams().await?;
        let socket = admin::listen(&shared.config.dir.join("admin.sock"))?;
        let first_invitation = if first_start {
            let (link, _) = shared.invite(&Actor::system("first start"), InvitationTerms::first()).await?;
            Some(link.to_link())
        } else {
            None
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(shared.clone().accept(listener));
        tasks.spawn(shared.clone().look_after());
        tasks.spawn(shared.clone().administer(socket));
        tracing::info!(gateway = %shared.gateway.name(), %address, "node started");
        Ok(Self { shared, address, first_invitation, tasks })
    }

    /// Where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `host:port` as invitation links have it.
    #[must_use]
    pub fn public_address(&self) -> &str {
        &self.shared.public_address
    }

    /// The gateway's name.
    #[must_use]
    pub fn gateway_name(&self) -> &str {
        self.shared.gateway.name().as_str()
    }

    /// The issuer's certificate, DER: what a token carries.
    #[must_use]
    pub fn issuer_certificate(&self) -> &[u8] {
        self.shared.issuer.certificate()
    }

    /// The first invitation: at the first start only. It is a secret.
    #[must_use]
    pub fn first_invitation(&self) -> Option<&str> {
        self.first_invitation.as_deref()
    }

    /// The administration socket.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.shared.config.dir.join("admin.sock")
    }

    /// Stops in order: tells the clients, lets streams finish for a few seconds, ends the rest with
    /// the reason, and closes the store. Sessions go on when the node starts again.
    pub async fn shutdown(mut self) {
        let shared = &self.shared;
        shared.stopping.send_replace(true);
        for session in shared.live.all() {
            session.post(ControlMessage::Stopping { detail: Line::default() });
        }
        let drained = async || {
            while shared.live.counts().1 > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(DRAIN, drained()).await.is_err() {
            shared.live.cut_all_streams(EndReason::NodeStopping);
            let _ = tokio::time::timeout(LAST_WORDS, drained()).await;
        }
        self.tasks.shutdown().await;
        let _ = std::fs::remove_file(self.admin_socket());
        let stopped = Actor::node(&self.shared.node_id.to_string());
        if let Err(e) =
            self.shared.store.record(&stopped, "node.stop", "", &serde_json::json!({}), now()).await
        {
            tracing::error!("the stop was not audited: {e}");
        }
        self.shared.store.clone().close().await;
        tracing::info!("node stopped");
    }
}

/// Listens with a queue long enough for a crowd that comes at once: with the usual 1,024 the rest of it
/// waits for a second or more.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4096)
}

fn default_public_address(name: &str, address: SocketAddr) -> String {
    let host = if address.ip().is_unspecified() { name.to_owned() } else { address.ip().to_string() };
    if host.contains(':') {
        format!("[{host}]:{}", address.port())
    } else {
        format!("{host}:{}", address.port())
    }
}

async fn node_id(store: &Store) -> Result<NodeId, StoreError> {
    const NAME: &str = "node id";
    if let Some(bytes) = store.setting(NAME).await?
        && let Ok(id) = bytes.try_into()
    {
        return Ok(NodeId(id));
    }
    let id: [u8; 16] = draw();
    store.put_setting(&Actor::system("first start"), NAME, &id, now()).await?;
    Ok(NodeId(id))
}

async fn put_shipped_templates(store: &Store) -> Result<(), StoreError> {
    if !store.templates().await?.is_empty() {
        return Ok(());
    }
    for template in RegistrationTemplate::shipped() {
        store
            .put_template(&Actor::system("first start"), template.name(), &template.to_toml(), now())
            .await?;
    }
    Ok(())
}

impl Shared {
    async fn administer(self: Arc<Self>, socket: tokio::net::UnixListener) {
        if let Err(e) = axum::serve(socket, admin::router(self)).await {
            tracing::error!("administration socket: {e}");
        }
    }
}

/// Whether a directory belongs to a node already.
#[must_use]
pub fn is_node_dir(dir: &Path) -> bool {
    dir.join("node.key").exists()
}
