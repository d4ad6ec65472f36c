//! [`HotStore`] in a second SQLite file, or in tables of the PostgreSQL database.

use crate::engine::{Columns, Engine, big, corrupt};
use crate::error::or_taken;
use crate::hot::{
    Claim, Claimed, Ending, HotStore, NOTICES_STAY_SECS, NewSession, News, Notice, Seen, Session, SessionsOf,
    Swept,
};
use crate::seal::{Guard, Place};
use crate::{NodeId, RegistrationId, ReplayKey, Result, SessionId, StoreError, UserId, What};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe};
use std::ops::Range;
use std::sync::Arc;
use symbolon_crypto::SecretBytes;
use symbolon_wire::Time;

const NO_SESSION: StoreError = StoreError::NotFound { what: What::Session };

/// Hot records in SQL.
#[derive(Clone, Debug)]
pub struct SqlHotStore {
    /// For what may be lost with the machine.
    lazy: Engine,
    /// For claims, dealt numbers and replay keys, which decide something for all nodes: on
    /// PostgreSQL they are on its disk before they count. One SQLite file has one durability, and
    /// its nodes are lost together with the machine.
    firm: Engine,
    guard: Arc<Guard>,
}

fn state_place(id: &SessionId) -> Place<'_> {
    Place { table: "sessions", row: &id.0, column: "state" }
}

impl SqlHotStore {
    pub(crate) fn new(lazy: Engine, firm: Engine, guard: Arc<Guard>) -> Self {
        Self { lazy, firm, guard }
    }

    #[cfg(test)]
    pub(crate) fn firm(&self) -> &Engine {
        &self.firm
    }

    pub(crate) async fn close(&self) {
        self.lazy.close().await;
        self.firm.close().await;
    }

    /// Runs a `DELETE … RETURNING *` of sessions, and tells the nodes that carry them.
    async fn end(&self, delete: Query<'_, Any, AnyArguments>, ending: Ending) -> Result<Vec<SessionId>> {
        let mut tx = self.firm.begin().await?;
        let rows = delete.fetch_all(&mut *tx).await?;
        let mut ended = Vec::with_capacity(rows.len());
        for row in &rows {
            let session = read(row)?;
            if session.owner != ending.by {
                leave_notice(&mut tx, session.owner, row, ending.why).await?;
            }
            ended.push(session.id);
        }
        tx.commit().await?;
        Ok(ended)
    }

    /// Why a statement with an epoch in its condition found nothing.
    async fn fenced_or_gone(&self, id: SessionId, expires_after: i64) -> StoreError {
        let row = sqlx::query("SELECT epoch FROM sessions WHERE id = $1 AND expires > $2")
            .bind(id.column())
            .bind(expires_after)
            .fetch_optional(self.lazy.read())
            .await;
        match row {
            Ok(Some(_)) => StoreError::Fenced,
            Ok(None) => NO_SESSION,
            Err(e) => e.into(),
        }
    }
}

/// Notices that one statement forgets.
const FORGOTTEN_AT_ONCE: usize = 500;

/// Tells a node what became of a session that it carried ([`News::code`]).
async fn leave_notice(conn: &mut AnyConnection, node: NodeId, session: &AnyRow, ended: u8) -> Result<()> {
    sqlx::query(
        "INSERT INTO notices (node, session, epoch, ended, expires) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (node, session) DO UPDATE
         SET epoch = excluded.epoch, ended = excluded.ended, expires = excluded.expires",
    )
    .bind(node.column())
    .bind(session.bytes("id")?)
    .bind(session.int("epoch")?)
    .bind(i64::from(ended))
    .bind(session.int("expires")?)
    .execute(conn)
    .await?;
    Ok(())
}

/// Runs `… RETURNING` to its end: a statement that is left after its first row commits unseen, and
/// an error of that commit (a full disk) would be lost.
async fn returning(query: Query<'_, Any, AnyArguments>, pool: &AnyPool) -> Result<Option<AnyRow>> {
    Ok(query.fetch_all(pool).await?.pop())
}

