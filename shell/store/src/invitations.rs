//! Invitations: one-time codes, of which the store knows the hash only.

use crate::engine::{Columns, big};
use crate::error::or_taken;
use crate::{Actor, CodeHash, InvitationRefusal, RegistrationId, Result, Store, StoreError, What};
use serde_json::json;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use symbolon_policy::{CanonName, GroupName, TemplateName};
use symbolon_wire::Time;

/// How far an invitation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvitationState {
    /// It may be used.
    Open,
    /// A registration began with it and has not been confirmed yet.
    Claimed,
    /// A registration with it was confirmed.
    Consumed,
    /// An administrator took it back.
    Revoked,
}

impl InvitationState {
    /// `open`, `claimed`, `consumed` or `revoked`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Claimed => "claimed",
            Self::Consumed => "consumed",
            Self::Revoked => "revoked",
        }
    }
}

impl std::str::FromStr for InvitationState {
    type Err = ();

    fn from_str(s: &str) -> std::result::Result<Self, ()> {
        [Self::Open, Self::Claimed, Self::Consumed, Self::Revoked]
            .into_iter()
            .find(|k| k.as_str() == s)
            .ok_or(())
    }
}

/// An invitation that is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInvitation {
    /// SHA-256 of its code.
    pub code_hash: CodeHash,
    /// Who alone may use it; anybody when absent.
    pub for_user: Option<CanonName>,
    /// The registration template that it asks for; the gateway's default when absent.
    pub template: Option<TemplateName>,
    /// What the user will be a member of.
    pub groups: Vec<GroupName>,
    /// From when on it is refused.
    pub expires: Time,
}

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// What it was made with.
    pub terms: NewInvitation,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created: Time,
    /// How far it has come.
    pub state: InvitationState,
    /// The registration that claimed or consumed it.
    pub claimed_by: Option<RegistrationId>,
}

impl Store {
    /// Makes an invitation.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the same code was drawn before.
    pub async fn create_invitation(&self, by: &Actor, new: &NewInvitation, now: Time) -> Result<()> {
        let mut change = self.change(by, now).await?;
        // no group's name holds a comma
        let groups = new.groups.iter().map(GroupName::as_str).collect::<Vec<_>>().join(",");
        sqlx::query(
            "INSERT INTO invitations (code_hash, for_user, template, groups, expires, created_by, created, state)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'open')",
        )
        .bind(new.code_hash.column())
        .bind(new.for_user.as_ref().map(CanonName::as_str))
        .bind(new.template.as_ref().map(TemplateName::as_str))
        .bind(groups.as_str())
        .bind(big(new.expires.0))
        .bind(by.name.as_str())
        .bind(big(now.0))
        .execute(change.conn())
        .await
        .map_err(or_taken(What::Invitation))?;
        let detail = json!({
            "for": new.for_user.as_ref().map(CanonName::as_str),
            "template": new.template.as_ref().map(TemplateName::as_str),
            "groups": groups,
            "expires": new.expires.0,
        });
        change.commit("invitation.create", &new.code_hash.to_string(), &detail).await
    }

    /// An invitation by the hash of its code, whatever its state.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn invitation(&self, code_hash: CodeHash) -> Result<Invitation> {
        let row = sqlx::query("SELECT * FROM invitations WHERE code_hash = $1")
            .bind(code_hash.column())
            .fetch_optional(self.durable().read())
            .await?;
        read(&row.ok_or(StoreError::NotFound { what: What::Invitation })?)
    }

    /// All invitations, the newest first.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn invitations(&self) -> Result<Vec<Invitation>> {
        sqlx::query("SELECT * FROM invitations ORDER BY created DESC, code_hash")
            .fetch_all(self.durable().read())
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// Takes an invitation back. A registration that began with it can no longer be confirmed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or [`InvitationRefusal::Consumed`]: then revoke the registration.
    pub async fn revoke_invitation(&self, by: &Actor, code_hash: CodeHash, now: Time) -> Result<()> {
        let mut change = self.change(by, now).await?;
        match state(change.conn(), code_hash).await? {
            None => return Err(StoreError::NotFound { what: What::Invitation }),
            Some(invitation) if invitation.state == InvitationState::Consumed => {
                return Err(InvitationRefusal::Consumed.into());
            }
            Some(_) => {}
        }
        sqlx::query("UPDATE invitations SET state = 'revoked' WHERE code_hash = $1")
            .bind(code_hash.column())
            .execute(change.conn())
            .await?;
        change.commit("invitation.revoke", &code_hash.to_string(), &json!({})).await
    }
}

