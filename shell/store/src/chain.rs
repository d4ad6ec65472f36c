//! The audit chain: one row for each change, written in the change's own transaction.
//!
//! ```text
//! row n: seq, prev = hash of row n-1, time, actor, action, object, detail
//!        hash = SHA-256(prev | canonical encoding of the rest)
//! head:  seq and hash of the last row, and a MAC of both under a key that comes from the node key
//! ```
//! A row that was edited, removed, added or moved breaks the chain; a cut tail differs from the
//! head; a head that somebody without the node key adjusted has the wrong MAC, and then nothing
//! more can be changed: better to stand still than to go on from a forged past.

use crate::audit::{Actor, AuditFault, AuditReport, AuditRow};
use crate::engine::{Columns, Engine, big, corrupt};
use crate::seal::Guard;
use crate::{Result, StoreError};
use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, Transaction};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use symbolon_wire::Time;

/// Longest text of an actor or an object, in bytes. They can come from a stranger's failed sign-in.
const MAX_NAME: usize = 1024;
/// Longest detail, in bytes of JSON.
const MAX_DETAIL: usize = 16 * 1024;
/// Rows that are read at once when the chain is verified.
const PAGE: i64 = 1000;

struct Head {
    seq: i64,
    hash: [u8; 32],
    authentic: bool,
}

impl Head {
    fn read(row: &AnyRow, guard: &Guard) -> Result<Self> {
        let seq = row.int("number")?;
        let bytes: [u8; 64] = row.fixed("bytes")?;
        let (hash, mac) = bytes.split_at(32);
        let hash: [u8; 32] = hash.try_into().map_err(|_| corrupt("bytes"))?;
        let authentic = symbolon_crypto::constant_time_eq(mac, &guard.audit_mac(seq, &hash));
        Ok(Self { seq, hash, authentic })
    }

    fn bytes(guard: &Guard, seq: i64, hash: &[u8; 32]) -> Vec<u8> {
        [&hash[..], &guard.audit_mac(seq, hash)].concat()
    }
}

/// The durable database, whose every change is audited.
#[derive(Clone, Debug)]
pub(crate) struct Audited {
    engine: Engine,
    guard: Arc<Guard>,
    /// The last row that this process knows of: the chain never gets shorter while it runs.
    last_seen: Arc<AtomicI64>,
}

impl Audited {
    /// Writes the first head into a new store.
    pub(crate) async fn start(engine: Engine, guard: Arc<Guard>) -> Result<Self> {
        sqlx::query("INSERT INTO meta (name, number, bytes) VALUES ('audit head', 0, $1) ON CONFLICT (name) DO NOTHING")
            .bind(Head::bytes(&guard, 0, &[0; 32]))
            .execute(engine.write())
            .await?;
        Ok(Self { engine, guard, last_seen: Arc::new(AtomicI64::new(0)) })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Begins a change. Changes run one after another on both engines, since each takes the head of
    /// the chain first: what a change reads is true until it commits.
    pub(crate) async fn change(&self, actor: &Actor, now: Time) -> Result<Change> {
        let mut tx = self.engine.begin().await?;
        // in the same statement: read the head, and on PostgreSQL lock it until the commit
        let row =
            sqlx::query("UPDATE meta SET name = name WHERE name = 'audit head' RETURNING number, bytes")
                .fetch_one(&mut *tx)
                .await?;
        let head = Head::read(&row, &self.guard)?;
        if !head.authentic || head.seq < self.last_seen.load(Ordering::Acquire) {
            return Err(StoreError::Corrupt(
                "the head of the audit chain is not the one that was written".to_owned(),
            ));
        }
        Ok(Change { tx, head, actor: actor.clone(), now, audited: self.clone() })
    }

    /// Walks the whole chain.
    pub(crate) async fn verify(&self) -> Result<AuditReport> {
        let pool = self.engine.read();
        let last = sqlx::query("SELECT COALESCE(MAX(seq), 0) AS last FROM audit")
            .fetch_one(pool)
            .await?
            .int("last")?;
        // read after the last row, so that a row written meanwhile does not look like one too many
        let row =
            sqlx::query("SELECT number, bytes FROM meta WHERE name = 'audit head'").fetch_one(pool).await?;
        let head = Head::read(&row, &self.guard)?;
        let (mut seq, mut prev) = (0, [0; 32]);
        let bad = |seq: i64, rows: i64, fault| AuditReport {
            rows: rows.unsigned_abs(),
            first_bad: Some((seq.unsigned_abs(), fault)),
        };
        let mut from = i64::MIN;
        while seq < head.seq {
            let rows = sqlx::query("SELECT * FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2")
                .bind(from)
                .bind(PAGE)
                .fetch_all(pool)
                .await?;
            if rows.is_empty() {
                return Ok(bad(seq + 1, seq, AuditFault::Missing));
            }
            for row in &rows {
                let found = row.int("seq")?;
                if found != seq + 1 {
                    let fault = if found <= seq { AuditFault::Added } else { AuditFault::Missing };
                    return Ok(bad(seq + 1, seq, fault));
                }
                let Ok(read) = AuditRow::read(row) else { return Ok(bad(found, seq, AuditFault::Altered)) };
                if read.prev != prev {
                    return Ok(bad(found, seq, AuditFault::Unlinked));
                }
                if read.computed_hash(&self.guard) != read.hash {
                    return Ok(bad(found, seq, AuditFault::Altered));
                }
                (seq, prev, from) = (found, read.hash, found);
                if seq == head.seq {
                    break;
                }
            }
        }
        Ok(if !head.authentic {
            bad(seq, seq, AuditFault::ForgedHead)
        } else if prev != head.hash {
            bad(seq, seq - 1, AuditFault::WrongEnd)
        } else if last > head.seq {
            bad(head.seq + 1, seq, AuditFault::Added)
        } else {
            AuditReport { rows: seq.unsigned_abs(), first_bad: None }
        })
    }

    /// Rows after `after`, the oldest first.
    pub(crate) async fn page(&self, after: u64, limit: u32) -> Result<Vec<AuditRow>> {
        sqlx::query("SELECT * FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2")
            .bind(big(after))
            .bind(i64::from(limit))
            .fetch_all(self.engine.read())
            .await?
            .iter()
            .map(AuditRow::read)
            .collect()
    }
}

/// A change under way. Dropped, it never happened.
pub(crate) struct Change {
    tx: Transaction<'static, Any>,
    head: Head,
    actor: Actor,
    now: Time,
    audited: Audited,
}

impl Change {
    /// For the statements of the change.
    pub(crate) fn conn(&mut self) -> &mut AnyConnection {
        &mut self.tx
    }

