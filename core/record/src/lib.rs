#![forbid(unsafe_code)]
//! Two protections for bytes on their way, both with explicit sequence numbers, both without a socket:
//! **records** for streams and **wrapped messages** for the rest.
//!
//! # Records
//! Byte for byte the records of TLS 1.3 (RFC 8446 §5), so that TLS connections share the code and what
//! must be remembered to carry one on: keys and a sequence number. Native streams have one cipher,
//! AES-256-GCM.
//!
//! ```text
//!   traffic secret ──HKDF-Expand-Label "key", "iv"──> RecordKeys ──"traffic upd"──> the next
//!
//!   23 | 3 3 | length | AEAD( content | type | 0… )                nonce = iv XOR sequence
//!   └─ 5 bytes, AAD ─┘          └ 21 alert, 22 handshake, 23 data, 69 end with a reason
//!
//!   SendHalf                                               ReceiveHalf
//!   seal_data ── data ───────────────────────────────────> room, filled, next_event → Data
//!   (2^23 records) ── KeyUpdate, data under the next key ─> KeyUpdated, Data
//!   close ── alert close_notify ─────────────────────────> PeerClosed (the other way goes on)
//!   end ── end {code, reason} ───────────────────────────> Ended (both ways are over)
//!   connection lost ─────────────────────────────────────> end_of_input → Truncated
//! ```
//! [`RecordKeys`] is the arithmetic, [`RecordSealer`] and [`RecordOpener`] count with it, [`Deframer`]
//! finds records in a stream of bytes, [`StreamRecords`] and its halves keep the rules of a stream.
//!
//! # TLS connections
//! Those of clients that we did not write, in TLS 1.3 and 1.2: another library does the handshake,
//! [`TlsState::after_handshake`] takes its keys over, and [`TlsSession`] goes on, in this process or,
//! from the [`TlsState`] of [`TLS_STATE`] bytes that was remembered last, in any other.
//!
//! # Wrapped messages (A8)
//! For messages that keep their bounds: control messages of a session, users of a context.
//!
//! ```text
//!   'W' | flags | generation | sequence | AES-256-GCM( message )
//!   └──────── 12 bytes, AAD ───────────┘
//! ```
//! [`Wrapper`] seals, [`Unwrapper`] opens: strictly [in order](Delivery::InOrder), where a gap, a
//! repetition and a missing end are noticed, or through a [window](Delivery::Windowed).
//!
//! The exact bytes are in `docs/protocol/record.md`.

mod alert;
mod cipher;
mod content;
mod deframe;
mod error;
mod frame;
mod keys;
mod open;
mod receive;
mod seal;
mod send;
mod stream;
mod tls;
mod unwrap;
mod window;
mod wrap;
mod wrap_keys;

pub use alert::Alert;
pub use cipher::{Cipher, TrafficSecret};
pub use content::{ContentType, KeyUpdateRequest, MAX_END_REASON, StreamEnd};
pub use deframe::{Deframer, RECEIVE_BUFFER};
pub use error::{CallerMisused, PeerMisbehaved, RecordError, WrapError};
pub use keys::RecordKeys;
pub use open::RecordOpener;
pub use receive::{ReceiveHalf, StreamEvent};
pub use seal::RecordSealer;
pub use send::{DATA_ROOM, DATA_TAIL, KEY_UPDATE_AFTER, SendHalf};
pub use stream::StreamRecords;
pub use tls::{
    Ahead, HandedOver, HandoverError, MAX_PINNED, MAX_WITHOUT_DATA, Outgoing, TLS_OVERHEAD, TLS_STATE,
    TlsEvent, TlsRole, TlsSession, TlsState, TlsSuite, TlsVersion,
};
pub use unwrap::{Delivery, Unwrapper};
pub use window::WINDOW;
pub use wrap::{MESSAGES_PER_KEY, WRAP_HEADER, WRAP_OVERHEAD, Wrapper};
pub use wrap_keys::{Role, WrapSecrets};

/// What stands before a record: type, version and length, in bytes (RFC 8446 §5.2).
pub const RECORD_HEADER: usize = 5;

/// What a native record is longer than its content: header, type and tag, in bytes.
pub const RECORD_OVERHEAD: usize = RECORD_HEADER + 1 + symbolon_crypto::TAG;

/// The longest content of a record in bytes (RFC 8446 §5.1).
pub const MAX_PLAINTEXT: usize = 1 << 14;

/// The longest record in bytes, with the room for padding that RFC 8446 §5.2 gives a sender.
pub const MAX_RECORD: usize = RECORD_HEADER + MAX_PLAINTEXT + 256;

/// How many records one key may seal (RFC 8446 §5.5: 2^24.5 of full size keep the attacker's
/// chance near 2^-57). A [`SendHalf`] changes keys long before.
pub const RECORDS_PER_KEY: u64 = 1 << 24;
