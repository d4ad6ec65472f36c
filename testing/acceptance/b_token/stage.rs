//! What several of these files need.

use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use symbolon_acceptance::{LIMIT, Person, Running, finish, program};

/// A time of day as entitlements have it.
pub(crate) fn utc(seconds: u64) -> Result<String> {
    let mut date = Command::new(program("date")?);
    date.args(["--utc", "+%Y-%m-%dT%H:%M:%SZ", "--date", &format!("@{seconds}")]);
    Ok(finish(&mut date, b"", LIMIT)?.success()?.text())
}

/// The same link with another address in it.
pub(crate) fn at_address(link: &str, address: &str) -> Result<String> {
    let rest = link.split_once("/i#").context("not a link")?.1;
    Ok(format!("https://{address}/i#{rest}"))
}

/// Whether `needle` stands anywhere in `haystack`.
pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|w| w == needle)
}

/// `symbolon connect APP` with its port.
pub(crate) fn port_to(person: &Person, app: &str) -> Result<(Running, u16)> {
    let connect = person.machine().start(["connect", app, "--json"])?;
    let line = connect.wait_line(|l| l.contains("\"address\""))?;
    let told: Value = serde_json::from_str(&line)?;
    let address = told["address"].as_str().context("no address")?;
    let port = address.rsplit_once(':').context("no port")?.1.parse()?;
    Ok((connect, port))
}

pub(crate) fn dial(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(stream)
}
