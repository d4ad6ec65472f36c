//! Certificates that count no more, and the list of them for others.

use super::ca::{CertificateView, reason_of, serial_number, view};
use super::ca_office::Office;
use super::error::ApiError;
use super::{Answer, Node, administrator, at, done};
use crate::node::Shared;
use axum::Json;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use symbolon_issuer::RevocationReason;
use symbolon_session::EndReason;
use symbolon_store::{RegisteredCertificate, RegistrationId, SessionsOf, StoreError};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RevokeBody {
    reason: Option<String>,
}

#[derive(Serialize)]
pub(super) struct RevokedView {
    revoked: Vec<CertificateView>,
    /// The number of the list that says so; none while the issuer's key is elsewhere.
    list: Option<u64>,
}

/// The certificate and all of its key count no more, here at once and elsewhere with the list; its
/// user's sessions end, and begin again with what still counts.
pub(super) async fn revoke(
    State(node): Node,
    Path(serial): Path<String>,
    Json(body): Json<RevokeBody>,
) -> Answer<RevokedView> {
    let reason = reason_of(body.reason.as_deref())?;
    let revoked = node.revoke_certificate(&serial_number(&serial)?, reason).await?;
    let list = Office::open(&node)?.make_list().await?;
    done(&node, RevokedView { revoked: revoked.iter().map(view).collect(), list }).await
}

impl Shared {
    /// Revokes a certificate and all of its key, and ends the sessions of their users.
    async fn revoke_certificate(
        &self,
        serial: &[u8],
        reason: RevocationReason,
    ) -> Result<Vec<RegisteredCertificate>, ApiError> {
        let revoked = self.store.revoke_certificate(&administrator(), serial, reason.as_str(), at()).await?;
        // Nobody gets in any more, then nobody stays; the one does not wait for the other to succeed.
        let shut = self.review_trust().await;
        for certificate in &revoked {
            match self.store.user_by_code(&certificate.made.code).await {
                Ok(user) => self.end_sessions_of(SessionsOf::User(user.id), EndReason::TokenRevoked).await?,
                Err(StoreError::NotFound { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        shut?;
        self.review().await?;
        Ok(revoked)
    }

    /// The same for all that was got with a token: who stole it has certificates otherwise that outlive it.
    pub(super) async fn revoke_certificates_of(&self, token: RegistrationId) -> Result<(), ApiError> {
        let mut any = false;
        for serial in self.store.certificates_of_registration(token).await? {
            match self.revoke_certificate(&serial, RevocationReason::CessationOfOperation).await {
                Ok(_) => any = true,
                // With another of its key, a moment ago.
                Err(e) if e.is_not_found() => {}
                Err(e) => return Err(e),
            }
        }
        if any {
            Office::open(self)?.make_list().await?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
pub(super) struct ListView {
    /// DER, in base64.
    list: String,
}

pub(super) async fn revocation_list(State(node): Node) -> Answer<ListView> {
    match node.store.revocation_list().await? {
        Some(list) => Ok(Json(ListView { list: STANDARD.encode(list) })),
        None => Err(ApiError::not_found("no list was made yet")),
    }
}

pub(super) async fn make_list(State(node): Node) -> Answer<ListView> {
    match Office::open(&node)?.make_list().await? {
        Some(_) => revocation_list(State(node)).await,
        None => Err(ApiError::invalid(
            "the issuer's key is not on this node",
            "take the requests to it; a list is made along with them",
        )),
    }
}
