//! The sessions that this node carries.

mod picture;
mod sessions;

pub(crate) use picture::{Picture, StreamPicture};
pub(crate) use sessions::LiveSessions;

use crate::desk::Snapshot;
use crate::draw::draw;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use symbolon_crypto::{Crypto, GatewayName};
use symbolon_policy::{AccessRequest, AppName, CanonName, PathPermitted, Standing, TokenClass};
use symbolon_session::{
    AuthenticStream, ClaimedStream, ControlMessage, EndReason, Line, NotClaimed, Report, SessionId,
    SessionSecret, SessionState, StreamClaimed, StreamClaims, StreamError, StreamRange, StreamRoot,
};
use symbolon_store::{App, RegistrationId, UserId};
use symbolon_token::{Configuration, Destination};
use symbolon_wire::Time;
use tokio::sync::{Notify, oneshot};

/// Messages that may wait for a client that does not read, besides its configuration.
const OUTBOX: usize = 256;

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

struct LiveStream {
    number: u64,
    app: AppName,
    since: Time,
    counters: Arc<Counters>,
    cut: Option<oneshot::Sender<EndReason>>,
}

/// Bytes of a stream, as the application sees them.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) up: AtomicU64,
    pub(crate) down: AtomicU64,
}

/// A stream's place in its session; leaving it is dropping it.
pub(crate) struct StreamPlace {
    session: Arc<LiveSession>,
    number: u64,
    pub(crate) counters: Arc<Counters>,
    pub(crate) cut: oneshot::Receiver<EndReason>,
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.session.inner().streams.retain(|s| s.number != self.number);
    }
}

/// What is to be done for a session's client next.
pub(crate) enum Next {
    Send(ControlMessage),
    SendConfiguration(Configuration),
    /// Say goodbye and close.
    Over(EndReason),
    /// Another connection has the session now.
    Replaced,
    Nothing,
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

    /// Gives the session to a new connection; the number tells it whether it still has it. A
    /// connection of an earlier epoch than the present one never has it.
    pub(crate) fn connect(&self, epoch: u64, source: IpAddr) -> u64 {
        let mut inner = self.inner();
        if epoch < inner.epoch {
            return 0;
        }
        let number = u64::from_be_bytes(draw()) | 1;
        inner.connection = number;
        inner.epoch = epoch;
        inner.source = source;
        inner.state.source = Line::lossy(&source.to_string());
        inner.outbox.clear();
        if inner.version > 0 {
            inner.renumber(crate::clock::now());
        }
        drop(inner);
        self.wake.notify_one();
        number
    }

    /// Whether the connection with this number still has the session.
    pub(crate) fn has(&self, connection: u64) -> bool {
        connection != 0 && self.inner().connection == connection
    }

    /// Where its control connection comes from, and what its client says of machine and place.
    pub(crate) fn whereabouts(&self) -> (IpAddr, Report) {
        let inner = self.inner();
        (inner.source, inner.state.report.clone())
    }

    pub(crate) fn disconnect(&self, connection: u64) {
        let mut inner = self.inner();
        if inner.connection == connection {
            inner.connection = 0;
        }
    }

    /// What the connection with this number must do next.
    pub(crate) fn next(&self, connection: u64, gateway: &GatewayName, now: Time) -> Next {
        let mut inner = self.inner();
        if connection == 0 || inner.connection != connection {
            return Next::Replaced;
        }
        if let Some(reason) = inner.over {
            return Next::Over(reason);
        }
        if std::mem::take(&mut inner.configuration_due) {
            return Next::SendConfiguration(Configuration {
                version: inner.version,
                gateway: gateway.clone(),
                session_id: self.id.0,
                issued: now,
                destinations: inner.shown.clone(),
            });
        }
        inner.outbox.pop_front().map_or(Next::Nothing, Next::Send)
    }

    /// Has a message sent.
    pub(crate) fn post(&self, message: ControlMessage) {
        let mut inner = self.inner();
        if inner.outbox.len() < OUTBOX {
            inner.outbox.push_back(message);
        }
        drop(inner);
        self.wake.notify_one();
    }

