//! One HTTP request through agent and gateway.

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use symbolon_agent::{Client, Paths};
use symbolon_policy::AppName;

use crate::exit::{Complaint, Outcome};

/// The longest body that is shown.
const MAX_BODY: usize = 64 * 1024;

/// What the application answered.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// The body.
    pub(super) body: String,
}

/// Gets `/` of an application by a stream of its own, as `connect --stdio` would.
pub(super) async fn get(paths: &Paths, app: &AppName) -> Outcome<Answer> {
    let failed = |e: &dyn std::fmt::Display| Complaint::failure(format!("the request to {app} failed: {e}"));
    let (stream, ending) = Client::connect(paths).await?.stream(app).await?.into_parts();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| failed(&e))?;
    let driver = tokio::spawn(connection);
    let request = Request::get("/")
        .header(header::HOST, app.as_str())
        .header(header::CONNECTION, "close")
        .header(header::USER_AGENT, concat!("symbolon/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|e| failed(&e))?;
    let response = sender.send_request(request).await.map_err(|e| failed(&e))?;
    let status = response.status().as_u16();
    let body =
        Limited::new(response.into_body(), MAX_BODY).collect().await.map_err(|e| failed(&e))?.to_bytes();
    // the stream ends in order, and not with the agent
    drop(sender);
    let _ = driver.await;
    ending.outcome().await?;
    Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
}
