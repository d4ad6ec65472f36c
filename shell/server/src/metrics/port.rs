//! `/metrics`, `/healthz`, `/readyz`.

use super::few::Few;
use crate::error::NodeError;
use crate::node::Shared;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// OpenMetrics 1.0, which Prometheus asks for first.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How long the store may take to show that the node can work.
const STORE_WITHIN: Duration = Duration::from_secs(2);

/// Where a node tells how it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsSettings {
    /// A port of this machine alone (127.0.0.0/8 or ::1): nobody has to sign in there.
    pub listen: SocketAddr,
}

/// Demands that nobody else can ask.
pub(crate) fn check(settings: Option<&MetricsSettings>) -> Result<(), NodeError> {
    match settings {
        Some(MetricsSettings { listen }) if !listen.ip().is_loopback() => Err(NodeError::Config(format!(
            "metrics.listen = \"{listen}\": others could read it; name 127.0.0.1 or [::1]"
        ))),
        _ => Ok(()),
    }
}

impl Shared {
    /// Answers until it is dropped, also while the node stops: `/readyz` says so. The port is the leading worker's
    /// own: it is free again when that is dead.
    pub(crate) async fn tell_metrics(self: Arc<Self>, address: SocketAddr) {
        let served = async {
            let listener = TcpListener::bind(address).await?;
            tracing::info!(address = %listener.local_addr()?, "metrics are told");
            axum::serve(Few::new(listener), router(self)).await
        };
        // a node that works goes on without
        if let Err(e) = served.await {
            tracing::error!(%address, "metrics are not told: {e}");
        }
        std::future::pending::<()>().await;
    }

    /// Why nobody should be sent here, if that is so.
    async fn unready(&self) -> Option<String> {
        if *self.stopping.borrow() {
            return Some("the node stops".to_owned());
        }
        if !*self.informed.borrow() {
            return Some("the node has not read the directory yet".to_owned());
        }
        match tokio::time::timeout(STORE_WITHIN, self.store.is_there()).await {
            Ok(Ok(_)) => None,
            Ok(Err(e)) => Some(format!("the store: {e}")),
            Err(_) => Some(format!("the store does not answer within {} s", STORE_WITHIN.as_secs())),
        }
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .with_state(shared)
}

async fn metrics(State(node): State<Arc<Shared>>) -> Result<impl IntoResponse, StatusCode> {
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let ready = node.unready().await.is_none();
    let text = node.metrics.to_text(|present| {
        let (sessions, streams) = node.live.counts();
        let snapshot = node.desk.present();
        present.sessions.set(count(sessions));
        present.streams.set(count(streams));
        present.tls_connections.set(count(node.tls.count()));
        present.strangers.set(count(node.strangers.count()));
        present.users.set(count(snapshot.users.len()));
        present.apps.set(count(snapshot.apps.len()));
        let before = node.leads.get().map_or(0, |leads| leads.before);
        present.successions.set(i64::try_from(before).unwrap_or(i64::MAX));
        present.ready.set(ready.into());
    });
    let text = text.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text))
}

async fn readyz(State(node): State<Arc<Shared>>) -> (StatusCode, String) {
    match node.unready().await {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_may_ask() {
        let check = |listen: &str| check(Some(&MetricsSettings { listen: listen.parse().unwrap() }));
        for listen in ["127.0.0.1:9464", "127.3.2.1:1", "[::1]:9464"] {
            assert!(check(listen).is_ok(), "{listen}");
        }
        for listen in ["0.0.0.0:9464", "[::]:9464", "192.0.2.1:9464"] {
            assert!(check(listen).unwrap_err().to_string().contains("others could read it"), "{listen}");
        }
    }
}
