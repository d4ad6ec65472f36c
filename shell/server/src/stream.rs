//! Native streams: from a client's opening to the application, and the bytes between.

use crate::clock::now;
use crate::connection::Connection;
use crate::entrance::Stranger;
use crate::front::OpenToAll;
use crate::live::{LiveSession, StreamPlace};
use crate::node::Shared;
use crate::pipe::{Fresh, Note, Owner, Pipe, PipeEnd};
use crate::refusal::{Ended, Refused};
use crate::relay::{Destination, Failure, FailureKind};
use std::net::IpAddr;
use std::time::Duration;
use symbolon_policy::{AccessRequest, AppName, PathPermitted};
use symbolon_provider::SystemEntropy;
use symbolon_record::{TlsRole, TlsState};
use symbolon_session::{ClaimedStream, EndReason, Line, Refusal, SessionId, StreamClaimed, StreamError};
use symbolon_store::Target;
use symbolon_wire::{FrameKind, RefusalCode};
use tokio::net::TcpStream;

/// A stream that was accepted.
pub(crate) struct OpenStream {
    session: SessionId,
    number: u64,
    path: PathPermitted,
    application: TcpStream,
    state: TlsState,
    place: StreamPlace,
}

impl Shared {
    /// Opens a stream: authenticated, claimed, permitted, dialled, in this order. Nothing when it
    /// was refused and the client told so.
    pub(crate) async fn open_stream(
        &self,
        connection: &mut Connection,
        body: Vec<u8>,
        stranger: Stranger,
    ) -> Result<Option<OpenStream>, Ended> {
        let opening = ClaimedStream::receive(body)
            .map_err(|e| Refused::malformed(format!("malformed stream opening: {e}")))?;
        let id = opening.session();
        let over = || Refused::new(RefusalCode::SessionOver, format!("no live session {id} here"));
        let session = self.live.get(id).filter(|s| !s.is_over()).ok_or_else(over)?;
        let authentic = session.authenticate(opening, now()).map_err(|e| match e {
            StreamError::Malformed(e) => Refused::malformed(format!("malformed stream opening: {e}")),
            e => Refused::denied(format!("stream of session {id}: {e}")),
        })?;
        drop(stranger);
        let claimed = match session.claim(authentic) {
            Ok(claimed) => claimed,
            Err(refused) => {
                tracing::warn!(session = %id, number = refused.stream.number(), "stream refused: {}", refused.why);
                let refusal = Refusal { reason: EndReason::NumberRefused, detail: Line::default() };
                let body = refused.stream.refuse(&refusal, &mut SystemEntropy).map_err(internal)?;
                connection.send(FrameKind::StreamReply, body).await?;
                return Ok(None);
            }
        };
        let app = claimed.request().app.clone();
        let permitted = session.permitted(&app, now());
        let Some(path) = permitted.filter(|_| self.permitted_from(&session, &app, connection.source()))
        else {
            tracing::info!(session = %id, user = %session.user_name(), %app, "not permitted");
            return refuse(connection, claimed, EndReason::NotPermitted).await;
        };
        let Some(mut place) =
            session.enter(claimed.number(), &path, self.config.limits.streams_per_session, now())
        else {
            return refuse(connection, claimed, EndReason::TooMany).await;
        };
        let application = match self.dial(&path, None).await {
            Ok(application) => application,
            Err(failure) => {
                let Unreached { target, failure } = failure;
                tracing::warn!(session = %id, %app, target, "application not reached: {failure}");
                let detail = match failure.kind {
                    FailureKind::Certificate => {
                        Line::lossy(&format!("The application is not trusted: {failure}"))
                    }
                    FailureKind::Unreachable => Line::default(),
                };
                let reason = EndReason::ApplicationUnreachable;
                return refuse_with(connection, claimed, Refusal { reason, detail }).await;
            }
        };
        if let Ok(reason) = place.cut.try_recv() {
            return refuse(connection, claimed, reason).await;
        }
        tracing::info!(session = %id, user = %session.user_name(), %app, number = claimed.number(),
            source = %connection.source(), origin = %claimed.request().origin, "stream opened");
        self.metrics.streams.inc();
        let number = claimed.number();
        let (body, records) = claimed.accept(&mut SystemEntropy).map_err(internal)?;
        connection.send(FrameKind::StreamReply, body).await?;
        let state = records.into_state(TlsRole::Server);
        Ok(Some(OpenStream { session: id, number, path, application, state, place }))
    }

