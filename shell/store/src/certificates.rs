//! The register of certificates that this issuer made; beside it the requests that wait for its key
//! (`requests`), what it publishes (`published`) and gateways that count no more (`gateways`).
//!
//! ```text
//! pending ── confirmed, or used ──> active ── renewed ──> superseded
//!    └──────────────── revoked <───────┴──────────────────────┘
//! ```
//! A certificate is in force while it is active or superseded, not revoked, and in its time. That it is
//! superseded only means that it is renewed no more: what came after it is.

mod gateways;
mod published;
mod requests;

pub use gateways::RevokedGateway;
pub use requests::WaitingRequest;

use crate::engine::{Columns, big};
use crate::{Actor, RegistrationId, Result, Store, StoreError, What};
use serde_json::json;
use sqlx::any::AnyRow;
use symbolon_policy::UserCode;
use symbolon_wire::Time;

/// How far a certificate has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateState {
    /// Its subject has not said yet that it has it.
    Pending,
    /// In force, and the last of its line.
    Active,
    /// In force until its end; another followed it.
    Superseded,
    /// Counts no more.
    Revoked,
}

impl CertificateState {
    /// `pending`, `active`, `superseded` or `revoked`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Superseded => "superseded",
            Self::Revoked => "revoked",
        }
    }
}

impl std::str::FromStr for CertificateState {
    type Err = ();

    fn from_str(s: &str) -> std::result::Result<Self, ()> {
        let all = [Self::Pending, Self::Active, Self::Superseded, Self::Revoked];
        all.into_iter().find(|k| k.as_str() == s).ok_or(())
    }
}

/// A certificate that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCertificate {
    /// Its serial number, big-endian.
    pub serial: Vec<u8>,
    /// Whom it is for, as it stands in it.
    pub subject: String,
    /// The user identification code in that.
    pub code: UserCode,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub key_hash: [u8; 32],
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// SHA-256 of that; none of one that an earlier version of this program entered.
    pub hash: Option<[u8; 32]>,
    /// Its last moment.
    pub until: Time,
    /// The certificate that it renews.
    pub replaces: Option<Vec<u8>>,
    /// The token with which it was got over a session, or with which the one that it renews was.
    pub registration: Option<RegistrationId>,
    /// SHA-256 of what its subject returns when it has it; without, it is in force at once.
    pub confirmation: Option<[u8; 32]>,
}

/// A certificate in the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredCertificate {
    /// As it was made.
    pub made: NewCertificate,
    /// How far it has come.
    pub state: CertificateState,
    /// When it was made.
    pub created: Time,
    /// Since when it is revoked, and why.
    pub revoked: Option<(Time, String)>,
}

const NO_CERTIFICATE: StoreError = StoreError::NotFound { what: What::Certificate };

impl Store {
    /// Enters a certificate: pending when it is still to be confirmed, active otherwise. One that it
    /// renews must be active; it is superseded by an active one at once.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] for a serial number that is there, and for a key that was revoked;
    /// [`StoreError::NotFound`] when what it renews is not active (any more): then somebody else
    /// renewed it.
    pub async fn add_certificate(&self, by: &Actor, new: &NewCertificate, now: Time) -> Result<()> {
        let mut change = self.change(by, now).await?;
        let lost = sqlx::query("SELECT serial FROM certificates WHERE key_hash = $1 AND state = 'revoked'")
            .bind(new.key_hash.to_vec())
            .fetch_optional(change.conn())
            .await?;
        if lost.is_some() {
            return Err(StoreError::Conflict { what: What::RevokedKey });
        }
        if let Some(old) = &new.replaces {
            let found = sqlx::query(
                "SELECT serial FROM certificates WHERE serial = $1 AND subject = $2 AND state = 'active'",
            )
            .bind(old.clone())
            .bind(new.subject.as_str())
            .fetch_optional(change.conn())
            .await?;
            found.ok_or(NO_CERTIFICATE)?;
        }
        let state =
            if new.confirmation.is_some() { CertificateState::Pending } else { CertificateState::Active };
        let entered = sqlx::query(
            "INSERT INTO certificates (serial, subject, code, key_hash, certificate, state, until, replaces,
             confirmation, created, registration, hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             ON CONFLICT (serial) DO NOTHING",
        )
        .bind(new.serial.clone())
        .bind(new.subject.as_str())
        .bind(new.code.as_str())
        .bind(new.key_hash.to_vec())
        .bind(new.certificate.clone())
        .bind(state.as_str())
        .bind(big(new.until.0))
        .bind(new.replaces.clone())
        .bind(new.confirmation.map(|c| c.to_vec()))
        .bind(big(now.0))
        .bind(new.registration.map(|r| r.0.to_vec()))
        .bind(new.hash.map(|h| h.to_vec()))
        .execute(change.conn())
        .await?;
        if entered.rows_affected() == 0 {
            return Err(StoreError::Conflict { what: What::Certificate });
        }
        if state == CertificateState::Active
            && let Some(old) = &new.replaces
        {
            supersede(&mut change, old).await?;
        }
        let detail = json!({
            "subject": new.subject, "key": hex::encode(new.key_hash), "state": state.as_str(),
            "replaces": new.replaces.as_deref().map(hex::encode),
        });
        change.commit("certificate.issue", &hex::encode(&new.serial), &detail).await
    }

