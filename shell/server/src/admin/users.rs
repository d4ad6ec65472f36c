use super::error::ApiError;
use super::{Answer, DONE, Done, Node, administrator, at, done, time_text};
use crate::node::Shared;
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use symbolon_context::PasswordVerifier;
use symbolon_crypto::SecretBytes;
use symbolon_policy::{AccessPath, CanonName, GroupName, Standing, TokenClass};
use symbolon_provider::SystemEntropy;
use symbolon_session::{EndReason, SessionState};
use symbolon_store::{HotStore as _, NewUser, SessionsOf, User, UserId};

/// Users at once.
const PAGE: u32 = 1000;

#[derive(Serialize)]
pub(super) struct UserView {
    name: String,
    display: String,
    code: String,
    path: String,
    standing: String,
    groups: Vec<String>,
    created: String,
    sessions: u64,
    has_password: bool,
    tokens: usize,
}

async fn view(node: &Shared, user: &User) -> Result<UserView, ApiError> {
    Ok(UserView {
        name: user.subject.name.to_string(),
        display: user.display.clone(),
        code: user.code.to_string(),
        path: user.subject.path.to_string(),
        standing: user.subject.standing.to_string(),
        groups: user.subject.groups.iter().map(ToString::to_string).collect(),
        created: time_text(user.created),
        sessions: node.store.hot().count_sessions(user.id).await?,
        has_password: node.store.password(user.id).await?.is_some(),
        tokens: node.store.registrations_of(user.id).await?.len(),
    })
}

async fn find(node: &Shared, name: &str) -> Result<User, ApiError> {
    Ok(node.store.user_by_name(&CanonName::parse(name)?).await?)
}

pub(super) async fn list(State(node): Node) -> Answer<Vec<UserView>> {
    let mut views = Vec::new();
    let mut after = None;
    loop {
        let page = node.store.users(after.as_ref(), PAGE).await?;
        for user in &page {
            views.push(view(&node, user).await?);
        }
        match page.last() {
            Some(last) if page.len() == PAGE as usize => after = Some(last.subject.name.clone()),
            _ => return Ok(Json(views)),
        }
    }
}

pub(super) async fn show(State(node): Node, Path(name): Path<String>) -> Answer<UserView> {
    let user = find(&node, &name).await?;
    Ok(Json(view(&node, &user).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUserBody {
    name: String,
    display: Option<String>,
    #[serde(default)]
    groups: Vec<GroupName>,
    path: Option<AccessPath>,
}

pub(super) async fn add(State(node): Node, Json(body): Json<NewUserBody>) -> Answer<UserView> {
    let name = CanonName::parse(&body.name)?;
    let path = match body.path {
        Some(path) => path,
        None => AccessPath::parse(&format!("/people/{name}"))?,
    };
    let new = NewUser {
        display: body.display.unwrap_or_else(|| name.to_string()),
        code: node.user_code(&name),
        path,
        standing: Standing::Active,
        groups: body.groups,
        answers: None,
        name,
    };
    let user = node.store.create_user(&administrator(), &new, at()).await?;
    let view = view(&node, &user).await?;
    done(&node, view).await
}

async fn set_standing(node: &Shared, name: &str, standing: Standing) -> Answer<UserView> {
    let user = find(node, name).await?;
    let user = node.store.set_standing(&administrator(), user.id, standing, at()).await?;
    node.review().await?;
    if standing == Standing::Locked {
        node.end_sessions_of(SessionsOf::User(user.id), EndReason::UserLocked).await?;
    }
    Ok(Json(view(node, &user).await?))
}

pub(super) async fn approve(State(node): Node, Path(name): Path<String>) -> Answer<UserView> {
    set_standing(&node, &name, Standing::Active).await
}

pub(super) async fn lock(State(node): Node, Path(name): Path<String>) -> Answer<UserView> {
    set_standing(&node, &name, Standing::Locked).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupsBody {
    groups: Vec<GroupName>,
}

pub(super) async fn groups(
    State(node): Node,
    Path(name): Path<String>,
    Json(body): Json<GroupsBody>,
) -> Answer<UserView> {
    let user = find(&node, &name).await?;
    let user = node.store.set_groups(&administrator(), user.id, &body.groups, at()).await?;
    node.review().await?;
    Ok(Json(view(&node, &user).await?))
}

pub(super) async fn remove(State(node): Node, Path(name): Path<String>) -> Answer<Done> {
    let user = find(&node, &name).await?;
    node.store.remove_user(&administrator(), user.id, at()).await?;
    node.end_sessions_of(SessionsOf::User(user.id), EndReason::EndedByAdministrator).await?;
    done(&node, DONE).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordBody {
    password: String,
}

pub(super) async fn set_password(
    State(node): Node,
    Path(name): Path<String>,
    Json(body): Json<PasswordBody>,
) -> Answer<Done> {
    let user = find(&node, &name).await?;
    let password = SecretBytes::from(body.password);
    if password.expose().len() < 8 {
        return Err(ApiError::invalid("the password is too short", "use at least 8 characters"));
    }
    let verifier = tokio::task::spawn_blocking(move || PasswordVerifier::new(&password, &mut SystemEntropy))
        .await
        .map_err(|e| ApiError::internal(e.to_string()))?
        .map_err(|e| ApiError::invalid(e.to_string(), "use another password"))?;
    node.store.set_password(&administrator(), user.id, verifier.phc(), at()).await?;
    end_sessions_by_password(&node, user.id).await?;
    done(&node, DONE).await
}

pub(super) async fn remove_password(State(node): Node, Path(name): Path<String>) -> Answer<Done> {
    let user = find(&node, &name).await?;
    node.store.remove_password(&administrator(), user.id, at()).await?;
    end_sessions_by_password(&node, user.id).await?;
    done(&node, DONE).await
}

/// Ends what the password before has opened, at every node, and with it the tickets that came of it: it may
/// have been changed because somebody else knows it.
async fn end_sessions_by_password(node: &Shared, user: UserId) -> Result<(), ApiError> {
    let hot = node.store.hot();
    let why = EndReason::EndedByAdministrator;
    for session in hot.sessions_of_user(user, at()).await? {
        // one that is over meanwhile, or cannot be read any more, opens nothing
        let Ok(seen) = hot.look(session.id, at()).await else { continue };
        let Ok(state) = SessionState::from_secret_bytes(&seen.state) else { continue };
        if state.token_class == TokenClass::Password {
            let _ = hot.end_session(session.id, None, node.ending(why)).await;
            node.live.end(state.id, why);
        }
    }
    Ok(())
}
