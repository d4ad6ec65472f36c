//! Addresses that nobody uses.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Result;

/// A TCP port of 127.0.0.1 that was free a moment ago. For programs that cannot be told to take any port; callers
/// start again with another when the moment was too long.
///
/// # Errors
/// When the machine has none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
