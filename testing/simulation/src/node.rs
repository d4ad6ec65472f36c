//! A node: `shell/server` in miniature, around the real cores of room C.
//!
//! What the product does between two calls of a store is one step here as well; each call is a letter there and one
//! back, and everything else can happen in between.

mod attach;
mod carry;
mod sign_in;
mod stream;
mod upkeep;

pub(crate) use sign_in::{context_secrets, token_mac};

use crate::bug::Bug;
use crate::letter::{Frame, Letter};
use crate::records::User;
use crate::remote::RemoteHot;
use crate::watched;
use crate::world::{Host, Inbox, MS, World};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use symbolon_crypto::{Crypto, Secret};
use symbolon_session::{EndReason, SessionId, SessionState, StreamClaims, StreamRoot, TicketKeys};
use symbolon_store::{Ending, HotStore as _, NodeId};
use symbolon_wire::Time;

/// Stream numbers that are dealt at once: few, so that they run out.
const STREAMS_AT_ONCE: u32 = 10;
/// How long a session lives, in seconds.
const LIFETIME_SECS: u64 = 14;

/// The node does not do it; true when the session is over.
struct Refused(bool);

impl From<symbolon_store::StoreError> for Refused {
    fn from(_: symbolon_store::StoreError) -> Self {
        Self(false)
    }
}

pub(crate) struct Node {
    world: World,
    index: u8,
    host: Host,
    id: NodeId,
    /// Which start of the node this is; its context keys are of this start.
    boot: u64,
    hot: RemoteHot,
    crypto: Crypto,
    tickets: TicketKeys,
    memory: Mutex<Memory>,
}

/// What dies with the process.
#[derive(Default)]
struct Memory {
    live: BTreeMap<SessionId, Live>,
    /// What became of sessions that were not here when it was said.
    gone: BTreeMap<SessionId, Gone>,
    users: Vec<User>,
    revision: u64,
}

#[derive(Clone, Copy)]
enum Gone {
    Ended,
    Moved(u64),
}

/// A session that this node carries.
struct Live {
    state: SessionState,
    epoch: u64,
    root: StreamRoot,
    claims: StreamClaims,
    over: bool,
    connection: Inbox,
    streams: BTreeSet<u64>,
}

impl Node {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clock(&self) -> Time {
        self.world.clock(self.host)
    }

    fn has(&self, bug: Bug) -> bool {
        self.world.has(bug)
    }

    fn ending(&self, why: EndReason) -> Ending {
        Ending { by: self.id, why: why.code() }
    }

    /// Takes a session in. One that was ended or taken over since it stands in the store is over as soon as it is
    /// here. Its numbers are good still if this node carried it before.
    fn take_in(&self, state: SessionState, epoch: u64, connection: Inbox, from_here: bool) {
        let mut memory = self.memory();
        let id = state.id;
        let gone = memory.gone.remove(&id);
        match memory.live.get_mut(&id) {
            // its client was faster
            Some(here) if here.epoch >= epoch => return,
            Some(here) if from_here => {
                let before = std::mem::replace(&mut here.connection, connection);
                (here.state.last_attach, here.epoch) = (state.last_attach, epoch);
                self.world.post(self.host, before, Letter::Look);
            }
            _ => {
                let root = StreamRoot::new(self.crypto, id, &state.secret);
                let (claims, streams) = (StreamClaims::new(id), BTreeSet::new());
                memory.live.insert(id, Live { state, epoch, root, claims, over: false, connection, streams });
            }
        }
        drop(memory);
        match gone {
            Some(Gone::Ended) => self.end(id),
            Some(Gone::Moved(epoch)) => self.moved(id, epoch),
            None => {}
        }
    }

    /// Ends a session for its client.
    fn end(&self, id: SessionId) {
        let mut memory = self.memory();
        // Also of one that is here: an attach that claimed it before may be about to take it in anew.
        memory.gone.insert(id, Gone::Ended);
        if let Some(live) = memory.live.get_mut(&id) {
            live.over = true;
            live.streams.clear();
            self.world.post(self.host, live.connection, Letter::Look);
        }
    }

    /// Lets go of a session that another node carries from `epoch` on.
    fn moved(&self, id: SessionId, epoch: u64) {
        let mut memory = self.memory();
        match memory.live.get(&id) {
            Some(live) if epoch > live.epoch => drop(memory.live.remove(&id)),
            Some(_) => {}
            None => drop(memory.gone.insert(id, Gone::Moved(epoch))),
        }
    }

    fn send(&self, to: Inbox, frame: Frame) {
        self.world.post(self.host, to, Letter::Frame(frame));
    }
}

/// What a node does from its start on.
pub(crate) async fn run(world: World, index: u8, boot: u64) {
    let host = Host::Node(index);
    let crypto = watched::crypto();
    let hot = RemoteHot { world: world.clone(), host };
    hot.troubled();
    let node = Arc::new(Node {
        tickets: TicketKeys::new(crypto, &Secret::new([9; 32])),
        id: NodeId([index + 1; 16]),
        memory: Mutex::default(),
        world: world.clone(),
        index,
        host,
        boot,
        hot,
        crypto,
    });
    // A power cut may have taken back the last ranges that were dealt.
    while node.hot.skip_streams().await.is_err() || node.review().await.is_err() {
        world.sleep(host, 100 * MS).await;
    }
    world.kernel().keys.insert(index, boot);
    let door = world.open_door(host);
    world.note(|| format!("node {index} is ready"));
    world.spawn(host, upkeep::look_after(node.clone()));
    loop {
        let node = node.clone();
        match world.receive(door, u64::MAX).await {
            Some(Letter::Connect { first, from_node, to_node }) => {
                world.spawn(host, async move { node.answer(first, from_node, to_node).await });
            }
            Some(Letter::Order { change, reply }) => {
                world.spawn(host, async move {
                    if node.obey(change).await.is_ok() {
                        node.world.post(node.host, reply, Letter::Done);
                    }
                });
            }
            _ => {}
        }
    }
}

impl Node {
    async fn answer(&self, first: Frame, from_node: Inbox, to_node: Inbox) {
        let done = match first {
            Frame::SignIn(message) => self.sign_in(message, from_node, to_node).await,
            Frame::Attach(body) => self.attach(&body, from_node, to_node).await,
            Frame::StreamOpen(body) => self.open_stream(body, from_node).await,
            _ => Err(Refused(false)),
        };
        if let Err(Refused(over)) = done {
            self.send(from_node, Frame::Refused { over });
        }
    }
}
