//! The two database engines behind one set of SQL texts.
//!
//! Every text uses `$n` placeholders and the types BIGINT, TEXT and BYTEA only, so that SQLite and
//! PostgreSQL run the same one. What differs stands here: how connections are set up, and how a
//! transaction begins.

use crate::{Result, StoreError};
use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::{Any, AnyConnection, AnyPool, Connection, Row, Transaction};
use std::path::Path;
use std::time::Duration;
use symbolon_wire::Time;

/// How long a call waits for a database that another process holds before it gives
/// [`StoreError::Busy`]: far longer than any transaction here takes, far shorter than a user waits.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How many connections read a SQLite file beside the one that writes. Each costs a thread; reads
/// take microseconds, so that a few serve a small team.
const SQLITE_READERS: u32 = 3;
/// Connections to PostgreSQL for each of durable and hot records.
const POSTGRES_CONNECTIONS: u32 = 8;

/// What must have reached the disk before a call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Everything: survives a loss of power.
    Power,
    /// What the operating system was told: survives the death of the process.
    Process,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// Connections to one database. SQLite has one writer, so one connection writes and nobody ever
/// waits for a lock that this process holds; PostgreSQL uses one pool for both.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    dialect: Dialect,
    write: AnyPool,
    read: AnyPool,
}

impl Engine {
    /// Opens one SQLite file, which exists already.
    pub(crate) async fn sqlite(path: &Path, durability: Durability, quota: Option<u64>) -> Result<Self> {
        let url = sqlite_url(path);
        let synchronous = match durability {
            Durability::Power => "FULL",
            Durability::Process => "NORMAL",
        };
        let mut pragmas = format!(
            "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; \
             PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864;",
            BUSY_TIMEOUT.as_millis()
        );
        if let Some(bytes) = quota {
            // 4,096 bytes is the page size of every file that this program makes
            pragmas.push_str(&format!("PRAGMA max_page_count = {};", (bytes / 4096).max(1)));
        }
        probe(&url, &pragmas).await?;
        let pool = |max: u32, setup: String| {
            AnyPoolOptions::new()
                .max_connections(max)
                .acquire_timeout(BUSY_TIMEOUT * 2)
                .idle_timeout(None)
                .max_lifetime(None)
                // the file does not hang up
                .test_before_acquire(false)
                .before_acquire(|conn, _| Box::pin(left_its_transaction(conn)))
                .after_connect(move |conn, _| {
                    let setup = setup.clone();
                    Box::pin(async move {
                        sqlx::raw_sql(sqlx::AssertSqlSafe(setup)).execute(conn).await?;
                        Ok(())
                    })
                })
        };
        let write = pool(1, pragmas.clone()).connect(&url).await?;
        pragmas.push_str("PRAGMA query_only = ON;");
        let read = pool(SQLITE_READERS, pragmas).connect(&url).await?;
        Ok(Self { dialect: Dialect::Sqlite, write, read })
    }

    /// Connects to a PostgreSQL database.
    pub(crate) async fn postgres(url: &str, durability: Durability) -> Result<Self> {
        let setup = match durability {
            Durability::Power => {
                "SET synchronous_commit = on; SET client_min_messages = warning; SET lock_timeout = 5000"
            }
            Durability::Process => {
                "SET synchronous_commit = off; SET client_min_messages = warning; SET lock_timeout = 5000"
            }
        };
        probe(url, setup).await?;
        let write = AnyPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(BUSY_TIMEOUT * 2)
            .after_connect(move |conn, _| {
                Box::pin(async move {
                    sqlx::raw_sql(setup).execute(conn).await?;
                    Ok(())
                })
            })
            .connect(url)
            .await?;
        Ok(Self { dialect: Dialect::Postgres, read: write.clone(), write })
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// For statements that change nothing.
    pub(crate) fn read(&self) -> &AnyPool {
        &self.read
    }

    /// For single statements that change something.
    pub(crate) fn write(&self) -> &AnyPool {
        &self.write
    }

    /// A transaction that will write. SQLite takes the writer's lock at once, since a reader that
    /// turns writer can be refused however long it waits.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Any>> {
        match self.dialect {
            Dialect::Sqlite => Ok(self.write.begin_with("BEGIN IMMEDIATE").await?),
            Dialect::Postgres => {
                // A caller that gave up within sqlx's BEGIN would leave a connection whose next user
                // writes into a transaction that nobody commits. In a task of its own it comes to
                // its end, and a transaction that nobody takes rolls back.
                let pool = self.write.clone();
                let begun = tokio::spawn(async move { pool.begin().await }).await;
                Ok(begun.map_err(|e| StoreError::Other(e.to_string()))??)
            }
        }
    }

