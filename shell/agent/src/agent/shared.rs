//! What the parts of a running agent share: the session as streams need it, and what commands show.

use crate::agent::account::Account;
use crate::agent::report;
use crate::sign_in::{Proof, SignedIn};
use crate::status::{
    DestinationInfo, Destinations, Link, ListenerStatus, Problem, Reported, SCHEMA, SessionStatus, Status,
    StreamStatus, WhoAmI,
};
use crate::{AgentError, clock};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use symbolon_crypto::Suite;
use symbolon_policy::{AppName, format_time};
use symbolon_provider::crypto;
use symbolon_session::{
    Epoch, GrantError, Line, SessionId, StreamNumber, StreamNumbers, StreamRange, StreamRoot,
};
use symbolon_token::{Configuration, Destination};
use symbolon_wire::Time;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, timeout_at};

/// Problems that are remembered for `status`.
const MAX_PROBLEMS: usize = 16;

/// Ends of streams that are remembered for whoever asks how one ended.
const MAX_ENDS: usize = 64;

/// Streams at once: as many as a gateway lets one session have by default.
const MAX_STREAMS: usize = 1024;

/// How long a stream waits for the session to be there and for a number.
const NUMBER_PATIENCE: Duration = Duration::from_secs(15);

/// When so few numbers are left, more are asked for.
const FEW_NUMBERS: u64 = 32;

/// How long streams may take to end by themselves when the agent stops.
const STREAM_END: Duration = Duration::from_secs(2);

/// What the control task is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// Report again: something about the place changed.
    Report,
    /// Ask for stream numbers.
    RequestStreams,
}

/// The shared part.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) gateway: String,
    pub(crate) address: String,
    issuer: String,
    registered: Option<(String, String)>,
    by_password: bool,
    state: Mutex<State>,
    /// Counts changes of the state that somebody may wait for.
    changed: watch::Sender<u64>,
    commands: mpsc::Sender<Command>,
    logout: Notify,
}

#[derive(Debug)]
struct State {
    link: Link,
    place: Line,
    user: String,
    live: Option<Live>,
    streams: BTreeMap<u64, Arc<StreamEntry>>,
    ends: VecDeque<(u64, Option<AgentError>)>,
    listeners: BTreeMap<u64, ListenerStatus>,
    problems: VecDeque<Problem>,
    next_id: u64,
}

/// The live session, as streams and commands need it.
#[derive(Debug)]
struct Live {
    id: SessionId,
    epoch: Epoch,
    opened: Time,
    expires: Time,
    suite: Suite,
    root: Arc<StreamRoot>,
    numbers: StreamNumbers,
    requested: bool,
    latency: Option<Duration>,
    configuration: Option<u64>,
    destinations: Vec<Destination>,
}

/// A live stream, as others see it.
#[derive(Debug)]
pub(crate) struct StreamEntry {
    pub(crate) id: u64,
    session: SessionId,
    number: u64,
    app: AppName,
    since: Time,
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    /// Why it shall end, once it shall.
    kill: watch::Sender<Option<AgentError>>,
}

impl StreamEntry {
    /// Waits until somebody ends the stream from outside.
    pub(crate) async fn killed(&self) -> AgentError {
        let mut kill = self.kill.subscribe();
        // The sender lives as long as `self`.
        match kill.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone(),
            Err(_) => None,
        }
        .unwrap_or_else(|| AgentError::failure("the stream was ended"))
    }
}

/// What a stream is opened with.
pub(crate) struct Ticket {
    pub(crate) root: Arc<StreamRoot>,
    pub(crate) number: StreamNumber,
}

impl Shared {
    pub(crate) fn new(account: &Account, place: Line) -> (Arc<Self>, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(16);
        let state = State {
            link: Link::Connecting,
            place,
            user: String::new(),
            live: None,
            streams: BTreeMap::new(),
            ends: VecDeque::new(),
            listeners: BTreeMap::new(),
            problems: VecDeque::new(),
            next_id: 1,
        };
        let shared = Self {
            gateway: account.gateway.name.to_string(),
            address: account.gateway.address.clone(),
            issuer: account.gateway.issuer.fingerprint().to_string(),
            registered: account.registered.clone(),
            by_password: matches!(account.proof, Proof::Password { .. }),
            state: Mutex::new(state),
            changed: watch::Sender::new(0),
            commands,
            logout: Notify::new(),
        };
        (Arc::new(shared), receiver)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
    }

