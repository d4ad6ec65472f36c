//! What administrators see of a session.

use std::net::IpAddr;
use symbolon_policy::{AppName, TokenClass};
use symbolon_wire::Time;

/// A session as administrators see it.
pub(crate) struct Picture {
    pub(crate) token_class: TokenClass,
    pub(crate) source: IpAddr,
    pub(crate) machine: String,
    pub(crate) place: String,
    pub(crate) agent: String,
    pub(crate) connected: bool,
    pub(crate) version: u64,
    pub(crate) applied: u64,
    pub(crate) streams: Vec<StreamPicture>,
}

/// A stream as administrators see it.
pub(crate) struct StreamPicture {
    pub(crate) number: u64,
    pub(crate) app: AppName,
    pub(crate) since: Time,
    pub(crate) up: u64,
    pub(crate) down: u64,
}