    pub(crate) async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

/// Whether a connection may begin another transaction. SQLite itself rolls back when the disk is full
/// (lang_transaction.html §3.2); sqlx then takes the connection to be within a transaction for ever,
/// and such a connection must be replaced.
async fn left_its_transaction(conn: &mut AnyConnection) -> std::result::Result<bool, sqlx::Error> {
    if conn.is_in_transaction() {
        // the rollback of a transaction that was dropped may still be on its way: let it arrive
        conn.ping().await?;
    }
    Ok(!conn.is_in_transaction())
}

/// Connects once, to learn what is wrong: a pool would try again until its time is over, and say
/// that it had timed out.
async fn probe(url: &str, setup: &str) -> Result<()> {
    let mut conn = AnyConnection::connect(url).await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(setup)).execute(&mut conn).await?;
    conn.close().await?;
    Ok(())
}

/// Escapes everything but what a path may hold in a URL as it is.
fn sqlite_url(path: &Path) -> String {
    let mut url = String::from("sqlite://");
    for &b in path.as_os_str().as_encoded_bytes() {
        if b.is_ascii_alphanumeric() || b"/-_.~".contains(&b) {
            url.push(b.into());
        } else {
            url.push_str(&format!("%{b:02X}"));
        }
    }
    url.push_str("?mode=rw");
    url
}

/// A number as both engines keep it. Nothing that is counted here comes near the bound.
pub(crate) fn big(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Typed columns. A value that its type does not have was not written by this program.
pub(crate) trait Columns {
    fn int(&self, column: &'static str) -> Result<i64>;
    fn string(&self, column: &'static str) -> Result<String>;
    fn bytes(&self, column: &'static str) -> Result<Vec<u8>>;
    fn maybe_int(&self, column: &'static str) -> Result<Option<i64>>;
    fn maybe_string(&self, column: &'static str) -> Result<Option<String>>;
    fn maybe_bytes(&self, column: &'static str) -> Result<Option<Vec<u8>>>;

    fn count(&self, column: &'static str) -> Result<u64> {
        u64::try_from(self.int(column)?).map_err(|_| corrupt(column))
    }

    fn time(&self, column: &'static str) -> Result<Time> {
        self.count(column).map(Time)
    }

    fn maybe_time(&self, column: &'static str) -> Result<Option<Time>> {
        self.maybe_int(column)?.map(|v| u64::try_from(v).map(Time).map_err(|_| corrupt(column))).transpose()
    }

    fn fixed<const N: usize>(&self, column: &'static str) -> Result<[u8; N]> {
        self.bytes(column)?.try_into().map_err(|_| corrupt(column))
    }

    fn maybe_fixed<const N: usize>(&self, column: &'static str) -> Result<Option<[u8; N]>> {
        self.maybe_bytes(column)?.map(|v| v.try_into().map_err(|_| corrupt(column))).transpose()
    }

    fn parsed<T: std::str::FromStr>(&self, column: &'static str) -> Result<T> {
        self.string(column)?.parse().map_err(|_| corrupt(column))
    }

    fn maybe_parsed<T: std::str::FromStr>(&self, column: &'static str) -> Result<Option<T>> {
        self.maybe_string(column)?.map(|v| v.parse().map_err(|_| corrupt(column))).transpose()
    }
}

impl Columns for AnyRow {
    fn int(&self, column: &'static str) -> Result<i64> {
        Ok(self.try_get(column)?)
    }

    fn string(&self, column: &'static str) -> Result<String> {
        Ok(self.try_get(column)?)
    }

    fn bytes(&self, column: &'static str) -> Result<Vec<u8>> {
        Ok(self.try_get(column)?)
    }

    fn maybe_int(&self, column: &'static str) -> Result<Option<i64>> {
        Ok(self.try_get(column)?)
    }

    fn maybe_string(&self, column: &'static str) -> Result<Option<String>> {
        Ok(self.try_get(column)?)
    }

    fn maybe_bytes(&self, column: &'static str) -> Result<Option<Vec<u8>>> {
        Ok(self.try_get(column)?)
    }
}

/// Names the column whose value no program of ours wrote.
pub(crate) fn corrupt(column: &'static str) -> StoreError {
    StoreError::Corrupt(format!("column {column} holds an impossible value"))
}
