//! What the issuer says to everybody: its revocation list, and that another issuer follows it.

use crate::engine::{Columns, big};
use crate::settings::write_setting;
use crate::{Actor, Result, Store, StoreError, What};
use serde_json::json;
use symbolon_wire::Time;

/// The setting that holds the statement that another issuer follows.
const ISSUER_CHANGE: &str = "ca.issuer_change";

impl Store {
    /// The number that the next list must have.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn next_revocation_list_number(&self) -> Result<u64> {
        let row = sqlx::query("SELECT COALESCE(MAX(number), 0) AS last FROM revocation_lists")
            .fetch_one(self.durable().read())
            .await?;
        Ok(row.count("last")? + 1)
    }

    /// Keeps a list (DER) with its number in place of the one before.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is one with that number or a larger one.
    pub async fn put_revocation_list(&self, by: &Actor, number: u64, list: &[u8], now: Time) -> Result<()> {
        let mut change = self.change(by, now).await?;
        let newer = sqlx::query("SELECT number FROM revocation_lists WHERE number >= $1")
            .bind(big(number))
            .fetch_optional(change.conn())
            .await?;
        if newer.is_some() {
            return Err(StoreError::Conflict { what: What::RevocationList });
        }
        sqlx::query("DELETE FROM revocation_lists").execute(change.conn()).await?;
        sqlx::query("INSERT INTO revocation_lists (number, list) VALUES ($1, $2)")
            .bind(big(number))
            .bind(list.to_vec())
            .execute(change.conn())
            .await?;
        // Every node tells its clients of it.
        change.alters_decisions().await?;
        change.commit("revocation-list.put", &number.to_string(), &json!({})).await
    }

    /// The present list, DER, if one was made.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn revocation_list(&self) -> Result<Option<Vec<u8>>> {
        let row = sqlx::query("SELECT list FROM revocation_lists ORDER BY number DESC")
            .fetch_optional(self.durable().read())
            .await?;
        row.map(|row| row.bytes("list")).transpose()
    }

    /// Keeps the statement that another issuer follows, for all nodes on the store.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn put_issuer_change(
        &self,
        by: &Actor,
        change: &[u8],
        new_issuer: &str,
        now: Time,
    ) -> Result<()> {
        let mut tx = self.change(by, now).await?;
        write_setting(&mut tx, ISSUER_CHANGE, change.to_vec(), 0).await?;
        tx.alters_decisions().await?;
        tx.commit("issuer.change", new_issuer, &json!({})).await
    }

    /// That statement, if there is one.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn issuer_change(&self) -> Result<Option<Vec<u8>>> {
        self.setting(ISSUER_CHANGE).await
    }
}
