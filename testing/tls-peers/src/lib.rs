#![forbid(unsafe_code)]
//! Live TLS connections for the tests of the record layer.
//!
//! ```text
//!   peer (rustls, OpenSSL) <── handshake ──> rustls      handshake.rs
//!                                              │ dangerous_extract_secrets, KeyLog
//!                                              v
//!                                           TlsState     handover.rs
//!                                              │
//!   peer  <──────── records ────────> TlsSession, s2n    carried.rs
//! ```

mod authority;
mod carried;
mod handover;
mod handshake;
mod memory;

pub use authority::{Authority, SERVER_NAME};
pub use carried::{Carried, Heard};
pub use handover::{KeptSecrets, handed_over};
pub use handshake::{HandshakeOver, Setup, shake_hands};
pub use memory::RustlsPeer;
