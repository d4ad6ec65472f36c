//! Connections whose worker died: carried on at once, and given back to what decides about them.
//!
//! A TLS connection has its place by itself; a stream belongs to a session, which is taken in from the store if its
//! client was not faster.

use crate::clock::now;
use crate::live::{Adoption, Counters, LiveSession, Returned, Returning};
use crate::node::Shared;
use crate::pipe::{Adopted, Note, Owner, Pipe};
use crate::stream::tell;
use std::net::IpAddr;
use std::sync::Arc;
use symbolon_os::HeldConnection;
use symbolon_session::{EndReason, SessionId, SessionState};
use symbolon_store::{HotStore as _, StoreError};
use tokio::sync::oneshot;

impl Shared {
    /// Carries a connection on that the holder handed over.
    pub(crate) fn adopt(self: &Arc<Self>, held: HeldConnection) {
        let Some(Adopted { pipe, note, times }) = Pipe::adopt(&self.keeper, held) else { return };
        self.metrics.adopted.inc();
        let adopted = Adoption { times, at: now() };
        tracing::info!(app = %note.app, source = %note.source, times, "connection goes on");
        let shared = self.clone();
        match note.owner {
            Owner::Stream { session, number } => {
                tokio::spawn(shared.carry_stream_on(pipe, note, session, number, adopted));
            }
            Owner::Anyone { .. } | Owner::Entitled { .. } => {
                let Some(place) = self.readmit_tls(&note, adopted) else { return };
                tokio::spawn(async move { shared.carry_tls(pipe, place, &note.app, note.source).await });
            }
        }
    }

    /// Its bytes go on while it is looked up whose it is.
    async fn carry_stream_on(
        self: Arc<Self>,
        pipe: Pipe,
        note: Note,
        id: SessionId,
        number: u64,
        adopted: Adoption,
    ) {
        let (cut, mut cut_received) = oneshot::channel();
        let counters = Arc::new(Counters::default());
        let running = pipe.run(&mut cut_received, &counters, &self.metrics.traffic);
        tokio::pin!(running);
        let app = note.app.clone();
        let returning =
            Returning { number, app, since: note.since, counters: counters.clone(), adopted, cut };
        let end = tokio::select! {
            end = &mut running => end,
            place = self.readmit(id, note.source, returning) => {
                let end = running.await;
                drop(place);
                end
            }
        };
        tell(id, &note.app, end);
    }

    /// Gives a stream back to its session, or cuts it.
    async fn readmit(&self, id: SessionId, source: IpAddr, stream: Returning) -> Option<Returned> {
        let session = match self.session_in_store(id).await {
            Ok(session) => session,
            Err(reason) => {
                tracing::info!(session = %id, ?reason, "a stream's session does not go on");
                let _ = stream.cut.send(reason);
                return None;
            }
        };
        // the sender is ours
        let _ = self.informed.subscribe().wait_for(|informed| *informed).await;
        self.review_session(&session);
        let path = session.permitted(&stream.app, now());
        let path = path.filter(|_| self.permitted_from(&session, &stream.app, source));
        session.readmit(stream, path.as_ref(), now())
    }

    /// The session as this node carries it, or as the store has it.
    async fn session_in_store(&self, id: SessionId) -> Result<Arc<LiveSession>, EndReason> {
        if let Some(session) = self.live.get(id) {
            return Ok(session);
        }
        let seen = match self.store.hot().look(symbolon_store::SessionId(id.0), now()).await {
            Ok(seen) => seen,
            Err(StoreError::NotFound { .. }) => return Err(EndReason::Expired),
            Err(e) => {
                tracing::error!(session = %id, "the session cannot be read: {e}");
                return Err(EndReason::InternalError);
            }
        };
        if seen.session.owner != self.node_id {
            return Err(EndReason::Replaced);
        }
        let state = SessionState::from_secret_bytes(&seen.state).map_err(|_| EndReason::InternalError)?;
        let source = state.source.as_str().parse().unwrap_or(IpAddr::from([0, 0, 0, 0]));
        let session = LiveSession::new(self.gateway.crypto, state, seen.session.epoch, source);
        Ok(self.live.insert_unless_here(session))
    }
}
