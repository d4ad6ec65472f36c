//! TLS connections of clients that know nothing of ours.

use super::error::ApiError;
use super::sessions::CarriedView;
use super::{Answer, DONE, Done, Node, administrator, at, done, time_text};
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::json;
use symbolon_session::EndReason;

#[derive(Serialize)]
pub(super) struct ConnectionView {
    id: u64,
    app: String,
    /// Whose certificate was shown; nothing where an application is for everybody.
    user: Option<String>,
    source: String,
    since: String,
    bytes_up: u64,
    bytes_down: u64,
    #[serde(flatten)]
    carried: CarriedView,
}

pub(super) async fn list(State(node): Node) -> Answer<Vec<ConnectionView>> {
    let pictures = node.tls.pictures().into_iter();
    let view = |c: crate::front::TlsPicture| ConnectionView {
        id: c.number,
        app: c.app.to_string(),
        user: c.user,
        source: c.source.to_string(),
        since: time_text(c.since),
        bytes_up: c.up,
        bytes_down: c.down,
        carried: CarriedView::new(c.adopted),
    };
    Ok(Json(pictures.map(view).collect()))
}

pub(super) async fn end(State(node): Node, Path(id): Path<u64>) -> Answer<Done> {
    node.store.record(&administrator(), "tls.end", &id.to_string(), &json!({}), at()).await?;
    if !node.tls.end(id, EndReason::EndedByAdministrator) {
        return Err(ApiError::not_found("there is no such connection"));
    }
    done(&node, DONE).await
}
