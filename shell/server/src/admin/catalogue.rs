use super::error::ApiError;
use super::{Answer, DONE, Done, Node, administrator, at, done};
use crate::draw::draw;
use crate::relay::{check_roots, is_certificate_name};
use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use symbolon_crypto::GatewayName;
use symbolon_policy::{
    AccessRequest, AppName, CanonName, Conditions, Entitlement, EntitlementId, Explanation, Grantee,
    TemplateName, TokenClass, parse_time,
};
use symbolon_store::{
    Alpn, App, NotAlpn, NotTlsClients, OwnCertificate, Protocol, Publication, Target, TlsClients, TlsEntry,
};
use symbolon_token::RegistrationTemplate;

#[derive(Serialize)]
pub(super) struct AppView {
    name: String,
    target: String,
    protocol: String,
    description: String,
    template: Option<String>,
    tls_name: Option<String>,
    tls_clients: Option<&'static str>,
    tls_alpn: Option<String>,
    app_name: Option<String>,
    app_ca: Option<String>,
    enabled: bool,
}

impl From<App> for AppView {
    fn from(app: App) -> Self {
        Self {
            name: app.name.to_string(),
            target: app.target.to_string(),
            protocol: app.protocol.as_str().to_owned(),
            description: app.description,
            template: app.template.map(|t| t.to_string()),
            tls_clients: app.tls.as_ref().map(|tls| tls.clients.as_str()),
            tls_alpn: app.tls.as_ref().and_then(|tls| tls.alpn.as_ref()).map(Alpn::to_string),
            tls_name: app.tls.map(|tls| tls.name.to_string()),
            app_name: app.certificate.name,
            app_ca: app.certificate.roots,
            enabled: app.publication == Publication::Enabled,
        }
    }
}

