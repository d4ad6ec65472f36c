#![forbid(unsafe_code)]
//! The handshake with TLS clients that we did not write, up to the point where [`symbolon_record`] can
//! carry their connection on, in this process or in another.
//!
//! ```text
//! client                                       gateway
//!   ── ClientHello (SNI, ALPN) ───────────────> Opening::read
//!                                               Opening::hello  ── which site? ──> Site
//!   <─────────── handshake by rustls ─────────> Opening::accept
//!                                               Accepted { state: TlsState, client, … }
//! ```
//! Records are taken off the socket one by one, so nothing that follows the handshake is ever read here:
//! what is on its way belongs to whoever carries the connection on. The keys come from rustls
//! (`dangerous_extract_secrets`) and are checked against the traffic secrets of its key log.
//!
//! A client of PostgreSQL that asks for TLS in its own way is answered in that way first.

mod client;
mod error;
mod handshake;
mod hello;
mod key_log;
mod records;
mod site;
mod tickets;

pub use error::{HandshakeError, SiteError};
pub use handshake::Accepted;
pub use hello::{Hello, NotServed, Opening};
pub use site::{Clients, Site};
pub use tickets::{TICKETS_OF_SHOWN_SECS, TicketKeys, TicketMemory};

/// The longest handshake that is taken from a client, in bytes: certificates with the largest keys, and
/// a ClientHello with some post-quantum shares.
pub const MAX_HANDSHAKE: usize = 128 * 1024;
