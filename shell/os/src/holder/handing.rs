//! Connections are given to workers, and letters sent.

use super::process::{Letter, Stage, Worker};
use super::{EndedBy, Event, Holder, WorkerId};
use crate::{HeldId, pass};
use rustix::net::SendFlags;
use std::io;
use std::os::fd::AsFd;

impl Holder {
    /// Gives each connection that nobody carries to the worker that leads, when that is ready; one that a
    /// worker gave back to any that may be able, of the newest program first.
    pub(super) fn hand_over(&mut self) {
        let leader = self.leader;
        for id in self.table.orphans() {
            let Some(held) = self.table.get(id) else { continue };
            let may = |(number, worker): &(&WorkerId, &mut Worker)| {
                let leads = leader == Some(**number);
                worker.is_ready()
                    && (leads || !held.unfit.is_empty())
                    && held.can(**number, worker.generation)
            };
            let able = self.workers.iter_mut().filter(may);
            let best = able.max_by_key(|(number, worker)| (leader == Some(**number), worker.generation));
            if let Some((&number, worker)) = best {
                worker.letters.push_back(Letter::Carry(id));
                worker.load += 1;
                self.table.give(id, number);
                self.events.push(Event::HandedOver { id, worker: number });
            } else if !held.unfit.is_empty() && !self.somebody_may_be_able(id) {
                self.end(id, EndedBy::NobodyAble);
            }
        }
    }

    /// Whether a worker that is there, or will be, may carry what others were unable to.
    pub(super) fn somebody_may_be_able(&self, id: HeldId) -> bool {
        let Some(held) = self.table.get(id) else { return false };
        let waiting = |worker: &Worker| matches!(worker.stage, Stage::Starting { .. } | Stage::Ready);
        self.workers.iter().any(|(number, worker)| waiting(worker) && held.can(*number, worker.generation))
            || self.workers.len() < self.settings.workers && held.can(WorkerId(u32::MAX), self.generation)
    }

    /// Resets a connection.
    pub(super) fn end(&mut self, id: HeldId, why: EndedBy) {
        if let Some(held) = self.table.remove(id) {
            held.reset();
            self.events.push(Event::Ended { id, why });
        }
    }

    /// Sends what waits, as far as sockets have room.
    pub(super) fn send_letters(&mut self) {
        for worker in self.workers.values_mut().filter(|worker| worker.is_heard()) {
            while let Some(letter) = worker.letters.front() {
                let (count, sent) = match letter {
                    Letter::Plain(message) => {
                        let bytes = message.to_bytes();
                        (1, pass::send(worker.socket.as_fd(), &bytes, &[], SendFlags::DONTWAIT))
                    }
                    Letter::Carry(_) => self.table.send(worker),
                };
                match sent {
                    Ok(()) => drop(worker.letters.drain(..count)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // it is dead or dying, which the wait will tell
                    Err(_) => worker.letters.clear(),
                }
            }
        }
    }
}
