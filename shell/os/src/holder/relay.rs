//! The relay: a process that carries the applications of which the kernel counts nothing, so that they outlive
//! the worker. It is begun when somebody first asks, and the holder hears nothing of it.
//!
//! ```text
//!   Serves ── Stop ──> Leaves (asked nothing more; ends with its last connection, however long that is)
//!      └────────┴───── Stop, last ──> Ends (so soon, or killed)
//! ```
//! Workers ask over one socket that outlives them all: whoever serves takes the next question from it.

use super::process::{Respawn, spawn, wait};
use super::{Event, Holder, WorkerProgram};
use crate::message::ToWorker;
use crate::pass;
use rustix::net::SendFlags;
use rustix::process::Signal;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// A relay that lived as long as this is replaced at once.
const PROVED: Duration = Duration::from_secs(1);

/// Where a relay stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It answers.
    Serves,
    /// It carries what it has, and answers no more.
    Leaves,
    /// The family ends; after this time since the holder began it is killed.
    Ends { until: Duration },
    /// It was killed.
    Condemned,
}

/// A relay.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) pid: u32,
    pub(super) generation: u32,
    pub(super) stage: Stage,
    /// Since when, after the holder began.
    pub(super) since: Duration,
    pub(super) process: OwnedFd,
    pub(super) socket: OwnedFd,
}

/// What there is of relays.
#[derive(Debug)]
pub(super) struct Relays {
    /// Nothing, where there are to be none.
    pub(super) program: Option<WorkerProgram>,
    /// From which they take questions.
    pub(super) requests: OwnedFd,
    /// Into which workers put them.
    pub(super) asking: OwnedFd,
    pub(super) all: Vec<Relay>,
    pub(super) respawn: Respawn,
}

impl Relays {
    pub(super) fn new(program: Option<WorkerProgram>) -> io::Result<Self> {
        let (requests, asking) = pass::pair()?;
        Ok(Self { program, requests, asking, all: Vec::new(), respawn: Respawn::default() })
    }
}

impl Relay {
    fn begin(
        program: &WorkerProgram,
        requests: BorrowedFd<'_>,
        generation: u32,
        since: Duration,
    ) -> io::Result<Self> {
        let (socket, theirs) = pass::pair()?;
        // into the empty socket, so it cannot block
        pass::send(socket.as_fd(), &ToWorker::Relay.to_bytes(), &[requests], SendFlags::DONTWAIT)?;
        let (pid, process) = spawn(program, theirs)?;
        Ok(Self { pid, generation, stage: Stage::Serves, since, process, socket })
    }

    fn tell_to_stop(&mut self, last: bool) {
        // the third message at most; it may be dead already
        let bytes = ToWorker::Stop { last }.to_bytes();
        let _ = pass::send(self.socket.as_fd(), &bytes, &[], SendFlags::DONTWAIT);
    }

    pub(super) fn condemn(&mut self) {
        self.stage = Stage::Condemned;
        // it may be dead already
        let _ = rustix::process::pidfd_send_signal(&self.process, Signal::KILL);
    }
}

impl Holder {
    /// Whether a relay is to be begun as soon as somebody asks.
    pub(super) fn waits_for_questions(&self) -> bool {
        let serves = |relay: &Relay| relay.stage == Stage::Serves && relay.generation == self.generation;
        !self.stopping && self.relays.program.is_some() && !self.relays.all.iter().any(serves)
    }

    /// Somebody asks, and there is nobody to answer.
    pub(super) fn begin_relay(&mut self) {
        let now = self.now();
        let Some(program) = self.relays.program.as_ref().filter(|_| self.relays.respawn.not_before <= now)
        else {
            return;
        };
        match Relay::begin(program, self.relays.requests.as_fd(), self.generation, now) {
            Ok(relay) => {
                self.events.push(Event::RelayBegun { pid: relay.pid });
                self.relays.all.push(relay);
            }
            Err(error) => {
                self.relays.respawn.failed(now);
                self.events.push(Event::NotBegun(error.to_string()));
            }
        }
    }

    /// Those of former programs take no more questions; when no worker is left, all come to their end.
    pub(super) fn dismiss_relays(&mut self) {
        let (now, generation) = (self.now(), self.generation);
        let last = self.stopping && self.workers.is_empty();
        for relay in &mut self.relays.all {
            match relay.stage {
                Stage::Serves | Stage::Leaves if last => {
                    relay.tell_to_stop(true);
                    relay.stage = Stage::Ends { until: now + self.settings.stop_within };
                }
                Stage::Serves if relay.generation != generation => {
                    relay.tell_to_stop(false);
                    relay.stage = Stage::Leaves;
                }
                Stage::Ends { until } if until <= now => relay.condemn(),
                _ => {}
            }
        }
    }

    /// Waits for relays that are dead. What they carried they have reset, or the kernel has.
    pub(super) fn bury_relays(&mut self) -> io::Result<()> {
        let now = self.now();
        let mut living = Vec::with_capacity(self.relays.all.len());
        for relay in std::mem::take(&mut self.relays.all) {
            let Some(death) = wait(relay.process.as_fd(), relay.stage == Stage::Condemned)? else {
                living.push(relay);
                continue;
            };
            if relay.stage == Stage::Serves && now < relay.since + PROVED {
                self.relays.respawn.failed(now);
            } else {
                self.relays.respawn.succeeded();
            }
            self.events.push(Event::RelayDied { pid: relay.pid, death });
        }
        self.relays.all = living;
        Ok(())
    }
}
