#![forbid(unsafe_code)]
//! The user's side: a token file, the way to a gateway, and a per-user agent that keeps a session.
//!
//! ```text
//!  symbolon enrol ──> enrol() ──> token file (0600, PIN)                     gateway
//!                                     │ unlocked once                           │
//!  symbolon login ──> Agent::start ───┴── sign in, control connection ══════════┤
//!                       │  socket (0600, same user)                             │
//!  symbolon status, ls, whoami, connect ──> Client ── JSON lines ── Agent       │
//!  psql, curl ── 127.0.0.1:port ── a TCP connection for each stream, records ═══┘
//! ```
//! [`enrol()`] makes and registers tokens, [`token`] keeps the file, [`Agent`] is the daemon, and
//! [`Client`] talks to it; [`doctor()`] says what is wrong and how to mend it. Nothing here decides:
//! the cores do, and this crate moves their bytes, with bounds and deadlines on all that comes from
//! outside.
//!
//! A local port of [`Client::listen`] is open to every program on the machine that may connect to
//! 127.0.0.1, as with `ssh -L`; [`Client::stream`] is not.

mod agent;
mod certificate;
mod certificate_key;
mod client;
mod clock;
mod config;
mod connection;
mod credential;
mod device;
mod dialling;
mod dialogue;
mod directory;
mod doctor;
mod enrol;
mod error;
mod files;
mod gateway;
mod holder;
mod id_tokens;
mod ipc;
mod issuers;
mod kept_certificate;
mod kerberos;
mod key;
mod known;
mod last_end;
mod paths;
mod proof;
mod sign_in;
mod status;
mod ticket;
pub mod token;

pub use agent::{Agent, AgentOptions, Patience, SignOut};
pub use client::{Client, Ending, Listening, PIN_WANTED, RawStream};
pub use config::{OpenId, UserConfig};
pub use credential::{CertificateFiles, Credential};
pub use dialogue::{Decision, Dialogue, GatewayInfo, PinPurpose, Step};
pub use doctor::{Check, Diagnosis, Finding, doctor};
pub use enrol::{EnrolOptions, EnrolTarget, enrol};
pub use error::{AgentError, ErrorKind};
pub use ipc::PortNews;
pub use kept_certificate::{CertificateInfo, certificate_info, remove_certificate};
pub use paths::Paths;
pub use status::{
    DestinationInfo, Destinations, Enrolled, KeysFrom, Link, ListenerStatus, Problem, RegistrationInfo,
    Reported, SCHEMA, SessionStatus, Status, StreamStatus, TokenInfo, WhoAmI,
};
pub use symbolon_hardware::{DevicePin, Pkcs11Uri};
pub use ticket::{TicketInfo, forget_ticket, kept_ticket};
