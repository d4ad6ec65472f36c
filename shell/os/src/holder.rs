//! The process that stays: it keeps listening sockets and the descriptors of connections while workers
//! come and go.
//!
//! It looks at no byte of a client and computes nothing, so that there is little in it that can fail.
//! What it knows of a connection is three descriptors, a number, and how its workers died.
//!
//! ```text
//!   Starting ── Ready ──> may lead ── Stop ──> Stopping ──┐
//!       └──────────┴── nonsense ──> Condemned ────────────┴──> dead, waited for ──> the next
//! ```
//! One worker **leads**: it accepts, and gets the connections of the dead. It leads until it is dead and
//! waited for; then the next does. The others are begun, ready, and wait.

mod breaker;
mod event;
mod handing;
mod hearing;
mod leading;
mod process;
mod relay;
mod staff;
mod succession;
mod table;

use self::process::{Letter, Respawn, Stage, Worker};
use self::relay::Relays;
use self::table::Table;
use crate::message::{MAX_CARRIED, ToWorker};
use crate::{FamilyKey, HeldId};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use self::breaker::{BreakerRules, Death};
pub use self::event::{EndedBy, Event};

/// A program that can be a worker or a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerProgram {
    /// Where it is.
    pub path: PathBuf,
    /// What it is told.
    pub arguments: Vec<OsString>,
    /// What it finds in its environment beside the holder's own.
    pub environment: Vec<(OsString, OsString)>,
}

/// How a holder is set up.
#[derive(Debug)]
pub struct HolderSettings {
    /// The workers' program.
    pub program: WorkerProgram,
    /// What is begun when somebody asks the relay; nothing where nobody will.
    pub relay: Option<WorkerProgram>,
    /// How many workers there are; with two or more, one is ready when the leader dies.
    pub workers: usize,
    /// The listening sockets that all workers have, at most 250; the one that leads accepts.
    pub listeners: Vec<OwnedFd>,
    /// When a connection is ended that kills its workers.
    pub breaker: BreakerRules,
    /// How long a worker may take until it is ready.
    pub start_within: Duration,
    /// How long a worker that was told to stop may take.
    pub stop_within: Duration,
}

/// A worker, as the holder counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(u32);

/// What was once, whoever lives now.
#[derive(Clone, Copy, Debug, Default)]
struct Past {
    /// A worker was ready.
    ready: bool,
    /// So many workers led, and were ready.
    leaders: u64,
}

/// The holder.
#[derive(Debug)]
pub struct Holder {
    settings: HolderSettings,
    family: FamilyKey,
    table: Table,
    workers: BTreeMap<WorkerId, Worker>,
    relays: Relays,
    /// Who leads, from the letter that says so until it is waited for.
    leader: Option<WorkerId>,
    /// What workers of this family came to be.
    past: Past,
    /// Counts the programs; workers of the greatest lead, as soon as they can.
    generation: u32,
    next_worker: u32,
    respawn: Respawn,
    since: Instant,
    stopping: bool,
    events: Vec<Event>,
}

impl Holder {
    /// A holder with a fresh family key, and no worker before its first turn.
    ///
    /// # Errors
    /// When descriptors or memory are exhausted.
    pub fn new(mut settings: HolderSettings) -> io::Result<Self> {
        Ok(Self {
            relays: Relays::new(settings.relay.take())?,
            settings,
            family: FamilyKey::create()?,
            table: Table::default(),
            workers: BTreeMap::new(),
            leader: None,
            past: Past::default(),
            generation: 1,
            next_worker: 1,
            respawn: Respawn::default(),
            since: Instant::now(),
            stopping: false,
            events: Vec::new(),
        })
    }

    /// Waits until something happens, at most for `limit`, deals with all of it, and tells. To be called
    /// again and again. `wake` is a descriptor of the caller's that ends the waiting: its signals.
    ///
    /// # Errors
    /// When the kernel does not let it wait: the holder cannot go on.
    pub fn turn(&mut self, wake: Option<BorrowedFd<'_>>, limit: Option<Duration>) -> io::Result<Vec<Event>> {
        self.dismiss_relays();
        self.stop_old_workers();
        self.begin_workers();
        self.appoint();
        self.hand_over();
        self.send_letters();
        let Noticed { said, dead, relay_dead, asked } = self.wait(wake, limit)?;
        for id in said {
            self.hear(id);
        }
        for id in dead {
            self.bury(id)?;
        }
        if relay_dead {
            self.bury_relays()?;
        }
        if asked {
            self.begin_relay();
        }
        // at once: to begin the dead one's successor takes longer than all the rest
        self.appoint();
        self.hand_over();
        self.send_letters();
        Ok(std::mem::take(&mut self.events))
    }

    /// Replaces all workers by ones of `program`: they are begun, and when all of them are ready the old
    /// ones are told to stop. Those that are not ready yet are told at once.
    ///
    /// A relay that is there carries what it has to the end, and `relay` is begun when somebody asks next.
    pub fn replace_workers(&mut self, program: WorkerProgram, relay: Option<WorkerProgram>) {
        self.settings.program = program;
        self.relays.program = relay;
        self.relays.respawn = Respawn::default();
        self.generation += 1;
        self.respawn = Respawn::default();
    }

    /// Tells all workers to read the configuration again.
    pub fn reload(&mut self) {
        for worker in self.workers.values_mut().filter(|worker| worker.is_heard()) {
            worker.letters.push_back(Letter::Plain(ToWorker::Reload));
        }
    }

