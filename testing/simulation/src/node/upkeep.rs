//! What a node does by itself, and what an administrator orders: `shell/server/src/upkeep.rs`.

use super::sign_in::registration_id;
use super::{Node, Refused};
use crate::bug::Bug;
use crate::records::Change;
use crate::world::MS;
use std::sync::Arc;
use symbolon_session::{EndReason, SessionId};
use symbolon_store::{HotStore as _, News, SessionsOf, StoreError, UserId};

/// How often the stores are asked whether somebody else changed something.
const LOOK: u64 = 500 * MS;
/// How many looks after which time is looked after.
const LOOKS_A_TICK: u64 = 4;

pub(super) async fn look_after(node: Arc<Node>) {
    let mut looks = 0;
    loop {
        node.world.sleep(node.host, LOOK).await;
        // The next look tries again.
        drop(node.review().await);
        if !node.has(Bug::NoticesIgnored) {
            node.read_notices().await;
        }
        looks += 1;
        if looks % LOOKS_A_TICK == 0 {
            node.tick().await;
        }
    }
}

impl Node {
    /// Reads who may what, if that changed.
    pub(super) async fn review(&self) -> Result<(), Refused> {
        let known = self.memory().revision;
        if known != 0 && self.has(Bug::StaleDirectory) {
            return Ok(());
        }
        let revision = self.hot.durable("revision", |r| r.revision).await?;
        if revision == known {
            return Ok(());
        }
        let (revision, users) = self.hot.durable("users", |r| (r.revision, r.users.clone())).await?;
        let sessions: Vec<SessionId> = {
            let mut memory = self.memory();
            if revision > memory.revision {
                (memory.revision, memory.users) = (revision, users);
            }
            memory.live.keys().copied().collect()
        };
        sessions.into_iter().for_each(|id| self.review_session(id));
        Ok(())
    }

    /// Ends what is not permitted any more.
    pub(super) fn review_session(&self, id: SessionId) {
        let over = {
            let memory = &mut *self.memory();
            let Some(live) = memory.live.get_mut(&id) else { return };
            let index = live.state.user.0[0];
            let Some(user) = memory.users.get(usize::from(index)) else { return };
            if !user.entitled {
                live.streams.clear();
            }
            let registration = live.state.registration.map(|r| r.0);
            user.locked || registration != Some(registration_id(index, user.registration))
        };
        if over {
            self.end(id);
        }
    }

    async fn read_notices(&self) {
        // The next look tries again.
        let Ok(notices) = self.hot.notices(self.id).await else { return };
        for notice in &notices {
            let id = SessionId(notice.session.0);
            match notice.news {
                News::Moved => self.moved(id, notice.epoch),
                News::Ended(_) => self.end(id),
            }
        }
        if !notices.is_empty() {
            drop(self.hot.forget_notices(self.id, &notices).await);
        }
    }

    async fn tick(&self) {
        let now = self.clock();
        let expired: Vec<(SessionId, u64)> = {
            let memory = self.memory();
            let expired = memory.live.iter().filter(|(_, l)| now >= l.state.expires && !l.over);
            expired.map(|(id, l)| (*id, l.epoch)).collect()
        };
        for (id, epoch) in expired {
            let stored = symbolon_store::SessionId(id.0);
            let ended = if self.has(Bug::ExpiryNotWritten) {
                self.memory().live.remove(&id);
                Ok(())
            } else {
                self.end(id);
                self.hot.end_session(stored, Some(epoch), self.ending(EndReason::Expired)).await
            };
            if ended.is_ok() {
                self.world.refer(|r, now| r.ended(id.0, now));
            }
        }
        if self.has(Bug::ExpiryNotWritten) {
            return;
        }
        // The next tick tries again.
        let _ = self.hot.sweep(self.clock()).await;
    }

    /// Does what an administrator orders; it is in force when this returns.
    pub(super) async fn obey(&self, change: Change) -> Result<(), Refused> {
        let (Change::Lock(user)
        | Change::Unlock(user)
        | Change::Withdraw(user)
        | Change::Entitle(user)
        | Change::Revoke(user)
        | Change::EndSession(user)) = change;
        if matches!(change, Change::EndSession(_)) {
            let sessions = self.hot.sessions_of_user(UserId([user; 16]), self.clock()).await?;
            let Some(session) = sessions.first() else { return Ok(()) };
            let ended =
                self.hot.end_session(session.id, None, self.ending(EndReason::EndedByAdministrator)).await;
            if !matches!(ended, Ok(()) | Err(StoreError::NotFound { .. })) {
                return Err(Refused(false));
            }
            self.end(SessionId(session.id.0));
            if ended.is_ok() {
                self.world.refer(|r, now| r.ended(session.id.0, now));
            }
            return Ok(());
        }
        let registration = self.memory().users[usize::from(user)].registration;
        let token = self.hot.durable("change", move |r| r.change(change, registration)).await?;
        self.world.kernel().tokens.insert(user, token);
        let whose = match change {
            Change::Lock(user) => Some(SessionsOf::User(UserId([user; 16]))),
            Change::Revoke(user) => {
                let id = registration_id(user, registration);
                Some(SessionsOf::Registration(symbolon_store::RegistrationId(id)))
            }
            _ => None,
        };
        if let Some(whose) = whose {
            self.end_sessions_of(whose).await?;
        }
        self.review().await?;
        self.world.refer(|r, now| match change {
            Change::Lock(user) => r.locked(user, Some(now)),
            Change::Withdraw(user) => r.withdrawn(user, Some(now)),
            Change::Revoke(user) => r.revoked(user, registration, now),
            _ => {}
        });
        Ok(())
    }
}
