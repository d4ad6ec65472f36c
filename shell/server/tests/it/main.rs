//! A whole node over loopback, against a client made of the core crates: what it does for honest
//! peers, and what for the others.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod access;
mod admin;
mod certificates;
mod client;
mod credentials;
mod gateways;
mod hostile;
mod lapsed;
mod lists;
mod registration;
mod sessions;
mod sign_in;
mod two_nodes;
mod world;
