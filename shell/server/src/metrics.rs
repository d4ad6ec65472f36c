//! What a node counts, for Prometheus (OpenMetrics), and how it says that it is well: on a port of this machine
//! alone.
//!
//! Counters begin anew with each worker that leads, as with any process that is begun again: `rate()` knows that.

mod few;
mod port;
mod process;
#[cfg(test)]
mod shown;

pub use port::MetricsSettings;
pub(crate) use port::check;

use process::ProcessMetrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// One label with its value.
type Label = [(&'static str, String); 1];

/// All of it.
pub(crate) struct Metrics {
    registry: Registry,
    sign_ins: Family<Label, Counter>,
    pub(crate) refusals: Counter,
    pub(crate) streams: Counter,
    pub(crate) tls_connections: Counter,
    pub(crate) adopted: Counter,
    pub(crate) traffic: Traffic,
    present: Present,
    process: ProcessMetrics,
}

/// Bytes that passed, without the records around them.
#[derive(Clone)]
pub(crate) struct Traffic {
    pub(crate) up: Counter,
    pub(crate) down: Counter,
}

/// What is read when somebody asks.
#[derive(Default)]
pub(crate) struct Present {
    pub(crate) sessions: Gauge,
    pub(crate) streams: Gauge,
    pub(crate) tls_connections: Gauge,
    pub(crate) strangers: Gauge,
    pub(crate) users: Gauge,
    pub(crate) apps: Gauge,
    pub(crate) successions: Gauge,
    pub(crate) ready: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let process = ProcessMetrics::register(&mut registry);
        let ours = registry.sub_registry_with_prefix("symbolon");
        ours.register("build", "The program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let (sign_ins, bytes) = (Family::<Label, Counter>::default(), Family::<Label, Counter>::default());
        ours.register("sign_ins", "Sessions opened, by the credential that opened them", sign_ins.clone());
        ours.register_with_unit(
            "traffic",
            "Content that passed, up from clients and down to them",
            Unit::Bytes,
            bytes.clone(),
        );
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            ours.register(name, help, counter.clone());
            counter
        };
        let refusals = counter("refusals", "Peers that were refused, as the audit has them or would");
        let streams = counter("streams", "Streams of agents opened");
        let tls_connections = counter("tls_connections", "Connections of TLS clients opened");
        let adopted = counter("connections_adopted", "Connections carried on of workers that died");
        let present = Present::default();
        for (name, help, gauge) in [
            ("sessions_connected", "Sessions whose agents are connected", &present.sessions),
            ("streams_open", "Streams of agents", &present.streams),
            ("tls_connections_open", "Connections of TLS clients", &present.tls_connections),
            ("strangers", "Peers that have proved nothing yet", &present.strangers),
            ("users", "Users in the directory", &present.users),
            ("apps", "Applications that are published", &present.apps),
            ("successions", "Workers that led before this one", &present.successions),
            ("ready", "1 where /readyz says ok, 0 otherwise", &present.ready),
        ] {
            ours.register(name, help, gauge.clone());
        }
        let way = |way: &str| bytes.get_or_create(&[("direction", way.to_owned())]).clone();
        let traffic = Traffic { up: way("up"), down: way("down") };
        Self { registry, sign_ins, refusals, streams, tls_connections, adopted, traffic, present, process }
    }

    /// A session was opened.
    pub(crate) fn signed_in(&self, by: &str) {
        self.sign_ins.get_or_create(&[("method", by.to_owned())]).inc();
    }

    /// As Prometheus reads it, with what is the case now.
    fn to_text(&self, set: impl FnOnce(&Present)) -> Result<String, std::fmt::Error> {
        set(&self.present);
        self.process.read();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
