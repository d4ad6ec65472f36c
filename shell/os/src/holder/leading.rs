//! Who leads.

use super::process::{Letter, Stage};
use super::{Event, Holder};
use crate::message::ToWorker;
use std::cmp::Reverse;

impl Holder {
    /// Lets a worker lead if none does: one that is ready, of the newest program; or else the one that is
    /// starting, which finds the letter behind its first.
    ///
    /// Who leads does so until it was waited for, whatever became of it: two that lead would both accept,
    /// and be the node.
    pub(super) fn appoint(&mut self) {
        if self.leader.is_some() || self.stopping {
            return;
        }
        let may = self
            .workers
            .iter_mut()
            .filter(|(_, worker)| matches!(worker.stage, Stage::Starting { .. } | Stage::Ready));
        let next = may.min_by_key(|(id, worker)| (Reverse((worker.is_ready(), worker.generation)), **id));
        if let Some((&id, worker)) = next {
            let before = self.past.leaders;
            self.past.leaders += u64::from(worker.is_ready());
            worker.letters.push_back(Letter::Plain(ToWorker::Lead { before }));
            self.leader = Some(id);
            self.events.push(Event::Led { worker: id, before });
        }
    }
}
