//! A node in a process that its holder began: it is ready, leads when it is told to, and may be killed at any instant.
//!
//! ```text
//! holder ── Begin ──> prepare (keys, store, directory) ── ready ──> waits
//!        ── Lead ───> takes everything in that changed, opens the doors: it is the node
//!        ── Carry ──> connections of the one before it go on, before all else
//! ```
//! One worker leads. The other has done all that takes time when it is its turn.

use crate::config::NodeConfig;
use crate::error::NodeError;
use crate::listeners::Listeners;
use crate::node::{Node, Prepared, Shared};
use crate::pipe::Keeper;
use crate::relay::Relay;
use std::io;
use std::sync::Arc;
use std::thread;
use symbolon_crypto::Entropy as _;
use symbolon_os::{FamilyKey, FromHolder, HolderLink, InHand, Signals, forbid_dumps};
use symbolon_provider::{SystemEntropy, crypto};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// What a worker is told, besides what it does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// It is the node from now on.
    Lead {
        /// How many workers were before.
        before: u64,
    },
    /// Read the configuration again.
    Reload,
    /// End.
    Stop {
        /// All workers end, so clients are told; else others carry on.
        last: bool,
    },
    /// The holder is gone, and with it everything.
    HolderGone,
}

/// A process that a holder began.
#[derive(Debug)]
pub struct Worker {
    link: HolderLink,
    family: FamilyKey,
    in_hand: InHand,
    relay: Relay,
    listeners: Listeners,
}

/// A worker that is ready to lead.
pub struct ReadyWorker {
    prepared: Option<(Prepared, Listeners)>,
    keeper: Arc<Keeper>,
    orders: mpsc::UnboundedReceiver<Order>,
}

impl std::fmt::Debug for ReadyWorker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReadyWorker")
    }
}

impl Worker {
    /// Takes from standard input what the holder gave. To be called before the process has a second thread.
    ///
    /// # Errors
    /// When no holder began this process.
    pub fn begin() -> io::Result<Self> {
        forbid_dumps()?;
        Signals::give_back()?;
        let link = HolderLink::from_standard_input()?;
        let FromHolder::Begin { family, in_hand, relay, listeners } = link.receive()? else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let listeners = Listeners::from_descriptors(listeners).ok_or(io::ErrorKind::InvalidData)?;
        // The first random bytes of a process take tens of milliseconds: now, not when somebody waits.
        SystemEntropy.fill(&mut [0; 16]);
        Ok(Self { link, family, in_hand, relay: Relay::Family(relay), listeners })
    }

    /// Does all that can be done before it leads.
    ///
    /// # Errors
    /// [`NodeError`]; the process is of no use then.
    pub async fn prepare(self, config: NodeConfig) -> Result<ReadyWorker, NodeError> {
        let Self { link, family, in_hand, relay, listeners } = self;
        let (to_us, orders) = mpsc::unbounded_channel();
        let keeper = Arc::new(Keeper::holder(crypto(), link, family, in_hand, config.carry_on));
        let prepared = Prepared::new(config, keeper.clone(), relay).await?;
        let shared = prepared.shared().clone();
        // A thread of its own: what the holder says is heard however busy the others are.
        let (runtime, ears) = (Handle::current(), keeper.clone());
        let listening = thread::Builder::new().name("holder".to_owned()).spawn(move || {
            let _runtime = runtime.enter();
            hear(&shared, &ears, &to_us);
        });
        listening.map_err(|e| NodeError::Config(format!("the system gives us no thread: {e}")))?;
        Ok(ReadyWorker { prepared: Some((prepared, listeners)), keeper, orders })
    }
}

impl ReadyWorker {
    /// What it is to do next.
    pub async fn next(&mut self) -> Order {
        self.orders.recv().await.unwrap_or(Order::HolderGone)
    }

    /// The same, if it was told already.
    pub async fn told_already(&mut self) -> Option<Order> {
        // what the holder said before is read by then
        tokio::task::yield_now().await;
        self.orders.try_recv().ok()
    }

    /// Says that it can lead, or does.
    ///
    /// # Errors
    /// When the holder is gone.
    pub fn ready(&self) -> io::Result<()> {
        self.keeper.link().map_or(Ok(()), HolderLink::ready)
    }

    /// Is the node from now on, after so many others.
    ///
    /// # Errors
    /// [`NodeError`]; nothing runs then.
    pub async fn lead(&mut self, before: u64) -> Result<Node, NodeError> {
        let again = || NodeError::Config("this worker leads already".to_owned());
        let (prepared, listeners) = self.prepared.take().ok_or_else(again)?;
        prepared.lead(listeners, None, before).await
    }
}

/// Hears the holder: connections are dealt with at once, the rest is passed on.
fn hear(shared: &Arc<Shared>, keeper: &Keeper, orders: &mpsc::UnboundedSender<Order>) {
    let Some(link) = keeper.link() else { return };
    loop {
        let order = match link.receive() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Ok(FromHolder::Carry(connections)) => {
                connections.into_iter().for_each(|held| shared.adopt(held));
                continue;
            }
            Ok(FromHolder::NotHeld(id)) => {
                tracing::warn!(%id, "the holder has no room: a connection would not outlive this process");
                continue;
            }
            Ok(FromHolder::Lead { before }) => Order::Lead { before },
            Ok(FromHolder::Reload) => Order::Reload,
            Ok(FromHolder::Stop { last }) => Order::Stop { last },
            Ok(FromHolder::HolderGone) => Order::HolderGone,
            Ok(FromHolder::Begin { .. } | FromHolder::Relay { .. }) | Err(_) => {
                tracing::error!("the holder cannot be understood");
                Order::HolderGone
            }
        };
        if orders.send(order).is_err() || order == Order::HolderGone {
            return;
        }
    }
}
