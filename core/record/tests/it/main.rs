//! The record layer from outside: against rustls, against itself, and against everything that a
//! hostile path can do.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot set up its facts has failed")]

mod oracle;
mod records;
mod streams;
mod tls;
mod vectors;
mod wrapped;
