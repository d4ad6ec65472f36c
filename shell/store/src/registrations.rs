//! Registrations: each binds a user's token to this gateway by an authentication key of its own.

use crate::engine::{Columns, big};
use crate::seal::Place;
use crate::user_rows::load;
use crate::{Actor, RegistrationId, Result, Store, StoreError, User, UserId, What};
use serde_json::json;
use sqlx::any::AnyRow;
use std::collections::HashSet;
use symbolon_crypto::Secret;
use symbolon_policy::{TokenClass, UserCode};
use symbolon_wire::Time;

/// How far a registration has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationState {
    /// The client has not confirmed it yet.
    Provisional,
    /// It signs in.
    Active,
    /// It signs in no more.
    Revoked,
}

impl RegistrationState {
    /// `provisional`, `active` or `revoked`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisional => "provisional",
            Self::Active => "active",
            Self::Revoked => "revoked",
        }
    }
}

impl std::str::FromStr for RegistrationState {
    type Err = ();

    fn from_str(s: &str) -> std::result::Result<Self, ()> {
        [Self::Provisional, Self::Active, Self::Revoked].into_iter().find(|k| k.as_str() == s).ok_or(())
    }
}

/// A registration without its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its id.
    pub id: RegistrationId,
    /// Whose it is.
    pub user: UserId,
    /// Where the token keeps its key.
    pub class: TokenClass,
    /// What the user calls the token.
    pub label: String,
    /// How far it has come.
    pub state: RegistrationState,
    /// When it began.
    pub created: Time,
    /// When it signed in last.
    pub last_used: Option<Time>,
}

/// A registration with its key and its user, as a sign-in needs it.
#[derive(Debug)]
pub struct KeyedRegistration {
    /// The registration.
    pub registration: Registration,
    /// The authentication key.
    pub ssk: Secret<32>,
    /// Its user.
    pub user: User,
}

pub(crate) const NO_REGISTRATION: StoreError = StoreError::NotFound { what: What::Registration };

pub(crate) fn ssk_place(id: &RegistrationId) -> Place<'_> {
    Place { table: "registrations", row: &id.0, column: "ssk" }
}

impl Store {
    /// The active registrations of the user with this code, with their keys: none when nobody has
    /// the code.
    ///
    /// # Errors
    /// [`StoreError::Sealed`] when a key was altered or moved.
    pub async fn registrations_by_user_code(&self, code: &UserCode) -> Result<Vec<KeyedRegistration>> {
        let user = match self.user_by_code(code).await {
            Err(StoreError::NotFound { .. }) => return Ok(Vec::new()),
            user => user?,
        };
        sqlx::query(
            "SELECT * FROM registrations WHERE user_id = $1 AND state = 'active' ORDER BY created, id",
        )
        .bind(user.id.column())
        .fetch_all(self.durable().read())
        .await?
        .iter()
        .map(|row| self.keyed(row, user.clone()))
        .collect()
    }

    /// A registration in any state, with its key and its user (confirmed or not): look at
    /// [`Registration::state`].
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Sealed`] when the key was altered or moved.
    pub async fn registration(&self, id: RegistrationId) -> Result<KeyedRegistration> {
        let mut conn = self.durable().read().acquire().await?;
        let row = sqlx::query("SELECT * FROM registrations WHERE id = $1")
            .bind(id.column())
            .fetch_optional(&mut *conn)
            .await?
            .ok_or(NO_REGISTRATION)?;
        let user = load(&mut conn, UserId(row.fixed("user_id")?)).await?;
        self.keyed(&row, user)
    }

    /// All registrations of a user, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn registrations_of(&self, user: UserId) -> Result<Vec<Registration>> {
        sqlx::query("SELECT * FROM registrations WHERE user_id = $1 ORDER BY created, id")
            .bind(user.column())
            .fetch_all(self.durable().read())
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// The registrations that are in force, of all users.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn active_registrations(&self) -> Result<HashSet<RegistrationId>> {
        sqlx::query("SELECT id FROM registrations WHERE state = 'active'")
            .fetch_all(self.durable().read())
            .await?
            .iter()
            .map(|row| Ok(RegistrationId(row.fixed("id")?)))
            .collect()
    }

    /// Revokes a registration: its token signs in no more. End its sessions with
    /// [`crate::HotStore::end_sessions_of`].
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none or it was revoked before.
    pub async fn revoke_registration(&self, by: &Actor, id: RegistrationId, now: Time) -> Result<()> {
        let mut change = self.change(by, now).await?;
        let changed =
            sqlx::query("UPDATE registrations SET state = 'revoked' WHERE id = $1 AND state <> 'revoked'")
                .bind(id.column())
                .execute(change.conn())
                .await?;
        if changed.rows_affected() == 0 {
            return Err(NO_REGISTRATION);
        }
        change.alters_decisions().await?;
        change.commit("registration.revoke", &id.to_string(), &json!({})).await
    }

    /// Notes that a registration signed in, with the audit row in the same transaction.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it is not active (any more): then the sign-in does not count.
    pub async fn record_sign_in(
        &self,
        by: &Actor,
        id: RegistrationId,
        detail: &serde_json::Value,
        now: Time,
    ) -> Result<()> {
        let mut change = self.change(by, now).await?;
        let changed =
            sqlx::query("UPDATE registrations SET last_used = $1 WHERE id = $2 AND state = 'active'")
                .bind(big(now.0))
                .bind(id.column())
                .execute(change.conn())
                .await?;
        if changed.rows_affected() == 0 {
            return Err(NO_REGISTRATION);
        }
        change.commit("sign-in", &id.to_string(), detail).await
    }

    fn keyed(&self, row: &AnyRow, user: User) -> Result<KeyedRegistration> {
        let registration = read(row)?;
        let ssk = self.guard().open_fixed(&ssk_place(&registration.id), &row.bytes("ssk")?)?;
        Ok(KeyedRegistration { registration, ssk, user })
    }
}

fn read(row: &AnyRow) -> Result<Registration> {
    Ok(Registration {
        id: RegistrationId(row.fixed("id")?),
        user: UserId(row.fixed("user_id")?),
        class: row.parsed("class")?,
        label: row.string("label")?,
        state: row.parsed("state")?,
        created: row.time("created")?,
        last_used: row.maybe_time("last_used")?,
    })
}
