//! Handshakes with clients that we did not write, and what our records make of their connections.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod handshakes;
mod strangers;
mod world;
