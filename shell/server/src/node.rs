//! A node from start to stop.

use crate::admin::{self, InvitationTerms};
use crate::clock::now;
use crate::config::NodeConfig;
use crate::connection::{Connection, ConnectionError};
use crate::desk::Desk;
use crate::error::NodeError;
use crate::gateway::Gateway;
use crate::keys::NodeKeys;
use crate::live::{LiveSession, LiveSessions};
use crate::passwords::Passwords;
use crate::refusal::{Ended, Refused};
use crate::register::Drawn as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use symbolon_crypto::{Secret, TrustedIssuer};
use symbolon_issuer::ContextKeys;
use symbolon_policy::TemplateName;
use symbolon_provider::SystemEntropy;
use symbolon_session::{ControlMessage, EndReason, Line};
use symbolon_store::{
    Actor, HotStore as _, NodeId, RegistrationId, SessionId, SessionsOf, Store, StoreError, StoreOptions,
};
use symbolon_token::{Hello, RegistrationTemplate};
use symbolon_wire::{Decode, Encode, FrameKind, RefusalCode};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// How often the store is asked whether somebody else changed it.
const LOOK: Duration = Duration::from_millis(500);
/// How often time is looked after: keys, expired sessions.
const TICK: Duration = Duration::from_secs(5);
/// How long streams may go on after the node was told to stop.
const DRAIN: Duration = Duration::from_secs(5);

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
    strangers: Semaphore,
    reviewing: tokio::sync::Mutex<()>,
    stopping: watch::Sender<bool>,
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
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|source| NodeError::Listen { address: config.listen, source })?;
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
        let drained = async {
            while shared.live.counts().1 > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            shared.live.cut_all_streams(EndReason::NodeStopping);
            tokio::time::sleep(Duration::from_millis(200)).await;
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
    let id: [u8; 16] = SystemEntropy.drawn();
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
    /// Connections that have not proved anything.
    pub(crate) fn strangers(&self) -> usize {
        self.config.limits.strangers - self.strangers.available_permits()
    }

    /// Lets peers in until the node stops. Their tasks end with this one.
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let mut stopping = self.stopping.subscribe();
        let mut guests = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = guests.join_next() => continue,
                _ = stopping.wait_for(|s| *s) => break,
            };
            match accepted {
                Ok((stream, peer)) => self.clone().welcome(stream, peer, &mut guests),
                Err(e) => {
                    // Out of descriptors, or the peer was faster than we: neither stops the node.
                    tracing::warn!("accept: {e}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        drop(listener);
        while guests.join_next().await.is_some() {}
    }

    /// Gives a stranger a little time, and less when there are many of them.
    fn welcome(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, guests: &mut JoinSet<()>) {
        let Ok(permit) = self.strangers.try_acquire() else {
            tracing::debug!(%peer, "too many strangers: closed");
            return;
        };
        permit.forget();
        let crowded = self.strangers() > self.config.limits.strangers / 2;
        let secs = if crowded {
            self.config.limits.stranger_secs.div_ceil(5)
        } else {
            self.config.limits.stranger_secs
        };
        guests.spawn(async move {
            let stranger = Stranger(self.clone());
            let mut connection = Connection::new(stream, peer);
            let _ = connection.stream.set_nodelay(true);
            let deadline = tokio::time::Instant::now() + Duration::from_secs(secs);
            let greeting = tokio::time::timeout_at(deadline, self.greet(&mut connection)).await;
            let outcome = match greeting {
                Err(_) => {
                    tracing::debug!(%peer, "nothing proved within {secs} s: closed");
                    return;
                }
                Ok(Err(e)) => Err(e),
                Ok(Ok(Proved::Stream(body))) => {
                    drop(stranger);
                    match self.open_stream(&mut connection, body).await {
                        Ok(Some(stream)) => return stream.run(connection.into_stream()).await,
                        Ok(None) => Ok(()),
                        Err(e) => Err(e),
                    }
                }
                Ok(Ok(Proved::Context(session, secrets))) => {
                    drop(stranger);
                    self.carry_new(&mut connection, session, *secrets).await
                }
                Ok(Ok(Proved::Attach(body))) => {
                    drop(stranger);
                    self.attach(&mut connection, &body).await
                }
                Ok(Ok(Proved::Nothing)) => Ok(()),
            };
            match outcome {
                Ok(()) => {}
                Err(Ended::Refused(refused)) => {
                    let Refused { code, told, reason } = refused;
                    tracing::warn!(%peer, ?code, "refused: {reason}");
                    self.note_refusal(&connection, code, &reason).await;
                    connection.refuse(code, &told).await;
                }
                Err(Ended::Connection(ConnectionError::Malformed(e))) => {
                    tracing::debug!(%peer, "no frame of ours: {e}");
                }
                Err(Ended::Connection(e)) => tracing::debug!(%peer, "{e}"),
            }
        });
    }

    /// Refused sign-ins and registrations are written down; noise is not, lest strangers fill the
    /// audit.
    async fn note_refusal(&self, connection: &Connection, code: RefusalCode, reason: &str) {
        if !matches!(code, RefusalCode::Denied | RefusalCode::Invitation | RefusalCode::NameTaken) {
            return;
        }
        let detail = serde_json::json!({ "reason": reason });
        let actor = Actor::user("a stranger");
        let source = connection.source().to_string();
        if let Err(e) = self.store.record(&actor, "refused", &source, &detail, now()).await {
            tracing::error!("a refusal was not audited: {e}");
        }
    }

    /// Everything up to the point where a peer has proved something.
    async fn greet(&self, connection: &mut Connection) -> Result<Proved, Ended> {
        loop {
            let Some(frame) = connection.next().await? else { return Ok(Proved::Nothing) };
            if *self.stopping.borrow() {
                return Err(Refused::new(RefusalCode::Stopping, "stopping").into());
            }
            match frame.kind {
                FrameKind::Hello => {
                    let hello = Hello::from_bytes(&frame.body)
                        .map_err(|e| Refused::malformed(format!("malformed hello: {e}")))?;
                    let offer = self.offer(&hello).await?;
                    connection.send(FrameKind::Offer, offer.to_bytes()).await?;
                }
                FrameKind::ContextFirst => {
                    let (session, secrets) = match self.sign_in(connection, frame.body).await {
                        Ok(opened) => opened,
                        // The client holds an old key: it may ask for the present ones at once.
                        Err(Ended::Refused(refused)) if refused.code == RefusalCode::UnknownKey => {
                            self.tell_refusal(connection, refused).await?;
                            continue;
                        }
                        Err(e) => return Err(e),
                    };
                    return Ok(Proved::Context(session, Box::new(secrets)));
                }
                FrameKind::RegistrationRequest => {
                    self.register(connection, frame.body).await?;
                    return Ok(Proved::Nothing);
                }
                FrameKind::Attach => return Ok(Proved::Attach(frame.body)),
                FrameKind::StreamOpen => return Ok(Proved::Stream(frame.body)),
                kind => return Err(ConnectionError::Unexpected(kind).into()),
            }
        }
    }

    async fn tell_refusal(
        &self,
        connection: &mut Connection,
        refused: Refused,
    ) -> Result<(), ConnectionError> {
        let Refused { code, told, reason } = refused;
        tracing::debug!(peer = %connection.peer(), ?code, "refused: {reason}");
        let refusal = symbolon_wire::Refusal { code, time: now(), text: told };
        connection.send(FrameKind::Refusal, refusal.to_bytes()).await
    }

    /// Brings everybody up to date with the store.
    pub(crate) async fn review(&self) {
        let _one = self.reviewing.lock().await;
        match self.desk.refresh(&self.store).await {
            Ok(true) => self.review_all(),
            Ok(false) => {}
            Err(e) => tracing::error!("the directory cannot be read: {e}"),
        }
    }

    fn review_all(&self) {
        let snapshot = self.desk.present();
        let now = now();
        for session in self.live.all() {
            session.review(&snapshot, now);
        }
    }

    pub(crate) fn review_session(&self, session: &LiveSession) {
        session.review(&self.desk.present(), now());
    }

    /// Ends what was opened with a token that is revoked.
    pub(crate) async fn end_sessions_of_registration(&self, id: RegistrationId) -> Result<(), StoreError> {
        for session in self.store.hot().end_sessions_of(SessionsOf::Registration(id)).await? {
            self.live.end(symbolon_session::SessionId(session.0), EndReason::TokenRevoked);
        }
        Ok(())
    }

    async fn look_after(self: Arc<Self>) {
        let mut look = tokio::time::interval(LOOK);
        let mut tick = tokio::time::interval(TICK);
        let mut next_change = self.desk.present().policy.next_change(now());
        loop {
            let until_change = next_change.map_or(Duration::from_secs(3600), |t| {
                Duration::from_micros(t.0.saturating_sub(now().0)).min(Duration::from_secs(3600))
            });
            tokio::select! {
                _ = look.tick() => self.review().await,
                _ = tick.tick() => self.tick().await,
                () = tokio::time::sleep(until_change) => self.review_all(),
            }
            next_change = self.desk.present().policy.next_change(now());
        }
    }

    async fn tick(&self) {
        match self.gateway.rotate_if_due(now()) {
            Ok(true) => tracing::info!("new context keys"),
            Ok(false) => {}
            Err(e) => tracing::error!("context keys: {e}"),
        }
        for session in self.live.sweep(now()) {
            self.expire(&session).await;
        }
        self.end_sessions_of_locked_users().await;
        if let Err(e) = self.store.hot().sweep(now()).await {
            tracing::error!("sweep: {e}");
        }
    }

    /// A session that no node carries at the moment must not survive its user's lock either.
    async fn end_sessions_of_locked_users(&self) {
        // In this order every listed session's user is in the snapshot, unless removed since.
        let Ok(sessions) = self.store.hot().list_sessions(now()).await else { return };
        self.review().await;
        let snapshot = self.desk.present();
        for session in sessions {
            let standing = snapshot.users.get(&session.user).map(|u| u.subject.standing);
            if !matches!(
                standing,
                Some(symbolon_policy::Standing::Active | symbolon_policy::Standing::Pending)
            ) {
                let _ = self.store.hot().end_session(SessionId(session.id.0)).await;
            }
        }
    }

    async fn administer(self: Arc<Self>, socket: tokio::net::UnixListener) {
        if let Err(e) = axum::serve(socket, admin::router(self)).await {
            tracing::error!("administration socket: {e}");
        }
    }
}

/// What a peer has shown so far.
enum Proved {
    Nothing,
    Context(Arc<LiveSession>, Box<symbolon_context::ContextSecrets>),
    Attach(Vec<u8>),
    Stream(Vec<u8>),
}

/// One place among the strangers, given back when dropped.
struct Stranger(Arc<Shared>);

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.strangers.add_permits(1);
    }
}

/// Whether a directory belongs to a node already.
#[must_use]
pub fn is_node_dir(dir: &Path) -> bool {
    dir.join("node.key").exists()
}
