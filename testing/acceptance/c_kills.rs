//! Rows C1, C2 and C4: the process that carries the connections is killed at any instant, and clients that know nothing
//! of it go on in the next process: no new handshake, no byte lost or repeated. `curl`, `openssl`, `psql`, `ssh` and
//! Python's `ssl` are the distribution's, unchanged.
//!
//! Few kills and small files by default; 1,000 kills, 1 GB each way, 4,000 connections, 20 upgrades under 500 streams
//! with
//!
//! ```text
//! SYMBOLON_ACCEPTANCE_FULL=1 cargo xtask acceptance c
//! ```
//!
//! which takes twenty minutes on two cores, and 20,000 open files (`ulimit -n`). The instants are random; each run says
//! its seed, and `SYMBOLON_ACCEPTANCE_SEED` repeats the pauses and the choice of victims.

#[path = "c_kills/applications.rs"]
mod applications;
#[path = "c_kills/counts.rs"]
mod counts;
#[path = "c_kills/crowd.rs"]
mod crowd;
#[path = "c_kills/faults.rs"]
mod faults;
#[path = "c_kills/holder.rs"]
mod holder;
#[path = "c_kills/killer.rs"]
mod killer;
#[path = "c_kills/native.rs"]
mod native;
#[path = "c_kills/own_tls.rs"]
mod own_tls;
#[path = "c_kills/readers.rs"]
mod readers;
#[path = "c_kills/relayed.rs"]
mod relayed;
#[path = "c_kills/secrets.rs"]
mod secrets;
#[path = "c_kills/stage.rs"]
mod stage;
#[path = "c_kills/talk.rs"]
mod talk;
#[path = "c_kills/transfers.rs"]
mod transfers;
#[path = "c_kills/upgrades.rs"]
mod upgrades;
#[path = "c_kills/wire.rs"]
mod wire;
