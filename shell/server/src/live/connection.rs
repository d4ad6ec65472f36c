//! A session and the connection that carries its control messages.

use super::{Inner, LiveSession};
use crate::draw::draw;
use std::net::IpAddr;
use symbolon_crypto::GatewayName;
use symbolon_session::{ControlMessage, EndReason, Line, Report};
use symbolon_token::Configuration;
use symbolon_wire::Time;

/// Messages that may wait for a client that does not read, besides its configuration.
const OUTBOX: usize = 256;

/// What is to be done for a session's client next.
pub(crate) enum Next {
    Send(ControlMessage),
    SendConfiguration(Configuration),
    /// Say goodbye and close.
    Over(EndReason),
    /// Another connection has the session now.
    Replaced,
    Nothing,
}

impl LiveSession {
    /// Gives the session to a new connection; the number tells it whether it still has it. A
    /// connection of an earlier epoch than the present one never has it.
    pub(crate) fn connect(&self, epoch: u64, source: IpAddr) -> u64 {
        let mut inner = self.inner();
        if epoch < inner.epoch {
            return 0;
        }
        let number = u64::from_be_bytes(draw()) | 1;
        inner.connection = number;
        inner.epoch = epoch;
        inner.source = source;
        inner.state.source = Line::lossy(&source.to_string());
        inner.outbox.clear();
        if inner.version > 0 {
            inner.renumber(crate::clock::now());
        }
        drop(inner);
        self.wake.notify_one();
        number
    }

    /// Whether the connection with this number still has the session.
    pub(crate) fn has(&self, connection: u64) -> bool {
        connection != 0 && self.inner().connection == connection
    }

    /// Where its control connection comes from, and what its client says of machine and place.
    pub(crate) fn whereabouts(&self) -> (IpAddr, Report) {
        let inner = self.inner();
        (inner.source, inner.state.report.clone())
    }

    pub(crate) fn disconnect(&self, connection: u64) {
        let mut inner = self.inner();
        if inner.connection == connection {
            inner.connection = 0;
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.inner().connection != 0
    }

    /// What the connection with this number must do next.
    pub(crate) fn next(&self, connection: u64, gateway: &GatewayName, now: Time) -> Next {
        let mut inner = self.inner();
        if connection == 0 || inner.connection != connection {
            return Next::Replaced;
        }
        match inner.over {
            Some(EndReason::Replaced) => return Next::Replaced,
            Some(reason) => return Next::Over(reason),
            None => {}
        }
        if std::mem::take(&mut inner.configuration_due) {
            return Next::SendConfiguration(Configuration {
                version: inner.version,
                gateway: gateway.clone(),
                session_id: self.id.0,
                issued: now,
                destinations: inner.shown.clone(),
            });
        }
        inner.outbox.pop_front().map_or(Next::Nothing, Next::Send)
    }

    /// Has a message sent.
    pub(crate) fn post(&self, message: ControlMessage) {
        let mut inner = self.inner();
        if inner.outbox.len() < OUTBOX {
            inner.outbox.push_back(message);
        }
        drop(inner);
        self.wake.notify_one();
    }

    /// Sends the configuration again.
    pub(crate) fn repeat_configuration(&self, now: Time) {
        self.inner().renumber(now);
        self.wake.notify_one();
    }

    pub(crate) fn reported(&self, report: Report) {
        self.inner().state.report = report;
    }

    pub(crate) fn applied(&self, version: u64) {
        let mut inner = self.inner();
        if version <= inner.version {
            inner.state.configuration_applied = version;
        }
    }
}

impl Inner {
    /// Has the configuration sent under a new version. Versions are times, so that they grow from
    /// node to node without being stored.
    pub(super) fn renumber(&mut self, now: Time) {
        let last = self.version.max(self.state.configuration_applied);
        self.version = now.0.max(last.saturating_add(1));
        self.configuration_due = true;
    }
}
