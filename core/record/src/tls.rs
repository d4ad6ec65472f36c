//! Live connections that are carried on: TLS connections of clients that we did not write, after their
//! handshake, and native streams, after their opening.
//!
//! Another library does the handshake and hands keys and sequence numbers over; from there on a
//! connection is a [`TlsSession`], which any process makes again from a [`TlsState`] of
//! [`TLS_STATE`] bytes. So that it can be made again at any instant, each step comes in two halves, and
//! the state in between is what must be remembered:
//!
//! ```text
//!   to the peer       pin(Data, n) ── remember ── seal(payload) ── write ── sent()
//!                     what, how much               pure: again the same      the next number
//!   from the peer     open_from(ahead, record) ── deliver ── received(ahead) ── remember
//!                     pure: again the same                    the next number
//! ```
//! A predecessor that died after `pin` had written some, all or none of the records. Its successor seals
//! the same payload again, gets the same bytes, and skips what the kernel says was written. One that
//! died before `received` had delivered some, all or none of a record; its successor opens it again.
//!
//! [`TlsSession::owed`] says what must go out before the next data: the answer to a KeyUpdate, one of
//! our own before the key is used up, a refusal to renegotiate, a close. [`TlsSession::fail`] says what
//! the peer is told of its fault.

mod conduct;
mod handover;
mod outgoing;
mod post_handshake;
mod reception;
mod session;
mod state;
mod suite;

pub use handover::{HandedOver, HandoverError};
pub use outgoing::Outgoing;
pub use reception::{Ahead, TlsEvent};
pub use session::TlsSession;
pub use state::{TLS_STATE, TlsState};
pub use suite::{TlsRole, TlsSuite, TlsVersion};

/// How many bytes may be pinned at once: eight full records. Half as many cost 5 % more where all is fast.
pub const MAX_PINNED: usize = 8 * crate::MAX_PLAINTEXT;

/// What a record of any suite is longer than its content at most, in bytes: header, explicit nonce and
/// tag of TLS 1.2 with GCM.
pub const TLS_OVERHEAD: usize = 29;

/// How many records without data may follow each other: KeyUpdates, empty records, tickets, warnings,
/// requests to renegotiate. Each costs us work and moves nothing; rustls and OpenSSL draw the line at
/// 32 too.
pub const MAX_WITHOUT_DATA: u8 = 32;