    /// Puts a pending certificate into force for who returned the right answer (its SHA-256).
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when none is pending by that number with that answer, or what it renews is not
    /// active any more: then another one followed that.
    pub async fn confirm_certificate(
        &self,
        by: &Actor,
        serial: &[u8],
        confirmation: [u8; 32],
        now: Time,
    ) -> Result<()> {
        let mut change = self.change(by, now).await?;
        let row = sqlx::query(
            "UPDATE certificates SET state = 'active', confirmation = NULL
             WHERE serial = $1 AND confirmation = $2 AND state = 'pending' RETURNING replaces",
        )
        .bind(serial.to_vec())
        .bind(confirmation.to_vec())
        .fetch_optional(change.conn())
        .await?
        .ok_or(NO_CERTIFICATE)?;
        if let Some(old) = row.maybe_bytes("replaces")? {
            supersede(&mut change, &old).await?;
        }
        change.commit("certificate.confirm", &hex::encode(serial), &json!({ "by": "answer" })).await
    }

    /// Puts a pending certificate into force whose subject proved its key in using it: its answer was
    /// lost. Of any other nothing is changed, nor of one that is not in the register.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when what it renews is not active any more: then another one followed that, and
    /// one of the two was made for somebody who had a copy of the key.
    pub async fn certificate_used(&self, by: &Actor, serial: &[u8], now: Time) -> Result<()> {
        match self.certificate(serial).await {
            Ok(found) if found.state == CertificateState::Pending => {}
            Ok(_) | Err(StoreError::NotFound { .. }) => return Ok(()),
            Err(e) => return Err(e),
        }
        let mut change = self.change(by, now).await?;
        let row = sqlx::query(
            "UPDATE certificates SET state = 'active', confirmation = NULL
             WHERE serial = $1 AND state = 'pending' RETURNING replaces",
        )
        .bind(serial.to_vec())
        .fetch_optional(change.conn())
        .await?;
        // Confirmed, or revoked, since.
        let Some(row) = row else { return Ok(()) };
        if let Some(old) = row.maybe_bytes("replaces")? {
            supersede(&mut change, &old).await?;
        }
        change.commit("certificate.confirm", &hex::encode(serial), &json!({ "by": "use" })).await
    }

    /// Revokes a certificate, and every other with the same key: what is lost is a key. Tells which.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none or it was revoked before.
    pub async fn revoke_certificate(
        &self,
        by: &Actor,
        serial: &[u8],
        reason: &str,
        now: Time,
    ) -> Result<Vec<RegisteredCertificate>> {
        let mut change = self.change(by, now).await?;
        let rows = sqlx::query(
            "UPDATE certificates SET state = 'revoked', revoked_at = $1, reason = $2
             WHERE state <> 'revoked' AND key_hash IN
                 (SELECT key_hash FROM certificates WHERE serial = $3 AND state <> 'revoked')
             RETURNING *",
        )
        .bind(big(now.0))
        .bind(reason)
        .bind(serial.to_vec())
        .fetch_all(change.conn())
        .await?;
        let revoked = rows.iter().map(read).collect::<Result<Vec<_>>>()?;
        if revoked.is_empty() {
            return Err(NO_CERTIFICATE);
        }
        change.alters_decisions().await?;
        let all: Vec<_> = revoked.iter().map(|c| hex::encode(&c.made.serial)).collect();
        change
            .commit("certificate.revoke", &hex::encode(serial), &json!({ "reason": reason, "all": all }))
            .await?;
        Ok(revoked)
    }

