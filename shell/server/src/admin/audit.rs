use super::{Answer, Node, time_text};
use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};

/// Rows at once, at most.
const PAGE: u32 = 1000;

#[derive(Deserialize)]
pub(super) struct PageQuery {
    #[serde(default)]
    after: u64,
    limit: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct RowView {
    seq: u64,
    time: String,
    actor: String,
    action: String,
    object: String,
    detail: serde_json::Value,
    prev: String,
    hash: String,
}

pub(super) async fn page(State(node): Node, Query(query): Query<PageQuery>) -> Answer<Vec<RowView>> {
    let limit = query.limit.unwrap_or(PAGE).min(PAGE);
    let rows = node.store.audit_page(query.after, limit).await?;
    let view = |r: symbolon_store::AuditRow| RowView {
        seq: r.seq,
        time: time_text(r.time),
        actor: format!("{}:{}", r.actor.kind.as_str(), r.actor.name),
        action: r.action,
        object: r.object,
        detail: serde_json::from_str(&r.detail).unwrap_or(serde_json::Value::String(r.detail)),
        prev: hex::encode(r.prev),
        hash: hex::encode(r.hash),
    };
    Ok(Json(rows.into_iter().map(view).collect()))
}

#[derive(Serialize)]
pub(super) struct VerifyView {
    rows: u64,
    ok: bool,
    fault: Option<String>,
}

pub(super) async fn verify(State(node): Node) -> Answer<VerifyView> {
    let report = node.store.verify_audit().await?;
    let fault = report.first_bad.map(|(row, fault)| format!("row {row}: {fault}"));
    Ok(Json(VerifyView { rows: report.rows, ok: fault.is_none(), fault }))
}
