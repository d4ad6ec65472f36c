//! Another issuer: stated first, and after a while put in the place of the present one.

use super::ca_office::{Office, failed};
use super::error::ApiError;
use super::{Answer, Node, administrator, at, time_text};
use crate::node::Shared;
use crate::succession;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use symbolon_crypto::TrustedIssuer;
use symbolon_wire::Encode as _;

/// How long two issuers are trusted beside each other unless said otherwise, in seconds: 30 days.
const OVERLAP_SECS: u64 = 30 * 24 * 3600;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RotateBody {
    overlap_secs: Option<u64>,
    finish: bool,
}

#[derive(Serialize)]
pub(super) struct RotatedView {
    state: &'static str,
    old: String,
    new: String,
    old_until: Option<String>,
}

/// States that another issuer follows; then, with `finish`, puts it in the old one's place. Between the
/// two both count, and clients learn of it. Nobody is cut off by either.
pub(super) async fn rotate(State(node): Node, Json(body): Json<RotateBody>) -> Answer<RotatedView> {
    let old = node.issuer().fingerprint().to_string();
    // One that was decided and cut off comes first.
    let resumed = succession::is_decided(node.config.home());
    if resumed {
        take_effect(&node).await?;
    }
    if !body.finish {
        return begin(&node, old, body.overlap_secs.unwrap_or(OVERLAP_SECS)).await;
    }
    if !resumed {
        succession::complete_identity(node.config.home()).map_err(failed)?;
        let change = Office::open(&node)?.next_identity()?;
        // Audited first: what is not written down does not happen.
        let detail = json!({ "old": old });
        node.store.record(&administrator(), "issuer.finish", &change.new.to_string(), &detail, at()).await?;
        succession::decide(node.config.home(), &change.old, &change.identity).map_err(failed)?;
        take_effect(&node).await?;
    }
    let new = node.issuer().fingerprint().to_string();
    Ok(Json(RotatedView { state: "finished", old, new, old_until: None }))
}

async fn begin(node: &Shared, old: String, overlap_secs: u64) -> Answer<RotatedView> {
    let change = Office::open(node)?.begin_change(overlap_secs)?;
    let new = TrustedIssuer::from_certificate(node.gateway.crypto, &change.new_certificate)
        .map_err(|e| ApiError::internal(e.to_string()))?
        .fingerprint()
        .to_string();
    node.store.put_issuer_change(&administrator(), &change.to_bytes(), &new, at()).await?;
    node.review().await?;
    Ok(Json(RotatedView { state: "begun", old, new, old_until: Some(time_text(change.old_until)) }))
}

/// Puts an issuer that was decided on in its place, here at once; the other nodes on the store look for it
/// twice a second.
async fn take_effect(node: &Shared) -> Result<(), ApiError> {
    succession::complete(node.config.home())?;
    node.follow_issuer()?;
    node.review_trust().await?;
    // Others check the list by the issuer that they trust from now on.
    if node.store.revocation_list().await?.is_some() {
        Office::open(node)?.make_list().await?;
    }
    Ok(())
}
