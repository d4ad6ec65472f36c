//! The world: one clock, one queue of events, letters between hosts, and tasks that wait for letters.
//!
//! Nothing here knows what the letters say. A host is as many tasks as it likes; when it crashes they are dropped
//! where they wait, and what was on its way to them is lost.

use crate::bug::Bug;
use crate::letter::Letter;
use crate::random::Random;
use crate::reference::Reference;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use symbolon_wire::Time;

/// Microseconds since the world began.
pub(crate) type Instant = u64;
pub(crate) const MS: u64 = 1_000;
pub(crate) const SEC: u64 = 1_000_000;

/// What all clocks show when the world begins.
const MORNING: u64 = 1_800_000_000 * SEC;

/// Where letters wait.
pub(crate) type Inbox = u64;
/// Boxes below are the doors of hosts: letters to them come in any order.
const FIRST_OF_A_CONNECTION: Inbox = 100;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Who sends and receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Host {
    Node(u8),
    Client(u8),
    /// Of the hot store.
    Server(u8),
    /// The durable records.
    Records,
    /// Where the administrator sits.
    Office,
    /// What befalls the others.
    Fate,
}

impl Host {
    /// The box in which everybody may put a letter.
    pub(crate) const fn door(self) -> Inbox {
        match self {
            Self::Node(n) => 1 + n as u64,
            Self::Server(n) => 20 + n as u64,
            Self::Records => 30,
            Self::Office => 31,
            Self::Fate => 32,
            Self::Client(n) => 40 + n as u64,
        }
    }
}

struct Letterbox {
    generation: u64,
    host: Host,
    letters: VecDeque<Letter>,
    waiting: Option<u64>,
    /// When the last letter arrives: a connection delivers in order.
    last: Instant,
    /// A letter of this connection was lost, and so are all after it.
    broken: bool,
}

enum Event {
    /// To a box of this generation: what was on its way to a process that died does not reach the next.
    Deliver(Inbox, u64, Letter),
    Wake(u64),
}

pub(crate) struct Kernel {
    now: Instant,
    sequence: u64,
    queue: BTreeMap<(Instant, u64), Event>,
    boxes: BTreeMap<Inbox, Letterbox>,
    next_inbox: Inbox,
    next_task: u64,
    current: u64,
    spawned: Vec<(u64, Host, Task)>,
    killed: Vec<Host>,
    /// From whom nothing comes through to whom.
    pub(crate) blocked: BTreeSet<(Host, Host)>,
    /// How many letters in a thousand are lost.
    pub(crate) loss: u64,
    offsets: BTreeMap<Host, i64>,
    pub(crate) random: Random,
    trace: Option<Vec<String>>,
    pub(crate) reference: Reference,
    pub(crate) bug: Option<Bug>,
    /// To which server the name of the hot store leads.
    pub(crate) primary: u8,
    /// Whether the other server has had all that the primary acknowledged, since it was started.
    pub(crate) in_step: bool,
    /// The context keys of each node, which die with it.
    pub(crate) keys: BTreeMap<u8, u64>,
    /// Which token each user has now.
    pub(crate) tokens: BTreeMap<u8, u32>,
    /// How many streams were asked for.
    pub(crate) operations: u64,
}

/// The world as its inhabitants have it.
#[derive(Clone)]
pub(crate) struct World(Arc<Mutex<Kernel>>);

impl World {
    pub(crate) fn new(seed: u64, bug: Option<Bug>, traced: bool) -> Self {
        Self(Arc::new(Mutex::new(Kernel {
            now: 0,
            sequence: 0,
            queue: BTreeMap::new(),
            boxes: BTreeMap::new(),
            next_inbox: FIRST_OF_A_CONNECTION,
            next_task: 1,
            current: 0,
            spawned: Vec::new(),
            killed: Vec::new(),
            blocked: BTreeSet::new(),
            loss: 0,
            offsets: BTreeMap::new(),
            random: Random::new(seed),
            trace: traced.then(Vec::new),
            reference: Reference::default(),
            bug,
            primary: 0,
            in_step: false,
            keys: BTreeMap::new(),
            tokens: BTreeMap::new(),
            operations: 0,
        })))
    }

