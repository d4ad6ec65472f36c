//! Administration: HTTP/1.1 and JSON over a Unix socket that only the node's owner can open.
//!
//! One file a noun. Every change goes to the store with an audit row and is in force when the call
//! returns.

mod audit;
mod ca;
mod ca_elsewhere;
mod ca_gateway;
mod ca_issue;
mod ca_office;
mod ca_revoke;
mod ca_rotate;
mod ca_session;
mod ca_trust;
mod catalogue;
mod connections;
mod error;
mod sessions;
mod tokens;
mod users;

use crate::clock::now;
use crate::node::Shared;
use axum::extract::State;
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use error::ApiError;
use serde::Serialize;
use std::sync::Arc;
use symbolon_policy::format_time;
use symbolon_store::Actor;

pub(crate) use ca_session::{Applicant, Certifying, Entitled};
pub(crate) use ca_trust::{TheChange, TheList};
pub(crate) use tokens::InvitationTerms;

type Node = State<Arc<Shared>>;
type Answer<T> = Result<Json<T>, ApiError>;

/// Longest request body, in bytes: a large registration template.
const MAX_BODY: usize = 256 * 1024;

/// All calls.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/upgrade", post(upgrade))
        .route("/v1/users", get(users::list).post(users::add))
        .route("/v1/users/{name}", get(users::show).delete(users::remove))
        .route("/v1/users/{name}/approve", post(users::approve))
        .route("/v1/users/{name}/lock", post(users::lock))
        .route("/v1/users/{name}/unlock", post(users::approve))
        .route("/v1/users/{name}/groups", put(users::groups))
        .route("/v1/users/{name}/password", put(users::set_password).delete(users::remove_password))
        .route("/v1/apps", get(catalogue::apps))
        .route("/v1/apps/{name}", put(catalogue::put_app).delete(catalogue::remove_app))
        .route("/v1/entitlements", get(catalogue::entitlements).post(catalogue::grant))
        .route("/v1/entitlements/{id}", delete(catalogue::withdraw))
        .route("/v1/templates", get(catalogue::templates))
        .route(
            "/v1/templates/{name}",
            get(catalogue::template).put(catalogue::put_template).delete(catalogue::remove_template),
        )
        .route("/v1/explain", get(catalogue::explain))
        .route("/v1/tokens", get(tokens::list))
        .route("/v1/tokens/blank", post(tokens::blank))
        .route("/v1/tokens/{id}", delete(tokens::revoke))
        .route("/v1/invitations", get(tokens::invitations).post(tokens::invite))
        .route("/v1/invitations/{hash}", delete(tokens::revoke_invitation))
        .route("/v1/sessions", get(sessions::list))
        .route("/v1/sessions/{id}", delete(sessions::end))
        .route("/v1/connections", get(connections::list))
        .route("/v1/connections/{id}", delete(connections::end))
        .route("/v1/ca", get(ca::show))
        .route("/v1/ca/certificates", get(ca::list).post(ca_issue::issue))
        .route("/v1/ca/certificates/{serial}/renew", post(ca_issue::renew))
        .route("/v1/ca/certificates/{serial}/confirm", post(ca_issue::confirm))
        .route("/v1/ca/certificates/{serial}/revoke", post(ca_revoke::revoke))
        .route("/v1/ca/gateways/revoke", post(ca_gateway::revoke))
        .route("/v1/ca/crl", get(ca_revoke::revocation_list).post(ca_revoke::make_list))
        .route("/v1/ca/requests", post(ca_elsewhere::requests))
        .route(
            "/v1/ca/signed",
            post(ca_elsewhere::signed).layer(axum::extract::DefaultBodyLimit::max(ca_elsewhere::MAX_SIGNED)),
        )
        .route("/v1/ca/rotate", post(ca_rotate::rotate))
        .route("/v1/audit", get(audit::page))
        .route("/v1/audit/verify", get(audit::verify))
        .fallback(async || ApiError::not_found("no such call"))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
        .with_state(shared)
}

/// Who administers: whoever can open the socket.
fn administrator() -> Actor {
    Actor::admin("local")
}

#[derive(Serialize)]
struct Status {
    schema: u32,
    version: &'static str,
    gateway: String,
    issuer: String,
    address: String,
    node: String,
    identity_until: String,
    sessions: usize,
    streams: usize,
    strangers: usize,
    users: usize,
    apps: usize,
    worker: Option<WorkerView>,
    holder: Option<HolderView>,
}

/// The process that is the node.
#[derive(Serialize)]
struct WorkerView {
    pid: u32,
    leads_since: String,
    /// How many led before.
    successions: u64,
}

/// The process that keeps its connections.
#[derive(Serialize)]
struct HolderView {
    pid: u32,
}

async fn status(State(node): Node) -> Json<Status> {
    let (sessions, streams) = node.live.counts();
    let snapshot = node.desk.present();
    Json(Status {
        schema: 1,
        version: env!("CARGO_PKG_VERSION"),
        gateway: node.gateway.name().to_string(),
        issuer: node.issuer().fingerprint().to_string(),
        address: node.public_address().to_owned(),
        node: node.node_id.to_string(),
        identity_until: format_time(node.gateway.identity_until()),
        sessions,
        streams,
        strangers: node.strangers.count(),
        users: snapshot.users.len(),
        apps: snapshot.apps.len(),
        worker: node.leads.get().map(|leads| WorkerView {
            pid: std::process::id(),
            leads_since: time_text(leads.since),
            successions: leads.before,
        }),
        holder: node.keeper.holder_pid().map(|pid| HolderView { pid }),
    })
}

/// Has the holder put the program that is in the place of this one now in charge. The answer comes before that.
async fn upgrade(State(node): Node) -> Answer<Done> {
    node.store.record(&administrator(), "node.upgrade", "", &serde_json::json!({}), at()).await?;
    node.keeper.ask_for_replacement().map_err(|_| {
        ApiError::invalid("this node runs without a holder", "stop it and start the new program")
    })?;
    Ok(Json(DONE))
}

/// After a change: the new state of things is in force before the caller hears "done".
async fn done<T: Serialize>(node: &Shared, body: T) -> Answer<T> {
    node.review().await?;
    Ok(Json(body))
}

/// The answer of a call that changes something and has nothing to tell.
#[derive(Serialize)]
struct Done {
    ok: bool,
}

const DONE: Done = Done { ok: true };

fn time_text(time: symbolon_wire::Time) -> String {
    format_time(time)
}

fn at() -> symbolon_wire::Time {
    now()
}