/// Claims an open invitation for a registration that begins.
pub(crate) async fn claim(
    conn: &mut AnyConnection,
    code_hash: CodeHash,
    user: &CanonName,
    registration: RegistrationId,
    now: Time,
) -> Result<()> {
    let invitation = state(conn, code_hash).await?.ok_or(InvitationRefusal::Unknown)?;
    match invitation.state {
        InvitationState::Consumed => return Err(InvitationRefusal::Consumed.into()),
        InvitationState::Revoked => return Err(InvitationRefusal::Revoked.into()),
        InvitationState::Open | InvitationState::Claimed if invitation.terms.expires <= now => {
            return Err(InvitationRefusal::Expired.into());
        }
        InvitationState::Open | InvitationState::Claimed
            if invitation.terms.for_user.as_ref().is_some_and(|name| name != user) =>
        {
            return Err(InvitationRefusal::ForAnotherUser.into());
        }
        // claims that lapsed were opened again at the start of this transaction
        InvitationState::Claimed => return Err(InvitationRefusal::Claimed.into()),
        InvitationState::Open => {}
    }
    sqlx::query(
        "UPDATE invitations SET state = 'claimed', claimed_by = $1, claimed_at = $2 WHERE code_hash = $3",
    )
    .bind(registration.column())
    .bind(big(now.0))
    .bind(code_hash.column())
    .execute(conn)
    .await?;
    Ok(())
}

/// Consumes, for good, an invitation that `registration` has claimed.
pub(crate) async fn consume(
    conn: &mut AnyConnection,
    code_hash: CodeHash,
    registration: RegistrationId,
) -> Result<()> {
    let invitation = state(conn, code_hash).await?.ok_or(InvitationRefusal::Unknown)?;
    match invitation.state {
        InvitationState::Claimed if invitation.claimed_by == Some(registration) => {}
        InvitationState::Revoked => return Err(InvitationRefusal::Revoked.into()),
        InvitationState::Consumed => return Err(InvitationRefusal::Consumed.into()),
        InvitationState::Open | InvitationState::Claimed => return Err(InvitationRefusal::Claimed.into()),
    }
    sqlx::query("UPDATE invitations SET state = 'consumed' WHERE code_hash = $1")
        .bind(code_hash.column())
        .execute(conn)
        .await?;
    Ok(())
}

/// Opens again the invitations whose claims began at `until` or before.
pub(crate) async fn reopen(conn: &mut AnyConnection, until: Time) -> Result<()> {
    sqlx::query(
        "UPDATE invitations SET state = 'open', claimed_by = NULL, claimed_at = NULL
         WHERE state = 'claimed' AND claimed_at <= $1",
    )
    .bind(big(until.0))
    .execute(conn)
    .await?;
    Ok(())
}

async fn state(conn: &mut AnyConnection, code_hash: CodeHash) -> Result<Option<Invitation>> {
    let row = sqlx::query("SELECT * FROM invitations WHERE code_hash = $1")
        .bind(code_hash.column())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &AnyRow) -> Result<Invitation> {
    let groups = row.string("groups")?;
    let groups = groups
        .split(',')
        .filter(|g| !g.is_empty())
        .map(|g| GroupName::parse(g).map_err(|_| crate::engine::corrupt("groups")))
        .collect::<Result<_>>()?;
    Ok(Invitation {
        terms: NewInvitation {
            code_hash: CodeHash(row.fixed("code_hash")?),
            for_user: row.maybe_parsed("for_user")?,
            template: row.maybe_parsed("template")?,
            groups,
            expires: row.time("expires")?,
        },
        created_by: row.string("created_by")?,
        created: row.time("created")?,
        state: row.parsed("state")?,
        claimed_by: row.maybe_fixed("claimed_by")?.map(RegistrationId),
    })
}
