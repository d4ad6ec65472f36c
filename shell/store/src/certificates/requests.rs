//! Requests that wait until the issuer's key, kept apart from the node, is at hand.

use crate::engine::{Columns, big};
use crate::{Actor, Result, Store, StoreError, What};
use serde_json::json;
use symbolon_wire::Time;

/// Requests that may wait for an offline issuer: one file of them.
const MAX_REQUESTS: i64 = 1024;

/// A request that waits for the issuer's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingRequest {
    /// SHA-256 of the request.
    pub id: [u8; 32],
    /// PKCS #10, DER.
    pub request: Vec<u8>,
    /// Whom it names.
    pub subject: String,
    /// What people read in the certificate.
    pub common_name: String,
    /// How long it shall live, in seconds.
    pub lifetime_secs: u64,
    /// The certificate that it renews.
    pub replaces: Option<Vec<u8>>,
}

impl Store {
    /// Keeps a request until the issuer's key is at hand; the same one again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when 1,024 wait already.
    pub async fn add_certificate_request(&self, by: &Actor, new: &WaitingRequest, now: Time) -> Result<()> {
        let mut change = self.change(by, now).await?;
        let entered = sqlx::query(
            "INSERT INTO certificate_requests (id, request, subject, common_name, lifetime, replaces, created)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING",
        )
        .bind(new.id.to_vec())
        .bind(new.request.clone())
        .bind(new.subject.as_str())
        .bind(new.common_name.as_str())
        .bind(big(new.lifetime_secs))
        .bind(new.replaces.clone())
        .bind(big(now.0))
        .execute(change.conn())
        .await?;
        if entered.rows_affected() == 0 {
            return Ok(());
        }
        let waiting = sqlx::query("SELECT COUNT(*) AS n FROM certificate_requests")
            .fetch_one(change.conn())
            .await?
            .int("n")?;
        if waiting > MAX_REQUESTS {
            return Err(StoreError::Conflict { what: What::CertificateRequest });
        }
        change
            .commit("certificate-request.add", &hex::encode(new.id), &json!({ "subject": new.subject }))
            .await
    }

    /// All requests that wait, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn certificate_requests(&self) -> Result<Vec<WaitingRequest>> {
        let rows = sqlx::query("SELECT * FROM certificate_requests ORDER BY created, id")
            .fetch_all(self.durable().read())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(WaitingRequest {
                    id: row.fixed("id")?,
                    request: row.bytes("request")?,
                    subject: row.string("subject")?,
                    common_name: row.string("common_name")?,
                    lifetime_secs: row.count("lifetime")?,
                    replaces: row.maybe_bytes("replaces")?,
                })
            })
            .collect()
    }

    /// Takes a request away: it was answered, or shall not be.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn remove_certificate_request(
        &self,
        by: &Actor,
        id: [u8; 32],
        why: &str,
        now: Time,
    ) -> Result<()> {
        let mut change = self.change(by, now).await?;
        let gone = sqlx::query("DELETE FROM certificate_requests WHERE id = $1")
            .bind(id.to_vec())
            .execute(change.conn())
            .await?;
        if gone.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: What::CertificateRequest });
        }
        change.commit("certificate-request.remove", &hex::encode(id), &json!({ "why": why })).await
    }
}
