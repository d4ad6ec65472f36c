#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]
//! The user's side against gateways that run the acceptor's side of the cores, in this process.

mod agent;
mod certificates;
mod enrol;
mod fake;
mod fake_session;
mod hostile;
mod node;
mod streams;
mod token_file;
mod world;
