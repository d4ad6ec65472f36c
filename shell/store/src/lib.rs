#![forbid(unsafe_code)]
//! What must be remembered: the directory, the catalogue, live sessions, and who did what.
//!
//! ```text
//!                  Store                                   Hot (trait HotStore)
//!   users, registrations, passwords, invitations,    live sessions (epoch, owner, sealed state),
//!   apps, entitlements, templates, certificates,      notices to nodes, replay cache
//!   settings, audit
//!            │ durable.db, fsync per commit                  │ hot.db, survives kill -9
//!            ├──────────── or one PostgreSQL database ───────┤
//!                                                            └── or a Redis or Valkey server
//! ```
//! The same SQL text runs on SQLite and PostgreSQL. Every change of a durable record names its
//! [`Actor`] and writes its row of the hash-chained audit in the same transaction, so that nothing
//! changes unaudited ([`Store::verify_audit`]). Secrets are sealed under the node's key, each for
//! its own table, row and column: a copy of the files tells none, and a value moved to another row
//! does not open. Whatever can alter a decision counts [`Store::revision`] up.
//!
//! Where to look: [`Store::begin_registration`] for the one call with a story of its own,
//! [`HotStore`] for the rules of ownership, [`StoreError`] for all that can go wrong.

mod apps;
mod audit;
mod catalogue;
mod certificates;
mod chain;
mod copying;
mod database_url;
mod engine;
mod error;
mod hot;
mod hot_any;
mod hot_place;
mod hot_redis;
mod hot_sql;
mod ids;
mod invitations;
mod opening;
mod options;
mod passwords;
mod registering;
mod registrations;
mod schema;
mod seal;
mod settings;
mod target;
mod tickets;
mod user_rows;
mod users;

pub use apps::{
    Alpn, App, NotAProtocol, NotAlpn, NotTlsClients, OwnCertificate, Protocol, Publication, TlsClients,
    TlsEntry,
};
pub use audit::{Actor, ActorKind, AuditFault, AuditReport, AuditRow, Note};
pub use catalogue::Template;
pub use certificates::{
    CertificateState, NewCertificate, RegisteredCertificate, RevokedGateway, WaitingRequest,
};
pub use copying::{Copied, CopyFor, Copying};
pub use database_url::{DatabaseUrl, DatabaseUrlError};
pub use engine::BUSY_TIMEOUT;
pub use error::{InvitationRefusal, Result, StoreError, What};
pub use hot::{Claim, Claimed, Ending, HotStore, NewSession, News, Notice, Seen, Session, SessionsOf, Swept};
pub use hot_any::Hot;
pub use hot_redis::{HotUrl, HotUrlError, RedisHotStore};
pub use hot_sql::SqlHotStore;
pub use ids::{CodeHash, NodeId, NotAnId, RegistrationId, ReplayKey, SessionId, UserId};
pub use invitations::{Invitation, InvitationState, NewInvitation};
pub use options::{DirectoryLock, Location, Sharing, StoreOptions};
pub use registering::{CONFIRM_WITHIN_SECS, NewRegistration, RegistrationFor};
pub use registrations::{KeyedRegistration, Registration, RegistrationState};
pub use target::{MAX_ROOTS, Target, TargetError};
pub use tickets::TicketKey;
pub use users::{NewUser, User};

use chain::{Audited, Change};
use engine::{Columns, Engine};
use seal::Guard;
use std::sync::Arc;
use symbolon_wire::Time;

/// An open store. Copies share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    durable: Audited,
    hot: Hot,
    guard: Arc<Guard>,
    _lock: Option<Arc<DirectoryLock>>,
}

impl Store {
    /// Live sessions and the replay cache.
    #[must_use]
    pub fn hot(&self) -> &Hot {
        &self.hot
    }

