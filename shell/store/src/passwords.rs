//! Passwords: their verifiers, sealed.

use crate::engine::Columns;
use crate::seal::Place;
use crate::user_rows::load;
use crate::{Actor, Result, Store, StoreError, UserId, What};
use serde_json::json;
use symbolon_crypto::SecretBytes;
use symbolon_wire::Time;

fn password_place(user: &UserId) -> Place<'_> {
    Place { table: "passwords", row: &user.0, column: "verifier" }
}

impl Store {
    /// The password verifier of a user (a PHC string), or `None` when it has no password.
    ///
    /// # Errors
    /// [`StoreError::Sealed`].
    pub async fn password(&self, id: UserId) -> Result<Option<SecretBytes>> {
        let row = sqlx::query("SELECT verifier FROM passwords WHERE user_id = $1")
            .bind(id.column())
            .fetch_optional(self.durable().read())
            .await?;
        row.map(|r| self.guard().open(&password_place(&id), &r.bytes("verifier")?)).transpose()
    }

    /// Sets the password verifier of a user: a PHC string, never the password.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn set_password(
        &self,
        by: &Actor,
        id: UserId,
        verifier: &SecretBytes,
        now: Time,
    ) -> Result<()> {
        let sealed = self.guard().seal(&password_place(&id), verifier.expose());
        let mut change = self.change(by, now).await?;
        let user = load(change.conn(), id).await?;
        sqlx::query(
            "INSERT INTO passwords (user_id, verifier) VALUES ($1, $2)
             ON CONFLICT (user_id) DO UPDATE SET verifier = excluded.verifier",
        )
        .bind(id.column())
        .bind(sealed)
        .execute(change.conn())
        .await?;
        change.commit("password.set", user.subject.name.as_str(), &json!({ "id": id.to_string() })).await
    }

    /// Takes a user's password away.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] with [`What::User`] or [`What::Password`].
    pub async fn remove_password(&self, by: &Actor, id: UserId, now: Time) -> Result<()> {
        let mut change = self.change(by, now).await?;
        let user = load(change.conn(), id).await?;
        let gone = sqlx::query("DELETE FROM passwords WHERE user_id = $1")
            .bind(id.column())
            .execute(change.conn())
            .await?;
        if gone.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: What::Password });
        }
        change.commit("password.remove", user.subject.name.as_str(), &json!({ "id": id.to_string() })).await
    }
}
