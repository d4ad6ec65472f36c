//! Certificates of persons and devices, made and renewed for an administrator.

use super::ca::{decode, serial_number};
use super::ca_office::{Lineage, Office};
use super::error::ApiError;
use super::{Answer, DONE, Done, Node, administrator, at, done, time_text};
use crate::node::Shared;
use axum::Json;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use symbolon_issuer::{
    CertificateRequest, Confirmation, DEFAULT_SUBJECT_SECS, Delivery, RequestedName, SubjectCertificate,
};
use symbolon_policy::UserCode;
use symbolon_provider::SystemEntropy;
use symbolon_store::WaitingRequest;
use symbolon_wire::Encode as _;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssueBody {
    /// PKCS #10, DER, in base64.
    request: String,
    common_name: Option<String>,
    lifetime_secs: Option<u64>,
}

/// What became of a request: a certificate, an envelope with one, or a place in the queue.
#[derive(Serialize)]
pub(super) struct IssuedView {
    state: &'static str,
    subject: String,
    serial: Option<String>,
    until: Option<String>,
    /// The certificate, DER, in base64: its key was proved by the request.
    certificate: Option<String>,
    /// For a key that cannot sign: open it and confirm.
    envelope: Option<String>,
}

pub(super) async fn issue(State(node): Node, Json(body): Json<IssueBody>) -> Answer<IssuedView> {
    certify(&node, body, None).await
}

/// The administrator renews: the certificate must be the last of its line and in force; the request
/// proves the next key.
pub(super) async fn renew(
    State(node): Node,
    Path(serial): Path<String>,
    Json(body): Json<IssueBody>,
) -> Answer<IssuedView> {
    certify(&node, body, Some(serial_number(&serial)?)).await
}

async fn certify(node: &Shared, body: IssueBody, replaces: Option<Vec<u8>>) -> Answer<IssuedView> {
    let request = read_request(node, &body.request)?;
    let RequestedName::Subject(subject) = request.name().clone() else {
        return Err(ApiError::invalid(
            "a gateway's identity is not made here",
            "ask for a person or a device",
        ));
    };
    let office = Office::open(node)?;
    let user = office.user_of(&subject).await?;
    office.refuse_revoked_key(&request).await?;
    if let Some(old) = &replaces {
        let old = node.store.certificate(old).await?;
        if old.made.subject != subject.uri() {
            return Err(ApiError::invalid(
                format!("the request is for {subject}, the certificate for {}", old.made.subject),
                "renew a certificate with a request of its own subject",
            ));
        }
    }
    let common_name = body.common_name.unwrap_or_else(|| user.display.clone());
    let lifetime_secs = body.lifetime_secs.unwrap_or(DEFAULT_SUBJECT_SECS);
    if office.issuer.is_none() {
        let id = request.hash(node.gateway.crypto);
        let request = request.der().to_vec();
        let waiting =
            WaitingRequest { id, request, subject: subject.uri(), common_name, lifetime_secs, replaces };
        node.store.add_certificate_request(&administrator(), &waiting, at()).await?;
        return Ok(Json(IssuedView {
            state: "waiting",
            subject: subject.uri(),
            serial: None,
            until: None,
            certificate: None,
            envelope: None,
        }));
    }
    let made = office.certify(&request, subject, common_name, lifetime_secs)?;
    let view = hand_out(node, &office, &made, &user.code, replaces).await?;
    done(node, view).await
}

/// Enters a certificate and makes it ready for its subject.
pub(super) async fn hand_out(
    node: &Shared,
    office: &Office<'_>,
    made: &SubjectCertificate,
    code: &UserCode,
    replaces: Option<Vec<u8>>,
) -> Result<IssuedView, ApiError> {
    let crypto = node.gateway.crypto;
    let delivery = made.deliver(crypto, &mut SystemEntropy).map_err(|e| ApiError::internal(e.to_string()))?;
    let (certificate, envelope, expected) = match delivery {
        Delivery::Open(der) => (Some(STANDARD.encode(der)), None, None),
        Delivery::Sealed { envelope, expected } => {
            let expected = crypto.sha256(&[expected.as_bytes()]);
            (None, Some(STANDARD.encode(envelope.to_bytes())), Some(expected))
        }
    };
    // Whatever revokes the token of the old one revokes this one too.
    let registration = match &replaces {
        Some(old) => node.store.certificate(old).await?.made.registration,
        None => None,
    };
    office.register(made, code, Lineage { replaces, registration }, expected).await?;
    Ok(IssuedView {
        state: if envelope.is_some() { "pending" } else { "active" },
        subject: made.subject().uri(),
        serial: Some(hex::encode(made.serial())),
        until: Some(time_text(made.validity().until())),
        certificate,
        envelope,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfirmBody {
    /// What opening the envelope gave, in base64.
    confirmation: String,
}

pub(super) async fn confirm(
    State(node): Node,
    Path(serial): Path<String>,
    Json(body): Json<ConfirmBody>,
) -> Answer<Done> {
    let confirmation = Confirmation::from_bytes(&decode(&body.confirmation)?)
        .ok_or_else(|| ApiError::invalid("that is no confirmation", "send what opening the envelope gave"))?;
    let hash = node.gateway.crypto.sha256(&[confirmation.as_bytes()]);
    node.store.confirm_certificate(&administrator(), &serial_number(&serial)?, hash, at()).await?;
    done(&node, DONE).await
}

fn read_request(node: &Shared, text: &str) -> Result<CertificateRequest, ApiError> {
    CertificateRequest::read(node.gateway.crypto, &decode(text)?)
        .map_err(|e| ApiError::invalid(e.to_string(), "make the request anew"))
}