    /// A number that grows with each change that can alter a decision: of users, groups,
    /// registrations, applications, entitlements.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn revision(&self) -> Result<u64> {
        sqlx::query("SELECT number FROM meta WHERE name = 'revision'")
            .fetch_one(self.durable().read())
            .await?
            .count("number")
    }

    /// Asks both the durable and the hot records, to see whether somebody is there.
    ///
    /// # Errors
    /// [`StoreError`] of the engine that is not.
    pub async fn is_there(&self) -> Result<()> {
        self.revision().await?;
        self.hot.count_sessions(UserId([0; 16])).await?;
        Ok(())
    }

    /// Writes an audit row for something that changes no record: a refusal, a start.
    ///
    /// # Errors
    /// [`StoreError`] of the engine: then what was to be recorded must not happen.
    pub async fn record(
        &self,
        by: &Actor,
        action: &str,
        object: &str,
        detail: &serde_json::Value,
        now: Time,
    ) -> Result<()> {
        self.change(by, now).await?.commit(action, object, detail).await
    }

    /// Writes an audit row for each of several such things, in one transaction: for what comes in crowds.
    ///
    /// # Errors
    /// [`StoreError`] of the engine: then none is written.
    pub async fn record_all(&self, notes: &[Note]) -> Result<()> {
        let Some(first) = notes.first() else { return Ok(()) };
        let mut change = self.change(&first.by, first.time).await?;
        for Note { time, by, action, object, detail } in notes {
            change.append(by, action, object, detail, *time).await?;
        }
        change.finish().await
    }

    /// Verifies the whole audit chain, its end included.
    ///
    /// # Errors
    /// [`StoreError`] of the engine; a broken chain is a report, not an error.
    pub async fn verify_audit(&self) -> Result<AuditReport> {
        self.durable.verify().await
    }

    /// At most `limit` audit rows after number `after`, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`] of the engine, [`StoreError::Corrupt`] for a row that no program wrote.
    pub async fn audit_page(&self, after: u64, limit: u32) -> Result<Vec<AuditRow>> {
        self.durable.page(after, limit).await
    }

    /// Waits for what is under way and closes all connections. A store that is dropped instead
    /// loses nothing that was acknowledged either.
    pub async fn close(self) {
        self.durable.engine().close().await;
        self.hot.close().await;
    }

    pub(crate) fn durable(&self) -> &Engine {
        self.durable.engine()
    }

    pub(crate) fn guard(&self) -> &Guard {
        &self.guard
    }

    pub(crate) async fn change(&self, by: &Actor, now: Time) -> Result<Change> {
        self.durable.change(by, now).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Durability;
    use serde_json::json;
    use symbolon_crypto::Secret;

    async fn store(dir: &std::path::Path) -> Store {
        let entropy = Box::new(symbolon_provider::SystemEntropy);
        let options = StoreOptions::exclusive(dir);
        Store::open(&options, &Secret::new([7; 32]), symbolon_provider::crypto(), entropy).await.unwrap()
    }

    #[tokio::test]
    async fn a_disk_that_turns_read_only_is_reported_and_still_read() {
        let dir = tempfile::TempDir::new().unwrap();
        let store = store(dir.path()).await;
        let note = async || store.record(&Actor::system("test"), "note", "", &json!({}), Time(1)).await;
        note().await.unwrap();
        for engine in [store.durable(), store.hot.firm().unwrap()] {
            sqlx::raw_sql("PRAGMA query_only = ON").execute(engine.write()).await.unwrap();
        }
        assert_eq!(note().await, Err(StoreError::ReadOnly));
        assert_eq!(
            store.hot().put_if_absent(ReplayKey([1; 32]), Time(2), Time(1)).await,
            Err(StoreError::ReadOnly)
        );
        assert_eq!(store.verify_audit().await.unwrap().rows, 1);
        sqlx::raw_sql("PRAGMA query_only = OFF").execute(store.durable().write()).await.unwrap();
        note().await.unwrap();
    }

    #[tokio::test]
    async fn a_database_that_another_process_holds_is_busy_not_broken() {
        let dir = tempfile::TempDir::new().unwrap();
        let store = store(dir.path()).await;
        sqlx::raw_sql("PRAGMA busy_timeout = 1").execute(store.durable().write()).await.unwrap();
        let other = Engine::sqlite(&dir.path().join("durable.db"), Durability::Power, None).await.unwrap();
        let held = other.begin().await.unwrap();
        let note = async || store.record(&Actor::system("test"), "note", "", &json!({}), Time(1)).await;
        assert_eq!(note().await, Err(StoreError::Busy));
        assert_eq!(store.revision().await, Ok(1), "readers are not held up");
        held.rollback().await.unwrap();
        note().await.unwrap();
    }

    #[test]
    fn every_call_may_run_in_a_task_of_its_own() {
        fn task<T: Send>(_: T) {}
        // compiled, not run
        let _ =
            |store: Store, by: Actor, user: NewUser, new: NewRegistration, session: NewSession, now: Time| {
                task(store.create_user(&by, &user, now));
                task(store.users(None, 1));
                task(store.begin_registration(&by, &new, now));
                task(store.confirm_registration(&by, new.id, now));
                task(store.registration(new.id));
                task(store.registrations_by_user_code(&user.code));
                task(store.entitlements());
                task(store.apps());
                task(store.invitations());
                task(store.verify_audit());
                task(store.audit_page(0, 1));
                task(store.hot().open_session(&session, now));
                task(store.hot().look(session.id, now));
                task(store.hot().end_session(session.id, None, Ending { by: session.owner, why: 1 }));
                task(store.hot().notices(session.owner));
                task(store.hot().list_sessions(now));
            };
    }
}
