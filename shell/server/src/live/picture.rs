//! What administrators see of a session.

use super::{Adoption, LiveSession};
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use symbolon_policy::{AppName, GroupName, TokenClass};
use symbolon_wire::Time;

/// A session as administrators see it.
pub(crate) struct Picture {
    pub(crate) token_class: TokenClass,
    pub(crate) source: IpAddr,
    pub(crate) machine: String,
    pub(crate) place: String,
    pub(crate) agent: String,
    /// Those that the directory does not have.
    pub(crate) groups: Vec<GroupName>,
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
    pub(crate) adopted: Option<Adoption>,
}

impl LiveSession {
    /// What administrators see.
    pub(crate) fn picture(&self) -> Picture {
        let inner = self.inner();
        Picture {
            token_class: self.class,
            source: inner.source,
            machine: inner.state.report.machine.to_string(),
            place: inner.state.report.place.to_string(),
            agent: inner.state.report.agent.to_string(),
            groups: inner.state.groups.clone(),
            connected: inner.connection != 0,
            version: inner.version,
            applied: inner.state.configuration_applied,
            streams: inner
                .streams
                .iter()
                .map(|s| StreamPicture {
                    number: s.number,
                    app: s.app.clone(),
                    since: s.since,
                    up: s.counters.up.load(Ordering::Relaxed),
                    down: s.counters.down.load(Ordering::Relaxed),
                    adopted: s.adopted,
                })
                .collect(),
        }
    }
}
