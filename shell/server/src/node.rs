//! A node from start to stop.

use crate::admin::{self, InvitationTerms, TheChange, TheList};
use crate::clock::now;
use crate::config::NodeConfig;
use crate::credentials::Credentials;
use crate::desk::Desk;
use crate::error::NodeError;
use crate::front::{Sites, TlsConnections};
use crate::gateway::Gateway;
use crate::keys::NodeKeys;
use crate::listeners::{self, Directory, Listeners};
use crate::live::LiveSessions;
use crate::meter::Meter;
use crate::metrics::{self, Metrics};
use crate::notes::Notes;
use crate::passwords::Passwords;
use crate::pipe::Keeper;
use crate::publish::Published;
use crate::relay::Relay;
use crate::strangers::Strangers;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;
use symbolon_crypto::{Secret, TrustedIssuer, label};
use symbolon_issuer::ContextKeys;
use symbolon_policy::TemplateName;
use symbolon_provider::SystemEntropy;
use symbolon_session::{ControlMessage, EndReason, Line};
use symbolon_store::{Actor, Ending, HotStore as _, NodeId, Store, StoreError};
use symbolon_token::RegistrationTemplate;
use symbolon_wire::Time;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Refusals written to the audit in a second: more than people and their programs mistype, and half a
/// percent of what the disk can take.
const REFUSALS_PER_SEC: u32 = 20;
/// How long streams may go on after the node was told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// How long handshakes may take that were begun when the node hands over.
const ON_THE_WAY_IN: Duration = Duration::from_millis(500);

/// How long the reason may take to reach clients that still have to read what came before it: longer than an agent lets
/// a stream go on whose end it was told.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What all parts of a node share.
pub(crate) struct Shared {
    pub(crate) config: NodeConfig,
    pub(crate) gateway: Gateway,
    /// `host:port` under which clients reach the node, once it leads.
    public_address: OnceLock<String>,
    /// Since when this process is the node, once it is.
    pub(crate) leads: OnceLock<Leads>,
    pub(crate) keeper: Arc<Keeper>,
    /// Who dials applications that it cannot carry on by itself.
    pub(crate) relay: Relay,
    pub(crate) store: Store,
    pub(crate) node_id: NodeId,
    pub(crate) desk: Desk,
    pub(crate) live: LiveSessions,
    pub(crate) sites: Sites,
    pub(crate) tls: TlsConnections,
    pub(crate) passwords: Passwords,
    pub(crate) credentials: Credentials,
    pub(crate) code_key: Secret<32>,
    pub(crate) default_template: TemplateName,
    pub(crate) strangers: Strangers,
    /// Refusals that are audited in the current second, and how many were not before.
    pub(crate) refusals: Meter,
    pub(crate) refusals_unwritten: AtomicU64,
    pub(crate) reviewing: tokio::sync::Mutex<()>,
    pub(crate) stopping: watch::Sender<bool>,
    /// Whether it knows what the store says. One that waits to lead knows what it said when it was prepared.
    pub(crate) informed: watch::Sender<bool>,
    /// The part of the node that stopped unasked, and why.
    pub(crate) failure: watch::Sender<Option<(&'static str, String)>>,
    pub(crate) metrics: Metrics,
    pub(crate) notes: Notes,
    pub(crate) published: Published,
    /// The statement that another issuer follows.
    pub(crate) issuer_change: RwLock<TheChange>,
    /// Which certificates count no more, for others.
    pub(crate) revocation_list: RwLock<TheList>,
}

/// That a process is the node.
pub(crate) struct Leads {
    pub(crate) since: Time,
    /// How many of its holder's workers were before.
    pub(crate) before: u64,
}

/// A running node.
pub struct Node {
    shared: Arc<Shared>,
    address: SocketAddr,
    tls_address: Option<SocketAddr>,
    first_invitation: Option<String>,
    parts: JoinSet<()>,
    /// None when it is the holder's.
    _directory: Option<Directory>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({})", self.address)
    }
}

/// A node that has everything but its doors: it can open them within milliseconds.
pub(crate) struct Prepared {
    shared: Arc<Shared>,
    first_start: bool,
}

