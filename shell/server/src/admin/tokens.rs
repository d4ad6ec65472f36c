use super::error::ApiError;
use super::{Answer, DONE, Done, Node, administrator, at, done, time_text};
use crate::node::Shared;
use axum::Json;
use axum::extract::{Path, State};
use base64::Engine as _;
use serde::{Deserialize, Serialize};
use symbolon_crypto::Entropy;
use symbolon_policy::{AppName, CanonName, GroupName, TemplateName};
use symbolon_provider::SystemEntropy;
use symbolon_session::EndReason;
use symbolon_store::{Actor, CodeHash, NewInvitation, RegistrationId, SessionsOf};
use symbolon_token::container::Token;
use symbolon_token::{InvitationCode, InvitationLink};

/// How long an invitation is good unless said otherwise, in seconds.
const INVITATION_SECS: u64 = 24 * 3600;

#[derive(Serialize)]
pub(super) struct TokenView {
    id: String,
    user: String,
    class: String,
    label: String,
    state: &'static str,
    created: String,
    last_used: Option<String>,
}

pub(super) async fn list(State(node): Node) -> Answer<Vec<TokenView>> {
    let mut views = Vec::new();
    for user in node.desk.present().users.values() {
        for r in node.store.registrations_of(user.id).await? {
            views.push(TokenView {
                id: r.id.to_string(),
                user: user.subject.name.to_string(),
                class: r.class.to_string(),
                label: r.label,
                state: r.state.as_str(),
                created: time_text(r.created),
                last_used: r.last_used.map(time_text),
            });
        }
    }
    views.sort_by(|a, b| (&a.user, &a.created).cmp(&(&b.user, &b.created)));
    Ok(Json(views))
}

pub(super) async fn revoke(State(node): Node, Path(id): Path<String>) -> Answer<Done> {
    let id: RegistrationId = id.parse().map_err(|_| ApiError::not_found("that is no token's id"))?;
    // First, so that one who tries again after a fault finds the token; and once more for what was got meanwhile.
    node.revoke_certificates_of(id).await?;
    node.store.revoke_registration(&administrator(), id, at()).await?;
    node.end_sessions_of(SessionsOf::Registration(id), EndReason::TokenRevoked).await?;
    node.revoke_certificates_of(id).await?;
    done(&node, DONE).await
}

#[derive(Serialize)]
pub(super) struct BlankToken {
    token: String,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BlankBody {
    /// For this gateway alone: this node's name.
    gateway: Option<String>,
    /// For another gateway of the issuer: its certificate, DER, in base64.
    certificate: Option<String>,
}

/// A token as it is handed out: the issuer's public key and no secret (B1), and the certificate of the gateway
/// that it is for, if it is for one alone (claim 1a).
pub(super) async fn blank(State(node): Node, Json(body): Json<BlankBody>) -> Answer<BlankToken> {
    let gateway = match (&body.gateway, &body.certificate) {
        (None, None) => None,
        (name, certificate) => Some(node.to_hand_out(name.as_deref(), certificate.as_deref()).await?),
    };
    let token = match gateway {
        None => Token::blank(&mut SystemEntropy, node.issuer()),
        Some(gateway) => Token::blank_for(&mut SystemEntropy, node.issuer(), gateway)
            .map_err(|e| ApiError::invalid(e.to_string(), "give a certificate of the present issuer"))?,
    };
    let bytes = token.to_file(node.gateway.crypto);
    Ok(Json(BlankToken { token: base64::engine::general_purpose::STANDARD.encode(bytes) }))
}

#[derive(Serialize)]
pub(super) struct InvitationView {
    hash: String,
    user: Option<String>,
    template: Option<String>,
    groups: Vec<String>,
    state: &'static str,
    created_by: String,
    expires: String,
}

pub(super) async fn invitations(State(node): Node) -> Answer<Vec<InvitationView>> {
    let view = |i: symbolon_store::Invitation| InvitationView {
        hash: i.terms.code_hash.to_string(),
        user: i.terms.for_user.map(|u| u.to_string()),
        template: i.terms.template.map(|t| t.to_string()),
        groups: i.terms.groups.iter().map(ToString::to_string).collect(),
        state: i.state.as_str(),
        created_by: i.created_by,
        expires: time_text(i.terms.expires),
    };
    Ok(Json(node.store.invitations().await?.into_iter().map(view).collect()))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct InviteBody {
    user: Option<CanonName>,
    template: Option<TemplateName>,
    /// Invite for the sake of this application: its own template, unless one is named.
    app: Option<AppName>,
    groups: Vec<GroupName>,
    expires_secs: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct InvitationLinkView {
    link: String,
    /// By which template it is used, when not by the node's.
    template: Option<String>,
    expires: String,
}

pub(super) async fn invite(State(node): Node, Json(body): Json<InviteBody>) -> Answer<InvitationLinkView> {
    let template = match (body.template, &body.app) {
        (Some(template), _) => Some(template),
        (None, Some(app)) => node.store.app(app).await?.template,
        (None, None) => None,
    };
    if let Some(template) = &template {
        node.store.template(template).await?;
    }
    let named = template.as_ref().map(ToString::to_string);
    let secs = body.expires_secs.unwrap_or(INVITATION_SECS);
    let terms = InvitationTerms { for_user: body.user, template, groups: body.groups, secs };
    let (link, expires) = node.invite(&administrator(), terms).await?;
    Ok(Json(InvitationLinkView { link: link.to_link(), template: named, expires }))
}

pub(super) async fn revoke_invitation(State(node): Node, Path(hash): Path<String>) -> Answer<Done> {
    let hash: CodeHash = hash.parse().map_err(|_| ApiError::not_found("that is no invitation's hash"))?;
    node.store.revoke_invitation(&administrator(), hash, at()).await?;
    done(&node, DONE).await
}

/// What an invitation is good for.
pub(crate) struct InvitationTerms {
    pub(crate) for_user: Option<CanonName>,
    pub(crate) template: Option<TemplateName>,
    pub(crate) groups: Vec<GroupName>,
    pub(crate) secs: u64,
}

impl InvitationTerms {
    /// Of the first invitation: for whoever set the node up.
    pub(crate) fn first() -> Self {
        Self { for_user: None, template: None, groups: Vec::new(), secs: INVITATION_SECS }
    }
}

impl Shared {
    /// Makes an invitation. Only the hash of its code is kept, so the link is seen once.
    pub(crate) async fn invite(
        &self,
        by: &Actor,
        terms: InvitationTerms,
    ) -> Result<(InvitationLink, String), symbolon_store::StoreError> {
        let entropy: &mut dyn Entropy = &mut SystemEntropy;
        let code = InvitationCode::new(entropy.secret());
        let expires = at().plus_secs(terms.secs);
        let new = NewInvitation {
            code_hash: CodeHash(code.hash(self.gateway.crypto)),
            for_user: terms.for_user,
            template: terms.template.clone(),
            groups: terms.groups,
            expires,
        };
        self.store.create_invitation(by, &new, at()).await?;
        let link = InvitationLink {
            address: self.public_address().to_owned(),
            gateway: self.gateway.name().clone(),
            issuer: self.issuer().fingerprint(),
            code: Some(code),
            template: terms.template,
        };
        Ok((link, time_text(expires)))
    }
}