    /// One certificate.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn certificate(&self, serial: &[u8]) -> Result<RegisteredCertificate> {
        let row = sqlx::query("SELECT * FROM certificates WHERE serial = $1")
            .bind(serial.to_vec())
            .fetch_optional(self.durable().read())
            .await?;
        read(&row.ok_or(NO_CERTIFICATE)?)
    }

    /// The certificate (DER) with this SHA-256, if there is one, whatever became of it.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn certificate_of_hash(&self, hash: [u8; 32]) -> Result<Option<Vec<u8>>> {
        sqlx::query("SELECT certificate FROM certificates WHERE hash = $1")
            .bind(hash.to_vec())
            .fetch_optional(self.durable().read())
            .await?
            .map(|row| row.bytes("certificate"))
            .transpose()
    }

    /// All certificates that end at `since` or later, by subject, the newest first.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn certificates(&self, since: Time) -> Result<Vec<RegisteredCertificate>> {
        sqlx::query("SELECT * FROM certificates WHERE until >= $1 ORDER BY subject, created DESC, serial")
            .bind(big(since.0))
            .fetch_all(self.durable().read())
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// The revoked ones among them: what stands on a list.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn revoked_certificates(&self, since: Time) -> Result<Vec<RegisteredCertificate>> {
        sqlx::query(
            "SELECT * FROM certificates WHERE state = 'revoked' AND until >= $1 ORDER BY revoked_at, serial",
        )
        .bind(big(since.0))
        .fetch_all(self.durable().read())
        .await?
        .iter()
        .map(read)
        .collect()
    }

    /// The numbers of all certificates that were got with a token and are not revoked yet.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn certificates_of_registration(&self, id: RegistrationId) -> Result<Vec<Vec<u8>>> {
        let rows =
            sqlx::query("SELECT serial FROM certificates WHERE registration = $1 AND state <> 'revoked'")
                .bind(id.0.to_vec())
                .fetch_all(self.durable().read())
                .await?;
        rows.iter().map(|row| row.bytes("serial")).collect()
    }

    /// How many certificates of the user with this code end at `since` or later.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn count_certificates_of(&self, code: &UserCode, since: Time) -> Result<u64> {
        sqlx::query("SELECT COUNT(*) AS n FROM certificates WHERE code = $1 AND until >= $2")
            .bind(code.as_str())
            .bind(big(since.0))
            .fetch_one(self.durable().read())
            .await?
            .count("n")
    }

    /// Whether a certificate of the user with this code was revoked at `since` or later.
    ///
    /// # Errors
    /// [`StoreError`] of the engine.
    pub async fn certificate_revoked_since(&self, code: &UserCode, since: Time) -> Result<bool> {
        let found =
            sqlx::query("SELECT serial FROM certificates WHERE code = $1 AND revoked_at >= $2 LIMIT 1")
                .bind(code.as_str())
                .bind(big(since.0))
                .fetch_optional(self.durable().read())
                .await?;
        Ok(found.is_some())
    }
}

/// Of one certificate at most one next comes into force.
async fn supersede(change: &mut crate::chain::Change, old: &[u8]) -> Result<()> {
    let done =
        sqlx::query("UPDATE certificates SET state = 'superseded' WHERE serial = $1 AND state = 'active'")
            .bind(old.to_vec())
            .execute(change.conn())
            .await?;
    if done.rows_affected() == 0 { Err(NO_CERTIFICATE) } else { Ok(()) }
}

fn read(row: &AnyRow) -> Result<RegisteredCertificate> {
    let revoked = match row.maybe_time("revoked_at")? {
        Some(at) => Some((at, row.string("reason")?)),
        None => None,
    };
    let code = UserCode::parse(&row.string("code")?).map_err(|_| crate::engine::corrupt("code"))?;
    Ok(RegisteredCertificate {
        made: NewCertificate {
            serial: row.bytes("serial")?,
            subject: row.string("subject")?,
            code,
            key_hash: row.fixed("key_hash")?,
            certificate: row.bytes("certificate")?,
            hash: row.maybe_fixed("hash")?,
            until: row.time("until")?,
            replaces: row.maybe_bytes("replaces")?,
            registration: row.maybe_fixed("registration")?.map(RegistrationId),
            confirmation: row.maybe_fixed("confirmation")?,
        },
        state: row.parsed("state")?,
        created: row.time("created")?,
        revoked,
    })
}
