//! The hot records of a store, wherever they are kept.

use crate::hot::{Claim, Claimed, Ending, HotStore, NewSession, Notice, Seen, Session, SessionsOf, Swept};
use crate::{NodeId, RedisHotStore, ReplayKey, Result, SessionId, SqlHotStore, UserId};
use std::ops::Range;
use symbolon_crypto::SecretBytes;
use symbolon_wire::Time;

/// Hot records on the engine that the operator chose.
#[derive(Clone, Debug)]
pub struct Hot(Engine);

#[derive(Clone, Debug)]
enum Engine {
    Sql(SqlHotStore),
    Redis(RedisHotStore),
}

impl Hot {
    pub(crate) const fn sql(store: SqlHotStore) -> Self {
        Self(Engine::Sql(store))
    }

    pub(crate) const fn redis(store: RedisHotStore) -> Self {
        Self(Engine::Redis(store))
    }

    #[cfg(test)]
    pub(crate) fn firm(&self) -> Option<&crate::engine::Engine> {
        match &self.0 {
            Engine::Sql(store) => Some(store.firm()),
            Engine::Redis(_) => None,
        }
    }

    pub(crate) async fn close(&self) {
        match &self.0 {
            Engine::Sql(store) => store.close().await,
            Engine::Redis(store) => store.close().await,
        }
    }
}

/// Hands each call to the engine.
macro_rules! handed_on {
    ($(fn $call:ident(&self $(, $argument:ident: $type:ty)*) -> $answer:ty;)*) => {
        impl HotStore for Hot {
            $(async fn $call(&self $(, $argument: $type)*) -> Result<$answer> {
                match &self.0 {
                    Engine::Sql(store) => store.$call($($argument),*).await,
                    Engine::Redis(store) => store.$call($($argument),*).await,
                }
            })*
        }
    };
}

handed_on! {
    fn open_session(&self, new: &NewSession, now: Time) -> u64;
    fn claim_session(&self, seen: &Seen, claim: Claim<'_>, now: Time) -> Claimed;
    fn publish_session(&self, id: SessionId, epoch: u64, state: &SecretBytes) -> ();
    fn renew_session(&self, id: SessionId, epoch: u64, expires: Time) -> ();
    fn deal_streams(&self, id: SessionId, epoch: Option<u64>, count: u32) -> Range<u64>;
    fn skip_streams(&self) -> ();
    fn session(&self, id: SessionId, now: Time) -> Session;
    fn look(&self, id: SessionId, now: Time) -> Seen;
    fn list_sessions(&self, now: Time) -> Vec<Session>;
    fn sessions_of_user(&self, user: UserId, now: Time) -> Vec<Session>;
    fn count_sessions(&self, user: UserId) -> u64;
    fn end_session(&self, id: SessionId, epoch: Option<u64>, ending: Ending) -> ();
    fn end_sessions_of(&self, whose: SessionsOf, ending: Ending) -> Vec<SessionId>;
    fn notices(&self, node: NodeId) -> Vec<Notice>;
    fn forget_notices(&self, node: NodeId, notices: &[Notice]) -> ();
    fn put_if_absent(&self, key: ReplayKey, expires: Time, now: Time) -> bool;
    fn sweep(&self, now: Time) -> Swept;
}
