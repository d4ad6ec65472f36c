//! The connections that are held.

use super::breaker::Blame;
use super::process::{Letter, Worker};
use super::{Death, MAX_CARRIED, WorkerId};
use crate::message::ToWorker;
use crate::{HeldId, memory, pass};
use rustix::net::SendFlags;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use symbolon_session::ledger::STAMP_AT;

/// Who is unable to carry a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// One worker, which is full.
    Worker(WorkerId),
    /// All of one program, which does not know the ledger's layout.
    Program(u32),
}

/// A connection.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) client: OwnedFd,
    pub(super) application: OwnedFd,
    pub(super) memory: OwnedFd,
    pub(super) carrier: Option<WorkerId>,
    pub(super) deaths: u32,
    pub(super) blame: Blame,
    pub(super) unfit: Vec<Unfit>,
}

impl Held {
    /// A connection of `carrier`'s, if the descriptors are of the right kinds.
    pub(super) fn new(descriptors: Vec<OwnedFd>, carrier: WorkerId) -> Result<Self, &'static str> {
        let Ok([client, application, memory]) = <[OwnedFd; 3]>::try_from(descriptors) else {
            return Err("another number of descriptors than three");
        };
        let is_stream = |fd: &OwnedFd| {
            rustix::net::sockopt::socket_type(fd).is_ok_and(|kind| kind == rustix::net::SocketType::STREAM)
        };
        if !is_stream(&client) || !is_stream(&application) {
            return Err("a connection that is no stream socket");
        }
        if memory::sealed_size(memory.as_fd()).is_none_or(|size| size < STAMP_AT + 8) {
            return Err("a memory file that is none");
        }
        let carrier = Some(carrier);
        Ok(Self { client, application, memory, carrier, deaths: 0, blame: Blame::default(), unfit: vec![] })
    }

    /// Whether this worker, of the program of this generation, was not found unable.
    pub(super) fn can(&self, worker: WorkerId, generation: u32) -> bool {
        !self.unfit.contains(&Unfit::Worker(worker)) && !self.unfit.contains(&Unfit::Program(generation))
    }

    /// The word that changes with each commit.
    pub(super) fn stamp(&self) -> u64 {
        let mut word = [0; 8];
        // what cannot be read stands still, which is the worse for the connection
        let _ = rustix::io::pread(&self.memory, &mut word, STAMP_AT as u64);
        u64::from_ne_bytes(word)
    }

    /// Resets both sockets, of which nobody else has a descriptor any more.
    pub(super) fn reset(self) {
        for socket in [&self.client, &self.application] {
            // one that is not connected any more needs none
            let _ = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
        }
    }

    pub(super) fn descriptors(&self) -> [BorrowedFd<'_>; 3] {
        [self.client.as_fd(), self.application.as_fd(), self.memory.as_fd()]
    }
}

/// All connections, by name.
#[derive(Debug, Default)]
pub(super) struct Table {
    connections: BTreeMap<HeldId, Held>,
    /// Those that nobody carries.
    orphans: BTreeSet<HeldId>,
}

impl Table {
    /// Descriptors that are left for workers, their sockets and the next program.
    const RESERVE: u64 = 64;

    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    /// Whether one more would leave too few descriptors.
    pub(super) fn is_full(&self) -> bool {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        limit.is_some_and(|limit| 3 * (self.connections.len() as u64 + 1) + Self::RESERVE > limit)
    }

    pub(super) fn get(&self, id: HeldId) -> Option<&Held> {
        self.connections.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: HeldId) -> Option<&mut Held> {
        self.connections.get_mut(&id)
    }

    /// The connection, if `worker` carries it.
    pub(super) fn carried_by(&mut self, id: HeldId, worker: WorkerId) -> Option<&mut Held> {
        self.connections.get_mut(&id).filter(|held| held.carrier == Some(worker))
    }

    /// Holds a connection, under a name that is free.
    pub(super) fn insert(&mut self, id: HeldId, held: Held) {
        if held.carrier.is_none() {
            self.orphans.insert(id);
        }
        self.connections.insert(id, held);
    }

    pub(super) fn remove(&mut self, id: HeldId) -> Option<Held> {
        self.orphans.remove(&id);
        self.connections.remove(&id)
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&HeldId, &Held)> {
        self.connections.iter()
    }

    /// Those that nobody carries.
    pub(super) fn orphans(&self) -> Vec<HeldId> {
        self.orphans.iter().copied().collect()
    }

    /// Nobody carries it any more.
    pub(super) fn orphan(&mut self, id: HeldId) {
        if let Some(held) = self.connections.get_mut(&id) {
            held.carrier = None;
            self.orphans.insert(id);
        }
    }

    /// This worker is to carry it.
    pub(super) fn give(&mut self, id: HeldId, worker: WorkerId) {
        if let Some(held) = self.connections.get_mut(&id) {
            held.carrier = Some(worker);
            self.orphans.remove(&id);
        }
    }

    /// Takes back all that a dead worker carried.
    pub(super) fn orphan_all(&mut self, worker: WorkerId, death: Death) -> usize {
        let mut orphans = 0;
        for (&id, held) in self.connections.iter_mut().filter(|(_, held)| held.carrier == Some(worker)) {
            held.carrier = None;
            self.orphans.insert(id);
            held.deaths = held.deaths.saturating_add(u32::from(death != Death::Ended));
            orphans += 1;
        }
        orphans
    }

    /// Sends a worker the connections that stand first among its letters, as many as one message holds,
    /// and says how many those are.
    pub(super) fn send(&self, worker: &Worker) -> (usize, io::Result<()>) {
        let (mut carried, mut descriptors, mut count) = (vec![], vec![], 0);
        for letter in worker.letters.iter().take(MAX_CARRIED) {
            let Letter::Carry(id) = letter else { break };
            count += 1;
            // one that was ended meanwhile is left out
            if let Some(held) = self.get(*id) {
                carried.push((*id, held.deaths));
                descriptors.extend(held.descriptors());
            }
        }
        if carried.is_empty() {
            return (count, Ok(()));
        }
        let bytes = ToWorker::Carry(carried).to_bytes();
        (count, pass::send(worker.socket.as_fd(), &bytes, &descriptors, SendFlags::DONTWAIT))
    }
}
