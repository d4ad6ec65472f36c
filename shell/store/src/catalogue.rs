//! What there is to be had besides applications: who may reach which of them, and registration templates.

use crate::engine::{Columns, corrupt};
use crate::{Actor, Result, Store, StoreError, What};
use serde_json::json;
use sqlx::any::AnyRow;
use symbolon_policy::{Entitlement, EntitlementId, TemplateName};
use symbolon_wire::Time;

/// A registration template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its name.
    pub name: TemplateName,
    /// Its TOML text, which the store does not read.
    pub body: String,
    /// Grows with each change.
    pub rev: u64,
}

impl Store {
    /// Grants an entitlement, or changes it. The application need not exist yet.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn put_entitlement(&self, by: &Actor, entitlement: &Entitlement, now: Time) -> Result<()> {
        let mut change = self.change(by, now).await?;
        let conditions =
            serde_json::to_string(&entitlement.conditions).map_err(|e| StoreError::Other(e.to_string()))?;
        let grantee = entitlement.grantee.to_string();
        sqlx::query(
            "INSERT INTO entitlements (id, grantee, app, conditions) VALUES ($1, $2, $3, $4)
             ON CONFLICT (id) DO UPDATE SET grantee = excluded.grantee, app = excluded.app,
             conditions = excluded.conditions",
        )
        .bind(entitlement.id.0.to_vec())
        .bind(grantee.as_str())
        .bind(entitlement.app.as_str())
        .bind(conditions)
        .execute(change.conn())
        .await?;
        change.alters_decisions().await?;
        let detail = json!({
            "grantee": grantee,
            "app": entitlement.app.as_str(),
            "conditions": entitlement.conditions.to_string(),
        });
        change.commit("entitlement.put", &entitlement.id.to_string(), &detail).await
    }

    /// All entitlements, by application and grantee.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn entitlements(&self) -> Result<Vec<Entitlement>> {
        sqlx::query("SELECT * FROM entitlements ORDER BY app, grantee, id")
            .fetch_all(self.durable().read())
            .await?
            .iter()
            .map(|row| {
                Ok(Entitlement {
                    id: EntitlementId(row.fixed("id")?),
                    grantee: row.parsed("grantee")?,
                    app: row.parsed("app")?,
                    conditions: serde_json::from_str(&row.string("conditions")?)
                        .map_err(|_| corrupt("conditions"))?,
                })
            })
            .collect()
    }

    /// Withdraws an entitlement.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn remove_entitlement(&self, by: &Actor, id: EntitlementId, now: Time) -> Result<()> {
        let mut change = self.change(by, now).await?;
        let gone = sqlx::query("DELETE FROM entitlements WHERE id = $1")
            .bind(id.0.to_vec())
            .execute(change.conn())
            .await?;
        if gone.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: What::Entitlement });
        }
        change.alters_decisions().await?;
        change.commit("entitlement.remove", &id.to_string(), &json!({})).await
    }

    /// Keeps a registration template, and returns its revision: 1 for a new one.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn put_template(&self, by: &Actor, name: &TemplateName, body: &str, now: Time) -> Result<u64> {
        let mut change = self.change(by, now).await?;
        let rev = sqlx::query(
            "INSERT INTO templates (name, body, rev) VALUES ($1, $2, 1)
             ON CONFLICT (name) DO UPDATE SET body = excluded.body, rev = templates.rev + 1 RETURNING rev",
        )
        .bind(name.as_str())
        .bind(body)
        .fetch_one(change.conn())
        .await?
        .count("rev")?;
        change.commit("template.put", name.as_str(), &json!({ "rev": rev })).await?;
        Ok(rev)
    }

    /// A template by name.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn template(&self, name: &TemplateName) -> Result<Template> {
        let row = sqlx::query("SELECT * FROM templates WHERE name = $1")
            .bind(name.as_str())
            .fetch_optional(self.durable().read())
            .await?;
        read_template(&row.ok_or(StoreError::NotFound { what: What::Template })?)
    }

    /// All templates by name.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn templates(&self) -> Result<Vec<Template>> {
        let rows =
            sqlx::query("SELECT * FROM templates ORDER BY name").fetch_all(self.durable().read()).await?;
        rows.iter().map(read_template).collect()
    }

    /// Removes a template.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn remove_template(&self, by: &Actor, name: &TemplateName, now: Time) -> Result<()> {
        let mut change = self.change(by, now).await?;
        let gone = sqlx::query("DELETE FROM templates WHERE name = $1")
            .bind(name.as_str())
            .execute(change.conn())
            .await?;
        if gone.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: What::Template });
        }
        change.commit("template.remove", name.as_str(), &json!({})).await
    }
}

fn read_template(row: &AnyRow) -> Result<Template> {
    Ok(Template { name: row.parsed("name")?, body: row.string("body")?, rev: row.count("rev")? })
}
