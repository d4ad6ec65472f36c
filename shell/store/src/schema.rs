//! The tables, and how an older store becomes one of today.
//!
//! A migration is never edited once released: a change of the schema is a new entry at the end.

use crate::engine::{Columns, Dialect, Engine, big};
use crate::{Result, StoreError};
use sqlx::AnyConnection;

/// One list of steps; a store remembers how many of them it has taken.
pub(crate) struct Schema {
    name: &'static str,
    migrations: &'static [&'static [&'static str]],
}

/// What must survive a loss of power.
pub(crate) const DURABLE: Schema = Schema {
    name: "schema durable",
    migrations: &[
        DURABLE_1, DURABLE_2, DURABLE_3, DURABLE_4, DURABLE_5, DURABLE_6, DURABLE_7, DURABLE_8, DURABLE_9,
    ],
};
/// What may be lost with the machine, never with the process.
pub(crate) const HOT: Schema = Schema { name: "schema hot", migrations: &[HOT_1, HOT_2] };

const META: &str = "CREATE TABLE IF NOT EXISTS meta (
    name TEXT PRIMARY KEY, number BIGINT NOT NULL, bytes BYTEA NOT NULL)";

const DURABLE_1: &[&str] = &[
    "CREATE TABLE audit (
        seq BIGINT PRIMARY KEY, prev BYTEA NOT NULL, time BIGINT NOT NULL,
        actor_kind TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL,
        detail TEXT NOT NULL, hash BYTEA NOT NULL)",
    "CREATE TABLE users (
        id BYTEA PRIMARY KEY, name TEXT NOT NULL UNIQUE, skeleton TEXT NOT NULL UNIQUE,
        display TEXT NOT NULL, code TEXT NOT NULL UNIQUE, path TEXT NOT NULL, standing TEXT NOT NULL,
        provisional BIGINT NOT NULL, answers BYTEA, created BIGINT NOT NULL, rev BIGINT NOT NULL)",
    "CREATE TABLE retired_codes (code TEXT PRIMARY KEY)",
    "CREATE TABLE user_groups (
        user_id BYTEA NOT NULL REFERENCES users(id) ON DELETE CASCADE, name TEXT NOT NULL,
        PRIMARY KEY (user_id, name))",
    "CREATE TABLE passwords (
        user_id BYTEA PRIMARY KEY REFERENCES users(id) ON DELETE CASCADE, verifier BYTEA NOT NULL)",
    "CREATE TABLE registrations (
        id BYTEA PRIMARY KEY, user_id BYTEA NOT NULL REFERENCES users(id) ON DELETE CASCADE,
        ssk BYTEA NOT NULL, class TEXT NOT NULL, label TEXT NOT NULL, state TEXT NOT NULL,
        invitation BYTEA, created BIGINT NOT NULL,
        last_used BIGINT)",
    "CREATE INDEX registrations_by_user ON registrations (user_id)",
    "CREATE INDEX registrations_by_state ON registrations (state, created)",
    "CREATE TABLE invitations (
        code_hash BYTEA PRIMARY KEY, for_user TEXT, template TEXT, groups TEXT NOT NULL,
        expires BIGINT NOT NULL, created_by TEXT NOT NULL, created BIGINT NOT NULL,
        state TEXT NOT NULL, claimed_by BYTEA, claimed_at BIGINT)",
    "CREATE TABLE templates (name TEXT PRIMARY KEY, body TEXT NOT NULL, rev BIGINT NOT NULL)",
    "CREATE TABLE apps (
        name TEXT PRIMARY KEY, target TEXT NOT NULL, protocol TEXT NOT NULL,
        description TEXT NOT NULL, template TEXT, enabled BIGINT NOT NULL)",
    "CREATE TABLE entitlements (
        id BYTEA PRIMARY KEY, grantee TEXT NOT NULL, app TEXT NOT NULL, conditions TEXT NOT NULL)",
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value BYTEA NOT NULL, sealed BIGINT NOT NULL)",
];

/// The register of certificates, and what belongs to it.
const DURABLE_2: &[&str] = &[
    "CREATE TABLE certificates (
        serial BYTEA PRIMARY KEY, subject TEXT NOT NULL, code TEXT NOT NULL, key_hash BYTEA NOT NULL,
        certificate BYTEA NOT NULL, state TEXT NOT NULL, until BIGINT NOT NULL, replaces BYTEA,
        confirmation BYTEA, created BIGINT NOT NULL, revoked_at BIGINT, reason TEXT)",
    "CREATE INDEX certificates_by_key ON certificates (key_hash)",
    "CREATE INDEX certificates_by_state ON certificates (state, until)",
    "CREATE TABLE revocation_lists (number BIGINT PRIMARY KEY, list BYTEA NOT NULL)",
    "CREATE TABLE certificate_requests (
        id BYTEA PRIMARY KEY, request BYTEA NOT NULL, subject TEXT NOT NULL, common_name TEXT NOT NULL,
        lifetime BIGINT NOT NULL, replaces BYTEA, created BIGINT NOT NULL)",
];

