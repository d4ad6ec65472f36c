use super::error::ApiError;
use super::{Answer, DONE, Done, Node, administrator, at, done, time_text};
use crate::live::Adoption;
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::json;
use symbolon_policy::GroupName;
use symbolon_session::EndReason;
use symbolon_store::{HotStore as _, SessionId};

#[derive(Serialize)]
pub(super) struct SessionView {
    id: String,
    user: String,
    token_class: Option<String>,
    source: Option<String>,
    machine: Option<String>,
    place: Option<String>,
    agent: Option<String>,
    /// In which the user is besides, by the word of who vouched at the sign-in.
    groups: Option<Vec<GroupName>>,
    epoch: u64,
    owner: String,
    created: String,
    expires: String,
    connected: bool,
    configuration: Option<u64>,
    configuration_applied: Option<u64>,
    /// How many of its streams another worker carried before.
    streams_adopted: usize,
    streams: Vec<StreamView>,
}

#[derive(Serialize)]
pub(super) struct StreamView {
    pub(super) number: u64,
    pub(super) app: String,
    pub(super) since: String,
    pub(super) bytes_up: u64,
    pub(super) bytes_down: u64,
    #[serde(flatten)]
    pub(super) carried: CarriedView,
}

/// Who carries a connection, and since when.
#[derive(Serialize)]
pub(super) struct CarriedView {
    /// Its process.
    pub(super) worker: u32,
    /// How often another worker took it over.
    pub(super) adopted: u32,
    /// The last time.
    pub(super) adopted_at: Option<String>,
}

impl CarriedView {
    pub(super) fn new(adopted: Option<Adoption>) -> Self {
        Self {
            worker: std::process::id(),
            adopted: adopted.map_or(0, |a| a.times),
            adopted_at: adopted.map(|a| time_text(a.at)),
        }
    }
}

pub(super) async fn list(State(node): Node) -> Answer<Vec<SessionView>> {
    let snapshot = node.desk.present();
    let rows = node.store.hot().list_sessions(at()).await?;
    let view = |s: symbolon_store::Session| {
        let live = node.live.get(symbolon_session::SessionId(s.id.0)).map(|l| l.picture());
        let user =
            snapshot.users.get(&s.user).map_or_else(|| s.user.to_string(), |u| u.subject.name.to_string());
        let streams = live.as_ref().map(|l| l.streams.iter()).into_iter().flatten();
        SessionView {
            id: s.id.to_string(),
            user,
            token_class: live.as_ref().map(|l| l.token_class.to_string()),
            source: live.as_ref().map(|l| l.source.to_string()),
            machine: live.as_ref().map(|l| l.machine.clone()),
            place: live.as_ref().map(|l| l.place.clone()),
            agent: live.as_ref().map(|l| l.agent.clone()),
            groups: live.as_ref().map(|l| l.groups.clone()),
            epoch: s.epoch,
            owner: s.owner.to_string(),
            created: time_text(s.created),
            expires: time_text(s.expires),
            connected: live.as_ref().is_some_and(|l| l.connected),
            configuration: live.as_ref().map(|l| l.version),
            configuration_applied: live.as_ref().map(|l| l.applied),
            streams_adopted: live
                .as_ref()
                .map_or(0, |l| l.streams.iter().filter(|s| s.adopted.is_some()).count()),
            streams: streams
                .map(|s| StreamView {
                    number: s.number,
                    app: s.app.to_string(),
                    since: time_text(s.since),
                    bytes_up: s.up,
                    bytes_down: s.down,
                    carried: CarriedView::new(s.adopted),
                })
                .collect(),
        }
    };
    Ok(Json(rows.into_iter().map(view).collect()))
}

pub(super) async fn end(State(node): Node, Path(id): Path<String>) -> Answer<Done> {
    let id: SessionId = id.parse().map_err(|_| ApiError::not_found("that is no session's id"))?;
    node.store.record(&administrator(), "session.end", &id.to_string(), &json!({}), at()).await?;
    node.store.hot().end_session(id, None, node.ending(EndReason::EndedByAdministrator)).await?;
    node.live.end(symbolon_session::SessionId(id.0), EndReason::EndedByAdministrator);
    done(&node, DONE).await
}
