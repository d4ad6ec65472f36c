//! Session tickets that were used: each acts once, and a loss of power does not bring it back.

use crate::engine::big;
use crate::{Result, Store};
use symbolon_wire::Time;

/// Names a session ticket: the hash of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TicketKey(pub [u8; 32]);

impl Store {
    /// Spends a ticket, and tells whether it was unspent. That it was spent is on the disk before this
    /// returns, and is kept until `expires`. The sign-in that follows is what the audit has of it.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the engine.
    pub async fn spend_ticket(&self, key: TicketKey, expires: Time, now: Time) -> Result<bool> {
        let engine = self.durable();
        let spent = sqlx::query(
            "INSERT INTO spent_tickets (key, expires) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING",
        )
        .bind(key.0.to_vec())
        .bind(big(expires.0))
        .execute(engine.write())
        .await?;
        if spent.rows_affected() == 1 {
            // Whoever adds one sweeps; those that ended long ago may be shown again, and have expired.
            sqlx::query("DELETE FROM spent_tickets WHERE expires <= $1")
                .bind(big(now.0))
                .execute(engine.write())
                .await?;
        }
        Ok(spent.rows_affected() == 1)
    }
}
