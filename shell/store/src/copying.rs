//! A store's records copied to where there is none: another engine, a backup, a backup that comes back.
//!
//! Rows are copied as they are. Sealed values stay sealed, for their place and under the node's key, and the audit chain
//! stays the same chain; so a copy is of use only to who has that key.

use crate::chain::Audited;
use crate::engine::{Columns, Dialect, Engine};
use crate::opening::{Engines, HotAt, check_node_key};
use crate::schema::{self, Kind, Schema, Table};
use crate::seal::Guard;
use crate::{Actor, Location, Result, Sharing, Store, StoreError, StoreOptions};
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Transaction};
use std::future::poll_fn;
use std::sync::Arc;
use symbolon_crypto::{Crypto, Entropy, Secret};
use symbolon_wire::Time;

/// What a copy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFor {
    /// It takes the store's place, live sessions and all, and the store itself is not opened any more. No node may use it
    /// meanwhile, wherever it runs: in a directory that is seen to.
    Moving,
    /// It is kept for bad days: of one moment, without live sessions. Nodes may go on meanwhile.
    Keeping,
    /// What was kept comes back. Nobody knows which of its open invitations were used since: they are revoked.
    Restoring,
}

impl CopyFor {
    const fn action(self) -> &'static str {
        match self {
            Self::Moving => "store.move",
            Self::Keeping => "store.keep",
            Self::Restoring => "store.restore",
        }
    }
}

/// What is to be copied, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Copying<'a> {
    /// The store.
    pub from: &'a StoreOptions,
    /// Where there is none yet.
    pub to: &'a StoreOptions,
    /// What for.
    pub what_for: CopyFor,
    /// Who is said to have done it, in the copy's audit.
    pub by: &'a Actor,
    /// When.
    pub now: Time,
}

/// What was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Rows of all tables.
    pub rows: u64,
    /// Rows of the audit, whose chain holds in the copy.
    pub audited: u64,
}

impl Store {
    /// Copies a store, all or nothing, and verifies the copy's audit.
    ///
    /// # Errors
    /// [`StoreError::NotEmpty`] when there is a store already; [`StoreError::Missing`] when there is none to copy;
    /// [`StoreError::OlderSchema`] when no node of this program has started on it; [`StoreError::Corrupt`] when its audit
    /// does not hold, which leaves the copy to be looked at; those of [`Store::open`].
    pub async fn copy(
        copying: &Copying<'_>,
        node_key: &Secret<32>,
        crypto: Crypto,
        entropy: Box<dyn Entropy + Send>,
    ) -> Result<Copied> {
        sqlx::any::install_default_drivers();
        let what_for = copying.what_for;
        let guard = Arc::new(Guard::new(crypto, node_key, entropy));
        if let Location::Directory(dir) = &copying.from.location
            && !dir.join("durable.db").exists()
        {
            return Err(StoreError::Missing);
        }
        let alone = what_for == CopyFor::Moving;
        let sharing = if alone { Sharing::Exclusive } else { Sharing::Shared };
        let from = StoreOptions { sharing, ..copying.from.clone() };
        let to = StoreOptions { sharing: Sharing::Exclusive, ..copying.to.clone() };
        let from = Engines::open(&from).await?;
        schema::DURABLE.is_current(&from.durable).await?;
        refuse_moved(&from.durable).await?;
        check_node_key(&from.durable, &guard).await?;
        let to = Engines::open(&to).await?;
        let mut rows = copy_tables(&schema::DURABLE, &from.durable, &to.durable, what_for).await?;
        if let (CopyFor::Moving, HotAt::Beside { firm: from, .. }, HotAt::Beside { firm: to, .. }) =
            (what_for, &from.hot, &to.hot)
        {
            rows += copy_tables(&schema::HOT, from, to, what_for).await?;
        }
        let audit = Audited::start(to.durable.clone(), guard).await?;
        let report = audit.verify().await?;
        if report.first_bad.is_some() {
            return Err(StoreError::Corrupt("the audit that was copied does not hold".to_owned()));
        }
        let mut change = audit.change(copying.by, copying.now).await?;
        if what_for == CopyFor::Restoring {
            sqlx::query("UPDATE invitations SET state = 'revoked' WHERE state IN ('open', 'claimed')")
                .execute(change.conn())
                .await?;
        }
        let detail = serde_json::json!({ "rows": rows, "audited": report.rows });
        change.commit(what_for.action(), &copying.to.location.to_string(), &detail).await?;
        if what_for == CopyFor::Moving {
            sqlx::query("INSERT INTO meta (name, number, bytes) VALUES ('moved', 0, $1)")
                .bind(copying.to.location.to_string().into_bytes())
                .execute(from.durable.write())
                .await?;
        }
        from.close().await;
        to.close().await;
        Ok(Copied { rows, audited: report.rows })
    }
}

