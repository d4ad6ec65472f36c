//! Workers begin, stop, and are waited for.

use super::process::{Letter, Stage, Worker};
use super::{EndedBy, Event, Holder, WorkerId};
use crate::InHand;
use crate::message::ToWorker;
use std::io;
use std::os::fd::AsFd;

impl Holder {
    /// Begins a worker if there are fewer of the present program than there should be, and all that live
    /// were ready once: the first start makes what the others find, and two at once would both make it.
    pub(super) fn begin_workers(&mut self) {
        let now = self.now();
        let one_begins = self.workers.values().any(|worker| !worker.proved);
        if self.stopping || one_begins || now < self.respawn.not_before {
            return;
        }
        // one that is dying is replaced when it is dead: only then is it known how
        let is_present = |worker: &&Worker| {
            worker.generation == self.generation
                && matches!(worker.stage, Stage::Starting { .. } | Stage::Ready | Stage::Silent { .. })
        };
        let present = self.workers.values().filter(is_present).count();
        let settings = &self.settings;
        if present >= settings.workers {
            return;
        }
        let relay = self.relays.asking.as_fd();
        let until = now + settings.start_within;
        let (program, listeners) = (&settings.program, &settings.listeners);
        let id = WorkerId(self.next_worker);
        match Worker::begin(program, id, self.generation, &self.family, relay, listeners, until) {
            Ok(worker) => {
                self.next_worker += 1;
                self.events.push(Event::Begun { worker: id, pid: worker.pid });
                self.workers.insert(id, worker);
            }
            Err(error) => {
                self.respawn.failed(now);
                self.events.push(Event::NotBegun(error.to_string()));
            }
        }
    }

    /// Once the present program's workers are ready, those of former programs stop; those that are not
    /// ready yet at once, since the present program's wait for them. Those that take too long are killed.
    pub(super) fn stop_old_workers(&mut self) {
        let now = self.now();
        let generation = self.generation;
        let is_new = |worker: &&Worker| worker.generation == generation && worker.is_ready();
        let enough = self.workers.values().filter(is_new).count() >= self.settings.workers;
        for id in self.workers.keys().copied().collect::<Vec<_>>() {
            let Some(worker) = self.workers.get_mut(&id) else { continue };
            match worker.stage {
                Stage::Starting { .. } if worker.generation != generation => self.tell_to_stop(id, false),
                Stage::Ready if enough && worker.generation != generation => self.tell_to_stop(id, false),
                Stage::Stopping { until } | Stage::Silent { until } if until <= now => {
                    worker.condemn();
                    self.events.push(Event::DidNotStop(id));
                }
                Stage::Starting { until } if until <= now => {
                    worker.condemn();
                    self.events.push(Event::DidNotStart(id));
                }
                _ => {}
            }
        }
    }

    /// Tells a worker to stop; one that was told already only if it is the last that it hears.
    pub(super) fn tell_to_stop(&mut self, id: WorkerId, last: bool) {
        let until = self.now() + self.settings.stop_within;
        if let Some(worker) = self.workers.get_mut(&id)
            && worker.is_heard()
            && (last || !matches!(worker.stage, Stage::Stopping { .. }))
        {
            worker.stage = Stage::Stopping { until };
            // what it was to carry, and did not get, is another's
            for letter in std::mem::take(&mut worker.letters) {
                match letter {
                    Letter::Carry(connection) => {
                        self.table.orphan(connection);
                        worker.load -= 1;
                    }
                    plain @ Letter::Plain(_) => worker.letters.push_back(plain),
                }
            }
            worker.letters.push_back(Letter::Plain(ToWorker::Stop { last }));
        }
    }

    /// Waits for a worker that is dead, and takes its connections back.
    pub(super) fn bury(&mut self, id: WorkerId) -> io::Result<()> {
        // what it said before it died is true, and it says nothing more
        while self.hear(id) {}
        let now = self.now();
        let Some(worker) = self.workers.get(&id) else { return Ok(()) };
        let Some(death) = worker.wait()? else { return Ok(()) };
        // from here on it is gone, and the kernel's counters stand still for us
        let in_hand = InHand::read(&worker.in_hand);
        let in_hand: Vec<_> =
            in_hand.into_iter().filter(|&connection| self.carrier(connection) == Some(id)).collect();
        let (was_ready, is_present) = (worker.proved, worker.generation == self.generation);
        self.workers.remove(&id);
        self.leader = self.leader.filter(|&leader| leader != id);
        let connections = self.table.orphan_all(id, death);
        let never_ready = !self.past.ready && is_present && !self.stopping;
        let blamed = in_hand.clone();
        self.events.push(Event::Died { worker: id, death, connections, in_hand, never_ready });
        if !was_ready && is_present {
            self.respawn.failed(now);
        }
        for connection in blamed {
            let Some(held) = self.table.get_mut(connection) else { continue };
            let stamp = held.stamp();
            if held.blame.died(&self.settings.breaker, now, death, stamp) {
                self.end(connection, EndedBy::Breaker);
            }
        }
        Ok(())
    }
}
