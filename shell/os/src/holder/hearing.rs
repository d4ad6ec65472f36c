//! What workers say, and what is done about it.

use super::process::{Letter, Stage};
use super::table::{Held, Unfit};
use super::{Event, Holder, WorkerId};
use crate::HeldId;
use crate::message::{ToHolder, ToWorker};
use crate::pass::{self, Message};
use rustix::net::RecvFlags;
use std::io;
use std::os::fd::AsFd;

/// How many messages of a worker are taken in before the others have their turn.
const AT_ONCE: usize = 1024;

/// How many letters a worker may leave unread: all connections of a family, and as many refusals.
const MAX_UNREAD: usize = 1 << 17;

impl Holder {
    /// Takes in what a worker said. Whether there may be more.
    pub(super) fn hear(&mut self, id: WorkerId) -> bool {
        let until = self.now() + self.settings.stop_within;
        for _ in 0..AT_ONCE {
            let Some(worker) = self.workers.get_mut(&id).filter(|worker| worker.is_heard()) else {
                return false;
            };
            match pass::receive(worker.socket.as_fd(), RecvFlags::DONTWAIT) {
                Ok(Some(message)) => {
                    if let Err(what) = self.obey(id, message) {
                        self.events.push(Event::Nonsense { worker: id, what });
                        if let Some(worker) = self.workers.get_mut(&id) {
                            worker.condemn();
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // how it dies tells something of what it had in hand, so it is left alone for a while
                Ok(None) | Err(_) => {
                    worker.letters.clear();
                    worker.stage = Stage::Silent { until };
                }
            }
        }
        true
    }

    /// Does what a message says, or says what is wrong with it.
    pub(super) fn obey(&mut self, from: WorkerId, message: Message) -> Result<(), &'static str> {
        let said = ToHolder::parse(message.bytes()).map_err(|_| "an unknown message")?;
        if message.too_long {
            return Err("a message that is too long");
        }
        let none = message.descriptors.is_empty() && !message.cut;
        let Some(worker) = self.workers.get_mut(&from) else { return Ok(()) };
        match said {
            ToHolder::Hold { id } => return self.hold(from, id, message),
            _ if !none => return Err("descriptors where none belong"),
            ToHolder::Ready if worker.proved => return Err("ready for the second time"),
            ToHolder::Ready => {
                worker.proved = true;
                self.past.ready = true;
                self.past.leaders += u64::from(self.leader == Some(from));
                // one that was told to stop meanwhile will
                if matches!(worker.stage, Stage::Starting { .. }) {
                    worker.stage = Stage::Ready;
                    self.respawn.succeeded();
                    self.events.push(Event::Ready(from));
                }
            }
            // there was no room for it
            ToHolder::Release { id } if id.is_named_by(from.0) && self.table.get(id).is_none() => {}
            ToHolder::Release { id } => {
                self.table.carried_by(id, from).ok_or("a connection that is not its own")?;
                self.table.remove(id);
                worker.load -= 1;
                self.events.push(Event::Released(id));
            }
            ToHolder::Carried { id } => {
                self.table.carried_by(id, from).ok_or("a connection that is not its own")?;
                self.events.push(Event::Carried { id, worker: from });
            }
            ToHolder::Unable { id, why } => {
                let held = self.table.carried_by(id, from).ok_or("a connection that is not its own")?;
                held.unfit.push(match why {
                    crate::Unable::Layout => Unfit::Program(worker.generation),
                    crate::Unable::Exhausted => Unfit::Worker(from),
                });
                self.table.orphan(id);
                worker.load -= 1;
            }
        }
        Ok(())
    }

    /// Holds a connection that the leader offers, which may have been told to stop meanwhile: it leads as
    /// long as it lives, so nobody else was ever told that it may.
    pub(super) fn hold(&mut self, from: WorkerId, id: HeldId, message: Message) -> Result<(), &'static str> {
        let Some(worker) = self.workers.get_mut(&from) else { return Ok(()) };
        if matches!(worker.stage, Stage::Starting { .. }) {
            return Err("a connection before it was ready");
        }
        if self.leader != Some(from) {
            return Err("a connection of one that does not lead");
        }
        if !id.is_named_by(from.0) || self.table.get(id).is_some() {
            return Err("a name that is not free");
        }
        if message.cut || self.table.is_full() {
            self.events.push(Event::Full(from));
            worker.letters.push_back(Letter::Plain(ToWorker::NotHeld { id }));
            if worker.letters.len() > MAX_UNREAD {
                return Err("it does not read what it is told");
            }
        } else {
            self.table.insert(id, Held::new(message.descriptors, from)?);
            worker.load += 1;
            self.events.push(Event::Held { id, worker: from });
        }
        Ok(())
    }
}
