//! All sessions that this node carries.

use super::LiveSession;
use crate::clock::now;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use symbolon_session::{EndReason, SessionId};
use symbolon_wire::Time;

/// How long a session that was just opened is kept for its client's first message, in seconds.
const CONFIRM_SECS: u64 = 60;

/// How long what became of a session is kept for who is about to take it in, in seconds: it stands in the store
/// already, and is here a few calls of the store later.
const GONE_SECS: u64 = 30;
/// How many of those are kept: as many as end at once when a crowd is sent home.
const GONE: usize = 100_000;

/// All sessions that this node carries.
#[derive(Default)]
pub(crate) struct LiveSessions(Mutex<Carried>);

#[derive(Default)]
struct Carried {
    sessions: HashMap<SessionId, Arc<LiveSession>>,
    /// What became of sessions that were not here when it was said.
    gone: HashMap<SessionId, (Gone, Time)>,
}

#[derive(Clone, Copy)]
enum Gone {
    Ended(EndReason),
    Moved(u64),
}

impl Carried {
    fn remember(&mut self, id: SessionId, gone: Gone) {
        let now = now();
        if self.gone.len() >= GONE {
            self.gone.retain(|_, (_, since)| since.distance_secs(now) < GONE_SECS);
        }
        // One that finds no room goes on until it needs more stream numbers of the store.
        if self.gone.len() < GONE {
            self.gone.insert(id, (gone, now));
        }
    }
}

impl LiveSessions {
    fn carried(&self) -> MutexGuard<'_, Carried> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a session in; a copy from before it went to another node and came back ends. One that was ended or
    /// taken over since it stands in the store is over as soon as it is here.
    pub(crate) fn insert(&self, session: LiveSession) -> Arc<LiveSession> {
        self.take_in(session, false)
    }

    fn take_in(&self, session: LiveSession, stays: bool) -> Arc<LiveSession> {
        let session = Arc::new(session);
        let (stale, gone) = {
            let mut carried = self.carried();
            if let Some(here) = carried.sessions.get(&session.id).filter(|_| stays) {
                return here.clone();
            }
            let gone = carried.gone.remove(&session.id);
            (carried.sessions.insert(session.id, session.clone()), gone)
        };
        if let Some(stale) = stale {
            stale.moved(session.epoch());
        }
        match gone {
            Some((Gone::Ended(reason), _)) => session.end(reason),
            Some((Gone::Moved(epoch), _)) if session.moved(epoch) => self.remove(&session),
            _ => {}
        }
        session
    }

    /// Takes a session in that this node carried before, unless its client was faster and it is here.
    pub(crate) fn insert_unless_here(&self, session: LiveSession) -> Arc<LiveSession> {
        self.take_in(session, true)
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<Arc<LiveSession>> {
        self.carried().sessions.get(&id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<LiveSession>> {
        self.carried().sessions.values().cloned().collect()
    }

    /// Ends a session for its client; its connection takes it out. It is over in the store, or is about to be
    /// taken in here and over then.
    pub(crate) fn end(&self, id: SessionId, reason: EndReason) {
        let session = {
            let mut carried = self.carried();
            let session = carried.sessions.get(&id).cloned();
            if session.is_none() {
                carried.remember(id, Gone::Ended(reason));
            }
            session
        };
        if let Some(session) = session {
            session.end(reason);
        }
    }

    /// Lets go of a session that another node carries on from `epoch`.
    pub(crate) fn moved(&self, id: SessionId, epoch: u64) {
        let mut carried = self.carried();
        match carried.sessions.get(&id) {
            Some(session) if session.moved(epoch) => drop(carried.sessions.remove(&id)),
            Some(_) => {}
            None => carried.remember(id, Gone::Moved(epoch)),
        }
    }

    pub(crate) fn remove(&self, session: &Arc<LiveSession>) {
        let sessions = &mut self.carried().sessions;
        // Not the one that came after it.
        if sessions.get(&session.id).is_some_and(|s| Arc::ptr_eq(s, session)) {
            sessions.remove(&session.id);
        }
    }

    /// Forgets sessions that are over or expired, and those that have neither connection nor
    /// stream: the store has them still.
    pub(crate) fn sweep(&self, now: Time) -> Vec<Arc<LiveSession>> {
        let mut expired = Vec::new();
        let mut carried = self.carried();
        carried.gone.retain(|_, (_, since)| since.distance_secs(now) < GONE_SECS);
        carried.sessions.retain(|_, s| {
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

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_crypto::{GatewayName, Secret, TokenKind};
    use symbolon_policy::{CanonName, TokenClass};
    use symbolon_session::{Line, Report, SessionSecret, SessionState, UserId};

    const ID: SessionId = SessionId([7; 16]);

    fn session(epoch: u64) -> LiveSession {
        let state = SessionState {
            id: ID,
            user: UserId([1; 16]),
            registration: None,
            user_name: CanonName::parse("alice").unwrap(),
            token_class: TokenClass::Password,
            method: TokenKind::Password,
            certificates: Vec::new(),
            groups: Vec::new(),
            proved: now(),
            gateway: GatewayName::parse("gw.example").unwrap(),
            opened: now(),
            expires: now().plus_secs(3600),
            source: Line::default(),
            report: Report::default(),
            configuration_applied: 0,
            last_attach: 0,
            secret: SessionSecret::new(Secret::new([3; 32])),
        };
        LiveSession::new(symbolon_provider::crypto(), state, epoch, [127, 0, 0, 1].into())
    }

    #[test]
    fn a_session_that_was_ended_before_it_was_taken_in_is_over() {
        let live = LiveSessions::default();
        // in the store it is there, and an administrator has ended it there
        live.end(ID, EndReason::EndedByAdministrator);
        assert!(live.insert(session(1)).is_over());
        assert!(!live.insert(session(2)).is_over(), "it was said once");
    }

    #[test]
    fn a_session_that_another_node_took_before_it_was_taken_in_is_let_go() {
        let live = LiveSessions::default();
        live.moved(ID, 3);
        assert!(live.insert(session(2)).is_over());
        assert!(live.get(ID).is_none());
        live.moved(ID, 3);
        assert!(!live.insert(session(4)).is_over(), "it came back since");
        assert!(live.get(ID).is_some());
    }

    #[test]
    fn what_became_of_sessions_is_forgotten_in_time() {
        let live = LiveSessions::default();
        live.end(ID, EndReason::UserLocked);
        live.sweep(now().plus_secs(GONE_SECS + 1));
        assert!(live.carried().gone.is_empty());
    }
}
