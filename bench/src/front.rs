//! The TLS port of `symbolon serve` beside other programs that terminate TLS and copy bytes: TLS 1.3, AES-128-GCM,
//! X25519, a P-256 certificate for all of them, which they find in the same files.
//!
//! ```text
//! servers.rs    serve, a plain pipe, HAProxy, nginx: their processes and what these take
//! client.rs     one that knows nothing of any of them
//! traffic.rs    CPU time for bytes and for new connections
//! idle.rs       memory of connections on which nothing happens
//! waiting.rs    shares of many at once, and how long an echo takes
//! stall.rs      what a client sees when the worker that carries it is killed
//! ```
//! Client and application are this process, the same for all. All of a server's processes count.

mod client;
mod idle;
mod servers;
mod stall;
mod traffic;
mod waiting;

use crate::report::Report;
use anyhow::{Result, bail};

/// All of it.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    ["gateway-traffic", "gateway-connections", "gateway-waiting", "gateway-idle", "gateway-stall"]
        .into_iter()
        .try_for_each(|name| part(name, report))
}

/// One of the parts by its name.
pub(crate) fn part(name: &str, report: &mut Report) -> Result<()> {
    match name {
        "gateway-traffic" => traffic::bytes(report),
        "gateway-connections" => traffic::connections(report),
        "gateway-waiting" => waiting::run(report),
        "gateway-idle" => idle::run(report),
        "gateway-stall" => stall::run(report),
        other => bail!("`{other}` is no part of the bench `gateway`"),
    }
}