    // --- the control task's side -----------------------------------------------------------------

    /// A session was opened.
    pub(crate) fn signed_in(&self, signed_in: &SignedIn) {
        let mut state = self.state();
        state.link = Link::Connected;
        state.user = signed_in.subject.clone();
        state.live = Some(Live {
            id: signed_in.session.id(),
            epoch: signed_in.session.epoch(),
            opened: signed_in.opened,
            expires: signed_in.expires(),
            suite: signed_in.suite,
            root: Arc::new(signed_in.session.stream_root(crypto())),
            numbers: StreamNumbers::new(),
            requested: false,
            latency: None,
            configuration: None,
            destinations: Vec::new(),
        });
        drop(state);
        self.tell();
    }

    /// The session was renewed: streams grow from another secret, and it lasts longer.
    pub(crate) fn renewed(&self, root: StreamRoot, expires: Time) {
        if let Some(live) = &mut self.state().live {
            live.root = Arc::new(root);
            live.expires = expires;
        }
    }

    /// The control connection broke; numbers that its node granted are worth nothing at another.
    pub(crate) fn lost(&self) {
        let mut state = self.state();
        state.link = Link::Reconnecting;
        if let Some(live) = &mut state.live {
            live.numbers.forget();
            live.requested = false;
        }
        drop(state);
        self.tell();
    }

    /// The session goes on over a new connection.
    pub(crate) fn attached(&self, epoch: Epoch) {
        let mut state = self.state();
        state.link = Link::Connected;
        if let Some(live) = &mut state.live {
            live.epoch = epoch;
        }
        drop(state);
        self.tell();
    }

    /// The session is over.
    pub(crate) fn session_over(&self) {
        let mut state = self.state();
        state.link = Link::Connecting;
        state.live = None;
        drop(state);
        self.tell();
    }

    pub(crate) fn stopping(&self) {
        self.state().link = Link::Stopping;
        self.tell();
    }

    pub(crate) fn granted(&self, range: StreamRange) -> Result<(), GrantError> {
        let result = match &mut self.state().live {
            Some(live) => {
                live.requested = false;
                live.numbers.grant(range)
            }
            None => Ok(()),
        };
        self.tell();
        result
    }

    pub(crate) fn latency(&self, latency: Duration) {
        if let Some(live) = &mut self.state().live {
            live.latency = Some(latency);
        }
    }

    /// The version of the configuration that is applied.
    pub(crate) fn configuration(&self) -> Option<u64> {
        self.state().live.as_ref().and_then(|live| live.configuration)
    }

    pub(crate) fn configure(&self, configuration: Configuration) {
        if let Some(live) = &mut self.state().live {
            live.configuration = Some(configuration.version);
            live.destinations = configuration.destinations;
        }
        self.tell();
    }

    pub(crate) fn place(&self) -> Line {
        self.state().place.clone()
    }

    /// Remembers what went wrong, and logs it.
    pub(crate) fn problem(&self, text: &str) {
        tracing::warn!(gateway = %self.gateway, "{text}");
        let mut state = self.state();
        if state.problems.len() == MAX_PROBLEMS {
            state.problems.pop_front();
        }
        state.problems.push_back(Problem { time: format_time(clock::now()), text: text.to_owned() });
    }

    /// Waits for a logout.
    pub(crate) async fn logout_asked(&self) {
        self.logout.notified().await;
    }

    /// Whether streams of that session are live.
    pub(crate) fn has_streams(&self, session: SessionId) -> bool {
        self.state().streams.values().any(|s| s.session == session)
    }

    /// Ends one stream of a session, or all, some time after the gateway said so: its own record
    /// with the same reason comes after all the data and is to be preferred.
    pub(crate) fn end_streams_soon(
        self: &Arc<Self>,
        session: SessionId,
        number: Option<u64>,
        why: AgentError,
    ) {
        let ending: Vec<_> = self
            .state()
            .streams
            .values()
            .filter(|s| s.session == session && number.is_none_or(|n| n == s.number))
            .cloned()
            .collect();
        if ending.is_empty() {
            return;
        }
        tokio::spawn(async move {
            tokio::time::sleep(STREAM_END).await;
            for stream in ending {
                stream.kill.send_replace(Some(why.clone()));
            }
        });
    }

    // --- the side of commands and streams --------------------------------------------------------

