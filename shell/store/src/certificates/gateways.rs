//! Gateways whose certificates count no more. Those in force are not kept: they show themselves.

use crate::engine::{Columns, big};
use crate::{Actor, Result, Store, StoreError, What};
use serde_json::json;
use sqlx::any::AnyRow;
use symbolon_wire::Time;

/// A gateway's identity certificate that was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedGateway {
    /// Its serial number, big-endian.
    pub serial: Vec<u8>,
    /// The gateway's name; empty when only the number was known.
    pub name: String,
    /// Its last moment, or the last that it can have.
    pub until: Time,
    /// Since when it is revoked.
    pub since: Time,
    /// Why.
    pub reason: String,
}

impl Store {
    /// Revokes a gateway's certificate.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it was revoked before.
    pub async fn revoke_gateway(&self, by: &Actor, gateway: &RevokedGateway) -> Result<()> {
        let mut change = self.change(by, gateway.since).await?;
        let entered = sqlx::query(
            "INSERT INTO revoked_gateways (serial, name, until, revoked_at, reason)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (serial) DO NOTHING",
        )
        .bind(gateway.serial.clone())
        .bind(gateway.name.as_str())
        .bind(big(gateway.until.0))
        .bind(big(gateway.since.0))
        .bind(gateway.reason.as_str())
        .execute(change.conn())
        .await?;
        if entered.rows_affected() == 0 {
            return Err(StoreError::Conflict { what: What::RevokedGateway });
        }
        change.alters_decisions().await?;
        let detail = json!({ "gateway": gateway.name, "reason": gateway.reason });
        change.commit("gateway.revoke", &hex::encode(&gateway.serial), &detail).await
    }

    /// The revoked ones that end at `since` or later: what stands on a list.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn revoked_gateways(&self, since: Time) -> Result<Vec<RevokedGateway>> {
        sqlx::query("SELECT * FROM revoked_gateways WHERE until >= $1 ORDER BY revoked_at, serial")
            .bind(big(since.0))
            .fetch_all(self.durable().read())
            .await?
            .iter()
            .map(read)
            .collect()
    }
}

fn read(row: &AnyRow) -> Result<RevokedGateway> {
    Ok(RevokedGateway {
        serial: row.bytes("serial")?,
        name: row.string("name")?,
        until: row.time("until")?,
        since: row.time("revoked_at")?,
        reason: row.string("reason")?,
    })
}
