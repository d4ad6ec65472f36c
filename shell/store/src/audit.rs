//! What the audit says: who did what, when, and whether somebody altered it since.

use crate::Result;
use crate::engine::Columns;
use crate::seal::Guard;
use sqlx::any::AnyRow;
use symbolon_wire::{Time, Writer};

/// In which capacity somebody acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActorKind {
    /// The program itself: a timer, a first start.
    System,
    /// An administrator.
    Admin,
    /// A user, or a peer who says so.
    User,
    /// A node of the cluster.
    Node,
}

impl ActorKind {
    /// As it stands in the table and in exports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Admin => "admin",
            Self::User => "user",
            Self::Node => "node",
        }
    }
}

impl std::str::FromStr for ActorKind {
    type Err = ();

    fn from_str(s: &str) -> std::result::Result<Self, ()> {
        [Self::System, Self::Admin, Self::User, Self::Node].into_iter().find(|k| k.as_str() == s).ok_or(())
    }
}

/// Who causes a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// In which capacity.
    pub kind: ActorKind,
    /// Under which name.
    pub name: String,
}

impl Actor {
    /// The program itself; `part` says which part of it.
    #[must_use]
    pub fn system(part: &str) -> Self {
        Self { kind: ActorKind::System, name: part.to_owned() }
    }

    /// An administrator.
    #[must_use]
    pub fn admin(name: &str) -> Self {
        Self { kind: ActorKind::Admin, name: name.to_owned() }
    }

    /// A user, or a peer who says so.
    #[must_use]
    pub fn user(name: &str) -> Self {
        Self { kind: ActorKind::User, name: name.to_owned() }
    }

    /// A node.
    #[must_use]
    pub fn node(name: &str) -> Self {
        Self { kind: ActorKind::Node, name: name.to_owned() }
    }
}

/// Something that is to be audited and changes no record.
#[derive(Clone, Debug)]
pub struct Note {
    /// When it was.
    pub time: Time,
    /// Who did it.
    pub by: Actor,
    /// What was done.
    pub action: &'static str,
    /// To what: a name or an id.
    pub object: String,
    /// Anything else, as a JSON object. Never a secret.
    pub detail: serde_json::Value,
}

/// One row of the audit chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number, from 1 without gaps.
    pub seq: u64,
    /// When.
    pub time: Time,
    /// Who.
    pub actor: Actor,
    /// What was done: `user.create`, `sign-in`, …
    pub action: String,
    /// To what: a name or an id.
    pub object: String,
    /// Anything else, as a JSON object. Never a secret.
    pub detail: String,
    /// Hash of the row before; zero for the first.
    pub prev: [u8; 32],
    /// Hash of this row.
    pub hash: [u8; 32],
}

/// What is wrong at one place of the audit chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// The row's content is not what was hashed.
    #[error("the row was altered")]
    Altered,
    /// The row does not follow the one before it.
    #[error("the row does not follow the one before")]
    Unlinked,
    /// A row is missing at this number.
    #[error("a row is missing")]
    Missing,
    /// A row stands behind the last one that was written.
    #[error("a row was added behind the end")]
    Added,
    /// The last row is not the one that the head names.
    #[error("the head names another last row")]
    WrongEnd,
    /// The head was not written by a holder of the node key.
    #[error("the head is forged")]
    ForgedHead,
}

/// What [`crate::Store::verify_audit`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// How many rows were read and found good before the first bad one.
    pub rows: u64,
    /// The number at which the chain breaks first, and how.
    pub first_bad: Option<(u64, AuditFault)>,
}

impl AuditRow {
    pub(crate) fn read(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            seq: row.count("seq")?,
            time: row.time("time")?,
            actor: Actor { kind: row.parsed("actor_kind")?, name: row.string("actor")? },
            action: row.string("action")?,
            object: row.string("object")?,
            detail: row.string("detail")?,
            prev: row.fixed("prev")?,
            hash: row.fixed("hash")?,
        })
    }

    /// What `hash` must be.
    pub(crate) fn computed_hash(&self, guard: &Guard) -> [u8; 32] {
        let mut w = Writer::new();
        w.u64(self.seq);
        w.u64(self.time.0);
        // bytes24: an edited row can be longer than any that was written, and must not be cut here
        for text in [self.actor.kind.as_str(), &self.actor.name, &self.action, &self.object, &self.detail] {
            w.bytes24(text.as_bytes());
        }
        guard.sha256(&[&self.prev, &w.into_bytes()])
    }
}