    /// Signs out.
    pub(crate) fn logout(&self) {
        self.logout.notify_one();
    }

    /// Another place.
    pub(crate) fn set_place(&self, place: Line) {
        self.state().place = place;
        // A full queue has a report in it.
        let _ = self.commands.try_send(Command::Report);
    }

    /// Waits until the first configuration is applied, or the agent gives up.
    pub(crate) async fn first_configuration(&self) {
        let mut changed = self.changed.subscribe();
        while self.configuration().is_none() && self.state().link != Link::Stopping {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// Refuses an application that the gateway's configuration does not have.
    pub(crate) fn check_destination(&self, app: &AppName) -> Result<(), AgentError> {
        let state = self.state();
        let Some(live) = &state.live else { return Ok(()) };
        let now = clock::now();
        let known = live.destinations.iter().find(|d| d.app == *app);
        match known {
            _ if live.configuration.is_none() => Ok(()),
            Some(destination) if destination.until.is_none_or(|until| now < until) => Ok(()),
            Some(_) => Err(AgentError::denied(format!("your right to reach {app} has ended"))
                .fix("ask an administrator for more time")),
            None => Err(AgentError::denied(format!("{app} is not among your destinations"))
                .fix("symbolon ls shows them; ask an administrator for the right to reach it")),
        }
    }

    /// Draws a number, waiting for the session and for the gateway's grant where needed.
    pub(crate) async fn ticket(&self) -> Result<Ticket, AgentError> {
        let deadline = Instant::now() + NUMBER_PATIENCE;
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            if let Some(ticket) = self.draw() {
                return Ok(ticket);
            }
            if !matches!(timeout_at(deadline, changed.changed()).await, Ok(Ok(()))) {
                let why = match self.state().link {
                    Link::Connected => "the gateway grants no more streams at the moment",
                    _ => "the gateway cannot be reached at the moment",
                };
                return Err(
                    AgentError::unreachable(why).fix("symbolon status shows how it stands; try again")
                );
            }
        }
    }

    fn draw(&self) -> Option<Ticket> {
        let mut state = self.state();
        if state.link != Link::Connected {
            return None;
        }
        let live = state.live.as_mut()?;
        if live.numbers.remaining() <= FEW_NUMBERS && !live.requested {
            live.requested = self.commands.try_send(Command::RequestStreams).is_ok();
        }
        let number = live.numbers.draw()?;
        Some(Ticket { root: Arc::clone(&live.root), number })
    }

    /// Gives up the numbers at hand, which the node refuses.
    pub(crate) fn forget_numbers(&self) {
        if let Some(live) = &mut self.state().live {
            live.numbers.forget();
        }
    }

    /// Puts a stream on the list; it is taken off when the guard goes.
    pub(crate) fn enter_stream(
        self: &Arc<Self>,
        session: SessionId,
        number: u64,
        app: &AppName,
    ) -> Result<StreamGuard, AgentError> {
        let mut state = self.state();
        if state.streams.len() >= MAX_STREAMS {
            return Err(
                AgentError::failure(format!("{MAX_STREAMS} streams are open already")).fix("close some")
            );
        }
        let id = state.id();
        let entry = Arc::new(StreamEntry {
            id,
            session,
            number,
            app: app.clone(),
            since: clock::now(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            kill: watch::Sender::new(None),
        });
        state.streams.insert(id, Arc::clone(&entry));
        Ok(StreamGuard { shared: Arc::clone(self), entry })
    }

    /// How a stream ended, if that is known.
    pub(crate) fn stream_end(&self, id: u64) -> Result<(), AgentError> {
        let state = self.state();
        match state.ends.iter().find(|(ended, _)| *ended == id) {
            Some((_, Some(error))) => Err(error.clone()),
            Some((_, None)) => Ok(()),
            None => Err(AgentError::failure("it is not known (any more) how that stream ended")),
        }
    }

    /// Puts a local port on the list; it is taken off when the guard goes.
    pub(crate) fn enter_listener(self: &Arc<Self>, app: &AppName, address: SocketAddr) -> ListenerGuard {
        let mut state = self.state();
        let id = state.id();
        state.listeners.insert(id, ListenerStatus { app: app.to_string(), address });
        ListenerGuard { shared: Arc::clone(self), id }
    }

    /// Ends all streams at once.
    pub(crate) fn kill_streams(&self) {
        for stream in self.state().streams.values() {
            stream.kill.send_replace(Some(AgentError::failure("the agent stops")));
        }
    }

    /// Ends all streams and waits, not for long, until they have told the gateway.
    pub(crate) async fn end_streams(&self) {
        self.kill_streams();
        let mut changed = self.changed.subscribe();
        let deadline = Instant::now() + STREAM_END;
        while !self.state().streams.is_empty() {
            if timeout_at(deadline, changed.changed()).await.is_err() {
                return;
            }
        }
    }

    pub(crate) fn status(&self) -> Status {
        let state = self.state();
        Status {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            link: state.link,
            gateway: self.gateway.clone(),
            address: self.address.clone(),
            issuer: self.issuer.clone(),
            user: state.user.clone(),
            place: state.place.to_string(),
            session: state.live.as_ref().map(|live| SessionStatus {
                id: live.id.to_string(),
                epoch: live.epoch.0,
                since: format_time(live.opened),
                expires: format_time(live.expires),
                suite: live.suite.to_string(),
                latency_us: live.latency.and_then(|l| u64::try_from(l.as_micros()).ok()),
                configuration: live.configuration,
                destinations: live.destinations.len(),
            }),
            streams: state.streams.values().map(|s| s.status()).collect(),
            listeners: state.listeners.values().cloned().collect(),
            problems: state.problems.iter().cloned().collect(),
        }
    }

    pub(crate) fn destinations(&self) -> Destinations {
        let state = self.state();
        let now = clock::now();
        let live = state.live.as_ref();
        Destinations {
            schema: SCHEMA,
            gateway: self.gateway.clone(),
            configuration: live.and_then(|l| l.configuration),
            destinations: live
                .map(|l| l.destinations.as_slice())
                .unwrap_or_default()
                .iter()
                .filter(|d| d.until.is_none_or(|until| now < until))
                .map(|d| DestinationInfo {
                    app: d.app.to_string(),
                    protocol: d.protocol.chars().filter(|c| !c.is_control()).collect(),
                    description: d.description.chars().filter(|c| !c.is_control()).collect(),
                    until: d.until.map(format_time),
                    class: "normal".to_owned(),
                })
                .collect(),
        }
    }

    pub(crate) fn whoami(&self) -> Result<WhoAmI, AgentError> {
        let state = self.state();
        let live = state.live.as_ref().ok_or_else(|| {
            AgentError::unreachable("there is no session at the moment").fix("symbolon status shows why")
        })?;
        let (class, by) = if self.by_password { ("password", "password") } else { ("software", "challenge") };
        let report = report::report(&state.place);
        Ok(WhoAmI {
            schema: SCHEMA,
            user: state.user.clone(),
            user_code: self.registered.as_ref().map(|r| r.0.clone()),
            access_path: self.registered.as_ref().map(|r| r.1.clone()),
            token_class: class.to_owned(),
            signed_in_by: by.to_owned(),
            gateway: self.gateway.clone(),
            issuer: self.issuer.clone(),
            suite: live.suite.to_string(),
            reported: Reported {
                user: report.user.to_string(),
                machine: report.machine.to_string(),
                system: report.system.to_string(),
                place: report.place.to_string(),
            },
        })
    }
}

impl State {
    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }
}

impl StreamEntry {
    fn status(&self) -> StreamStatus {
        StreamStatus {
            number: self.number,
            app: self.app.to_string(),
            since: format_time(self.since),
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
        }
    }
}

/// A stream that is on the list.
pub(crate) struct StreamGuard {
    shared: Arc<Shared>,
    pub(crate) entry: Arc<StreamEntry>,
}

impl StreamGuard {
    /// Takes the stream off the list and remembers how it ended.
    pub(crate) fn ended(self, result: Result<(), AgentError>) {
        if let Err(e) = &result {
            self.shared.problem(&format!("a stream to {} ended: {}", self.entry.app, e.message));
        }
        let mut state = self.shared.state();
        if state.ends.len() == MAX_ENDS {
            state.ends.pop_front();
        }
        state.ends.push_back((self.entry.id, result.err()));
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.shared.state().streams.remove(&self.entry.id);
        self.shared.tell();
    }
}

/// A local port that is on the list.
pub(crate) struct ListenerGuard {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for ListenerGuard {
    fn drop(&mut self) {
        self.shared.state().listeners.remove(&self.id);
    }
}