impl HotStore for SqlHotStore {
    async fn open_session(&self, new: &NewSession, now: Time) -> Result<u64> {
        sqlx::query(
            "INSERT INTO sessions (id, user_id, registration, epoch, owner, created, expires, next_stream, state)
             VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8)",
        )
        .bind(new.id.column())
        .bind(new.user.column())
        .bind(new.registration.map(RegistrationId::column))
        .bind(new.owner.column())
        .bind(big(now.0))
        .bind(big(new.expires.0))
        .bind(i64::from(new.streams))
        .bind(self.guard.seal(&state_place(&new.id), new.state.expose()))
        .execute(self.lazy.write())
        .await
        .map_err(or_taken(What::Session))?;
        Ok(1)
    }

    async fn claim_session(&self, seen: &Seen, claim: Claim<'_>, now: Time) -> Result<Claimed> {
        let Session { id, epoch, owner: before, .. } = seen.session;
        let Claim { owner, state, streams } = claim;
        let update = sqlx::query(
            "UPDATE sessions SET epoch = epoch + 1, owner = $1, state = $2, next_stream = next_stream + $3
             WHERE id = $4 AND expires > $5 AND epoch = $6 AND state = $7 RETURNING *",
        )
        .bind(owner.column())
        .bind(self.guard.seal(&state_place(&id), state.expose()))
        .bind(i64::from(streams))
        .bind(id.column())
        .bind(big(now.0))
        .bind(big(epoch))
        .bind(seen.published.as_slice());
        let claimed = if before == owner {
            returning(update, self.firm.write()).await?
        } else {
            let mut tx = self.firm.begin().await?;
            let claimed = update.fetch_all(&mut *tx).await?.pop();
            if let Some(row) = &claimed {
                leave_notice(&mut tx, before, row, 0).await?;
                tx.commit().await?;
            }
            claimed
        };
        match claimed {
            Some(row) => {
                let session = read(&row)?;
                let streams = dealt(session.next_stream, streams);
                Ok(Claimed { session, streams })
            }
            None => Err(self.fenced_or_gone(id, big(now.0)).await),
        }
    }

    async fn publish_session(&self, id: SessionId, epoch: u64, state: &SecretBytes) -> Result<()> {
        let changed = sqlx::query("UPDATE sessions SET state = $1 WHERE id = $2 AND epoch = $3")
            .bind(self.guard.seal(&state_place(&id), state.expose()))
            .bind(id.column())
            .bind(big(epoch))
            .execute(self.lazy.write())
            .await?;
        if changed.rows_affected() == 1 { Ok(()) } else { Err(self.fenced_or_gone(id, -1).await) }
    }

    async fn renew_session(&self, id: SessionId, epoch: u64, expires: Time) -> Result<()> {
        let changed = sqlx::query("UPDATE sessions SET expires = $1 WHERE id = $2 AND epoch = $3")
            .bind(big(expires.0))
            .bind(id.column())
            .bind(big(epoch))
            .execute(self.lazy.write())
            .await?;
        if changed.rows_affected() == 1 { Ok(()) } else { Err(self.fenced_or_gone(id, -1).await) }
    }

    async fn deal_streams(&self, id: SessionId, epoch: Option<u64>, count: u32) -> Result<Range<u64>> {
        let deal = sqlx::query(
            "UPDATE sessions SET next_stream = next_stream + $1
             WHERE id = $2 AND (epoch = $3 OR $3 < 0) RETURNING next_stream",
        )
        .bind(i64::from(count))
        .bind(id.column())
        .bind(epoch.map_or(-1, big));
        match returning(deal, self.firm.write()).await? {
            Some(row) => Ok(dealt(row.count("next_stream")?, count)),
            None => Err(self.fenced_or_gone(id, -1).await),
        }
    }

    async fn skip_streams(&self) -> Result<()> {
        sqlx::query("UPDATE sessions SET next_stream = next_stream + 4294967296")
            .execute(self.firm.write())
            .await?;
        Ok(())
    }

    async fn session(&self, id: SessionId, now: Time) -> Result<Session> {
        let row = sqlx::query("SELECT * FROM sessions WHERE id = $1 AND expires > $2")
            .bind(id.column())
            .bind(big(now.0))
            .fetch_optional(self.lazy.read())
            .await?;
        read(&row.ok_or(NO_SESSION)?)
    }

    async fn look(&self, id: SessionId, now: Time) -> Result<Seen> {
        let row = sqlx::query("SELECT * FROM sessions WHERE id = $1 AND expires > $2")
            .bind(id.column())
            .bind(big(now.0))
            .fetch_optional(self.lazy.read())
            .await?
            .ok_or(NO_SESSION)?;
        let published = row.bytes("state")?;
        let state = self.guard.open(&state_place(&id), &published)?;
        Ok(Seen { session: read(&row)?, state, published })
    }

    async fn list_sessions(&self, now: Time) -> Result<Vec<Session>> {
        sqlx::query(
            "SELECT id, user_id, registration, epoch, owner, created, expires, next_stream FROM sessions
             WHERE expires > $1 ORDER BY created, id",
        )
        .bind(big(now.0))
        .fetch_all(self.lazy.read())
        .await?
        .iter()
        .map(read)
        .collect()
    }

    async fn sessions_of_user(&self, user: UserId, now: Time) -> Result<Vec<Session>> {
        sqlx::query(
            "SELECT id, user_id, registration, epoch, owner, created, expires, next_stream FROM sessions
             WHERE user_id = $1 AND expires > $2 ORDER BY created, id",
        )
        .bind(user.column())
        .bind(big(now.0))
        .fetch_all(self.lazy.read())
        .await?
        .iter()
        .map(read)
        .collect()
    }

    async fn count_sessions(&self, user: UserId) -> Result<u64> {
        // answered by the index alone
        sqlx::query("SELECT COUNT(*) AS sessions FROM sessions WHERE user_id = $1")
            .bind(user.column())
            .fetch_one(self.lazy.read())
            .await?
            .count("sessions")
    }

    async fn end_session(&self, id: SessionId, epoch: Option<u64>, ending: Ending) -> Result<()> {
        let end = sqlx::query("DELETE FROM sessions WHERE id = $1 AND (epoch = $2 OR $2 < 0) RETURNING *")
            .bind(id.column())
            .bind(epoch.map_or(-1, big));
        if self.end(end, ending).await?.is_empty() {
            return Err(self.fenced_or_gone(id, -1).await);
        }
        Ok(())
    }

    async fn end_sessions_of(&self, whose: SessionsOf, ending: Ending) -> Result<Vec<SessionId>> {
        let (sql, id) = match whose {
            SessionsOf::User(id) => ("DELETE FROM sessions WHERE user_id = $1 RETURNING *", id.column()),
            SessionsOf::Registration(id) => {
                ("DELETE FROM sessions WHERE registration = $1 RETURNING *", id.column())
            }
        };
        self.end(sqlx::query(sql).bind(id), ending).await
    }

    async fn notices(&self, node: NodeId) -> Result<Vec<Notice>> {
        sqlx::query("SELECT session, epoch, ended FROM notices WHERE node = $1")
            .bind(node.column())
            .fetch_all(self.lazy.read())
            .await?
            .iter()
            .map(|row| {
                let news = match u8::try_from(row.int("ended")?) {
                    Ok(0) => News::Moved,
                    Ok(why) => News::Ended(why),
                    Err(_) => return Err(corrupt("ended")),
                };
                Ok(Notice { session: SessionId(row.fixed("session")?), epoch: row.count("epoch")?, news })
            })
            .collect()
    }

    async fn forget_notices(&self, node: NodeId, notices: &[Notice]) -> Result<()> {
        for some in notices.chunks(FORGOTTEN_AT_ONCE) {
            let rows: Vec<String> = (0..some.len())
                .map(|n| format!("(${}, ${}, ${})", 3 * n + 2, 3 * n + 3, 3 * n + 4))
                .collect();
            let text = format!(
                "DELETE FROM notices WHERE node = $1 AND (session, epoch, ended) IN (VALUES {})",
                rows.join(", ")
            );
            let mut delete = sqlx::query(AssertSqlSafe(text)).bind(node.column());
            for notice in some {
                delete = delete
                    .bind(notice.session.column())
                    .bind(big(notice.epoch))
                    .bind(i64::from(notice.news.code()));
            }
            delete.execute(self.firm.write()).await?;
        }
        Ok(())
    }

    async fn put_if_absent(&self, key: ReplayKey, expires: Time, now: Time) -> Result<bool> {
        let put = sqlx::query(
            "INSERT INTO seen (key, expires) VALUES ($1, $2)
             ON CONFLICT (key) DO UPDATE SET expires = excluded.expires WHERE seen.expires <= $3",
        )
        .bind(key.column())
        .bind(big(expires.0))
        .bind(big(now.0))
        .execute(self.firm.write())
        .await?;
        Ok(put.rows_affected() == 1)
    }

    async fn sweep(&self, now: Time) -> Result<Swept> {
        let sessions = sqlx::query("DELETE FROM sessions WHERE expires <= $1")
            .bind(big(now.0))
            .execute(self.lazy.write())
            .await?
            .rows_affected();
        let replay_keys = sqlx::query("DELETE FROM seen WHERE expires <= $1")
            .bind(big(now.0))
            .execute(self.lazy.write())
            .await?
            .rows_affected();
        // for nodes that never came back; a session that has expired ends without a notice
        sqlx::query("DELETE FROM notices WHERE expires <= $1")
            .bind(big(now.minus_secs(NOTICES_STAY_SECS).0))
            .execute(self.lazy.write())
            .await?;
        Ok(Swept { sessions, replay_keys })
    }
}

/// The last `count` numbers before `end`.
fn dealt(end: u64, count: u32) -> Range<u64> {
    end.saturating_sub(count.into())..end
}

fn read(row: &AnyRow) -> Result<Session> {
    Ok(Session {
        id: SessionId(row.fixed("id")?),
        user: UserId(row.fixed("user_id")?),
        registration: row.maybe_fixed("registration")?.map(RegistrationId),
        epoch: row.count("epoch")?,
        owner: NodeId(row.fixed("owner")?),
        created: row.time("created")?,
        expires: row.time("expires")?,
        next_stream: row.count("next_stream")?,
    })
}
