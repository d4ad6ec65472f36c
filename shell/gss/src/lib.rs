//! Symbolon's contexts as a mechanism of the GSS-API (RFC 2743, RFC 2744), for programs that know
//! nothing of Symbolon.
//!
//! ```text
//! curl, ldapsearch, slapd, …        a program, as its distribution ships it
//!   libgssapi_krb5                  chooses the mechanism: one line in /etc/gss/mech.d
//!     libsymbolon_gss.so
//!       abi        the C border: pointers in, malloc'ed answers out, no panic, no secret left behind
//!       context    one token in, one token out, then messages     ── symbolon_context::gss
//!       credential who asks; which services answer here
//!       config, key_sets, acceptors, users, replay                 files; nothing else is touched
//! ```
//! The library lives in foreign processes: it starts no thread, has no runtime, prints nothing, reads
//! files only when a credential or a context asks for it, and keeps nothing between calls but what the
//! caller holds. It never calls a `gss_` function itself, since the name would lead to another library.
//!
//! `docs/gss.md` tells an administrator how to use it, and the tokens on the wire.

#![deny(unsafe_code)]
#![warn(clippy::undocumented_unsafe_blocks)]

#[expect(unsafe_code, reason = "the C border: what callers hand over is checked there and nowhere else")]
pub mod abi;
pub mod acceptors;
pub mod admin;
pub mod check;
mod clock;
mod config;
mod context;
mod credential;
mod guesses;
mod key_file;
mod key_sets;
mod name;
pub mod oid;
mod private;
mod replay;
mod spans;
pub mod status;
mod token;
mod users;

pub use clock::now;
pub use config::{AcceptorConfig, Config, ConfigError, InitiatorConfig, Purpose, find_suite};
pub use context::{Channel, Context, Wanted};
pub use credential::{Credential, Usage};
pub use guesses::{Guess, Guesses};
pub use key_file::{KeyFile, KeyFileError};
pub use name::{Name, NameError};
pub use private::PrivateFileError;
pub use replay::ReplayCache;
pub use token::{ChannelHash, Options, Token};
pub use users::Users;
