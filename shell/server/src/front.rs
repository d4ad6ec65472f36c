//! The TLS port: applications for clients that know nothing of ours, chosen by the name that they ask for
//! (SNI).
//!
//! ```text
//! client ── hello ──> sites.rs: which application? ── handshake ──> admit.rs: who, and may they?
//!                                                                     │ no: page.rs, a page for people
//!                                                                     └ yes: dial, carry.rs
//! ```
//! A client is a stranger until its handshake is done: it has the place, and the time, of one. Whoever it
//! is then is decided anew whenever something changes (live.rs), and a right that is withdrawn ends its
//! connections with an alert.

mod admit;
mod carry;
mod live;
mod page;
mod sites;

pub(crate) use admit::OpenToAll;
pub(crate) use live::{TlsConnections, TlsPicture};
pub(crate) use sites::Sites;
pub use sites::{TlsCertificate, TlsSettings};

use crate::connection::keep_alive;
use crate::node::Shared;
use crate::pipe::PipeEnd;
use crate::source::Source;
use crate::strangers::Place;
use admit::Refusal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use symbolon_session::EndReason;
use symbolon_store::Actor;
use symbolon_tls::{Accepted, HandshakeError, Opening};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A client's place among the strangers, given back when dropped.
struct Stranger<'a> {
    shared: &'a Shared,
    place: Place,
}

impl Drop for Stranger<'_> {
    fn drop(&mut self) {
        self.shared.strangers.leave(&self.place);
    }
}

/// A client that was shaken hands with, and the application that it asked for.
struct Greeted {
    accepted: Accepted<TcpStream>,
    app: symbolon_store::App,
}

impl Shared {
    /// Lets TLS clients in until the node stops. Their connections end with it.
    pub(crate) async fn serve_tls(self: Arc<Self>, listener: TcpListener) {
        let mut stopping = self.stopping.subscribe();
        let mut clients = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(left) = clients.join_next() => {
                    if let Err(e) = left {
                        tracing::error!("a TLS connection's task: {e}");
                    }
                    continue;
                }
                _ = stopping.wait_for(|s| *s) => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let shared = Arc::clone(&self);
                    clients.spawn(async move { shared.tls_client(stream, peer).await });
                }
                Err(e) => {
                    // Out of descriptors, or the peer was faster than we: neither stops the node.
                    tracing::warn!("accept: {e}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
        drop(listener);
        while clients.join_next().await.is_some() {}
    }

    async fn tls_client(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let source = peer.ip().to_canonical();
        let _ = stream.set_nodelay(true);
        keep_alive(&stream);
        let Some(place) = self.strangers.enter(Source::of(source)) else {
            return tracing::debug!(%peer, "too many strangers: closed");
        };
        let mut stranger = Stranger { shared: &self, place };
        let secs = self.config.limits.stranger_secs;
        let secs = if self.strangers.crowded() { secs.div_ceil(5) } else { secs };
        let greet = Box::pin(self.greet_tls(stream));
        let greeted = tokio::select! {
            greeted = tokio::time::timeout(Duration::from_secs(secs), greet) => greeted,
            _ = &mut stranger.place.give_way => return tracing::debug!(%peer, "others wait: closed"),
        };
        drop(stranger);
        match greeted {
            Ok(Ok(Some(greeted))) => Box::pin(self.enter(greeted, source)).await,
            Ok(Ok(None)) => {}
            Ok(Err(e)) => tracing::debug!(%peer, "TLS: {e}"),
            Err(_) => tracing::debug!(%peer, "no handshake within {secs} s: closed"),
        }
    }

    /// The handshake. Nothing when the client asked for a name that is not served.
    async fn greet_tls(&self, stream: TcpStream) -> Result<Option<Greeted>, HandshakeError> {
        let opening = Opening::read(stream).await?;
        let name = opening.hello().server_name.clone().unwrap_or_default();
        let Some((app, site)) = self.site_of(&name) else {
            tracing::debug!(name, "no application has this name");
            opening.refuse().await;
            return Ok(None);
        };
        let accepted = opening.accept(&site).await?;
        Ok(Some(Greeted { accepted, app }))
    }

    async fn enter(&self, greeted: Greeted, source: std::net::IpAddr) {
        let Greeted { accepted, app } = greeted;
        let name = app.name.clone();
        let admission = match self.admit(&accepted, &app, source).await {
            Ok(admission) => admission,
            Err(refusal) => {
                tracing::info!(app = %name, %source, "TLS client refused: {}", refusal.reason);
                let detail = serde_json::json!({ "reason": refusal.reason, "by": "tls" });
                self.note(Actor::user("a TLS client"), "refused", source.to_string(), detail);
                return page::show(accepted, &app, &refusal).await;
            }
        };
        let path = match &admission {
            admit::Admission::Entitled { path, .. } => self.dial(path).await,
            admit::Admission::Anyone(open) => self.dial_open(open).await,
        };
        let application = match path {
            Ok(application) => application,
            Err(reason) => {
                tracing::warn!(app = %name, "application not reached: {reason}");
                return page::show(accepted, &app, &Refusal::unreachable()).await;
            }
        };
        let limits = &self.config.limits;
        let most = (limits.tls_connections, limits.tls_connections_per_source);
        let Some(place) = self.tls.enter(&name, admission, source, most) else {
            tracing::warn!(app = %name, %source, "as many TLS connections as there may be");
            return page::show(accepted, &app, &Refusal::full()).await;
        };
        // What was decided before it had a place may be over.
        self.review_tls();
        tracing::info!(app = %name, user = place.user(), %source, "TLS connection opened");
        match carry::run(accepted, application, place).await {
            PipeEnd::Finished => tracing::debug!(app = %name, %source, "TLS connection finished"),
            PipeEnd::Cut(reason) => {
                tracing::info!(app = %name, %source, ?reason, "TLS connection cut");
                let detail = serde_json::json!({ "app": name.as_str(), "reason": reason.sentence() });
                self.note(self.actor(), "tls.cut", source.to_string(), detail);
            }
            PipeEnd::Broken(reason) => {
                tracing::debug!(app = %name, %source, "TLS connection broken: {reason}")
            }
        }
    }

    /// Ends TLS connections whose right is gone.
    pub(crate) fn review_tls(&self) {
        let snapshot = self.desk.present();
        self.tls.review(|connection| self.still_admitted(connection, &snapshot));
    }

    /// Ends all of them.
    pub(crate) fn cut_tls(&self, reason: EndReason) {
        self.tls.review(|_| Some(reason));
    }
}