    /// Sends the configuration again.
    pub(crate) fn repeat_configuration(&self, now: Time) {
        self.inner().renumber(now);
        self.wake.notify_one();
    }

    pub(crate) fn reported(&self, report: Report) {
        self.inner().state.report = report;
    }

    pub(crate) fn applied(&self, version: u64) {
        let mut inner = self.inner();
        if version <= inner.version {
            inner.state.configuration_applied = version;
        }
    }

    /// Notes a range of stream numbers that the store dealt to this node.
    pub(crate) fn grant(&self, range: StreamRange) -> Result<(), symbolon_session::GrantError> {
        self.inner().claims.grant(range)
    }

    /// Authenticates a stream's opening.
    pub(crate) fn authenticate(
        &self,
        opening: ClaimedStream,
        now: Time,
    ) -> Result<AuthenticStream, StreamError> {
        let inner = self.inner();
        match &inner.root_before {
            Some((before, until)) if now < *until => {
                inner.root.authenticate(opening.clone()).or_else(|_| before.authenticate(opening))
            }
            _ => inner.root.authenticate(opening),
        }
    }

    /// Takes the key of a renewal: attaches and streams grow from it, and the session lasts longer.
    pub(crate) fn renew(&self, crypto: Crypto, secret: SessionSecret, expires: Time, now: Time) {
        let mut inner = self.inner();
        let root = StreamRoot::new(crypto, self.id, &secret);
        let before = std::mem::replace(&mut inner.root, root);
        inner.root_before = Some((before, now.plus_secs(ROOT_BEFORE_SECS)));
        inner.state.secret = secret;
        inner.state.expires = expires;
    }

    pub(crate) fn claim(&self, stream: AuthenticStream) -> Result<StreamClaimed, Box<NotClaimed>> {
        self.inner().claims.claim(stream)
    }

    /// The proof that an application may be reached now, as the last decision gave it.
    pub(crate) fn permitted(&self, app: &AppName, now: Time) -> Option<PathPermitted> {
        let inner = self.inner();
        let live = inner.over.is_none() && now < inner.state.expires;
        let found =
            inner.permitted.iter().find(|p| p.app() == app && p.until().is_none_or(|until| now < until));
        found.filter(|_| live).cloned()
    }

    /// Takes a place for a stream; nothing when the session has as many as it may.
    pub(crate) fn enter(
        self: &Arc<Self>,
        number: u64,
        path: &PathPermitted,
        most: usize,
        now: Time,
    ) -> Option<StreamPlace> {
        let mut inner = self.inner();
        // Decided again under the same lock as the streams: a withdrawal may have come between.
        let permitted = inner.permitted.iter().any(|p| p.app() == path.app());
        if inner.streams.len() >= most || inner.over.is_some() || !permitted || now >= inner.state.expires {
            return None;
        }
        let counters = Arc::new(Counters::default());
        let (cut, cut_received) = oneshot::channel();
        inner.streams.push(LiveStream {
            number,
            app: path.app().clone(),
            since: now,
            counters: counters.clone(),
            cut: Some(cut),
        });
        Some(StreamPlace { session: self.clone(), number, counters, cut: cut_received })
    }