/// Session tickets that were used.
const DURABLE_3: &[&str] = &[
    "CREATE TABLE spent_tickets (key BYTEA PRIMARY KEY, expires BIGINT NOT NULL)",
    "CREATE INDEX spent_tickets_by_end ON spent_tickets (expires)",
];

/// Gateways whose certificates count no more.
const DURABLE_5: &[&str] = &["CREATE TABLE revoked_gateways (
    serial BYTEA PRIMARY KEY, name TEXT NOT NULL, until BIGINT NOT NULL, revoked_at BIGINT NOT NULL,
    reason TEXT NOT NULL)"];

/// With which token a certificate was got: revoking the one revokes the other.
const DURABLE_4: &[&str] = &[
    "ALTER TABLE certificates ADD COLUMN registration BYTEA",
    "CREATE INDEX certificates_by_registration ON certificates (registration)",
];

/// Names under which applications are served to TLS clients.
const DURABLE_6: &[&str] = &[
    "ALTER TABLE apps ADD COLUMN tls_name TEXT",
    "ALTER TABLE apps ADD COLUMN tls_clients TEXT",
    "CREATE UNIQUE INDEX apps_by_tls_name ON apps (tls_name)",
];

/// By what a client names a certificate that it does not send.
const DURABLE_7: &[&str] = &[
    "ALTER TABLE certificates ADD COLUMN hash BYTEA",
    "CREATE INDEX certificates_by_hash ON certificates (hash)",
];

/// What an application says that it speaks behind TLS (ALPN).
const DURABLE_8: &[&str] = &["ALTER TABLE apps ADD COLUMN tls_alpn TEXT"];

/// What the certificate of an application that speaks TLS itself must be.
const DURABLE_9: &[&str] =
    &["ALTER TABLE apps ADD COLUMN app_name TEXT", "ALTER TABLE apps ADD COLUMN app_ca TEXT"];

const HOT_1: &[&str] = &[
    "CREATE TABLE sessions (
        id BYTEA PRIMARY KEY, user_id BYTEA NOT NULL, registration BYTEA, epoch BIGINT NOT NULL,
        owner BYTEA NOT NULL, created BIGINT NOT NULL, expires BIGINT NOT NULL,
        next_stream BIGINT NOT NULL, state BYTEA NOT NULL)",
    "CREATE INDEX sessions_by_user ON sessions (user_id)",
    "CREATE INDEX sessions_by_registration ON sessions (registration)",
    "CREATE INDEX sessions_by_expiry ON sessions (expires)",
    "CREATE TABLE seen (key BYTEA PRIMARY KEY, expires BIGINT NOT NULL)",
    "CREATE INDEX seen_by_expiry ON seen (expires)",
];

/// What became of sessions, for the nodes that carried them.
const HOT_2: &[&str] = &["CREATE TABLE notices (
        node BYTEA NOT NULL, session BYTEA NOT NULL, epoch BIGINT NOT NULL, ended BIGINT NOT NULL,
        expires BIGINT NOT NULL, PRIMARY KEY (node, session))"];

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Text,
    Bytes,
}

impl Kind {
    fn of(word: &str) -> Option<Self> {
        match word {
            "BIGINT" => Some(Self::Number),
            "TEXT" => Some(Self::Text),
            "BYTEA" => Some(Self::Bytes),
            _ => None,
        }
    }
}

/// A table of today.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<(&'static str, Kind)>,
}

impl Schema {
    /// Whether it is that of the durable records.
    pub(crate) fn is_durable(&self) -> bool {
        self.name == DURABLE.name
    }

