//! How a token is registered: begun by the request, confirmed when the client has stored its token.
//!
//! ```text
//! begin_registration    open invitation ─► claimed     new user, provisional   registration, provisional
//! confirm_registration                  ─► consumed    confirmed               active
//! (ten minutes pass)    claimed         ─► open        removed                 removed
//! ```
//! The client confirms only after it has stored its token, so that an answer lost on the way costs
//! a wait of ten minutes, never the invitation.

use crate::engine::{Columns, big};
use crate::error::or_taken;
use crate::invitations::{claim, consume, reopen};
use crate::registrations::{NO_REGISTRATION, RegistrationState, ssk_place};
use crate::user_rows::{Confirmed, describe, insert, load};
use crate::{Actor, CodeHash, NewUser, RegistrationId, Result, Store, StoreError, User, UserId, What};
use serde_json::json;
use sqlx::AnyConnection;
use symbolon_crypto::Secret;
use symbolon_policy::TokenClass;
use symbolon_wire::Time;

/// How long a registration may stay unconfirmed: a person who stores a token on a slow machine
/// needs seconds, one whose connection broke should not wait for long.
pub const CONFIRM_WITHIN_SECS: u64 = 600;

/// Whose token is registered.
#[derive(Debug)]
pub enum RegistrationFor {
    /// A user of the directory.
    Existing(UserId),
    /// A user who enters the directory by it.
    New(NewUser),
}

/// A registration that is to be.
#[derive(Debug)]
pub struct NewRegistration {
    /// Its id, drawn by the gateway because the client is told it before anything is stored.
    pub id: RegistrationId,
    /// Whose it is.
    pub user: RegistrationFor,
    /// The authentication key (B7); kept sealed.
    pub ssk: Secret<32>,
    /// Where the token keeps its key.
    pub class: TokenClass,
    /// What the user calls the token.
    pub label: String,
    /// The invitation that it uses up, if any.
    pub invitation: Option<CodeHash>,
}

impl Store {
    /// Begins a registration, in one transaction: claims the invitation, makes the user when it is
    /// new, and keeps the key. Of two that race for one invitation or name, one succeeds.
    ///
    /// # Errors
    /// [`StoreError::Invitation`]; [`StoreError::Conflict`] with [`What::UserName`],
    /// [`What::ConfusableName`], [`What::UserCode`] or [`What::Registration`];
    /// [`StoreError::NotFound`] with [`What::User`].
    pub async fn begin_registration(&self, by: &Actor, new: &NewRegistration, now: Time) -> Result<User> {
        let id = new.id;
        let mut change = self.change(by, now).await?;
        lapse(change.conn(), now).await?;
        let user = match &new.user {
            RegistrationFor::Existing(user) => {
                let confirmed = sqlx::query("SELECT id FROM users WHERE id = $1 AND provisional = 0")
                    .bind(user.column())
                    .fetch_optional(change.conn())
                    .await?;
                confirmed.ok_or(StoreError::NotFound { what: What::User })?;
                load(change.conn(), *user).await?
            }
            RegistrationFor::New(user) => {
                let user_id = UserId(self.guard().draw());
                // before the name is looked at, so that a stranger without an invitation learns
                // nothing about names
                if let Some(code) = new.invitation {
                    claim(change.conn(), code, &user.name, id, now).await?;
                }
                insert(change.conn(), self.guard(), user_id, user, Confirmed::NotYet, now).await?;
                load(change.conn(), user_id).await?
            }
        };
        if let (RegistrationFor::Existing(_), Some(code)) = (&new.user, new.invitation) {
            claim(change.conn(), code, &user.subject.name, id, now).await?;
        }
        sqlx::query(
            "INSERT INTO registrations (id, user_id, ssk, class, label, state, invitation, created)
             VALUES ($1, $2, $3, $4, $5, 'provisional', $6, $7)",
        )
        .bind(id.column())
        .bind(user.id.column())
        .bind(self.guard().seal(&ssk_place(&id), new.ssk.expose()))
        .bind(new.class.as_str())
        .bind(new.label.as_str())
        .bind(new.invitation.map(CodeHash::column))
        .bind(big(now.0))
        .execute(change.conn())
        .await
        .map_err(or_taken(What::Registration))?;
        let detail = json!({
            "registration": id.to_string(),
            "class": new.class.as_str(),
            "invitation": new.invitation.map(|c| c.to_string()),
            "user": describe(&user),
        });
        change.commit("registration.begin", user.subject.name.as_str(), &detail).await?;
        Ok(user)
    }

    /// Makes a registration active and uses its invitation up for good. Confirming twice is
    /// confirming once.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it lapsed or was revoked; [`StoreError::Invitation`] when its
    /// invitation was revoked meanwhile.
    pub async fn confirm_registration(&self, by: &Actor, id: RegistrationId, now: Time) -> Result<User> {
        let mut change = self.change(by, now).await?;
        lapse(change.conn(), now).await?;
        let row = sqlx::query("SELECT user_id, state, invitation FROM registrations WHERE id = $1")
            .bind(id.column())
            .fetch_optional(change.conn())
            .await?
            .ok_or(NO_REGISTRATION)?;
        let user = load(change.conn(), UserId(row.fixed("user_id")?)).await?;
        match row.parsed("state")? {
            RegistrationState::Revoked => return Err(NO_REGISTRATION),
            RegistrationState::Active => return Ok(user),
            RegistrationState::Provisional => {}
        }
        let invitation = row.maybe_fixed("invitation")?.map(CodeHash);
        if let Some(code) = invitation {
            consume(change.conn(), code, id).await?;
        }
        sqlx::query("UPDATE registrations SET state = 'active' WHERE id = $1")
            .bind(id.column())
            .execute(change.conn())
            .await?;
        sqlx::query("UPDATE users SET provisional = 0 WHERE id = $1")
            .bind(user.id.column())
            .execute(change.conn())
            .await?;
        change.alters_decisions().await?;
        let detail = json!({
            "registration": id.to_string(),
            "id": user.id.to_string(),
            "invitation": invitation.map(|c| c.to_string()),
        });
        change.commit("registration.confirm", user.subject.name.as_str(), &detail).await?;
        Ok(user)
    }
}

/// Removes what was not confirmed in time, and opens its invitations again.
pub(crate) async fn lapse(conn: &mut AnyConnection, now: Time) -> Result<()> {
    let until = now.minus_secs(CONFIRM_WITHIN_SECS);
    let gone = sqlx::query("DELETE FROM registrations WHERE state = 'provisional' AND created <= $1")
        .bind(big(until.0))
        .execute(&mut *conn)
        .await?;
    if gone.rows_affected() == 0 {
        return Ok(());
    }
    reopen(conn, until).await?;
    // the users who were to enter by a registration that is gone
    sqlx::query(
        "DELETE FROM users WHERE provisional = 1
         AND NOT EXISTS (SELECT 1 FROM registrations r WHERE r.user_id = users.id)",
    )
    .execute(conn)
    .await?;
    Ok(())
}
