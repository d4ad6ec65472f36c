//! What commands show of a running agent.

use crate::agent::report;
use crate::agent::shared::Shared;
use crate::agent::streams::StreamEntry;
use crate::status::{
    DestinationInfo, Destinations, Reported, SCHEMA, SessionStatus, Status, StreamStatus, WhoAmI,
};
use crate::{AgentError, clock};
use std::sync::atomic::Ordering;
use symbolon_policy::format_time;

impl Shared {
    pub(crate) fn status(&self) -> Status {
        let state = self.state();
        Status {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            link: state.link,
            gateway: self.gateway.clone(),
            address: self.address.clone(),
            issuer: self.issuer.clone(),
            user: state.user.clone(),
            place: state.place.to_string(),
            session: state.live.as_ref().map(|live| SessionStatus {
                id: live.id.to_string(),
                epoch: live.epoch.0,
                since: format_time(live.opened),
                expires: format_time(live.expires),
                suite: live.suite.to_string(),
                device: live.shown.device.clone(),
                keys_from: Some(live.keys_from),
                latency_us: live.latency.and_then(|l| u64::try_from(l.as_micros()).ok()),
                configuration: live.configuration,
                destinations: live.destinations.len(),
            }),
            streams: state.streams.values().map(|s| s.status()).collect(),
            listeners: state.listeners.values().cloned().collect(),
            problems: state.problems.iter().cloned().collect(),
        }
    }

    pub(crate) fn destinations(&self) -> Destinations {
        let state = self.state();
        let now = clock::now();
        let live = state.live.as_ref();
        Destinations {
            schema: SCHEMA,
            gateway: self.gateway.clone(),
            configuration: live.and_then(|l| l.configuration),
            destinations: live
                .map(|l| l.destinations.as_slice())
                .unwrap_or_default()
                .iter()
                .filter(|d| d.until.is_none_or(|until| now < until))
                .map(|d| DestinationInfo {
                    app: d.app.to_string(),
                    protocol: d.protocol.chars().filter(|c| !c.is_control()).collect(),
                    description: d.description.chars().filter(|c| !c.is_control()).collect(),
                    until: d.until.map(format_time),
                    class: "normal".to_owned(),
                })
                .collect(),
        }
    }

    pub(crate) fn whoami(&self) -> Result<WhoAmI, AgentError> {
        let state = self.state();
        let live = state.live.as_ref().ok_or_else(|| {
            AgentError::unreachable("there is no session at the moment").fix("symbolon status shows why")
        })?;
        let shown = &live.shown;
        let report = report::report(&state.place);
        Ok(WhoAmI {
            schema: SCHEMA,
            user: state.user.clone(),
            user_code: shown.registered.as_ref().map(|r| r.0.clone()),
            access_path: shown.registered.as_ref().map(|r| r.1.clone()),
            token_class: shown.class.to_string(),
            assurance: shown.class.assurance().to_string(),
            signed_in_by: shown.method.to_owned(),
            device: shown.device.clone(),
            gateway: self.gateway.clone(),
            issuer: self.issuer.clone(),
            suite: live.suite.to_string(),
            keys_from: Some(live.keys_from),
            reported: Reported {
                user: report.user.to_string(),
                machine: report.machine.to_string(),
                system: report.system.to_string(),
                place: report.place.to_string(),
            },
        })
    }
}

impl StreamEntry {
    fn status(&self) -> StreamStatus {
        StreamStatus {
            number: self.number,
            app: self.app.to_string(),
            since: format_time(self.since),
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
        }
    }
}