    /// All tables as the steps leave them: what a row refers to stands in an earlier one. Read off the steps, so that
    /// none is forgotten.
    pub(crate) fn tables(&self) -> Vec<Table> {
        let column = |text: &'static str| {
            let mut words = text.split_whitespace();
            // the last column stands before the end of the table
            Some((words.next()?, Kind::of(words.next()?.trim_end_matches(')'))?))
        };
        let mut tables: Vec<Table> = vec![];
        for &statement in self.migrations.iter().copied().flatten() {
            if let Some(rest) = statement.strip_prefix("CREATE TABLE ") {
                let Some((name, columns)) = rest.split_once('(') else { continue };
                // what is no column of a table has no kind for its second word
                tables.push(Table {
                    name: name.trim(),
                    columns: columns.split(',').filter_map(column).collect(),
                });
            } else if let Some((name, added)) =
                statement.strip_prefix("ALTER TABLE ").and_then(|rest| rest.split_once(" ADD COLUMN "))
                && let Some(table) = tables.iter_mut().find(|table| table.name == name)
            {
                table.columns.extend(column(added));
            }
        }
        tables
    }

    /// Demands that the store has taken all steps.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::OlderSchema`], [`StoreError::NewerSchema`].
    pub(crate) async fn is_current(&self, engine: &Engine) -> Result<()> {
        let known = self.migrations.len() as u64;
        match self.found(&mut *engine.read().acquire().await?, engine.dialect()).await? {
            None => Err(StoreError::Missing),
            Some(found) if found < known => Err(StoreError::OlderSchema { found, known }),
            Some(found) if found > known => Err(StoreError::NewerSchema { found, known }),
            Some(_) => Ok(()),
        }
    }

    /// Makes all tables within a transaction.
    ///
    /// # Errors
    /// [`StoreError::NotEmpty`] when some are there.
    pub(crate) async fn make_in(&self, conn: &mut AnyConnection, dialect: Dialect) -> Result<()> {
        if self.found(conn, dialect).await?.is_some() {
            return Err(StoreError::NotEmpty);
        }
        sqlx::query(META).execute(&mut *conn).await?;
        self.take_steps(conn, 0).await
    }

    /// How many steps a database has taken; none in one that is no store.
    async fn found(&self, conn: &mut AnyConnection, dialect: Dialect) -> Result<Option<u64>> {
        let is_there = match dialect {
            Dialect::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'meta'",
            Dialect::Postgres => {
                "SELECT tablename::TEXT AS name FROM pg_tables
                 WHERE tablename = 'meta' AND schemaname = current_schema()"
            }
        };
        if sqlx::query(is_there).fetch_optional(&mut *conn).await?.is_none() {
            return Ok(None);
        }
        let select = sqlx::query("SELECT number FROM meta WHERE name = $1").bind(self.name);
        let row = select.fetch_optional(conn).await?;
        row.map(|row| row.count("number")).transpose()
    }

    /// Takes the steps after so many.
    async fn take_steps(&self, conn: &mut AnyConnection, after: u64) -> Result<()> {
        for &statement in self.migrations.iter().skip(after as usize).copied().flatten() {
            sqlx::query(statement).execute(&mut *conn).await?;
        }
        sqlx::query(
            "INSERT INTO meta (name, number, bytes) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET number = excluded.number",
        )
        .bind(self.name)
        .bind(big(self.migrations.len() as u64))
        .bind(Vec::<u8>::new())
        .execute(conn)
        .await?;
        Ok(())
    }

    /// Takes the steps that are missing, all or none.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] when the store knows steps that this program does not.
    pub(crate) async fn migrate(&self, engine: &Engine) -> Result<()> {
        let known = self.migrations.len() as u64;
        let mut tx = engine.begin().await?;
        if engine.dialect() == Dialect::Postgres {
            // two nodes may start at once; the number is "symbolon" in ASCII
            sqlx::raw_sql("DO $$ BEGIN PERFORM pg_advisory_xact_lock(8320802056087301998); END $$")
                .execute(&mut *tx)
                .await?;
        }
        sqlx::query(META).execute(&mut *tx).await?;
        let row = sqlx::query("SELECT number FROM meta WHERE name = $1")
            .bind(self.name)
            .fetch_optional(&mut *tx)
            .await?;
        let found = row.map(|r| r.count("number")).transpose()?.unwrap_or(0);
        if found > known {
            return Err(StoreError::NewerSchema { found, known });
        }
        self.take_steps(&mut tx, found).await?;
        tx.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Durability;
    use crate::options::private_file;
    use std::collections::BTreeMap;

    #[tokio::test]
    async fn the_tables_that_are_read_off_the_steps_are_those_of_the_database() {
        sqlx::any::install_default_drivers();
        for schema in [DURABLE, HOT] {
            let dir = tempfile::TempDir::new().unwrap();
            let file = dir.path().join("test.db");
            private_file(&file).unwrap();
            let engine = Engine::sqlite(&file, Durability::Process, None).await.unwrap();
            schema.migrate(&engine).await.unwrap();
            let query = "SELECT m.name AS of, c.name AS name, c.type AS kind FROM sqlite_master m
                         JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name <> 'meta' ORDER BY c.cid";
            let mut there = BTreeMap::<String, Vec<(String, Option<Kind>)>>::new();
            for row in sqlx::query(query).fetch_all(engine.read()).await.unwrap() {
                let column = (row.string("name").unwrap(), Kind::of(&row.string("kind").unwrap()));
                there.entry(row.string("of").unwrap()).or_default().push(column);
            }
            let column = |&(name, kind): &(&str, Kind)| (String::from(name), Some(kind));
            let read = schema
                .tables()
                .into_iter()
                .map(|t| (t.name.to_owned(), t.columns.iter().map(column).collect()));
            assert_eq!(read.collect::<BTreeMap<_, _>>(), there);
        }
    }
}
