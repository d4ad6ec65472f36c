//! All sessions that this node carries.

use super::LiveSession;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use symbolon_session::{EndReason, SessionId};
use symbolon_wire::Time;

/// How long a session that was just opened is kept for its client's first message, in seconds.
const CONFIRM_SECS: u64 = 60;

/// All sessions that this node carries.
#[derive(Default)]
pub(crate) struct LiveSessions(Mutex<HashMap<SessionId, Arc<LiveSession>>>);

impl LiveSessions {
    fn map(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<LiveSession>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a session in; a copy from before it went to another node and came back ends.
    pub(crate) fn insert(&self, session: LiveSession) -> Arc<LiveSession> {
        let session = Arc::new(session);
        let stale = self.map().insert(session.id, session.clone());
        if let Some(stale) = stale {
            stale.moved(session.epoch());
        }
        session
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<Arc<LiveSession>> {
        self.map().get(&id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<LiveSession>> {
        self.map().values().cloned().collect()
    }

    /// Ends a session for its client; its connection takes it out.
    pub(crate) fn end(&self, id: SessionId, reason: EndReason) {
        if let Some(session) = self.get(id) {
            session.end(reason);
        }
    }

    /// Lets go of a session that another node carries on from `epoch`.
    pub(crate) fn moved(&self, id: SessionId, epoch: u64) {
        let mut map = self.map();
        if map.get(&id).is_some_and(|s| s.moved(epoch)) {
            map.remove(&id);
        }
    }

    pub(crate) fn remove(&self, session: &Arc<LiveSession>) {
        let mut map = self.map();
        // Not the one that came after it.
        if map.get(&session.id).is_some_and(|s| Arc::ptr_eq(s, session)) {
            map.remove(&session.id);
        }
    }

    /// Forgets sessions that are over or expired, and those that have neither connection nor
    /// stream: the store has them still.
    pub(crate) fn sweep(&self, now: Time) -> Vec<Arc<LiveSession>> {
        let mut expired = Vec::new();
        self.map().retain(|_, s| {
            if now >= s.expires() && !s.is_over() {
                expired.push(s.clone());
            }
            let awaited = now < s.opened().plus_secs(CONFIRM_SECS);
            Arc::strong_count(s) > 1 || s.is_connected() || awaited || (s.stream_count() > 0 && !s.is_over())
        });
        expired
    }

    /// Sessions with a connection, and streams.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let all = self.all();
        (all.iter().filter(|s| s.is_connected()).count(), all.iter().map(|s| s.stream_count()).sum())
    }

    pub(crate) fn cut_all_streams(&self, reason: EndReason) {
        self.all().iter().for_each(|s| s.cut_streams(reason));
    }
}
