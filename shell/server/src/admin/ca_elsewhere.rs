//! An issuer whose key is on another machine: what waits for it, and what comes back.

use super::ca::decode;
use super::ca_issue::{IssuedView, hand_out};
use super::ca_office::Office;
use super::error::ApiError;
use super::{Answer, Node, administrator, at, done};
use crate::node::Shared;
use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use symbolon_issuer::{RequestBundle, SignedBundle, SignedItem, SubjectCertificate};
use symbolon_store::WaitingRequest;

/// Longest file of signed certificates, in bytes of base64: 1,024 of them, and a list of some size.
pub(super) const MAX_SIGNED: usize = 16 * 1024 * 1024;

#[derive(Serialize)]
pub(super) struct RequestsView {
    /// The file for the issuer's machine, in base64.
    file: String,
    subjects: Vec<String>,
}

/// Everything that waits for the issuer's key, a list with it.
pub(super) async fn requests(State(node): Node) -> Answer<RequestsView> {
    let office = Office::open(&node)?;
    let (bundle, waiting) = office.bundle().await?;
    let file = bundle.to_file(node.gateway.crypto);
    // kept, so that what comes back is checked against what went
    node.store.put_setting(&administrator(), "ca.requests", &file, at()).await?;
    let subjects = waiting.into_iter().map(|w| w.subject).collect();
    Ok(Json(RequestsView { file: STANDARD.encode(file), subjects }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignedBody {
    /// The file from the issuer's machine, in base64.
    file: String,
}

#[derive(Serialize)]
pub(super) struct TakenView {
    issued: Vec<IssuedView>,
    refused: Vec<String>,
    list: bool,
}

/// Takes in what the issuer's machine signed: all of it is right, or none of it is taken.
pub(super) async fn signed(State(node): Node, Json(body): Json<SignedBody>) -> Answer<TakenView> {
    let crypto = node.gateway.crypto;
    let bad = |e: symbolon_issuer::BundleError| {
        ApiError::invalid(e.to_string(), "sign the file of requests that was made last")
    };
    let sent = node.store.setting("ca.requests").await?;
    let sent = sent.ok_or_else(|| ApiError::not_found("no file of requests was made"))?;
    let bundle = RequestBundle::from_file(crypto, &sent).map_err(bad)?;
    let signed = SignedBundle::from_file(crypto, &decode(&body.file)?).map_err(bad)?;
    let items = signed.check(crypto, &bundle, &node.issuer(), at()).map_err(bad)?;
    let office = Office::open(&node)?;
    let waiting = node.store.certificate_requests().await?;
    let mut taken = TakenView { issued: Vec::new(), refused: Vec::new(), list: signed.list().is_some() };
    for (item, asked) in items.iter().zip(&bundle.items) {
        let id = crypto.sha256(&[&asked.request]);
        let Some(waiting) = waiting.iter().find(|w| w.id == id) else { continue };
        match item {
            SignedItem::Certificate(der) => {
                let made = SubjectCertificate::of(crypto, &waiting.request, der)
                    .map_err(|e| ApiError::internal(e.to_string()))?;
                match take(&node, &office, waiting, &made).await {
                    Ok(view) => taken.issued.push(view),
                    Err(e) => match e.refusal() {
                        Some(why) => taken.refused.push(format!("{}: {why}", waiting.subject)),
                        None => return Err(e),
                    },
                }
                node.store.remove_certificate_request(&administrator(), id, "signed", at()).await?;
            }
            SignedItem::Refused(why) => {
                taken.refused.push(format!("{}: {why}", waiting.subject));
                node.store.remove_certificate_request(&administrator(), id, why, at()).await?;
            }
        }
    }
    if let (Some(list), Some(order)) = (signed.list(), &bundle.list) {
        node.store.put_revocation_list(&administrator(), order.number, list, at()).await?;
    }
    done(&node, taken).await
}

/// Much may have happened while the file was away.
async fn take(
    node: &Shared,
    office: &Office<'_>,
    waiting: &WaitingRequest,
    made: &SubjectCertificate,
) -> Result<IssuedView, ApiError> {
    office.refuse_revoked_key(made.request()).await?;
    let user = office.user_of(made.subject()).await?;
    hand_out(node, office, made, &user.code, waiting.replaces.clone()).await
}
