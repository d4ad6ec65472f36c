//! What a node does by itself: it follows the store, changes keys in time, and lets go of what is
//! over.

use crate::NodeError;
use crate::clock::now;
use crate::live::LiveSession;
use crate::node::Shared;
use std::sync::Arc;
use std::time::Duration;
use symbolon_policy::Standing;
use symbolon_session::EndReason;
use symbolon_store::{HotStore as _, News, Notice, SessionsOf, StoreError};

/// How often the store is asked whether somebody else changed it.
const LOOK: Duration = Duration::from_millis(500);
/// How often time is looked after: keys, expired sessions.
const TICK: Duration = Duration::from_secs(5);

impl Shared {
    /// Brings everybody up to date with the store.
    ///
    /// # Errors
    /// When the directory cannot be read: then what was changed is not in force here yet.
    pub(crate) async fn review(&self) -> Result<(), NodeError> {
        let _one = self.reviewing.lock().await;
        // trust first: as long as it cannot be read anew, the directory is not either, and the next look tries again
        if self.store.revision().await? != self.desk.present().revision {
            self.review_trust().await?;
        }
        let changed = self.desk.refresh(&self.store).await;
        match &changed {
            Ok(true) => self.review_all(),
            Ok(false) => {}
            Err(e) => tracing::error!("the directory cannot be read: {e}"),
        }
        changed.map(|_| ())
    }

    /// Another node on the store may have put another issuer in the place of the present one, and the time of
    /// the one before may be over.
    pub(crate) async fn look_for_issuer(&self) {
        let followed = match self.follow_issuer() {
            Ok(false) if !self.old_issuer_is_over() => return,
            Ok(_) => self.review_trust().await,
            Err(e) => Err(e),
        };
        if let Err(e) = followed {
            tracing::error!("the issuers that count cannot be looked at: {e}");
        }
    }

    /// Ends whatever is not permitted any more.
    pub(crate) fn review_all(&self) {
        let snapshot = self.desk.present();
        let now = now();
        for session in self.live.all() {
            session.review(&snapshot, now);
        }
        self.review_tls();
    }

    pub(crate) fn review_session(&self, session: &LiveSession) {
        session.review(&self.desk.present(), now());
    }

    /// Ends what a user, or a token, has open.
    pub(crate) async fn end_sessions_of(&self, whose: SessionsOf, why: EndReason) -> Result<(), StoreError> {
        for session in self.store.hot().end_sessions_of(whose, self.ending(why)).await? {
            self.live.end(symbolon_session::SessionId(session.0), why);
        }
        Ok(())
    }

    /// Lets go of what other nodes on the store have taken over or ended.
    async fn read_notices(&self) {
        let hot = self.store.hot();
        let notices = match hot.notices(self.node_id).await {
            Ok(notices) => notices,
            // The next look tries again.
            Err(e) => return tracing::error!("notices of other nodes cannot be read: {e}"),
        };
        for &Notice { session, epoch, news } in &notices {
            let id = symbolon_session::SessionId(session.0);
            match news {
                News::Moved => self.live.moved(id, epoch),
                News::Ended(why) => {
                    self.live.end(id, EndReason::from_code(why).unwrap_or(EndReason::InternalError));
                }
            }
        }
        // Only now: what is told twice does no harm, what is told to nobody does.
        if let Err(e) = hot.forget_notices(self.node_id, &notices).await {
            tracing::error!("notices of other nodes cannot be forgotten: {e}");
        }
    }

    pub(crate) async fn look_after(self: Arc<Self>) {
        let mut look = tokio::time::interval(LOOK);
        let mut tick = tokio::time::interval(TICK);
        // Asked from the last review on, so that no edge of a condition passes unseen.
        let mut reviewed = now();
        loop {
            let next_change = self.desk.present().policy.next_change(reviewed);
            let until_change = next_change.map_or(Duration::from_secs(3600), |t| {
                Duration::from_micros(t.0.saturating_sub(now().0)).min(Duration::from_secs(3600))
            });
            tokio::select! {
                // A failure is logged, and the next look tries again.
                _ = look.tick() => {
                    self.look_for_issuer().await;
                    self.follow_lists().await;
                    drop(self.review().await);
                    self.read_notices().await;
                    self.write_notes().await;
                }
                _ = tick.tick() => self.tick().await,
                () = tokio::time::sleep(until_change) => {}
            }
            if next_change.is_some_and(|t| t <= now()) {
                reviewed = now();
                self.review_all();
            }
        }
    }

    async fn tick(&self) {
        // certificates lapse without a change of the directory
        self.end_untrusted_tls();
        match self.gateway.rotate_if_due(now()) {
            Ok(true) => tracing::info!("new context keys"),
            Ok(false) => {}
            Err(e) => tracing::error!("context keys: {e}"),
        }
        self.publish_what_changed();
        for session in self.live.sweep(now()) {
            self.expire(&session).await;
        }
        self.end_sessions_without_right().await;
        if let Err(e) = self.store.hot().sweep(now()).await {
            tracing::error!("sweep: {e}");
        }
    }

    /// A session that no node carries at the moment must not survive its user's lock, or its token's
    /// end, either.
    async fn end_sessions_without_right(&self) {
        // In this order every listed session's user is in the snapshot, unless removed since.
        let Ok(sessions) = self.store.hot().list_sessions(now()).await else { return };
        if self.review().await.is_err() {
            return;
        }
        let snapshot = self.desk.present();
        for session in sessions {
            let standing = snapshot.users.get(&session.user).map(|u| u.subject.standing);
            let revoked = session.registration.is_some_and(|r| !snapshot.registrations.contains(&r));
            let why = match standing {
                None => EndReason::EndedByAdministrator,
                Some(Standing::Locked) => EndReason::UserLocked,
                Some(Standing::Active | Standing::Pending) if revoked => EndReason::TokenRevoked,
                Some(Standing::Active | Standing::Pending) => continue,
            };
            let _ = self.store.hot().end_session(session.id, None, self.ending(why)).await;
        }
    }
}
