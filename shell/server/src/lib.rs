#![forbid(unsafe_code)]
//! The node: a gateway in front of applications, with registration, directory and administration.
//!
//! ```text
//! TCP ─> door.rs ─ Hello ──────────> register.rs   Offer, and registration (B3–B7)
//!                ─ ContextFirst ───> sign_in.rs    context, token checked, session opened (A6, B8)
//!                ─ Attach ─────────> attach.rs     the session on another connection
//!                    └─ Wrapped ───> carry.rs      reports in, configuration out (B9)
//!                ─ StreamOpen ─────> stream.rs     claimed, permitted, dialled, then pipe.rs
//! Unix socket ─────────────────────> admin/        HTTP and JSON for administrators
//! ```
//! [`Node`] starts and stops it all, in a process of its own or as one of a holder's workers (`worker.rs`); `upkeep.rs` is what it does by itself. `desk.rs` has who may reach what as of now; `live.rs` the
//! sessions that this node carries; `gateway.rs` the keys; `refusal.rs` alone decides what a peer is
//! told. The protocols themselves are in the core crates.

mod admin;
mod adoption;
mod attach;
mod carry;
mod clock;
mod config;
mod connection;
mod copies;
mod credentials;
mod desk;
mod door;
mod draw;
mod entrance;
mod error;
mod files;
mod front;
mod gateway;
mod hot_store;
mod keys;
mod lapsed;
mod listeners;
mod live;
mod meter;
mod metrics;
mod node;
mod notes;
mod passwords;
mod pipe;
mod publish;
mod refusal;
mod register;
mod relay;
mod renew;
mod room;
mod sign_in;
mod source;
mod strangers;
mod stream;
mod succession;
mod upkeep;
mod watch;
mod worker;

pub use config::{Limits, NodeConfig};
pub use copies::{back_up, move_records, restore};
pub use credentials::{
    AuthoritySettings, CredentialSettings, ForeignName, KerberosSettings, LdapGroups, LdapSettings,
    OidcGroups, OidcSettings, OidcUser, PamSettings,
};
pub use error::NodeError;
pub use front::{TlsCertificate, TlsSettings};
pub use hot_store::replace_hot_store;
pub use listeners::{Directory, Listeners};
pub use metrics::MetricsSettings;
pub use node::{Node, is_node_dir};
pub use relay::RelayProcess;
pub use symbolon_store::{Copied, DatabaseUrl, DatabaseUrlError, MAX_ROOTS, StoreError};
pub use worker::{Order, ReadyWorker, Worker};
