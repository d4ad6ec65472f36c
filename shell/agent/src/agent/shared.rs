//! What the parts of a running agent share: the session as streams need it, and what commands show.

use crate::agent::account::Account;
use crate::agent::certificates::{Order, Place};
use crate::agent::numbers::Numbers;
use crate::agent::streams::StreamEntry;
use crate::agent::term::Term;
use crate::kept_certificate::CertificateInfo;
use crate::sign_in::{Shown, SignedIn};
use crate::status::{KeysFrom, Link, ListenerStatus, Problem};
use crate::{AgentError, clock};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use symbolon_crypto::Suite;
use symbolon_policy::{AppName, format_time};
use symbolon_provider::{SubjectKeyKind, crypto};
use symbolon_session::{Epoch, GrantError, Line, SessionId, StreamNumber, StreamRange, StreamRoot};
use symbolon_token::{Configuration, Destination};
use symbolon_wire::Time;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

/// Problems that are remembered for `status`.
const MAX_PROBLEMS: usize = 16;

/// How long the first configuration may take after a sign-in.
const CONFIGURATION_PATIENCE: Duration = Duration::from_secs(3);

/// How long a stream waits for the session to be there and for a number.
const NUMBER_PATIENCE: Duration = Duration::from_secs(15);

/// Certificates that wait to be asked for.
const MAX_ORDERS: usize = 4;

/// How long a certificate may take: the gateway's issuer is at hand, or it says that it is not.
const ORDER_PATIENCE: Duration = Duration::from_secs(20);

/// The shared part.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) gateway: String,
    pub(crate) address: String,
    pub(super) issuer: String,
    state: Mutex<State>,
    /// Counts changes of the state that somebody may wait for.
    pub(super) changed: watch::Sender<u64>,
    /// The gateway is to be told about user, machine and place.
    pub(crate) report_due: Notify,
    /// The gateway is to be asked for stream numbers.
    pub(crate) numbers_wanted: Notify,
    /// The user signs out.
    pub(crate) logout: Notify,
    orders: (mpsc::Sender<Order>, tokio::sync::Mutex<mpsc::Receiver<Order>>),
}

/// What changes.
#[derive(Debug)]
pub(super) struct State {
    pub(super) link: Link,
    pub(super) place: Line,
    pub(super) user: String,
    pub(super) live: Option<Live>,
    pub(super) streams: BTreeMap<u64, Arc<StreamEntry>>,
    /// How the last streams ended.
    pub(super) ends: VecDeque<(u64, Option<AgentError>)>,
    pub(super) listeners: BTreeMap<u64, ListenerStatus>,
    pub(super) problems: VecDeque<Problem>,
    next_id: u64,
}

/// The live session, as streams and commands need it.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) id: SessionId,
    pub(super) epoch: Epoch,
    pub(super) opened: Time,
    pub(super) expires: Time,
    pub(super) suite: Suite,
    pub(super) keys_from: KeysFrom,
    pub(super) shown: Shown,
    root: Arc<StreamRoot>,
    numbers: Numbers,
    /// The node at the other end of the control connection, which granted the numbers.
    node: Option<SocketAddr>,
    pub(super) latency: Option<Duration>,
    pub(super) configuration: Option<u64>,
    pub(super) destinations: Vec<Destination>,
}

/// What a stream is opened with.
pub(crate) struct Ticket {
    /// Where the number is good.
    pub(crate) node: Option<SocketAddr>,
    pub(crate) root: Arc<StreamRoot>,
    pub(crate) number: StreamNumber,
}

