//! What is audited a moment later: attaches and the ends of sessions. They change no record, and after a
//! restart they come in crowds, so they are written together, one transaction for all of a half second. A
//! node that is killed loses the last of them.

use crate::clock::now;
use crate::node::Shared;
use serde_json::json;
use std::sync::{Mutex, MutexGuard, PoisonError};
use symbolon_store::{Actor, Note};

/// Notes that wait at most: more than clients make in half a second when they all come back at once, and few
/// enough that they are written within a second.
const WAITING: usize = 2000;

/// Notes that are not written yet.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    notes: Vec<Note>,
    /// How many found no room.
    left_out: u64,
}

impl Notes {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, note: Note) {
        let mut waiting = self.waiting();
        if waiting.notes.len() < WAITING {
            waiting.notes.push(note);
        } else {
            waiting.left_out += 1;
        }
    }

    fn take(&self) -> Waiting {
        std::mem::take(&mut *self.waiting())
    }

    /// Puts back what could not be written, before what has come since.
    fn put_back(&self, mut unwritten: Waiting) {
        let mut waiting = self.waiting();
        unwritten.notes.append(&mut waiting.notes);
        let room = unwritten.notes.len().min(WAITING);
        waiting.left_out += unwritten.left_out + (unwritten.notes.len() - room) as u64;
        unwritten.notes.truncate(room);
        waiting.notes = unwritten.notes;
    }
}

impl Shared {
    /// Has something audited within a second.
    pub(crate) fn note(&self, by: Actor, action: &'static str, object: String, detail: serde_json::Value) {
        self.notes.add(Note { time: now(), by, action, object, detail });
    }

    /// The node itself, as the audit names it.
    pub(crate) fn actor(&self) -> Actor {
        Actor::node(&self.node_id.to_string())
    }

    /// Writes what waits.
    pub(crate) async fn write_notes(&self) {
        let waiting = self.notes.take();
        let mut rows = waiting.notes.clone();
        if waiting.left_out > 0 {
            let detail = json!({ "count": waiting.left_out });
            let (by, object) = (self.actor(), String::new());
            rows.push(Note { time: now(), by, action: "notes.left-out", object, detail });
        }
        if let Err(e) = self.store.record_all(&rows).await {
            tracing::error!("not audited yet: {e}");
            self.notes.put_back(waiting);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_wait_in_order_and_what_finds_no_room_is_counted() {
        let notes = Notes::default();
        let note = |n: usize| Note {
            time: symbolon_wire::Time(n as u64),
            by: Actor::system("test"),
            action: "note",
            object: String::new(),
            detail: json!({}),
        };
        (0..WAITING + 3).for_each(|n| notes.add(note(n)));
        let first = notes.take();
        assert_eq!((first.notes.len(), first.left_out), (WAITING, 3));
        (0..5).for_each(|n| notes.add(note(WAITING + n)));
        notes.put_back(first);
        let all = notes.take();
        assert!(all.notes.iter().map(|n| n.time.0).eq(0..WAITING as u64));
        assert_eq!(all.left_out, 8);
    }
}
