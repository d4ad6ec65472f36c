//! Taking a session over: `shell/server/src/attach.rs`.

use super::{Node, Refused, STREAMS_AT_ONCE};
use crate::bug::Bug;
use crate::letter::Frame;
use crate::world::Inbox;
use symbolon_session::{Attachment, Epoch, SessionState};
use symbolon_store::{Claim, Claimed, HotStore as _, SessionId, StoreError};

/// How often it is tried when something else is published meanwhile.
const TRIES: usize = 4;

/// The number that a client put into its report.
pub(super) fn report_of(state: &SessionState) -> u64 {
    state.report.place.as_str().parse().unwrap_or(0)
}

impl Node {
    pub(super) async fn attach(&self, body: &[u8], from_node: Inbox, to_node: Inbox) -> Result<(), Refused> {
        let began = self.world.now();
        let over = |_| Refused(true);
        let gone = |e| Refused(matches!(e, StoreError::NotFound { .. }));
        let read = || Attachment::receive(body).map_err(|_| Refused(false));
        let id = SessionId(read()?.session_id().0);
        for _ in 0..TRIES {
            let seen = self.hot.look(id, self.clock()).await.map_err(gone)?;
            let mut state = SessionState::from_secret_bytes(&seen.state).map_err(|_| Refused(false))?;
            let verified = read()?.verify(self.crypto, &state, self.clock()).map_err(over)?;
            if !self.has(Bug::AttachNotCounted) {
                state.last_attach = verified.counter();
            }
            if self.has(Bug::AttachRenews) {
                state.expires = self.clock().plus_secs(super::LIFETIME_SECS);
            }
            let from_here = seen.session.owner == self.id;
            let published = state.to_secret_bytes();
            let claim = Claim { owner: self.id, state: &published, streams: STREAMS_AT_ONCE };
            let too_early = self.has(Bug::AnswerBeforeClaim);
            if too_early {
                let epoch = seen.session.epoch + 1;
                self.world.refer(|r, now| r.owned(id.0, epoch, self.index, self.boot, now));
            }
            let Claimed { session, streams } = match self.hot.claim_session(&seen, claim, self.clock()).await
            {
                Ok(claimed) => claimed,
                Err(StoreError::Fenced) => continue,
                Err(e) => return Err(gone(e)),
            };
            let report = report_of(&state);
            let epoch = session.epoch;
            self.world.refer(|r, now| {
                r.owned(id.0, epoch, self.index, self.boot, now);
                r.attached(id.0, epoch, body, report, began);
            });
            if self.has(Bug::AttachRenews) {
                self.hot.renew_session(id, epoch, state.expires).await?;
            }
            self.review().await?;
            let mut entropy = self.world.entropy();
            let (answer, channel) = verified.accept(Epoch(epoch), &mut entropy).map_err(over)?;
            self.world.note(|| format!("session {id} goes on at node {}, epoch {epoch}", self.index));
            self.take_in(state, epoch, to_node, from_here);
            self.send(from_node, Frame::Attached(answer));
            self.carry(symbolon_session::SessionId(id.0), channel, streams, from_node, to_node, None).await;
            return Ok(());
        }
        Err(Refused(false))
    }
}
