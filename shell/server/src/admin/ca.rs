//! The certificate office: certificates of persons and devices, the list of those that count no more, and
//! requests for an issuer whose key is elsewhere.

use super::ca_office::{Lineage, Office};
use super::error::ApiError;
use super::{Answer, DONE, Done, Node, administrator, at, done, time_text};
use crate::credentials::ListReport;
use crate::node::Shared;
use axum::Json;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use symbolon_crypto::TrustedIssuer;
use symbolon_issuer::{
    CertificateRequest, Confirmation, DEFAULT_SUBJECT_SECS, Delivery, RequestBundle, RequestedName,
    RevocationReason, SignedBundle, SignedItem, SubjectCertificate,
};
use symbolon_policy::UserCode;
use symbolon_provider::SystemEntropy;
use symbolon_session::EndReason;
use symbolon_store::{RegisteredCertificate, RegistrationId, SessionsOf, StoreError, WaitingRequest};
use symbolon_wire::Encode as _;

/// Longest file of signed certificates, in bytes of base64: 1,024 of them, and a list of some size.
pub(super) const MAX_SIGNED: usize = 16 * 1024 * 1024;

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

fn view(c: &RegisteredCertificate) -> CertificateView {
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
async fn hand_out(
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

/// Why something is revoked, as people write it.
pub(super) fn reason_of(text: Option<&str>) -> Result<RevocationReason, ApiError> {
    let text = text.unwrap_or(RevocationReason::Unspecified.as_str());
    RevocationReason::parse(text).ok_or_else(|| {
        let all = RevocationReason::ALL.map(RevocationReason::as_str).join(", ");
        ApiError::invalid(format!("\"{text}\" is no reason"), format!("one of {all}"))
    })
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

fn read_request(node: &Shared, text: &str) -> Result<CertificateRequest, ApiError> {
    CertificateRequest::read(node.gateway.crypto, &decode(text)?)
        .map_err(|e| ApiError::invalid(e.to_string(), "make the request anew"))
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
