use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use symbolon_store::StoreError;

/// What an administrator is told when a call did not work: code, sentence, and what to do.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    fix: String,
}

impl ApiError {
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, code: "not_found", message: message.into(), fix: String::new() }
    }

    pub(super) fn invalid(message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: "invalid",
            message: message.into(),
            fix: fix.into(),
        }
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "internal",
            message: message.into(),
            fix: "see the node's log".into(),
        }
    }
}

impl ApiError {
    /// Whether it is about something that is not there (any more).
    pub(super) fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    /// What is wrong with what was asked, unless the fault is ours.
    pub(super) fn refusal(&self) -> Option<&str> {
        self.status.is_client_error().then_some(&self.message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "code": self.code, "message": self.message, "fix": self.fix } });
        (self.status, Json(body)).into_response()
    }
}

impl From<StoreError> for ApiError {
    fn from(e: StoreError) -> Self {
        let (status, code, fix) = match &e {
            StoreError::NotFound { .. } => (StatusCode::NOT_FOUND, "not_found", "list what there is"),
            StoreError::Conflict { .. } => (StatusCode::CONFLICT, "conflict", "choose another name"),
            StoreError::Invitation(_) => (StatusCode::CONFLICT, "conflict", "make a new invitation"),
            StoreError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "try again"),
            StoreError::Unreachable(_) | StoreError::NotReplicated => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "look after the server that `hot` names")
            }
            StoreError::DiskFull => {
                (StatusCode::INSUFFICIENT_STORAGE, "unavailable", "make room on the node's disk")
            }
            StoreError::ReadOnly => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "make the node's directory writable")
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "see the node's log"),
        };
        Self { status, code, message: e.to_string(), fix: fix.to_owned() }
    }
}

impl From<symbolon_policy::NameError> for ApiError {
    fn from(e: symbolon_policy::NameError) -> Self {
        Self::invalid(e.to_string(), "use another name")
    }
}

/// The change is made and audited, but this node could not read the directory anew.
impl From<crate::NodeError> for ApiError {
    fn from(e: crate::NodeError) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "internal",
            message: format!("the change is written but not in force yet: {e}"),
            fix: "see the node's log; it tries again by itself".into(),
        }
    }
}
