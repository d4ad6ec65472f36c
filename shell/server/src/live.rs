//! The sessions that this node carries.

mod connection;
mod picture;
mod review;
mod sessions;
mod streams;

pub(crate) use connection::Next;
pub(crate) use sessions::LiveSessions;
pub(crate) use streams::{Adoption, Counters, Returned, Returning, StreamPlace};

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use streams::LiveStream;
use symbolon_crypto::Crypto;
use symbolon_policy::{CanonName, PathPermitted, TokenClass};
use symbolon_session::{
    ControlMessage, EndReason, SessionId, SessionSecret, SessionState, StreamClaims, StreamRoot,
};
use symbolon_store::UserId;
use symbolon_token::Destination;
use symbolon_wire::Time;
use tokio::sync::Notify;

/// How long streams that were opened before a renewal are let in after it, in seconds.
const ROOT_BEFORE_SECS: u64 = 60;

/// A session that this node carries, with or without a connection at the moment.
pub(crate) struct LiveSession {
    pub(crate) id: SessionId,
    pub(crate) user: UserId,
    pub(crate) class: TokenClass,
    inner: Mutex<Inner>,
    pub(crate) wake: Notify,
}

struct Inner {
    state: SessionState,
    epoch: u64,
    source: IpAddr,
    root: StreamRoot,
    /// The root before the last renewal: the client may have opened streams with it meanwhile.
    root_before: Option<(StreamRoot, Time)>,
    claims: StreamClaims,
    permitted: Vec<PathPermitted>,
    shown: Vec<Destination>,
    version: u64,
    configuration_due: bool,
    /// The revision of the directory that was last decided by.
    reviewed: u64,
    outbox: VecDeque<ControlMessage>,
    over: Option<EndReason>,
    /// The connection that carries the control messages now; 0 when there is none.
    connection: u64,
    streams: Vec<LiveStream>,
}

impl LiveSession {
    pub(crate) fn new(crypto: Crypto, state: SessionState, epoch: u64, source: IpAddr) -> Self {
        Self {
            id: state.id,
            user: UserId(state.user.0),
            class: state.token_class,
            wake: Notify::new(),
            inner: Mutex::new(Inner {
                root: StreamRoot::new(crypto, state.id, &state.secret),
                root_before: None,
                claims: StreamClaims::new(state.id),
                permitted: Vec::new(),
                shown: Vec::new(),
                version: 0,
                configuration_due: false,
                reviewed: 0,
                outbox: VecDeque::new(),
                over: None,
                connection: 0,
                streams: Vec::new(),
                epoch,
                source,
                state,
            }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // No step leaves it half changed, so a panic elsewhere does not spoil it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.inner().epoch
    }

    fn opened(&self) -> Time {
        self.inner().state.opened
    }

    pub(crate) fn expires(&self) -> Time {
        self.inner().state.expires
    }

    /// The registration of the token that opened it; none for a password.
    pub(crate) fn registration(&self) -> Option<symbolon_session::RegistrationId> {
        self.inner().state.registration
    }

    pub(crate) fn user_name(&self) -> CanonName {
        self.inner().state.user_name.clone()
    }

    /// Calls `f` with the state as it would be published.
    pub(crate) fn with_state<T>(&self, f: impl FnOnce(&mut SessionState) -> T) -> T {
        f(&mut self.inner().state)
    }

    /// Takes the key of a renewal: attaches and streams grow from it, and the session lasts longer.
    pub(crate) fn renew(&self, crypto: Crypto, secret: SessionSecret, expires: Time, now: Time) {
        let mut inner = self.inner();
        let root = StreamRoot::new(crypto, self.id, &secret);
        let before = std::mem::replace(&mut inner.root, root);
        inner.root_before = Some((before, now.plus_secs(ROOT_BEFORE_SECS)));
        inner.state.secret = secret;
        inner.state.expires = expires;
        // A renewal is a proof of the token's key like a sign-in.
        inner.state.proved = now;
    }

    /// Ends the session and all its streams.
    pub(crate) fn end(&self, reason: EndReason) {
        let mut inner = self.inner();
        inner.over.get_or_insert(reason);
        inner.permitted.clear();
        for stream in &mut inner.streams {
            if let Some(cut) = stream.cut.take() {
                let _ = cut.send(reason);
            }
        }
        drop(inner);
        self.wake.notify_one();
    }

    /// Lets the session go when another node carries it on from `epoch`: its connection and its streams here
    /// end, and nothing is written to the store. Tells whether that is so; a later epoch is ours again.
    pub(crate) fn moved(&self, epoch: u64) -> bool {
        let mut inner = self.inner();
        if epoch <= inner.epoch {
            return false;
        }
        inner.connection = 0;
        drop(inner);
        self.end(EndReason::Replaced);
        true
    }

    pub(crate) fn is_over(&self) -> bool {
        self.inner().over.is_some()
    }
}