impl Prepared {
    /// The first in a directory makes issuer, certificates and store.
    pub(crate) async fn new(
        config: NodeConfig,
        keeper: Arc<Keeper>,
        relay: Relay,
    ) -> Result<Self, NodeError> {
        let crypto = symbolon_provider::crypto();
        let default_template = TemplateName::parse(&config.template)
            .map_err(|e| NodeError::Config(format!("template = \"{}\": {e}", config.template)))?;
        metrics::check(config.metrics.as_ref())?;
        let keys = NodeKeys::load_or_make(&config, now())?;
        let (first_start, node_id) = (keys.first_start, keys.node_id);
        let entropy = Box::new(SystemEntropy);
        let store = Store::open(&config.store(), &keys.node_key, crypto, entropy).await?;
        put_shipped_templates(&store).await?;
        let issuer = TrustedIssuer::from_certificate(crypto, &keys.issuer_certificate)?;
        let derive = |purpose: &[u8]| crypto.derive(&keys.node_key, purpose, &[]);
        let (domain_key, code_key) = (derive(label::NODE_DOMAIN), derive(label::USER_CODE));
        let credentials = Credentials::new(crypto, &config, &issuer, &domain_key)?;
        let context_keys = ContextKeys::new(
            keys.identity,
            keys.issuer_certificate,
            config.context_key_lifetime_secs,
            now(),
        )?;
        let cookies_above = config.limits.cookie_above_per_sec;
        let gateway = Gateway::new(crypto, issuer, context_keys, &domain_key, cookies_above);
        let shared = Arc::new(Shared {
            passwords: Passwords::new(&config.limits).map_err(|e| NodeError::Config(e.to_string()))?,
            credentials,
            desk: Desk::open(&store).await?,
            live: LiveSessions::default(),
            sites: Sites::new(crypto, config.tls.as_ref(), keeper.ticket_memory())?,
            tls: TlsConnections::default(),
            strangers: Strangers::new(config.limits.strangers, config.limits.strangers_per_source),
            refusals: Meter::new(REFUSALS_PER_SEC),
            refusals_unwritten: AtomicU64::new(0),
            reviewing: tokio::sync::Mutex::new(()),
            stopping: watch::Sender::new(false),
            informed: watch::Sender::new(false),
            failure: watch::Sender::new(None),
            notes: Notes::default(),
            metrics: Metrics::new(),
            published: Published::default(),
            issuer_change: RwLock::default(),
            revocation_list: RwLock::default(),
            public_address: OnceLock::new(),
            leads: OnceLock::new(),
            keeper,
            relay,
            config,
            gateway,
            store,
            node_id,
            code_key,
            default_template,
        });
        shared.review_trust().await?;
        Ok(Self { shared, first_start })
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Opens the doors. The directory is its own, or its holder's.
    pub(crate) async fn lead(
        self,
        listeners: Listeners,
        directory: Option<Directory>,
        before: u64,
    ) -> Result<Node, NodeError> {
        let Self { shared, first_start } = self;
        let _ = shared.leads.set(Leads { since: now(), before });
        let failed = |address| move |source| NodeError::Listen { address, source };
        let Listeners { clients, tls, administration } = listeners;
        let address = clients.local_addr().map_err(failed(shared.config.listen))?;
        let clients = TcpListener::from_std(clients).map_err(failed(address))?;
        let tls = tls.map(|tls| Ok::<_, std::io::Error>((tls.local_addr()?, TcpListener::from_std(tls)?)));
        let tls = tls.transpose().map_err(failed(address))?;
        let administration = tokio::net::UnixListener::from_std(administration)
            .map_err(|source| NodeError::File { path: listeners::socket(&shared.config.dir), source })?;
        let public_address = shared.config.public_address.clone();
        let _ = shared.public_address.set(
            public_address.unwrap_or_else(|| default_public_address(shared.gateway.name().as_str(), address)),
        );
        // What changed since it was prepared.
        shared.look_for_issuer().await;
        // the directory before the lists, which judge what was taken over by it
        shared.review().await?;
        shared.follow_lists().await;
        shared.informed.send_replace(true);
        // connections that were taken over before
        shared.review_all();
        shared.publish()?;
        shared.store.record(&shared.actor(), "node.start", "", &serde_json::json!({}), now()).await?;
        shared.store.hot().skip_streams().await?;
        let first_invitation = if first_start {
            let (link, _) = shared.invite(&Actor::system("first start"), InvitationTerms::first()).await?;
            Some(link.to_link())
        } else {
            None
        };
        tracing::info!(gateway = %shared.gateway.name(), %address, "node started");
        let parts = JoinSet::new();
        let tls_address = tls.as_ref().map(|(address, _)| *address);
        let mut node = Node {
            shared: shared.clone(),
            address,
            tls_address,
            first_invitation,
            parts,
            _directory: directory,
        };
        if let Some((address, listener)) = tls {
            tracing::info!(%address, "TLS clients are served");
            node.run_part("the TLS port", shared.clone().serve_tls(listener));
        }
        if let Some(metrics) = &shared.config.metrics {
            node.run_part("metrics", shared.clone().tell_metrics(metrics.listen));
        }
        node.run_part("the door", shared.clone().accept(clients));
        node.run_part("upkeep", shared.clone().look_after());
        node.run_part("administration", shared.administer(administration));
        Ok(node)
    }
}

impl Node {
    /// Starts a node in this process alone. The first start makes issuer, certificates and store.
    ///
    /// # Errors
    /// [`NodeError`]; then nothing runs.
    pub async fn start(config: NodeConfig) -> Result<Self, NodeError> {
        let (listeners, directory) = Listeners::open(&config)?;
        let keeper = Arc::new(Keeper::nobody(symbolon_provider::crypto()));
        Prepared::new(config, keeper, Relay::Here).await?.lead(listeners, Some(directory), 0).await
    }

