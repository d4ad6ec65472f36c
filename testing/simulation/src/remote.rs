//! The hot store as a node has it: the product's trait, over the simulated network.

use crate::letter::Letter;
use crate::tables::{Claiming, Opening, Tables};
use crate::world::{Host, MS, World};
use std::ops::Range;
use symbolon_crypto::SecretBytes;
use symbolon_store::{
    Claim, Claimed, Ending, HotStore, NewSession, NodeId, Notice, ReplayKey, Result, Seen, Session,
    SessionId, SessionsOf, StoreError, Swept, UserId,
};
use symbolon_wire::Time;

/// How long a node waits for an answer of a store.
pub(crate) const ANSWER: u64 = 500 * MS;

/// A node's way to the hot store.
#[derive(Clone)]
pub(crate) struct RemoteHot {
    pub(crate) world: World,
    pub(crate) host: Host,
}

impl RemoteHot {
    async fn ask<T: Send + 'static>(
        &self,
        what: &'static str,
        writes: bool,
        call: impl FnOnce(&mut Tables) -> T + Send + 'static,
    ) -> Result<T> {
        let world = &self.world;
        let reply = world.open_box(self.host);
        let server = Host::Server(world.kernel().primary);
        let call = Box::new(move |tables: &mut Tables| Box::new(call(tables)) as _);
        world.post(self.host, server.door(), Letter::Hot { call, what, writes, reply });
        let answer = world.receive(reply, world.now() + ANSWER).await;
        world.close_box(reply);
        let answer = match answer {
            Some(Letter::Answer(Ok(answer))) => answer.downcast().map(|t| *t).map_err(|_| nobody()),
            Some(Letter::Answer(Err(e))) => Err(e),
            _ => Err(nobody()),
        };
        if answer.is_err() {
            self.troubled();
        }
        answer
    }

    /// A node that cannot ask cannot know.
    pub(crate) fn troubled(&self) {
        if let Host::Node(node) = self.host {
            self.world.refer(|reference, now| reference.troubled(node, now));
        }
    }
}

pub(crate) fn nobody() -> StoreError {
    StoreError::Unreachable("no answer".to_owned())
}

impl HotStore for RemoteHot {
    async fn open_session(&self, new: &NewSession, now: Time) -> Result<u64> {
        let opening = Opening {
            id: new.id,
            user: new.user,
            registration: new.registration,
            owner: new.owner,
            expires: new.expires,
            state: new.state.expose().to_vec(),
            streams: new.streams,
        };
        self.ask("open", true, move |t| t.open(opening, now)).await?
    }

    async fn claim_session(&self, seen: &Seen, claim: Claim<'_>, now: Time) -> Result<Claimed> {
        let claiming = Claiming {
            id: seen.session.id,
            epoch: seen.session.epoch,
            published: seen.published().to_vec(),
            owner: claim.owner,
            state: claim.state.expose().to_vec(),
            streams: claim.streams,
        };
        self.ask("claim", true, move |t| t.claim(claiming, now)).await?
    }

    async fn publish_session(&self, id: SessionId, epoch: u64, state: &SecretBytes) -> Result<()> {
        let state = state.expose().to_vec();
        self.ask("publish", true, move |t| t.publish(id, epoch, state)).await?
    }

    async fn renew_session(&self, id: SessionId, epoch: u64, expires: Time) -> Result<()> {
        self.ask("renew", true, move |t| t.renew(id, epoch, expires)).await?
    }

    async fn deal_streams(&self, id: SessionId, epoch: Option<u64>, count: u32) -> Result<Range<u64>> {
        self.ask("deal", true, move |t| t.deal(id, epoch, count)).await?
    }

    async fn skip_streams(&self) -> Result<()> {
        self.ask("skip", true, Tables::skip).await
    }

    async fn session(&self, id: SessionId, now: Time) -> Result<Session> {
        self.ask("session", false, move |t| t.session(id, now)).await?
    }

    async fn look(&self, id: SessionId, now: Time) -> Result<Seen> {
        let (session, state, published) = self.ask("look", false, move |t| t.look(id, now)).await??;
        Ok(Seen::new(session, SecretBytes::new(state), published))
    }

    async fn list_sessions(&self, now: Time) -> Result<Vec<Session>> {
        self.ask("list", false, move |t| t.list(None, now)).await
    }

    async fn sessions_of_user(&self, user: UserId, now: Time) -> Result<Vec<Session>> {
        self.ask("of user", false, move |t| t.list(Some(user), now)).await
    }

    async fn count_sessions(&self, user: UserId) -> Result<u64> {
        self.ask("count", false, move |t| t.count(user)).await
    }

    async fn end_session(&self, id: SessionId, epoch: Option<u64>, ending: Ending) -> Result<()> {
        self.ask("end", true, move |t| t.end(id, epoch, ending)).await?
    }

    async fn end_sessions_of(&self, whose: SessionsOf, ending: Ending) -> Result<Vec<SessionId>> {
        self.ask("end all of", true, move |t| t.end_of(whose, ending)).await
    }

    async fn notices(&self, node: NodeId) -> Result<Vec<Notice>> {
        self.ask("notices", false, move |t| t.notices(node)).await
    }

    async fn forget_notices(&self, node: NodeId, notices: &[Notice]) -> Result<()> {
        let notices = notices.to_vec();
        self.ask("forget", true, move |t| t.forget_notices(node, &notices)).await
    }

    async fn put_if_absent(&self, key: ReplayKey, expires: Time, now: Time) -> Result<bool> {
        self.ask("put", true, move |t| t.put(key, expires, now)).await
    }

    async fn sweep(&self, now: Time) -> Result<Swept> {
        self.ask("sweep", true, move |t| t.sweep(now)).await
    }
}
