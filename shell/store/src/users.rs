//! Users and devices, their groups and passwords.

use crate::engine::{Columns, big};
use crate::error::or_taken;
use crate::seal::{Guard, Place};
use crate::{Actor, Result, Store, StoreError, UserId, What};
use serde_json::json;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
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

/// One statement, so that a record and its groups are of one moment.
macro_rules! select_users {
    ($from:literal) => {
        concat!(
            "SELECT u.id, u.name, u.display, u.code, u.path, u.standing, u.created, u.rev, g.name AS member_of
             FROM ", $from, " u LEFT JOIN user_groups g ON g.user_id = u.id ORDER BY u.name, g.name"
        )
    };
}

const BY_ID: &str = select_users!("(SELECT * FROM users WHERE id = $1)");
const BY_CONFIRMED_ID: &str = select_users!("(SELECT * FROM users WHERE id = $1 AND provisional = 0)");
const BY_NAME: &str = select_users!("(SELECT * FROM users WHERE name = $1 AND provisional = 0)");
const BY_CODE: &str = select_users!("(SELECT * FROM users WHERE code = $1 AND provisional = 0)");
const AFTER: &str =
    select_users!("(SELECT * FROM users WHERE name > $1 AND provisional = 0 ORDER BY name LIMIT $2)");

const NO_USER: StoreError = StoreError::NotFound { what: What::User };

fn password_place(user: &UserId) -> Place<'_> {
    Place { table: "passwords", row: &user.0, column: "verifier" }
}

fn answers_place(user: &UserId) -> Place<'_> {
    Place { table: "users", row: &user.0, column: "answers" }
}

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
        super::registrations::lapse(change.conn(), now).await?;
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

/// Whether a user is one of the directory, or waits for the confirmation of its registration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirmed {
    Yes,
    NotYet,
}

/// Inserts a user after looking whether anybody has its name, its looks or its code.
pub(crate) async fn insert(
    conn: &mut AnyConnection,
    guard: &Guard,
    id: UserId,
    new: &NewUser,
    confirmed: Confirmed,
    now: Time,
) -> Result<()> {
    let skeleton = new.name.skeleton();
    let taken = sqlx::query(
        "SELECT name, skeleton, code FROM users WHERE name = $1 OR skeleton = $2 OR code = $3
         UNION ALL SELECT '' AS name, '' AS skeleton, code FROM retired_codes WHERE code = $3",
    )
    .bind(new.name.as_str())
    .bind(skeleton.as_str())
    .bind(new.code.as_str())
    .fetch_all(&mut *conn)
    .await?;
    let mut conflict = None;
    for row in &taken {
        let what = if row.string("name")? == new.name.as_str() {
            What::UserName
        } else if row.string("skeleton")? == skeleton {
            What::ConfusableName
        } else {
            What::UserCode
        };
        // the plainest reason wins, whatever the order of rows
        conflict = match conflict {
            Some(What::UserName) => conflict,
            Some(What::ConfusableName) if what == What::UserCode => conflict,
            _ => Some(what),
        };
    }
    if let Some(what) = conflict {
        return Err(StoreError::Conflict { what });
    }
    let answers = new.answers.as_ref().map(|a| guard.seal(&answers_place(&id), a.expose()));
    sqlx::query(
        "INSERT INTO users (id, name, skeleton, display, code, path, standing, provisional, answers, created, rev)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1)",
    )
    .bind(id.column())
    .bind(new.name.as_str())
    .bind(skeleton)
    .bind(new.display.as_str())
    .bind(new.code.as_str())
    .bind(new.path.to_string())
    .bind(new.standing.as_str())
    .bind(i64::from(confirmed == Confirmed::NotYet))
    .bind(answers)
    .bind(big(now.0))
    .execute(&mut *conn)
    .await
    .map_err(or_taken(What::UserName))?;
    insert_groups(conn, id, &new.groups).await
}

async fn insert_groups(conn: &mut AnyConnection, id: UserId, groups: &[GroupName]) -> Result<()> {
    for group in groups {
        sqlx::query(
            "INSERT INTO user_groups (user_id, name) VALUES ($1, $2) ON CONFLICT (user_id, name) DO NOTHING",
        )
        .bind(id.column())
        .bind(group.as_str())
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// A user as the current transaction sees it, confirmed or not.
pub(crate) async fn load(conn: &mut AnyConnection, id: UserId) -> Result<User> {
    one(sqlx::query(BY_ID).bind(id.column()).fetch_all(conn).await?)
}

/// What the audit says about a new user.
pub(crate) fn describe(user: &User) -> serde_json::Value {
    json!({
        "id": user.id.to_string(),
        "code": user.code.as_str(),
        "path": user.subject.path.to_string(),
        "standing": user.subject.standing.as_str(),
        "groups": texts(&user.subject.groups),
    })
}

fn texts(groups: &[GroupName]) -> Vec<&str> {
    groups.iter().map(GroupName::as_str).collect()
}

fn found(rows: u64) -> Result<()> {
    if rows == 0 { Err(NO_USER) } else { Ok(()) }
}

fn one(rows: Vec<AnyRow>) -> Result<User> {
    fold(rows)?.pop().ok_or(NO_USER)
}

/// One user from each run of rows that differ in the group alone.
fn fold(rows: Vec<AnyRow>) -> Result<Vec<User>> {
    let mut users: Vec<User> = Vec::new();
    for row in rows {
        let id = UserId(row.fixed("id")?);
        let group = row.maybe_parsed::<GroupName>("member_of")?;
        match users.last_mut() {
            Some(user) if user.id == id => user.subject.groups.extend(group),
            _ => users.push(User {
                id,
                subject: Subject {
                    name: row.parsed("name")?,
                    path: row.parsed("path")?,
                    groups: group.into_iter().collect(),
                    standing: row.parsed("standing")?,
                },
                display: row.string("display")?,
                code: row.parsed("code")?,
                created: row.time("created")?,
                rev: row.count("rev")?,
            }),
        }
    }
    Ok(users)
}