impl Shared {
    pub(crate) fn new(account: &Account, place: Line) -> Arc<Self> {
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
        let (orders, waiting) = mpsc::channel(MAX_ORDERS);
        Arc::new(Self {
            gateway: account.gateway.name.to_string(),
            address: account.gateway.address.clone(),
            issuer: account.gateway.issuers.root().fingerprint().to_string(),
            state: Mutex::new(state),
            changed: watch::Sender::new(0),
            report_due: Notify::new(),
            numbers_wanted: Notify::new(),
            logout: Notify::new(),
            orders: (orders, tokio::sync::Mutex::new(waiting)),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits for a change.
    pub(super) fn tell(&self) {
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
    }

    // --- the control task's side -----------------------------------------------------------------

    /// A session was opened.
    pub(crate) fn signed_in(&self, signed_in: &SignedIn) {
        let mut state = self.state();
        state.link = Link::Connected;
        state.user = signed_in.subject.clone();
        // Shown until the new session's own come; the gateway decides about each stream anyway.
        let destinations = state.live.take().map(|before| before.destinations).unwrap_or_default();
        state.live = Some(Live {
            id: signed_in.session.id(),
            epoch: signed_in.session.epoch(),
            opened: signed_in.opened,
            expires: Term::new(signed_in.opened, signed_in.lifetime_secs).expires,
            suite: signed_in.suite,
            keys_from: signed_in.keys_from,
            shown: signed_in.shown.clone(),
            root: Arc::new(signed_in.session.stream_root(crypto())),
            numbers: Numbers::default(),
            node: signed_in.carried.node(),
            latency: None,
            configuration: None,
            destinations,
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

    /// The control connection broke.
    pub(crate) fn lost(&self) {
        let mut state = self.state();
        state.link = Link::Reconnecting;
        if let Some(live) = &mut state.live {
            live.numbers.lost();
        }
        drop(state);
        self.tell();
    }

    /// The session goes on over a new connection.
    pub(crate) fn attached(&self, epoch: Epoch, node: Option<SocketAddr>) {
        let mut state = self.state();
        state.link = Link::Connected;
        if let Some(live) = &mut state.live {
            (live.epoch, live.node) = (epoch, node);
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
        if let Some(live) = &mut self.state().live {
            live.numbers.grant(range)?;
        }
        self.tell();
        Ok(())
    }

    /// Whether the gateway is to be asked for stream numbers now; if so, it counts as asked.
    pub(crate) fn ask_for_numbers(&self) -> bool {
        self.state().live.as_mut().is_some_and(|live| live.numbers.ask())
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

    /// The next certificate that a command asks for.
    pub(crate) async fn next_order(&self) -> Order {
        match self.orders.1.lock().await.recv().await {
            Some(order) => order,
            // We hold the other end ourselves.
            None => std::future::pending().await,
        }
    }

    pub(crate) fn place(&self) -> Line {
        self.state().place.clone()
    }

    /// Remembers what went wrong, and logs it.
    pub(crate) fn problem(&self, text: &str) {
        let time = format_time(clock::now());
        let mut state = self.state();
        if let Some(last) = state.problems.back_mut().filter(|p| p.text == text) {
            // A gateway that is away for a night is one problem, not a thousand.
            last.time = time;
            tracing::debug!(gateway = %self.gateway, "{text}");
            return;
        }
        tracing::warn!(gateway = %self.gateway, "{text}");
        if state.problems.len() == MAX_PROBLEMS {
            state.problems.pop_front();
        }
        state.problems.push_back(Problem { time, text: text.to_owned() });
    }

    // --- the side of commands and streams --------------------------------------------------------

    /// Asks for a certificate, and waits until it is kept.
    pub(crate) async fn certificate(
        &self,
        kind: SubjectKeyKind,
        device: String,
        place: Option<Place>,
    ) -> Result<CertificateInfo, AgentError> {
        let (reply, answer) = oneshot::channel();
        let order = Order { kind, device, place, reply };
        let busy = || AgentError::unreachable("the gateway cannot be asked at the moment").fix("try again");
        self.orders.0.try_send(order).map_err(|_| busy())?;
        match timeout(ORDER_PATIENCE, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(AgentError::unreachable("the connection to the gateway was lost").fix("try again")),
            Err(_) => Err(AgentError::unreachable("the gateway did not answer").fix(
                "symbolon status shows how it stands; a gateway may be too old to give certificates in a session",
            )),
        }
    }

    /// Another place.
    pub(crate) fn set_place(&self, place: Line) {
        self.state().place = place;
        self.report_due.notify_one();
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

    /// Waits for the configuration that follows a sign-in at once; not for a gateway that is away.
    pub(crate) async fn configuration_on_its_way(&self) {
        if self.state().link == Link::Connected {
            // without it the gateway decides when a stream is opened
            let _ = timeout(CONFIGURATION_PATIENCE, self.first_configuration()).await;
        }
    }

    /// Refuses an application that the gateway's configuration does not have.
    pub(crate) fn check_destination(&self, app: &AppName) -> Result<(), AgentError> {
        self.standing(app).unwrap_or(Ok(()))
    }

    /// Whether the gateway's configuration has an application; nothing while there is no configuration.
    pub(crate) fn standing(&self, app: &AppName) -> Option<Result<(), AgentError>> {
        let state = self.state();
        let live = state.live.as_ref().filter(|live| live.configuration.is_some())?;
        let now = clock::now();
        Some(match live.destinations.iter().find(|d| d.app == *app) {
            Some(destination) if destination.until.is_none_or(|until| now < until) => Ok(()),
            Some(_) => Err(AgentError::denied(format!("your right to reach {app} has ended"))
                .fix("ask an administrator for more time")),
            None => Err(AgentError::denied(format!("{app} is not among your destinations"))
                .fix("symbolon ls shows them; ask an administrator for the right to reach it")),
        })
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
        let number = live.numbers.draw();
        if live.numbers.are_wanted() {
            self.numbers_wanted.notify_one();
        }
        let number = number?;
        Some(Ticket { node: live.node, root: Arc::clone(&live.root), number })
    }

    /// The node refused a number of that session.
    pub(crate) fn number_refused(&self, session: SessionId, number: u64) {
        if let Some(live) = self.state().live.as_mut().filter(|live| live.id == session) {
            live.numbers.refused(number);
        }
    }
}

impl State {
    /// A number that names something for as long as the agent runs.
    pub(super) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }
}