    /// Decides anew what the session may reach; tells its client when that changed, and cuts the
    /// streams that are not permitted any more.
    pub(crate) fn review(&self, snapshot: &Snapshot, now: Time) {
        let Some(user) = snapshot.users.get(&self.user) else {
            return self.end(EndReason::EndedByAdministrator);
        };
        if user.subject.standing == Standing::Locked {
            return self.end(EndReason::UserLocked);
        }
        let registration = self.registration().map(|r| RegistrationId(r.0));
        if registration.is_some_and(|r| !snapshot.registrations.contains(&r)) {
            return self.end(EndReason::TokenRevoked);
        }
        let mut inner = self.inner();
        // Two reviews may overlap; what is older does not undo what is newer.
        if snapshot.revision < inner.reviewed {
            return;
        }
        inner.reviewed = snapshot.revision;
        let permitted: Vec<PathPermitted> = {
            // The application of the request does not count, see `SubjectView::permitted`.
            let Some(any) = snapshot.apps.keys().next() else {
                return self.apply(inner, Vec::new(), Vec::new(), now);
            };
            let request = AccessRequest {
                subject: &user.subject,
                app: any,
                now,
                source: inner.source,
                token_class: self.class,
                machine: inner.state.report.machine.as_str(),
                place: inner.state.report.place.as_str(),
            };
            let mut all = snapshot.policy.for_subject(&user.subject).permitted(&request);
            all.retain(|p| snapshot.apps.contains_key(p.app()));
            all
        };
        let shown =
            permitted.iter().filter_map(|p| Some(destination(p, snapshot.apps.get(p.app())?))).collect();
        inner.state.user_name = user.subject.name.clone();
        self.apply(inner, permitted, shown, now);
    }

    fn apply(
        &self,
        mut inner: MutexGuard<'_, Inner>,
        permitted: Vec<PathPermitted>,
        shown: Vec<Destination>,
        now: Time,
    ) {
        inner.permitted = permitted;
        if inner.version == 0 || inner.shown != shown {
            inner.shown = shown;
            inner.renumber(now);
        }
        let permitted = std::mem::take(&mut inner.permitted);
        inner.cut(EndReason::EntitlementWithdrawn, |app| !permitted.iter().any(|p| p.app() == app));
        inner.permitted = permitted;
        drop(inner);
        self.wake.notify_one();
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

    /// Ends all streams; the session goes on elsewhere.
    fn cut_streams(&self, reason: EndReason) {
        let mut inner = self.inner();
        // A client that is slow to read the stream learns it here first.
        inner.cut(reason, |_| true);
        drop(inner);
        self.wake.notify_one();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.inner().over.is_some()
    }

    pub(crate) fn stream_count(&self) -> usize {
        self.inner().streams.len()
    }

    fn is_connected(&self) -> bool {
        self.inner().connection != 0
    }

    /// What administrators see.
    pub(crate) fn picture(&self) -> Picture {
        let inner = self.inner();
        Picture {
            token_class: self.class,
            source: inner.source,
            machine: inner.state.report.machine.to_string(),
            place: inner.state.report.place.to_string(),
            agent: inner.state.report.agent.to_string(),
            connected: inner.connection != 0,
            version: inner.version,
            applied: inner.state.configuration_applied,
            streams: inner
                .streams
                .iter()
                .map(|s| StreamPicture {
                    number: s.number,
                    app: s.app.clone(),
                    since: s.since,
                    up: s.counters.up.load(Ordering::Relaxed),
                    down: s.counters.down.load(Ordering::Relaxed),
                })
                .collect(),
        }
    }
}

impl Inner {
    /// Cuts the streams to the applications that `which` names, and has the client told.
    fn cut(&mut self, reason: EndReason, which: impl Fn(&AppName) -> bool) {
        for stream in self.streams.iter_mut().filter(|s| which(&s.app)) {
            if let Some(cut) = stream.cut.take() {
                let _ = cut.send(reason);
                let (number, detail) = (stream.number, Line::default());
                self.outbox.push_back(ControlMessage::StreamEnded { number, reason, detail });
            }
        }
    }

    /// Has the configuration sent under a new version. Versions are times, so that they grow from
    /// node to node without being stored.
    fn renumber(&mut self, now: Time) {
        let last = self.version.max(self.state.configuration_applied);
        self.version = now.0.max(last.saturating_add(1));
        self.configuration_due = true;
    }
}

fn destination(path: &PathPermitted, app: &App) -> Destination {
    Destination {
        app: path.app().clone(),
        protocol: app.protocol.as_str().to_owned(),
        description: app.description.clone(),
        until: path.until(),
    }
}