/// A store that was moved is not opened: what is written there would be missed in its place.
///
/// # Errors
/// [`StoreError::Moved`].
pub(crate) async fn refuse_moved(durable: &Engine) -> Result<()> {
    let row =
        sqlx::query("SELECT bytes FROM meta WHERE name = 'moved'").fetch_optional(durable.read()).await?;
    match row {
        None => Ok(()),
        Some(row) => Err(StoreError::Moved(String::from_utf8_lossy(&row.bytes("bytes")?).into_owned())),
    }
}

/// All rows of one moment, in one transaction.
async fn copy_tables(schema: &Schema, from: &Engine, to: &Engine, what_for: CopyFor) -> Result<u64> {
    let mut into = to.begin().await?;
    schema.make_in(&mut into, to.dialect()).await?;
    let mut out = snapshot(from).await?;
    let mut rows = 0;
    if schema.is_durable() {
        rows += copy_meta(&mut out, &mut into, what_for).await?;
    }
    for table in schema.tables() {
        rows += copy_table(&table, &mut out, &mut into).await?;
    }
    out.rollback().await?;
    into.commit().await?;
    Ok(rows)
}

/// Everything that is read by it is of one moment.
async fn snapshot(engine: &Engine) -> Result<Transaction<'static, Any>> {
    let begin = match engine.dialect() {
        // which reads at once, so the moment is now
        Dialect::Sqlite => "BEGIN DEFERRED",
        Dialect::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    };
    Ok(engine.read().begin_with(begin).await?)
}

/// What stands beside the tables: the sample of the node's key, the head of the audit, the revision; where live sessions
/// are, only if they come along.
async fn copy_meta(
    out: &mut Transaction<'static, Any>,
    into: &mut Transaction<'static, Any>,
    what_for: CopyFor,
) -> Result<u64> {
    let names: &[&str] = match what_for {
        CopyFor::Moving => &["node key", "audit head", "revision", "hot store"],
        CopyFor::Keeping | CopyFor::Restoring => &["node key", "audit head", "revision"],
    };
    let mut copied = 0;
    for name in names {
        let select = sqlx::query("SELECT number, bytes FROM meta WHERE name = $1").bind(*name);
        let Some(row) = select.fetch_optional(&mut **out).await? else { continue };
        sqlx::query("INSERT INTO meta (name, number, bytes) VALUES ($1, $2, $3)")
            .bind(*name)
            .bind(row.int("number")?)
            .bind(row.bytes("bytes")?)
            .execute(&mut **into)
            .await?;
        copied += 1;
    }
    Ok(copied)
}

async fn copy_table(
    table: &Table,
    out: &mut Transaction<'static, Any>,
    into: &mut Transaction<'static, Any>,
) -> Result<u64> {
    let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    let places: Vec<String> = (1..=names.len()).map(|n| format!("${n}")).collect();
    let (columns, places) = (names.join(", "), places.join(", "));
    let select = format!("SELECT {columns} FROM {}", table.name);
    let insert = format!("INSERT INTO {} ({columns}) VALUES ({places})", table.name);
    // the texts are made of our own schema
    let mut rows = sqlx::query(AssertSqlSafe(select)).fetch(&mut **out);
    let mut copied = 0;
    while let Some(row) = poll_fn(|cx| rows.as_mut().poll_next(cx)).await {
        let row = row?;
        let mut query = sqlx::query(AssertSqlSafe(insert.clone()));
        for &(name, kind) in &table.columns {
            query = bind(query, &row, name, kind)?;
        }
        query.execute(&mut **into).await?;
        copied += 1;
    }
    Ok(copied)
}

type Query<'q> = sqlx::query::Query<'q, Any, <Any as sqlx::Database>::Arguments>;

fn bind<'q>(query: Query<'q>, row: &AnyRow, name: &'static str, kind: Kind) -> Result<Query<'q>> {
    Ok(match kind {
        Kind::Number => query.bind(row.maybe_int(name)?),
        Kind::Text => query.bind(row.maybe_string(name)?),
        Kind::Bytes => query.bind(row.maybe_bytes(name)?),
    })
}