    /// Tells all workers to stop in order, and begins none. Connections end with the holder.
    pub fn stop(&mut self) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        for id in self.workers.keys().copied().collect::<Vec<_>>() {
            self.tell_to_stop(id, true);
        }
    }

    /// Kills all workers at once, and begins none. Connections end with the holder.
    pub fn kill(&mut self) {
        self.stopping = true;
        self.workers.values_mut().for_each(Worker::condemn);
        self.relays.all.iter_mut().for_each(relay::Relay::condemn);
    }

    /// How many workers there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// How many processes of the family there are, relays included.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.workers.len() + self.relays.all.len()
    }

    /// The processes of the relays that live, the newest last.
    #[must_use]
    pub fn relays(&self) -> Vec<u32> {
        self.relays.all.iter().map(|relay| relay.pid).collect()
    }

    /// How many connections are held.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.table.len()
    }

    /// The process of a worker that lives.
    #[must_use]
    pub fn pid(&self, worker: WorkerId) -> Option<u32> {
        self.workers.get(&worker).map(|worker| worker.pid)
    }

    /// The worker that carries most connections, if any carries one.
    #[must_use]
    pub fn busiest(&self) -> Option<WorkerId> {
        let carrying = self.workers.iter().filter(|(_, worker)| worker.load > 0);
        carrying.max_by_key(|(_, worker)| worker.load).map(|(&id, _)| id)
    }

    /// The worker that leads, if one does. It may not be ready yet, or be about to end.
    #[must_use]
    pub fn leader(&self) -> Option<WorkerId> {
        self.leader
    }

    /// Who carries a connection.
    #[must_use]
    pub fn carrier(&self, connection: HeldId) -> Option<WorkerId> {
        self.table.get(connection)?.carrier
    }

    fn now(&self) -> Duration {
        self.since.elapsed()
    }

    /// Waits, and tells what there is to do.
    fn wait(&mut self, wake: Option<BorrowedFd<'_>>, limit: Option<Duration>) -> io::Result<Noticed> {
        let now = self.now();
        let mut limit = if self.events.is_empty() { limit } else { Some(Duration::ZERO) };
        let mut no_longer = |until: Duration| {
            let wait = until.saturating_sub(now);
            limit = Some(limit.map_or(wait, |limit| limit.min(wait)));
        };
        if !self.stopping && self.respawn.not_before > now {
            no_longer(self.respawn.not_before);
        }
        for relay in &self.relays.all {
            if let relay::Stage::Ends { until } = relay.stage {
                no_longer(until);
            }
        }
        let listens = self.waits_for_questions();
        if listens && self.relays.respawn.not_before > now {
            no_longer(self.relays.respawn.not_before);
        }
        let listens = listens && self.relays.respawn.not_before <= now;
        let mut fds = Vec::with_capacity(2 * self.workers.len() + self.relays.all.len() + 2);
        for worker in self.workers.values() {
            let mut events = PollFlags::IN;
            if !worker.letters.is_empty() {
                events |= PollFlags::OUT;
                // room may also come of other processes' taking their descriptors
                no_longer(now + Duration::from_millis(10));
            }
            if let Stage::Starting { until } | Stage::Stopping { until } | Stage::Silent { until } =
                worker.stage
            {
                no_longer(until);
            }
            // a socket that hung up would wake us again and again
            let socket = if worker.is_heard() { &worker.socket } else { &worker.process };
            fds.push(PollFd::from_borrowed_fd(socket.as_fd(), events));
            fds.push(PollFd::from_borrowed_fd(worker.process.as_fd(), PollFlags::IN));
        }
        let of_relays = fds.len();
        for relay in &self.relays.all {
            fds.push(PollFd::from_borrowed_fd(relay.process.as_fd(), PollFlags::IN));
        }
        let of_questions = fds.len();
        if listens {
            fds.push(PollFd::from_borrowed_fd(self.relays.requests.as_fd(), PollFlags::IN));
        }
        fds.extend(wake.map(|wake| PollFd::from_borrowed_fd(wake, PollFlags::IN)));
        let limit = limit.map(|limit| Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        match rustix::event::poll(&mut fds, limit.as_ref()) {
            Err(rustix::io::Errno::INTR) => return Ok(Noticed::default()),
            other => other?,
        };
        let readable = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
        let (mut said, mut dead) = (vec![], vec![]);
        for (id, fds) in self.workers.keys().zip(fds.chunks(2)) {
            if fds[0].revents().intersects(readable) {
                said.push(*id);
            }
            if fds[1].revents().intersects(readable) {
                dead.push(*id);
            }
        }
        if wake.is_some() && fds.last().is_some_and(|fd| fd.revents().intersects(readable)) {
            self.events.push(Event::Woken);
        }
        let is_readable = |fd: &PollFd<'_>| fd.revents().intersects(readable);
        let relay_dead = fds[of_relays..of_questions].iter().any(is_readable);
        let asked = listens && is_readable(&fds[of_questions]);
        Ok(Noticed { said, dead, relay_dead, asked })
    }
}

/// What there is to do after waiting.
#[derive(Debug, Default)]
struct Noticed {
    /// Workers that said something.
    said: Vec<WorkerId>,
    /// Workers that are dead.
    dead: Vec<WorkerId>,
    /// A relay is dead.
    relay_dead: bool,
    /// Somebody asks for a relay, and there is none.
    asked: bool,
}
