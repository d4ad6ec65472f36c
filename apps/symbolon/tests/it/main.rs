#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says where")]
//! The binary from outside: what it prints, and how it exits.

mod binary;
mod conventions;
mod quickstart;
