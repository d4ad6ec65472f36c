//! How many sessions a user may have.

use crate::clock::now;
use crate::node::Shared;
use crate::refusal::Refused;
use serde_json::json;
use symbolon_session::{EndReason, SessionId};
use symbolon_store::{HotStore as _, Session, User};
use symbolon_wire::RefusalCode;

impl Shared {
    /// Sees to it that the user may have one session more, counted at all nodes. Of those at this node,
    /// one that has neither connection nor stream gives way: its client may have gone without a word.
    pub(crate) async fn make_room(&self, user: &User) -> Result<(), Refused> {
        let most = self.config.limits.sessions_per_user as u64;
        if self.store.hot().count_sessions(user.id).await? < most {
            return Ok(());
        }
        let sessions = self.store.hot().sessions_of_user(user.id, now()).await?;
        let idle = |s: &&Session| s.owner == self.node_id && self.live.get(SessionId(s.id.0)).is_none();
        match sessions.iter().find(idle) {
            _ if (sessions.len() as u64) < most => Ok(()),
            Some(idle) => {
                let ending = self.ending(EndReason::TooMany);
                self.store.hot().end_session(idle.id, Some(idle.epoch), ending).await?;
                let detail = json!({ "user": user.subject.name.as_str(), "why": "too many" });
                self.note(self.actor(), "session.end", idle.id.to_string(), detail);
                Ok(())
            }
            None => {
                let reason = format!("{} has too many sessions", user.subject.name);
                Err(Refused::new(RefusalCode::Busy, reason))
            }
        }
    }
}
