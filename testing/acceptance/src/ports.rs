//! Addresses that nobody uses.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

/// Below the ports that Linux gives to clients (`ip_local_port_range`), so that none of them takes it meanwhile.
const FIRST: u32 = 10_000;
const COUNT: u32 = 20_000;

/// A TCP port of 127.0.0.1 that nobody has just now, for programs that cannot be told to take any. No two calls in a
/// process give the same, and each process begins to look elsewhere.
///
/// # Errors
/// When the machine has none.
pub fn free_port() -> Result<u16> {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(7919);
    let mut places = (0..COUNT).map(|_| start.wrapping_add(ASKED.fetch_add(1, Ordering::Relaxed)) % COUNT);
    let free = places.find_map(|place| {
        let port = u16::try_from(FIRST + place).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok().then_some(port)
    });
    free.context("no port is free")
}
