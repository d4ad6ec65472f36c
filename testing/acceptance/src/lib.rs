#![forbid(unsafe_code)]
//! The stage for acceptance tests: real programs around the real binary.
//!
//! Nothing here is a stand-in. [`Machine`] is a person's computer as far as `symbolon` can tell (a home and run-time
//! directory of its own); [`Postgres`], [`Sshd`] and [`HttpServer`] are the unchanged programs that stand behind a
//! gateway, and `psql`, `ssh` and `curl` are the unchanged clients in front of it; [`OddServer`] is an application
//! that behaves badly on purpose. Every process is ended when its guard is dropped, so a test that fails leaves
//! nothing behind.
//!
//! No test sleeps: it waits for a line ([`Running::wait_line`]), for a prompt ([`Terminal::expect`]) or for a
//! condition ([`until`]), each with a limit. What a test does is printed by [`scenario!`] and [`step!`], and by
//! [`Machine`] itself, so that `cargo xtask acceptance story` reads as a transcript.

mod authority;
mod disk;
mod finished;
mod front;
mod gateway;
mod http;
mod kdc;
mod machine;
pub mod middleman;
mod odd;
mod oidc;
mod person;
mod ports;
mod postgres;
mod programs;
mod redis;
mod running;
mod slapd;
mod sshd;
mod storage;
mod sums;
mod terminal;
pub mod transcript;
mod wait;

pub use authority::Authority;
pub use disk::SmallDisk;
pub use finished::{Finished, finish};
pub use front::Front;
pub use gateway::Gateway;
pub use http::{HttpServer, curl};
pub use kdc::Realm;
pub use machine::Machine;
pub use odd::{Behaviour, OddServer};
pub use oidc::IdProvider;
pub use person::{PIN, Person, clock_from, clock_off_by};
pub use ports::free_port;
pub use postgres::Postgres;
pub use programs::program;
pub use redis::Redis;
pub use running::{Running, Signal};
pub use slapd::Slapd;
pub use sshd::{Sshd, Via};
pub use storage::Storage;
pub use sums::sha256;
pub use terminal::Terminal;
pub use wait::{LIMIT, until};
