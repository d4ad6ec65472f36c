//! What a holder tells of what happens.

use super::{Death, WorkerId};
use crate::HeldId;

/// Why the holder ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// It killed too many workers.
    Breaker,
    /// There is no worker that is able to carry it.
    NobodyAble,
}

/// What happened, for the operator's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A worker was begun.
    Begun {
        /// Which.
        worker: WorkerId,
        /// Its process.
        pid: u32,
    },
    /// A relay was begun: somebody asked.
    RelayBegun {
        /// Its process.
        pid: u32,
    },
    /// A relay is dead, and what it still carried is reset.
    RelayDied {
        /// Its process.
        pid: u32,
        /// How.
        death: Death,
    },
    /// No worker or relay could be begun; it is tried again.
    NotBegun(String),
    /// A worker is ready.
    Ready(WorkerId),
    /// A worker leads from now on.
    Led {
        /// Which.
        worker: WorkerId,
        /// How many of this family led and were ready before.
        before: u64,
    },
    /// A worker said something that no worker says, and is replaced.
    Nonsense {
        /// Which.
        worker: WorkerId,
        /// What was wrong.
        what: &'static str,
    },
    /// A worker was not ready in time, and is killed.
    DidNotStart(WorkerId),
    /// A worker did not stop in time, and is killed.
    DidNotStop(WorkerId),
    /// A worker is dead, and so many connections wait for the next.
    Died {
        /// Which.
        worker: WorkerId,
        /// How.
        death: Death,
        /// What it carried.
        connections: usize,
        /// What its threads were working on.
        in_hand: Vec<HeldId>,
        /// No worker of this family was ever ready, and this one was not to be replaced: the next will
        /// hardly come further.
        never_ready: bool,
    },
    /// A connection is held.
    Held {
        /// Its name.
        id: HeldId,
        /// Who carries it.
        worker: WorkerId,
    },
    /// A connection was refused: the holder has as many descriptors as it may.
    Full(WorkerId),
    /// A connection is handed over to another worker.
    HandedOver {
        /// Its name.
        id: HeldId,
        /// Who is to carry it.
        worker: WorkerId,
    },
    /// A connection is carried on.
    Carried {
        /// Its name.
        id: HeldId,
        /// Who carries it.
        worker: WorkerId,
    },
    /// A connection came to its end.
    Released(HeldId),
    /// The holder reset a connection.
    Ended {
        /// Its name.
        id: HeldId,
        /// Why.
        why: EndedBy,
    },
    /// The descriptor that was given to [`Holder::turn`](super::Holder::turn) is readable.
    Woken,
}
