#![forbid(unsafe_code)]
//! Room C: what a live session is, so that any node that holds its state can carry it on.
//!
//! A context (room A) leaves a session secret on both sides. Everything here grows from it:
//!
//! ```text
//! session secret ─┬─ attach keys ──────> who may come back on another connection
//!                 ├─ epoch secrets ────> wrapped control messages, fresh for each connection
//!                 └─ stream root ──────> two traffic secrets for each stream
//!
//! client                                                                              node
//!   the context's connection, epoch 1:                                 [`SessionChannel`]
//!   ══ Report, RequestConfiguration … ════ [`ControlMessage`] ══ Configuration, NextNumber ══
//!   <══════════════════════════════════════════════════ StreamsGranted [first, end) ══════
//!
//!   a stream, each on a connection of its own, without a round trip:
//!   ── StreamOpen {session, number, record{application}} ─────────────────────────────────>
//!   ── records ───────────────────────────────────>      authenticate, claim the number,
//!                                                        decide, dial: in this order
//!   <────────────────────────────────────── StreamReply {server random, record{accepted}} ──
//!   <═══════════════════════════════════ records ═════════════════════════════════════════>
//!
//!   the connection was lost, or the node restarted:
//!   ── Attach {session, random, last epoch, counter, MAC} ───────────────────────────────>
//!                                                        state from the store, MAC, counter,
//!                                                        compare-and-set on the epoch
//!   <─────────────────────────────────────────────── Attached {epoch, random, MAC} ────────
//!   ══ wrapped messages under this epoch's keys ══════════════════════════════════════════
//! ```
//! One file a matter: [`SessionState`] is what the store keeps sealed; [`AttachRequest`] and
//! [`Attachment`] are the two sides of coming back; [`StreamRoot`] opens and authenticates streams,
//! [`StreamNumbers`] and [`StreamClaims`] see to it that each number acts once; [`EndReason`] says
//! why something is over. Exact bytes: `docs/protocol/session.md`.
//!
//! [`ledger`] is for the other kind of session, whose connection itself outlives the process that
//! carries it. Exact bytes: `docs/protocol/ledger.md`.

mod attach;
mod channel;
mod claims;
mod client;
mod control;
mod error;
mod ids;
pub mod ledger;
mod numbers;
mod reason;
mod report;
mod secret;
mod state;
mod stream_node;
mod stream_open;
mod text;
mod ticket;

pub use attach::{AttachRequest, Attachment, AwaitAttached, ClaimedSession, VerifiedAttach};
pub use channel::SessionChannel;
pub use claims::{MAX_GRANTS, StreamClaims};
pub use client::ClientSession;
pub use control::{
    CertificateBytes, ConfigurationBytes, ControlMessage, RenewalBytes, RevocationListBytes, Sender,
};
pub use error::{AttachError, ChannelError, ClaimError, GrantError, StreamError};
pub use ids::{ConnectionId, Epoch, NodeId, RegistrationId, SessionId, UserId};
pub use numbers::{MAX_RANGE, StreamNumber, StreamNumbers, StreamRange};
pub use reason::EndReason;
pub use report::Report;
pub use secret::SessionSecret;
pub use state::{MAX_GROUPS, SessionState};
pub use stream_node::{AuthenticStream, ClaimedStream, NotClaimed, StreamClaimed};
pub use stream_open::{AwaitReply, OpeningStream, Refusal, StreamReply, StreamRequest, StreamRoot};
pub use text::{Line, Opaque};
pub use ticket::{
    ClaimedTicket, IssuedTicket, MAX_TICKET_SECS, Ticket, TicketKeys, TicketOwner, TicketProved,
    TicketRedeemed, TicketToken,
};