    /// A stream that comes from elsewhere than the control connection is decided by where it comes
    /// from.
    pub(crate) fn permitted_from(&self, session: &LiveSession, app: &AppName, source: IpAddr) -> bool {
        let (control, report) = session.whereabouts();
        if control == source {
            return true;
        }
        let snapshot = self.desk.present();
        let Some(user) = snapshot.users.get(&session.user) else { return false };
        let request = AccessRequest {
            subject: &user.subject,
            app,
            now: now(),
            source,
            token_class: session.class,
            machine: report.machine.as_str(),
            place: report.place.as_str(),
        };
        snapshot.policy.decide(&request).permitted().is_some()
    }

    /// Dials an application that may be reached, as the catalogue has it now. One that wants TLS is told the protocol
    /// that its client agreed on (ALPN).
    pub(crate) async fn dial(
        &self,
        path: &PathPermitted,
        alpn: Option<&[u8]>,
    ) -> Result<TcpStream, Unreached> {
        self.dial_app(path.app(), alpn).await
    }

    /// The same for one that is for everybody.
    pub(crate) async fn dial_open(
        &self,
        open: &OpenToAll,
        alpn: Option<&[u8]>,
    ) -> Result<TcpStream, Unreached> {
        self.dial_app(open.app(), alpn).await
    }

    async fn dial_app(&self, app: &AppName, alpn: Option<&[u8]>) -> Result<TcpStream, Unreached> {
        let snapshot = self.desk.present();
        let Some(app) = snapshot.apps.get(app) else {
            let failure = Failure::unreachable("it is not published any more");
            return Err(Unreached { target: String::new(), failure });
        };
        let within = Duration::from_secs(self.config.limits.dial_secs);
        let dialled = tokio::time::timeout(within, async {
            match Destination::of(app, alpn) {
                Some(destination) => self.relay.connect(destination, within).await,
                None => direct(&app.target).await,
            }
        });
        let late = |_| Err(Failure::unreachable(format!("no answer within {} s", within.as_secs())));
        let dialled = dialled.await.unwrap_or_else(late);
        dialled.map_err(|failure| Unreached { target: app.target.to_string(), failure })
    }
}

/// An application was not reached.
pub(crate) struct Unreached {
    /// For the operator alone.
    pub(crate) target: String,
    /// Why, for the client, too, where it is about a certificate.
    pub(crate) failure: Failure,
}

async fn direct(target: &Target) -> Result<TcpStream, Failure> {
    let Target::Tcp { host, port } = target else {
        return Err(Failure::unreachable("it is reached by a relay alone"));
    };
    let stream = TcpStream::connect((host.as_str(), *port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl OpenStream {
    /// Carries its bytes to the end.
    pub(crate) async fn run(self, shared: &Shared, client: TcpStream, source: IpAddr) {
        let Self { session, number, path, application, state, mut place } = self;
        let app = path.app();
        let note = Note::new(app.clone(), source, now(), Owner::Stream { session, number });
        match Pipe::begin(&shared.keeper, Fresh { state: &state, client, application, note }) {
            Ok(pipe) => {
                let end = pipe.run(&mut place.cut, &place.counters, &shared.metrics.traffic).await;
                tell(session, app, end);
            }
            Err(e) => tracing::error!(%session, %app, "stream not carried: {e}"),
        }
    }
}

/// Has the log say how a stream ended.
pub(crate) fn tell(session: SessionId, app: &AppName, end: PipeEnd) {
    match end {
        PipeEnd::Finished => tracing::debug!(%session, %app, "stream finished"),
        PipeEnd::Cut(reason) => tracing::info!(%session, %app, ?reason, "stream cut"),
        PipeEnd::Broken(reason) => tracing::debug!(%session, %app, "stream broken: {reason}"),
    }
}

async fn refuse(
    connection: &mut Connection,
    claimed: StreamClaimed,
    reason: EndReason,
) -> Result<Option<OpenStream>, Ended> {
    refuse_with(connection, claimed, Refusal { reason, detail: Line::default() }).await
}

async fn refuse_with(
    connection: &mut Connection,
    claimed: StreamClaimed,
    refusal: Refusal,
) -> Result<Option<OpenStream>, Ended> {
    let body = claimed.refuse(&refusal, &mut SystemEntropy).map_err(internal)?;
    connection.send(FrameKind::StreamReply, body).await?;
    Ok(None)
}

fn internal(e: StreamError) -> Refused {
    Refused::new(RefusalCode::Internal, format!("stream: {e}"))
}