pub(super) async fn apps(State(node): Node) -> Answer<Vec<AppView>> {
    Ok(Json(node.store.apps().await?.into_iter().map(AppView::from).collect()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AppBody {
    target: String,
    protocol: Option<String>,
    #[serde(default)]
    description: String,
    template: Option<TemplateName>,
    tls_name: Option<String>,
    tls_clients: Option<String>,
    tls_alpn: Option<String>,
    app_name: Option<String>,
    app_ca: Option<String>,
    enabled: Option<bool>,
}

impl AppBody {
    /// What the certificate of an application that speaks TLS itself must be.
    fn certificate(&self, target: &Target) -> Result<OwnCertificate, ApiError> {
        let certificate = OwnCertificate { name: self.app_name.clone(), roots: self.app_ca.clone() };
        let Target::Tls { host, .. } = target else {
            return match certificate == OwnCertificate::default() {
                true => Ok(certificate),
                false => Err(ApiError::invalid(
                    format!("an application at {target} shows no certificate"),
                    "leave out its name and authority, or use tls:HOST:PORT",
                )),
            };
        };
        let name = certificate.name.as_ref().unwrap_or(host);
        if !is_certificate_name(name) {
            return Err(ApiError::invalid(
                format!("no certificate can be for \"{name}\""),
                "give the name or address that stands in the application's certificate",
            ));
        }
        if let Some(Err(e)) = certificate.roots.as_deref().map(check_roots) {
            return Err(ApiError::invalid(
                format!("no certificate can be checked against these: {e}"),
                "give certificates of authorities, as PEM",
            ));
        }
        Ok(certificate)
    }

    fn tls(&self) -> Result<Option<TlsEntry>, ApiError> {
        let Some(name) = &self.tls_name else { return Ok(None) };
        let name = GatewayName::parse(name)
            .map_err(|_| ApiError::invalid(format!("\"{name}\" is no host's name"), "app.example.org"))?;
        let clients = match self.tls_clients.as_deref() {
            None => TlsClients::Entitled,
            Some(text) => text.parse().map_err(|e: NotTlsClients| {
                ApiError::invalid(format!("unknown TLS clients \"{text}\""), e.to_string())
            })?,
        };
        let alpn = self.tls_alpn.as_deref().map(|text| {
            text.parse().map_err(|e: NotAlpn| {
                ApiError::invalid(format!("\"{text}\" are no protocols"), e.to_string())
            })
        });
        Ok(Some(TlsEntry { name, clients, alpn: alpn.transpose()? }))
    }
}

pub(super) async fn put_app(
    State(node): Node,
    Path(name): Path<String>,
    Json(body): Json<AppBody>,
) -> Answer<AppView> {
    let target: Target = body.target.parse().map_err(|e: symbolon_store::TargetError| {
        ApiError::invalid(
            format!("target \"{}\": {e}", body.target),
            "tcp:HOST:PORT, tls:HOST:PORT or unix:/PATH",
        )
    })?;
    let certificate = body.certificate(&target)?;
    let protocol = match body.protocol.as_deref() {
        None => Protocol::Tcp,
        Some(text) => text.parse().map_err(|_| {
            ApiError::invalid(format!("unknown protocol \"{text}\""), "http, postgresql, ssh or tcp")
        })?,
    };
    let description = symbolon_policy::free_text(&body.description).ok().filter(|d| d.len() <= 200);
    let description = description.ok_or_else(|| {
        ApiError::invalid("the description is not one line", "use at most 200 bytes without line breaks")
    })?;
    let tls = body.tls()?;
    let app = App {
        tls,
        name: AppName::parse(&name)?,
        target,
        certificate,
        protocol,
        description,
        template: body.template,
        publication: if body.enabled.unwrap_or(true) { Publication::Enabled } else { Publication::Disabled },
    };
    node.store.put_app(&administrator(), &app, at()).await?;
    done(&node, app.into()).await
}

pub(super) async fn remove_app(State(node): Node, Path(name): Path<String>) -> Answer<Done> {
    node.store.remove_app(&administrator(), &AppName::parse(&name)?, at()).await?;
    done(&node, DONE).await
}

pub(super) async fn entitlements(State(node): Node) -> Answer<Vec<Entitlement>> {
    Ok(Json(node.store.entitlements().await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantBody {
    grantee: Grantee,
    app: AppName,
    #[serde(default)]
    conditions: Conditions,
}

pub(super) async fn grant(State(node): Node, Json(body): Json<GrantBody>) -> Answer<Entitlement> {
    if let Err(e) = body.conditions.check() {
        return Err(ApiError::invalid(e.to_string(), "mend the conditions"));
    }
    let id = EntitlementId(draw());
    let entitlement = Entitlement { id, grantee: body.grantee, app: body.app, conditions: body.conditions };
    node.store.app(&entitlement.app).await?;
    node.store.put_entitlement(&administrator(), &entitlement, at()).await?;
    done(&node, entitlement).await
}

pub(super) async fn withdraw(State(node): Node, Path(id): Path<String>) -> Answer<Done> {
    let id = id.parse().map_err(|_| ApiError::not_found("that is no entitlement's id"))?;
    node.store.remove_entitlement(&administrator(), id, at()).await?;
    done(&node, DONE).await
}

#[derive(Serialize)]
pub(super) struct TemplateView {
    name: String,
    title: String,
    fields: usize,
    rev: u64,
}

pub(super) async fn templates(State(node): Node) -> Answer<Vec<TemplateView>> {
    let templates = node.store.templates().await?;
    let view = |t: symbolon_store::Template| {
        let parsed = RegistrationTemplate::from_toml(&t.body);
        TemplateView {
            name: t.name.to_string(),
            title: parsed.as_ref().map_or_else(|e| format!("damaged: {e}"), |p| p.title().to_owned()),
            fields: parsed.map_or(0, |p| p.fields().len()),
            rev: t.rev,
        }
    };
    Ok(Json(templates.into_iter().map(view).collect()))
}

pub(super) async fn template(State(node): Node, Path(name): Path<String>) -> Result<String, ApiError> {
    Ok(node.store.template(&TemplateName::parse(&name)?).await?.body)
}

pub(super) async fn put_template(State(node): Node, Path(name): Path<String>, body: String) -> Answer<Done> {
    let name = TemplateName::parse(&name)?;
    let template = RegistrationTemplate::from_toml(&body)
        .map_err(|e| ApiError::invalid(format!("the template is not valid: {e}"), "mend the file"))?;
    if *template.name() != name {
        return Err(ApiError::invalid(
            format!("the file says name = \"{}\"", template.name()),
            "use the same name in the file and in the command",
        ));
    }
    node.store.put_template(&administrator(), &name, &body, at()).await?;
    done(&node, DONE).await
}

pub(super) async fn remove_template(State(node): Node, Path(name): Path<String>) -> Answer<Done> {
    node.store.remove_template(&administrator(), &TemplateName::parse(&name)?, at()).await?;
    done(&node, DONE).await
}

#[derive(Deserialize)]
pub(super) struct ExplainQuery {
    user: String,
    app: String,
    source: Option<IpAddr>,
    class: Option<TokenClass>,
    time: Option<String>,
    machine: Option<String>,
    place: Option<String>,
}

pub(super) async fn explain(State(node): Node, Query(query): Query<ExplainQuery>) -> Answer<Explanation> {
    let user = node.store.user_by_name(&CanonName::parse(&query.user)?).await?;
    let app = AppName::parse(&query.app)?;
    let now = match &query.time {
        None => at(),
        Some(text) => {
            let invalid =
                || ApiError::invalid(format!("\"{text}\" is no time"), "use RFC 3339: 2027-01-31T08:00:00Z");
            parse_time(text).ok_or_else(invalid)?
        }
    };
    let snapshot = node.desk.present();
    let request = AccessRequest {
        subject: &user.subject,
        app: &app,
        now,
        source: query.source.unwrap_or(IpAddr::from([127, 0, 0, 1])),
        token_class: query.class.unwrap_or(TokenClass::Software),
        machine: query.machine.as_deref().unwrap_or(""),
        place: query.place.as_deref().unwrap_or(""),
    };
    Ok(Json(snapshot.policy.explain(&request)))
}
