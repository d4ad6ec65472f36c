//! How a session gets a connection: confirmed after its sign-in, or attached to when its connection or its
//! node was lost. The node that had it may be another one on the same store.

use crate::carry::{Carried, STREAMS_AT_ONCE};
use crate::clock::now;
use crate::connection::{Connection, ConnectionError};
use crate::live::LiveSession;
use crate::node::Shared;
use crate::refusal::{Ended, Refused};
use crate::sign_in::Confirming;
use serde_json::json;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use symbolon_provider::SystemEntropy;
use symbolon_session::{Attachment, ControlMessage, EndReason, Epoch, Line, SessionState, VerifiedAttach};
use symbolon_store::{Actor, Claim, Claimed, HotStore as _, NodeId, SessionId, StoreError};
use symbolon_wire::{FrameKind, RefusalCode};

/// How often an attach is tried when something else is published meanwhile: each try loses to a message of
/// the session's own client or to another attach of it, and a client makes neither in such numbers.
const TRIES: usize = 4;

/// A session that this node has taken over.
struct TakenOver {
    state: SessionState,
    verified: VerifiedAttach,
    epoch: u64,
    streams: Range<u64>,
    from: NodeId,
}

impl Shared {
    /// A session that was just opened, with its first wrapped message: that is the last confirmation
    /// of the context, and nothing acts before it.
    pub(crate) async fn confirm(
        &self,
        connection: &mut Connection,
        confirming: Box<Confirming>,
    ) -> Result<(Box<Carried<'_>>, ControlMessage), Ended> {
        let Confirming { session, channel, first } = *confirming;
        let epoch = channel.epoch();
        if let Some(first) = first {
            let number = session.connect(epoch.0, connection.source());
            return Ok((Carried::new(self, session, channel, number, 0..STREAMS_AT_ONCE.into()), first));
        }
        let within = Duration::from_secs(self.config.limits.stranger_secs);
        let first = tokio::time::timeout(within, connection.expect(FrameKind::Wrapped)).await;
        let mut first = match first.unwrap_or(Err(ConnectionError::Stalled)) {
            Ok(first) => first,
            Err(e) => {
                self.forget(&session).await;
                return Err(e.into());
            }
        };
        let number = session.connect(epoch.0, connection.source());
        let mut carried = Carried::new(self, session, channel, number, 0..STREAMS_AT_ONCE.into());
        match carried.open(&mut first) {
            Ok(message) => Ok((carried, message)),
            Err(e) => {
                self.forget(&carried.session).await;
                Err(Refused::denied(format!("the first wrapped message: {e}")).into())
            }
        }
    }

    /// A context that was never confirmed leaves nothing.
    async fn forget(&self, session: &Arc<LiveSession>) {
        self.live.remove(session);
        let (id, ending) = (SessionId(session.id.0), self.ending(EndReason::ProtocolError));
        let _ = self.store.hot().end_session(id, Some(session.epoch()), ending).await;
    }

    /// A session whose connection, or whose node, was lost.
    pub(crate) async fn attach(
        &self,
        connection: &mut Connection,
        body: &[u8],
    ) -> Result<Box<Carried<'_>>, Ended> {
        let TakenOver { state, verified, epoch, streams, from } = self.take_over(connection, body).await?;
        self.review().await.map_err(Refused::from)?;
        let (answer, channel) = verified
            .accept(Epoch(epoch), &mut SystemEntropy)
            .map_err(|e| over(format!("attach to session {}: {e}", state.id)))?;
        tracing::info!(user = %state.user_name, session = %state.id, epoch, source = %connection.source(), %from,
            "session goes on");
        let detail =
            json!({ "source": connection.source().to_string(), "epoch": epoch, "from": from.to_string() });
        self.note(Actor::user(state.user_name.as_str()), "session.attach", state.id.to_string(), detail);
        let (last_attach, source) = (state.last_attach, connection.source());
        let session = LiveSession::new(self.gateway.crypto, state, epoch, source);
        let session = if from == self.node_id {
            self.live.insert_unless_here(session)
        } else {
            self.live.insert(session)
        };
        session.with_state(|held| held.last_attach = last_attach);
        connection.send(FrameKind::Attached, answer).await?;
        let number = session.connect(epoch, connection.source());
        Ok(Carried::new(self, session, channel, number, streams))
    }

    /// Makes this node the session's owner, if the client proves that it is its own and nobody was faster.
    async fn take_over(&self, connection: &Connection, body: &[u8]) -> Result<TakenOver, Refused> {
        let malformed = |e| Refused::malformed(format!("malformed attach: {e}"));
        let id = SessionId(Attachment::receive(body).map_err(malformed)?.session_id().0);
        let gone = |e: StoreError| match e {
            StoreError::NotFound { .. } => over(format!("session {id}: {e}")),
            e => e.into(),
        };
        for _ in 0..TRIES {
            let seen = self.store.hot().look(id, now()).await.map_err(gone)?;
            let mut state = SessionState::from_secret_bytes(&seen.state)
                .map_err(|e| Refused::new(RefusalCode::Internal, format!("state of session {id}: {e}")))?;
            let verified = Attachment::receive(body)
                .map_err(malformed)?
                .verify(self.gateway.crypto, &state, now())
                .map_err(|e| over(format!("attach to session {id}: {e}")))?;
            state.last_attach = verified.counter();
            state.source = Line::lossy(&connection.source().to_string());
            let from = seen.session.owner;
            let published = state.to_secret_bytes();
            let claim = Claim { owner: self.node_id, state: &published, streams: STREAMS_AT_ONCE };
            match self.store.hot().claim_session(&seen, claim, now()).await {
                Ok(Claimed { session, streams }) => {
                    return Ok(TakenOver { state, verified, epoch: session.epoch, streams, from });
                }
                // Renewed, reported or attached in between: is the attach still good?
                Err(StoreError::Fenced) => {}
                Err(e) => return Err(gone(e)),
            }
        }
        Err(Refused::new(RefusalCode::Busy, format!("session {id} changes all the time")))
    }
}

fn over(reason: String) -> Refused {
    Refused::new(RefusalCode::SessionOver, reason)
}
