//! Contexts from outside: both parties in memory, a clock that stands still unless moved, and
//! somebody on the path between them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot set up its facts has failed")]

mod arbitrary;
mod certificate;
mod cookie;
mod first_message;
mod gss;
mod pair;
mod password;
mod second_message;
mod whole;
