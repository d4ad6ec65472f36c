//! The ledger of one carried connection: the few hundred bytes that must be true at every instant,
//! so that another process can carry the connection on when its process is killed.
//!
//! A connection has two sockets that outlive the process (somebody else holds them too), and a
//! memory file with the ledger and two input rings. The kernel counts what was read from and written
//! to each socket; the ledger says what was *meant*; the rings hold what was read and not passed on.
//!
//! ```text
//!            ┌───────────── memory file ─────────────┐
//!   client ──│─> ring of records ──open──> plaintext │──> application
//!   client <─│── records <──seal── ring of plaintext │<── application
//!            │          ledger: two slots, an index   │
//!            └───────────────────────────────────────┘
//!
//!   to the client:       commit {what, how long} · seal · write · …        (the intent comes first)
//!   to the application:  open · write · commit {passed on, next number}    (the result comes after)
//! ```
//! Sealing is a function of keys, number and content, so whoever finds an intent makes the very same
//! bytes again and writes those that the kernel did not yet take: no record is lost, none repeated,
//! and no nonce ever protects two contents. Records to the application need no intent: they are
//! opened again, and what the kernel took already is left out.
//!
//! [`Carrier`] is the connection as a sequence of [`Step`]s, each of which is one system call or one
//! change of the memory; [`Ledger`] is the memory's layout and the commit; [`Adoption`] is the
//! judgement on what a dead process left. [`Protection`] is what a record layer must offer, [`TlsProtection`] that of TLS and of native
//! streams.
//! Nothing here does input or output. Exact bytes and reasons: `docs/protocol/ledger.md`.

mod adoption;
mod carrier;
mod checksum;
mod counters;
mod entry;
mod keys;
mod layout;
mod lost;
mod memory;
mod protection;
mod step;
mod tls;

pub use adoption::{Adoption, ToApplicationResumed, ToClientResumed};
pub use carrier::Carrier;
pub use checksum::of_words as checksum;
pub use counters::{Counters, Standing, TcpCounters};
pub use entry::{ClientEnd, Entry, ToApplication, ToClient, Truncation};
pub use keys::{KeySeal, MAX_KEYS};
pub use layout::{Geometry, LAYOUT, LEDGER_BYTES, RINGS_AT, STAMP_AT};
pub use lost::{LedgerError, Lost};
pub use memory::{Ledger, LedgerMemory, Opened};
pub use protection::{CONDUCT, Fault, Intent, Keys, Numbers, Protection, Received};
pub use step::{Ended, Interest, Rings, Step};
pub use tls::{STREAM_END, TlsProtection};