    pub(crate) fn kernel(&self) -> MutexGuard<'_, Kernel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Instant {
        self.kernel().now
    }

    /// What a host's clock shows.
    pub(crate) fn clock(&self, host: Host) -> Time {
        let kernel = self.kernel();
        let offset = kernel.offsets.get(&host).copied().unwrap_or(0);
        Time((MORNING + kernel.now).saturating_add_signed(offset))
    }

    /// The time as nobody knows it who has a clock.
    pub(crate) fn true_time(&self) -> Time {
        Time(MORNING + self.now())
    }

    pub(crate) fn set_clock(&self, host: Host, offset: i64) {
        self.kernel().offsets.insert(host, offset);
        self.note(|| format!("clock of {host:?} is off by {} ms", offset / 1000));
    }

    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.kernel().bug == Some(bug)
    }

    pub(crate) fn random(&self, from: u64, to: u64) -> u64 {
        self.kernel().random.between(from, to)
    }

    pub(crate) fn percent(&self, percent: u64) -> bool {
        self.kernel().random.percent(percent)
    }

    /// Fresh random numbers for one who needs them while the world is his.
    pub(crate) fn entropy(&self) -> Random {
        Random::new(self.kernel().random.next())
    }

    /// Writes a line of the trace, if there is one.
    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        let mut kernel = self.kernel();
        let now = kernel.now;
        if let Some(trace) = &mut kernel.trace {
            trace.push(format!("{:>4}.{:06} {}", now / SEC, now % SEC, line()));
        }
    }

    pub(crate) fn take_trace(&self) -> Vec<String> {
        self.kernel().trace.take().unwrap_or_default()
    }

    /// Tells the reference model what happened.
    pub(crate) fn refer(&self, tell: impl FnOnce(&mut Reference, Instant)) {
        let mut kernel = self.kernel();
        let now = kernel.now;
        tell(&mut kernel.reference, now);
    }

    /// Sets up a box in front of a host's door.
    pub(crate) fn open_door(&self, host: Host) -> Inbox {
        self.make_box(host, host.door());
        host.door()
    }

    /// A new box for one connection or one answer.
    pub(crate) fn open_box(&self, host: Host) -> Inbox {
        let inbox = {
            let mut kernel = self.kernel();
            kernel.next_inbox += 1;
            kernel.next_inbox
        };
        self.make_box(host, inbox);
        inbox
    }

    fn make_box(&self, host: Host, inbox: Inbox) {
        let mut kernel = self.kernel();
        kernel.sequence += 1;
        let generation = kernel.sequence;
        let letterbox =
            Letterbox { generation, host, letters: VecDeque::new(), waiting: None, last: 0, broken: false };
        kernel.boxes.insert(inbox, letterbox);
    }

    pub(crate) fn close_box(&self, inbox: Inbox) {
        self.kernel().boxes.remove(&inbox);
    }

    /// Sends a letter on its way; whether it arrives, its sender does not learn.
    pub(crate) fn post(&self, from: Host, inbox: Inbox, letter: Letter) {
        self.note(|| format!("{from:?} -> {inbox}: {letter:?}"));
        let kernel = &mut *self.kernel();
        let Some(letterbox) = kernel.boxes.get_mut(&inbox) else { return };
        let to = letterbox.host;
        let of_a_connection = inbox >= FIRST_OF_A_CONNECTION;
        let far = from != to;
        if far && (kernel.blocked.contains(&(from, to)) || kernel.random.next() % 1000 < kernel.loss) {
            letterbox.broken |= of_a_connection;
        }
        if letterbox.broken || (far && kernel.blocked.contains(&(from, to))) {
            return;
        }
        let delay = match kernel.random.next() % 100 {
            _ if !far => 1,
            0..5 => kernel.random.between(20 * MS, 300 * MS),
            _ => kernel.random.between(MS / 5, 8 * MS),
        };
        let generation = letterbox.generation;
        let mut at = kernel.now + delay;
        if of_a_connection {
            at = at.max(letterbox.last + 1);
            letterbox.last = at;
        }
        kernel.sequence += 1;
        kernel.queue.insert((at, kernel.sequence), Event::Deliver(inbox, generation, letter));
    }

    /// The next letter, or none when none came in time.
    pub(crate) fn receive(&self, inbox: Inbox, until: Instant) -> Receive {
        Receive { world: self.clone(), inbox, until, armed: false }
    }

    pub(crate) async fn sleep(&self, host: Host, time: u64) {
        let inbox = self.open_box(host);
        let until = self.now() + time;
        self.receive(inbox, until).await;
        self.close_box(inbox);
    }

    /// Begins a task of a host.
    pub(crate) fn spawn(&self, host: Host, task: impl Future<Output = ()> + Send + 'static) {
        let mut kernel = self.kernel();
        let id = kernel.next_task;
        kernel.next_task += 1;
        kernel.spawned.push((id, host, Box::pin(task)));
    }

    /// Stops a host where it stands.
    pub(crate) fn crash(&self, host: Host) {
        self.note(|| format!("{host:?} crashes"));
        let mut kernel = self.kernel();
        kernel.killed.push(host);
        kernel.boxes.retain(|_, letterbox| letterbox.host != host);
    }

    /// Lets time pass until `end`, or until something is wrong.
    pub(crate) fn run(&self, end: Instant) {
        let mut tasks: BTreeMap<u64, (Host, Task)> = BTreeMap::new();
        loop {
            self.settle(&mut tasks);
            let task = {
                let kernel = &mut *self.kernel();
                if kernel.reference.violation().is_some() {
                    return;
                }
                let Some(((at, _), event)) = kernel.queue.pop_first() else { return };
                if at > end {
                    return;
                }
                kernel.now = at;
                match event {
                    Event::Wake(task) => Some(task),
                    Event::Deliver(inbox, generation, letter) => {
                        let there = kernel.boxes.get_mut(&inbox).filter(|b| b.generation == generation);
                        there.and_then(|letterbox| {
                            letterbox.letters.push_back(letter);
                            letterbox.waiting.take()
                        })
                    }
                }
            };
            if let Some(task) = task {
                self.poll(&mut tasks, task);
            }
        }
    }

    /// Takes in the tasks that were begun, and drops those of crashed hosts.
    fn settle(&self, tasks: &mut BTreeMap<u64, (Host, Task)>) {
        loop {
            let (killed, spawned) = {
                let mut kernel = self.kernel();
                (std::mem::take(&mut kernel.killed), std::mem::take(&mut kernel.spawned))
            };
            if killed.is_empty() && spawned.is_empty() {
                return;
            }
            tasks.retain(|_, (host, _)| !killed.contains(host));
            for (id, host, task) in spawned {
                tasks.insert(id, (host, task));
                self.poll(tasks, id);
            }
        }
    }

    fn poll(&self, tasks: &mut BTreeMap<u64, (Host, Task)>, id: u64) {
        let Some((host, mut task)) = tasks.remove(&id) else { return };
        self.kernel().current = id;
        if task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            tasks.insert(id, (host, task));
        }
    }
}

/// Waits for a letter.
pub(crate) struct Receive {
    world: World,
    inbox: Inbox,
    until: Instant,
    armed: bool,
}

impl Future for Receive {
    type Output = Option<Letter>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Letter>> {
        let world = self.world.clone();
        let kernel = &mut *world.kernel();
        let Some(letterbox) = kernel.boxes.get_mut(&self.inbox) else { return Poll::Ready(None) };
        if let Some(letter) = letterbox.letters.pop_front() {
            return Poll::Ready(Some(letter));
        }
        if kernel.now >= self.until {
            return Poll::Ready(None);
        }
        letterbox.waiting = Some(kernel.current);
        if !self.armed {
            self.armed = true;
            kernel.sequence += 1;
            kernel.queue.insert((self.until, kernel.sequence), Event::Wake(kernel.current));
        }
        Poll::Pending
    }
}
