//! What outlives a process, so that the connections of a killed process go on: memory files, passed
//! descriptors, the kernel's counters of a socket, and the **holder** that keeps them.
//!
//! ```text
//!   holder ── listening sockets, and of each connection the descriptors of client, application, memory
//!     │  socket pair, one message a packet                 (no byte of a client, no cryptography)
//!     ├── worker ── accepts, shakes hands, dials; holds ──> Hold {client, application, memory file}
//!     │     ✗ killed
//!     │   wait until it is dead (the fence)
//!     └── worker <── Carry {client, application, memory file} ── adopts by ledger and counters
//! ```
//! [`MemoryFile`] is the ledger and the rings of `symbolon_session::ledger` in shared memory,
//! [`counters()`] what the kernel knows of a socket, [`pass`] how descriptors travel. [`Holder`] is the
//! process that stays, [`HolderLink`] the workers' end of it. What a client sends is looked at by
//! workers only.
//!
//! [`repair`] takes a live TCP connection to another host, and [`ServiceAddress`] the address that it has.
//!
//! All unsafe code is in `address.rs`, `counters.rs`, `inherited.rs`, `mapping.rs`, `repair/kernel.rs` and `signals.rs`,
//! each block with its reason.

#![deny(unsafe_code)]
#![warn(clippy::undocumented_unsafe_blocks)]

#[expect(unsafe_code, reason = "addresses of the link layer, which have no safe type")]
mod address;
mod checksum;
#[expect(unsafe_code, reason = "TCP_INFO and SIOCOUTQ, for which there is no safe interface")]
mod counters;
mod family;
mod holder;
#[expect(unsafe_code, reason = "descriptors that were left open over exec are owned again")]
mod inherited;
#[expect(unsafe_code, reason = "shared memory is mapped, and nowhere else is a pointer followed")]
mod mapping;
mod memory;
mod message;
pub mod pass;
pub mod repair;
#[expect(unsafe_code, reason = "signalfd, for which there is no safe interface")]
mod signals;
mod worker;

pub use address::ServiceAddress;
pub use counters::{counters, prepare, tcp_counters};
pub use family::{FamilyKey, InHand, MAX_LEGACY, forbid_dumps};
pub use holder::{BreakerRules, Death, EndedBy, Event, Holder, HolderSettings, WorkerId, WorkerProgram};
pub use memory::{MAX_NOTE, MemoryFile, MemoryFileError};
pub use message::Unable;
pub use signals::{Asked, Signals};
pub use worker::{FromHolder, HeldConnection, HolderLink};

/// A connection, as holder and workers name it to each other. Never 0, never given twice by one family: the
/// worker that offers it gives it its own number, of 28 bits, and counts in the 36 bits below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeldId(u64);

impl HeldId {
    const COUNTED: u32 = 36;

    /// The `count`th that this worker names.
    const fn new(worker: u32, count: u64) -> Self {
        Self(((worker as u64) << Self::COUNTED) | count)
    }

    /// Whether this worker named it.
    const fn is_named_by(self, worker: u32) -> bool {
        self.0 >> Self::COUNTED == worker as u64
    }
}

/// The worker's number, and which of its connections it is: `3.17`.
impl std::fmt::Display for HeldId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0 >> Self::COUNTED, self.0 & ((1 << Self::COUNTED) - 1))
    }
}
