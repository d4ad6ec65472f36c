//! Small values under a name: plain ones that may be shown, and secrets.

use crate::chain::Change;
use crate::engine::Columns;
use crate::seal::Place;
use crate::{Actor, Result, Store, StoreError, What};
use serde_json::json;
use sqlx::any::AnyRow;
use symbolon_crypto::SecretBytes;
use symbolon_wire::Time;

fn place(name: &str) -> Place<'_> {
    Place { table: "settings", row: name.as_bytes(), column: "value" }
}

impl Store {
    /// A plain setting.
    ///
    /// # Errors
    /// [`StoreError::Sealed`] when the name holds a secret.
    pub async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(row) = self.setting_row(name).await? else { return Ok(None) };
        if row.int("sealed")? != 0 {
            return Err(StoreError::Sealed);
        }
        row.bytes("value").map(Some)
    }

    /// A secret setting.
    ///
    /// # Errors
    /// [`StoreError::Sealed`] when it does not open, or the name holds a plain setting.
    pub async fn secret_setting(&self, name: &str) -> Result<Option<SecretBytes>> {
        let Some(row) = self.setting_row(name).await? else { return Ok(None) };
        self.guard().open(&place(name), &row.bytes("value")?).map(Some)
    }

    /// Sets a plain setting. Its value does not enter the audit.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn put_setting(&self, by: &Actor, name: &str, value: &[u8], now: Time) -> Result<()> {
        self.put_setting_column(by, name, value.to_vec(), 0, now).await
    }

    /// Sets a secret setting.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn put_secret_setting(
        &self,
        by: &Actor,
        name: &str,
        value: &SecretBytes,
        now: Time,
    ) -> Result<()> {
        let sealed = self.guard().seal(&place(name), value.expose());
        self.put_setting_column(by, name, sealed, 1, now).await
    }

    /// Removes a setting of either kind.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn remove_setting(&self, by: &Actor, name: &str, now: Time) -> Result<()> {
        let mut change = self.change(by, now).await?;
        let gone =
            sqlx::query("DELETE FROM settings WHERE name = $1").bind(name).execute(change.conn()).await?;
        if gone.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: What::Setting });
        }
        change.commit("setting.remove", name, &json!({})).await
    }

    async fn setting_row(&self, name: &str) -> Result<Option<AnyRow>> {
        Ok(sqlx::query("SELECT value, sealed FROM settings WHERE name = $1")
            .bind(name)
            .fetch_optional(self.durable().read())
            .await?)
    }

    async fn put_setting_column(
        &self,
        by: &Actor,
        name: &str,
        value: Vec<u8>,
        sealed: i64,
        now: Time,
    ) -> Result<()> {
        let mut change = self.change(by, now).await?;
        write_setting(&mut change, name, value, sealed).await?;
        change.commit("setting.put", name, &json!({ "secret": sealed != 0 })).await
    }
}

/// Writes a setting within a change that says in the audit what it is for.
pub(crate) async fn write_setting(
    change: &mut Change,
    name: &str,
    value: Vec<u8>,
    sealed: i64,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO settings (name, value, sealed) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value, sealed = excluded.sealed",
    )
    .bind(name)
    .bind(value)
    .bind(sealed)
    .execute(change.conn())
    .await?;
    Ok(())
}