    /// Counts one more change that can alter a decision.
    pub(crate) async fn alters_decisions(&mut self) -> Result<()> {
        sqlx::query("UPDATE meta SET number = number + 1 WHERE name = 'revision'")
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Writes the audit row and makes both durable.
    pub(crate) async fn commit(
        mut self,
        action: &str,
        object: &str,
        detail: &serde_json::Value,
    ) -> Result<()> {
        let (by, time) = (self.actor.clone(), self.now);
        self.append(&by, action, object, detail, time).await?;
        self.finish().await
    }

    /// Writes one audit row; it counts when the change is finished.
    pub(crate) async fn append(
        &mut self,
        by: &Actor,
        action: &str,
        object: &str,
        detail: &serde_json::Value,
        time: Time,
    ) -> Result<()> {
        let detail = detail.to_string();
        let row = AuditRow {
            seq: self.head.seq.unsigned_abs() + 1,
            time,
            actor: Actor { kind: by.kind, name: storable(&by.name) },
            action: storable(action),
            object: storable(object),
            detail: if detail.len() <= MAX_DETAIL {
                detail
            } else {
                format!("{{\"omitted_bytes\":{}}}", detail.len())
            },
            prev: self.head.hash,
            hash: [0; 32],
        };
        self.head.hash = row.computed_hash(&self.audited.guard);
        self.head.seq = big(row.seq);
        sqlx::query(
            "INSERT INTO audit (seq, prev, time, actor_kind, actor, action, object, detail, hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(self.head.seq)
        .bind(row.prev.to_vec())
        .bind(big(row.time.0))
        .bind(row.actor.kind.as_str())
        .bind(row.actor.name)
        .bind(row.action)
        .bind(row.object)
        .bind(row.detail)
        .bind(self.head.hash.to_vec())
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// Moves the head to the last row, and makes all durable.
    pub(crate) async fn finish(mut self) -> Result<()> {
        let Audited { guard, last_seen, .. } = &self.audited;
        let Head { seq, hash, .. } = self.head;
        sqlx::query("UPDATE meta SET number = $1, bytes = $2 WHERE name = 'audit head'")
            .bind(seq)
            .bind(Head::bytes(guard, seq, &hash))
            .execute(&mut *self.tx)
            .await?;
        self.tx.commit().await?;
        last_seen.fetch_max(seq, Ordering::AcqRel);
        Ok(())
    }
}

/// Bounded, and without the one character that PostgreSQL does not keep.
fn storable(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_NAME)].replace('\0', "\u{fffd}")
}