    /// Runs a part that lasts as long as the node.
    pub(crate) fn run_part(&mut self, part: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.parts.spawn(self.shared.clone().watch_over(part, work));
    }

    /// Where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where TLS clients connect, if they are served.
    #[must_use]
    pub const fn tls_address(&self) -> Option<SocketAddr> {
        self.tls_address
    }

    /// `host:port` as invitation links have it.
    #[must_use]
    pub fn public_address(&self) -> &str {
        self.shared.public_address()
    }

    /// The gateway's name.
    #[must_use]
    pub fn gateway_name(&self) -> &str {
        self.shared.gateway.name().as_str()
    }

    /// The issuer's certificate, DER: what a token carries.
    #[must_use]
    pub fn issuer_certificate(&self) -> Vec<u8> {
        self.shared.issuer().certificate().to_vec()
    }

    /// The first invitation: at the first start only. It is a secret.
    #[must_use]
    pub fn first_invitation(&self) -> Option<&str> {
        self.first_invitation.as_deref()
    }

    /// The administration socket.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        listeners::socket(&self.shared.config.dir)
    }

    /// Waits for a failure of the node itself, which lets nobody in any more then: shut it down. Without one
    /// it waits for ever.
    pub async fn failure(&self) -> NodeError {
        let mut failure = self.shared.failure.subscribe();
        let failed = failure.wait_for(Option::is_some).await.ok().and_then(|f| f.clone());
        match failed {
            Some((part, reason)) => NodeError::Failed { part, reason },
            // The sender is ours and lives as long as we do.
            None => std::future::pending().await,
        }
    }

    /// Asks the holder to begin this program anew, workers too, as an operator would.
    ///
    /// # Errors
    /// When there is no holder.
    pub fn replace(&self) -> std::io::Result<()> {
        self.shared.keeper.ask_for_replacement()
    }

    /// Ends without telling anybody, so that another worker carries on: nobody new is let in, who is on the way in may
    /// come in, and what is carried is left as it is. The process is to end then.
    pub async fn hand_over(self) {
        let shared = &self.shared;
        shared.stopping.send_replace(true);
        let until = Instant::now() + ON_THE_WAY_IN;
        while shared.strangers.count() > 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        shared.write_notes().await;
        // Dropped, its tasks would end what they carry.
        std::mem::forget(self);
    }

    /// Stops in order: tells the clients, lets streams finish for a few seconds, ends the rest with
    /// the reason, and closes the store. Sessions go on when the node starts again.
    pub async fn shutdown(mut self) {
        let shared = &self.shared;
        shared.stopping.send_replace(true);
        for session in shared.live.all() {
            session.post(ControlMessage::Stopping { detail: Line::default() });
        }
        shared.tls.close();
        let drained = async || {
            while shared.live.counts().1 + shared.tls.count() > 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(DRAIN, drained()).await.is_err() {
            shared.live.cut_all_streams(EndReason::NodeStopping);
            shared.cut_tls(EndReason::NodeStopping);
            let _ = tokio::time::timeout(LAST_WORDS, drained()).await;
        }
        self.parts.shutdown().await;
        let _ = std::fs::remove_file(self.admin_socket());
        self.shared.write_notes().await;
        let stopped = self.shared.actor();
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

    /// `host:port` under which clients reach the node.
    pub(crate) fn public_address(&self) -> &str {
        self.public_address.get().map_or("", String::as_str)
    }

    /// The issuer as of now: another may take its place.
    pub(crate) fn issuer(&self) -> TrustedIssuer {
        self.gateway.issuer()
    }

    /// Why a session ends, for the other nodes on the store.
    pub(crate) fn ending(&self, why: EndReason) -> Ending {
        Ending { by: self.node_id, why: why.code() }
    }
}

/// Whether a directory belongs to a node already, with keys of its own or with those of another.
#[must_use]
pub fn is_node_dir(dir: &Path) -> bool {
    dir.join("node.id").exists() || dir.join("node.key").exists()
}
