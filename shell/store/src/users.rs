//! Users and devices, and their groups.

use crate::engine::Columns;
use crate::registering::lapse;
use crate::user_rows::{
    AFTER, BY_CODE, BY_CONFIRMED_ID, BY_NAME, Confirmed, answers_place, describe, fold, found, insert,
    insert_groups, load, one, texts,
};
use crate::{Actor, Result, Store, StoreError, UserId, What};
use serde_json::json;
use symbolon_crypto::SecretBytes;
use symbolon_policy::{AccessPath, CanonName, Grantee, GroupName, Standing, Subject, UserCode};
use symbolon_wire::Time;

/// A user or device of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id, which outlives a change of anything else.
    pub id: UserId,
    /// Name, access control path, groups and standing: what a decision needs.
    pub subject: Subject,
    /// How people call it.
    pub display: String,
    /// Its user identification code (B6).
    pub code: UserCode,
    /// When it was made.
    pub created: Time,
    /// Grows with each change of this record.
    pub rev: u64,
}

/// A user or device that is to be.
#[derive(Debug)]
pub struct NewUser {
    /// Its one spelling. No other user may have it, nor one that looks like it.
    pub name: CanonName,
    /// How people call it.
    pub display: String,
    /// A code that no user ever had.
    pub code: UserCode,
    /// Where its entitlements hang.
    pub path: AccessPath,
    /// Whether it may do anything.
    pub standing: Standing,
    /// What it is a member of.
    pub groups: Vec<GroupName>,
    /// What it answered to the registration template; kept sealed.
    pub answers: Option<SecretBytes>,
}

pub(crate) const NO_USER: StoreError = StoreError::NotFound { what: What::User };

impl Store {
    /// A user by id.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn user(&self, id: UserId) -> Result<User> {
        one(sqlx::query(BY_CONFIRMED_ID).bind(id.column()).fetch_all(self.durable().read()).await?)
    }

    /// A user by name.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn user_by_name(&self, name: &CanonName) -> Result<User> {
        one(sqlx::query(BY_NAME).bind(name.as_str()).fetch_all(self.durable().read()).await?)
    }

    /// A user by user identification code.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn user_by_code(&self, code: &UserCode) -> Result<User> {
        one(sqlx::query(BY_CODE).bind(code.as_str()).fetch_all(self.durable().read()).await?)
    }

    /// At most `limit` users by name, those after `after`.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn users(&self, after: Option<&CanonName>, limit: u32) -> Result<Vec<User>> {
        let rows = sqlx::query(AFTER)
            .bind(after.map_or("", CanonName::as_str))
            .bind(i64::from(limit))
            .fetch_all(self.durable().read())
            .await?;
        fold(rows)
    }

    /// What a user answered when it registered.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Sealed`].
    pub async fn answers(&self, id: UserId) -> Result<Option<SecretBytes>> {
        let row = sqlx::query("SELECT answers FROM users WHERE id = $1")
            .bind(id.column())
            .fetch_optional(self.durable().read())
            .await?
            .ok_or(NO_USER)?;
        row.maybe_bytes("answers")?.map(|sealed| self.guard().open(&answers_place(&id), &sealed)).transpose()
    }

    /// Makes a user without a token, as an administrator does.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] with [`What::UserName`], [`What::ConfusableName`] or
    /// [`What::UserCode`].
    pub async fn create_user(&self, by: &Actor, new: &NewUser, now: Time) -> Result<User> {
        let mut change = self.change(by, now).await?;
        lapse(change.conn(), now).await?;
        let id = UserId(self.guard().draw());
        insert(change.conn(), self.guard(), id, new, Confirmed::Yes, now).await?;
        change.alters_decisions().await?;
        let user = load(change.conn(), id).await?;
        change.commit("user.create", new.name.as_str(), &describe(&user)).await?;
        Ok(user)
    }

    /// Lets a user in or shuts it out. End its sessions with
    /// [`crate::HotStore::end_sessions_of`].
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn set_standing(&self, by: &Actor, id: UserId, standing: Standing, now: Time) -> Result<User> {
        let mut change = self.change(by, now).await?;
        let changed =
            sqlx::query("UPDATE users SET standing = $1, rev = rev + 1 WHERE id = $2 AND provisional = 0")
                .bind(standing.as_str())
                .bind(id.column())
                .execute(change.conn())
                .await?;
        found(changed.rows_affected())?;
        change.alters_decisions().await?;
        let user = load(change.conn(), id).await?;
        let detail = json!({ "id": id.to_string(), "standing": standing.as_str() });
        change.commit("user.standing", user.subject.name.as_str(), &detail).await?;
        Ok(user)
    }

    /// Replaces the groups of a user.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn set_groups(&self, by: &Actor, id: UserId, groups: &[GroupName], now: Time) -> Result<User> {
        let mut change = self.change(by, now).await?;
        let changed = sqlx::query("UPDATE users SET rev = rev + 1 WHERE id = $1 AND provisional = 0")
            .bind(id.column())
            .execute(change.conn())
            .await?;
        found(changed.rows_affected())?;
        sqlx::query("DELETE FROM user_groups WHERE user_id = $1")
            .bind(id.column())
            .execute(change.conn())
            .await?;
        insert_groups(change.conn(), id, groups).await?;
        change.alters_decisions().await?;
        let user = load(change.conn(), id).await?;
        let detail = json!({ "id": id.to_string(), "groups": texts(&user.subject.groups) });
        change.commit("user.groups", user.subject.name.as_str(), &detail).await?;
        Ok(user)
    }

    /// Hangs a user elsewhere.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn set_path(&self, by: &Actor, id: UserId, path: &AccessPath, now: Time) -> Result<User> {
        let mut change = self.change(by, now).await?;
        let changed =
            sqlx::query("UPDATE users SET path = $1, rev = rev + 1 WHERE id = $2 AND provisional = 0")
                .bind(path.to_string())
                .bind(id.column())
                .execute(change.conn())
                .await?;
        found(changed.rows_affected())?;
        change.alters_decisions().await?;
        let user = load(change.conn(), id).await?;
        let detail = json!({ "id": id.to_string(), "path": path.to_string() });
        change.commit("user.path", user.subject.name.as_str(), &detail).await?;
        Ok(user)
    }

    /// Removes a user with its registrations, password and the entitlements in its own name, so that
    /// whoever gets the name later inherits nothing. Its code is never given again. End its sessions
    /// with [`crate::HotStore::end_sessions_of`].
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn remove_user(&self, by: &Actor, id: UserId, now: Time) -> Result<()> {
        let mut change = self.change(by, now).await?;
        let user = one(sqlx::query(BY_CONFIRMED_ID).bind(id.column()).fetch_all(change.conn()).await?)?;
        let name = user.subject.name.clone();
        sqlx::query("INSERT INTO retired_codes (code) VALUES ($1) ON CONFLICT (code) DO NOTHING")
            .bind(user.code.as_str())
            .execute(change.conn())
            .await?;
        sqlx::query("DELETE FROM users WHERE id = $1").bind(id.column()).execute(change.conn()).await?;
        let entitlements = sqlx::query("DELETE FROM entitlements WHERE grantee = $1")
            .bind(Grantee::User(name.clone()).to_string())
            .execute(change.conn())
            .await?
            .rows_affected();
        change.alters_decisions().await?;
        let detail =
            json!({ "id": id.to_string(), "code": user.code.as_str(), "entitlements": entitlements });
        change.commit("user.remove", name.as_str(), &detail).await
    }
}
