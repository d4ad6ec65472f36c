//! The TLS port: applications for clients that know nothing of ours, chosen by the name that they ask for
//! (SNI).
//!
//! ```text
//! client ── hello ──> sites.rs: which application? ── handshake ──> admit.rs: who, and may they?
//!                                                                     │ no: page.rs, a page for people
//!                                                                     └ yes: a place, dial, ../pipe.rs
//! ```
//! A client is a stranger until it has a place among the connections, or was told why not: it has the place,
//! and the time, of one. Then what it may is decided anew whenever something changes (live.rs), and a right that
//! is withdrawn ends its connections with an alert.

mod admit;
mod live;
mod page;
mod returning;
mod sites;

pub(crate) use admit::OpenToAll;
pub(crate) use live::{TlsConnections, TlsPicture, TlsPlace};
pub(crate) use sites::Sites;
pub use sites::{TlsCertificate, TlsSettings};

use crate::clock::now;
use crate::entrance::Stranger;
use crate::node::Shared;
use crate::pipe::{Fresh, Note, Pipe, PipeEnd};
use crate::stream::Unreached;
use admit::{Admission, Refusal, RefusalKind, Verdicts};
use live::Most;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use symbolon_policy::AppName;
use symbolon_session::EndReason;
use symbolon_tls::{Accepted, HandshakeError, NotServed, Opening};
use tokio::net::{TcpListener, TcpStream};

/// A client that may go on, and has a place.
struct Received {
    accepted: Accepted<TcpStream>,
    app: symbolon_store::App,
    admission: Admission,
    place: TlsPlace,
}

impl Shared {
    /// Lets TLS clients in until the node stops.
    pub(crate) async fn serve_tls(self: Arc<Self>, listener: TcpListener) {
        self.let_in(listener, Self::tls_client).await;
    }

    async fn tls_client(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let source = peer.ip().to_canonical();
        let Some(mut stranger) = Stranger::enter(&self, peer) else {
            return tracing::debug!(%peer, "too many strangers: closed");
        };
        let received = stranger.within(Box::pin(self.receive_tls(stream, source))).await;
        drop(stranger);
        match received {
            Ok(Ok(Some(received))) => Box::pin(self.serve(received, source)).await,
            Ok(Ok(None)) => {}
            Ok(Err(e)) => tracing::debug!(%peer, "TLS: {e}"),
            Err(left) => tracing::debug!(%peer, "nothing came of it, {left}: closed"),
        }
    }

    /// From the first byte to a place among the connections. Nothing when the client was told why not.
    async fn receive_tls(
        &self,
        stream: TcpStream,
        source: IpAddr,
    ) -> Result<Option<Received>, HandshakeError> {
        let opening = Opening::read(stream).await?;
        let name = opening.hello().server_name.clone().unwrap_or_default();
        let Some((app, site)) = self.site_of(&name) else {
            tracing::debug!(name, "no application is served under this name");
            opening.refuse(NotServed::UnknownName).await;
            return Ok(None);
        };
        let Some(site) = site else {
            opening.refuse(NotServed::OurFault).await;
            return Ok(None);
        };
        let accepted = opening.accept(&site).await?;
        match self.enter_tls(&accepted, &app, source).await {
            Ok((admission, place)) => Ok(Some(Received { accepted, app, admission, place })),
            Err(refusal) => {
                if refusal.kind == RefusalKind::Failed {
                    tracing::error!(app = %app.name, %source, "TLS client refused: {}", refusal.reason);
                } else {
                    tracing::debug!(app = %app.name, %source, "TLS client refused: {}", refusal.reason);
                }
                self.audit_refusal(&source.to_string(), &refusal.reason).await;
                page::show(accepted, &app, &refusal).await;
                Ok(None)
            }
        }
    }

    async fn enter_tls(
        &self,
        accepted: &Accepted<TcpStream>,
        app: &symbolon_store::App,
        source: IpAddr,
    ) -> Result<(Admission, TlsPlace), Refusal> {
        let admission = self.admit(accepted, app, source).await?;
        let limits = &self.config.limits;
        let most = Most { all: limits.tls_connections, of_source: limits.tls_connections_per_source };
        let place = self.tls.enter(&app.name, &admission, source, most).ok_or_else(Refusal::full)?;
        // What was decided before it had a place may be over.
        let snapshot = self.desk.present();
        let mut verdicts = Verdicts::by(&snapshot);
        self.tls.review_one(place.number(), |connection| self.still_admitted(connection, &mut verdicts));
        Ok((admission, place))
    }

    async fn serve(&self, received: Received, source: IpAddr) {
        let Received { accepted, app, admission, place } = received;
        let application = match &admission {
            Admission::Entitled { path, .. } => self.dial(path, accepted.alpn.as_deref()).await,
            Admission::Anyone(open) => self.dial_open(open, accepted.alpn.as_deref()).await,
        };
        let app_name = &app.name;
        let application = match application {
            Ok(application) => application,
            Err(Unreached { target, failure }) => {
                tracing::warn!(app = %app_name, target, "application not reached: {failure}");
                return page::show(accepted, &app, &Refusal::unreachable(&failure)).await;
            }
        };
        let note = Note::new(app.name.clone(), source, now(), admission.owner(place.number()));
        let fresh = Fresh { state: &accepted.state, client: accepted.stream, application, note };
        let pipe = match Pipe::begin(&self.keeper, fresh) {
            Ok(pipe) => pipe,
            Err(e) => return tracing::error!(app = %app_name, %source, "TLS connection not carried: {e}"),
        };
        self.metrics.tls_connections.inc();
        match place.user() {
            Some(user) => tracing::info!(app = %app_name, user, %source, "TLS connection opened"),
            // whom nobody knows shall not fill the log
            None => tracing::debug!(app = %app_name, %source, "TLS connection opened"),
        }
        self.carry_tls(pipe, place, app_name, source).await;
    }

    /// Carries a connection to its end.
    pub(crate) async fn carry_tls(
        &self,
        pipe: Pipe,
        mut place: TlsPlace,
        app_name: &AppName,
        source: IpAddr,
    ) {
        match pipe.run(&mut place.cut, &place.counters, &self.metrics.traffic).await {
            PipeEnd::Finished => tracing::debug!(app = %app_name, %source, "TLS connection finished"),
            PipeEnd::Cut(reason) => {
                tracing::info!(app = %app_name, %source, ?reason, "TLS connection cut");
                let detail = serde_json::json!({ "app": app_name.as_str(), "reason": reason.sentence() });
                self.note(self.actor(), "tls.cut", source.to_string(), detail);
            }
            PipeEnd::Broken(reason) => {
                tracing::debug!(app = %app_name, %source, "TLS connection broken: {reason}");
            }
        }
    }

    /// Ends TLS connections whose right is gone.
    pub(crate) fn review_tls(&self) {
        let snapshot = self.desk.present();
        let mut verdicts = Verdicts::by(&snapshot);
        self.tls.review(|connection| self.still_admitted(connection, &mut verdicts));
    }

    /// Ends TLS connections whose certificate has come to its end.
    pub(crate) fn end_untrusted_tls(&self) {
        self.tls.review(|connection| self.still_trusted(connection));
    }

    /// Ends all of them.
    pub(crate) fn cut_tls(&self, reason: EndReason) {
        self.tls.review(|_| Some(reason));
    }
}
