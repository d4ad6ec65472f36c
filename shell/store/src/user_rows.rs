//! How a user stands in the tables.

use crate::engine::{Columns, big};
use crate::error::or_taken;
use crate::seal::{Guard, Place};
use crate::users::NO_USER;
use crate::{NewUser, Result, StoreError, User, UserId, What};
use serde_json::json;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use symbolon_policy::{GroupName, Subject};
use symbolon_wire::Time;

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
pub(crate) const BY_CONFIRMED_ID: &str =
    select_users!("(SELECT * FROM users WHERE id = $1 AND provisional = 0)");
pub(crate) const BY_NAME: &str = select_users!("(SELECT * FROM users WHERE name = $1 AND provisional = 0)");
pub(crate) const BY_CODE: &str = select_users!("(SELECT * FROM users WHERE code = $1 AND provisional = 0)");
pub(crate) const AFTER: &str =
    select_users!("(SELECT * FROM users WHERE name > $1 AND provisional = 0 ORDER BY name LIMIT $2)");

pub(crate) fn answers_place(user: &UserId) -> Place<'_> {
    Place { table: "users", row: &user.0, column: "answers" }
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

pub(crate) async fn insert_groups(conn: &mut AnyConnection, id: UserId, groups: &[GroupName]) -> Result<()> {
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

/// The groups as text.
pub(crate) fn texts(groups: &[GroupName]) -> Vec<&str> {
    groups.iter().map(GroupName::as_str).collect()
}

/// A statement that found no row to change found no user.
pub(crate) fn found(rows: u64) -> Result<()> {
    if rows == 0 { Err(NO_USER) } else { Ok(()) }
}

/// The only user of an answer.
pub(crate) fn one(rows: Vec<AnyRow>) -> Result<User> {
    fold(rows)?.pop().ok_or(NO_USER)
}

/// One user from each run of rows that differ in the group alone.
pub(crate) fn fold(rows: Vec<AnyRow>) -> Result<Vec<User>> {
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
