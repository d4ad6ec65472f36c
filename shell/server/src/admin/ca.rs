//! The certificate office as an administrator sees it, and what its other calls read.
//!
//! ```text
//! ca_issue.rs      certificates of persons and devices
//! ca_revoke.rs     those that count no more, and the list of them
//! ca_elsewhere.rs  requests for an issuer whose key is elsewhere
//! ca_gateway.rs    gateways whose certificates count no more
//! ca_rotate.rs     another issuer
//! ca_session.rs    what devices ask for over their sessions
//! ca_office.rs     the office itself; ca_trust.rs whose certificates count as of now
//! ```

use super::ca_office::Office;
use super::error::ApiError;
use super::{Answer, Node, at, time_text};
use crate::credentials::ListReport;
use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use symbolon_crypto::TrustedIssuer;
use symbolon_issuer::RevocationReason;
use symbolon_store::RegisteredCertificate;

#[derive(Serialize)]
pub(super) struct OfficeView {
    issuer: String,
    until: Option<String>,
    /// Whether the issuer's key is on this node.
    key_here: bool,
    certificates: usize,
    waiting: usize,
    next_issuer: Option<String>,
    /// Those of other authorities.
    lists: Vec<ListReport>,
}

pub(super) async fn show(State(node): Node) -> Answer<OfficeView> {
    let office = Office::open(&node)?;
    let next = office.next.as_ref().map(TrustedIssuer::fingerprint);
    Ok(Json(OfficeView {
        issuer: node.issuer().fingerprint().to_string(),
        until: office.until.map(time_text),
        key_here: office.issuer.is_some(),
        certificates: node.store.certificates(at()).await?.len(),
        waiting: node.store.certificate_requests().await?.len(),
        next_issuer: next.map(|f| f.to_string()),
        lists: node.credentials.lists.reports(),
    }))
}

#[derive(Serialize)]
pub(super) struct CertificateView {
    serial: String,
    subject: String,
    state: &'static str,
    until: String,
    created: String,
    key: String,
    reason: Option<String>,
}

pub(super) fn view(c: &RegisteredCertificate) -> CertificateView {
    CertificateView {
        serial: hex::encode(&c.made.serial),
        subject: c.made.subject.clone(),
        state: c.state.as_str(),
        until: time_text(c.made.until),
        created: time_text(c.created),
        key: hex::encode(c.made.key_hash),
        reason: c.revoked.as_ref().map(|(_, reason)| reason.clone()),
    }
}

pub(super) async fn list(State(node): Node) -> Answer<Vec<CertificateView>> {
    // with those that have ended and may come back, and revoked ones also after that: somebody wants to
    // know what became of theirs
    let since = at().minus_secs(node.config.credentials.longest_grace_secs());
    let mut certificates = node.store.certificates(since).await?;
    let ended = node.store.revoked_certificates(symbolon_wire::Time(0)).await?;
    certificates.extend(ended.into_iter().filter(|c| c.made.until < since));
    Ok(Json(certificates.iter().map(view).collect()))
}

/// Why something is revoked, as people write it.
pub(super) fn reason_of(text: Option<&str>) -> Result<RevocationReason, ApiError> {
    let text = text.unwrap_or(RevocationReason::Unspecified.as_str());
    RevocationReason::parse(text).ok_or_else(|| {
        let all = RevocationReason::ALL.map(RevocationReason::as_str).join(", ");
        ApiError::invalid(format!("\"{text}\" is no reason"), format!("one of {all}"))
    })
}

pub(super) fn decode(text: &str) -> Result<Vec<u8>, ApiError> {
    STANDARD.decode(text).map_err(|_| ApiError::invalid("that is not base64", "send it in base64"))
}

pub(super) fn serial_number(text: &str) -> Result<Vec<u8>, ApiError> {
    match hex::decode(text) {
        // RFC 5280, 4.1.2.2: at most 20 octets
        Ok(bytes) if (1..=20).contains(&bytes.len()) => Ok(bytes),
        _ => Err(ApiError::not_found("that is no certificate's number")),
    }
}
