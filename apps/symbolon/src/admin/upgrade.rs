//! `admin upgrade`: the program that stands in the node's place now takes over, with all connections.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::Desk;
use super::listing::Done;
use crate::exit::{Complaint, Outcome};

/// How long the new program may take to be ready, and the old one to let go.
const WITHIN: Duration = Duration::from_secs(30);

pub(super) async fn run(desk: &Desk<'_>) -> Outcome {
    let before = desk.node.get("/v1/status").await?;
    desk.node.post("/v1/upgrade", &json!({})).await?;
    let until = Instant::now() + WITHIN;
    loop {
        // between the old worker and the new one the answer may be cut off
        if let Ok(now) = desk.node.get("/v1/status").await
            && pid(&now) != pid(&before)
        {
            let version = now["version"].as_str().unwrap_or_default();
            let done = format!("Version {version} leads; every connection goes on.");
            desk.global.output().report(&Done::new(now, done));
            return Ok(());
        }
        if Instant::now() > until {
            return Err(Complaint::failure("the new program does not lead yet; the old one goes on")
                .fix("the node's log says why; mend it and repeat the command"));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

fn pid(status: &Value) -> Option<u64> {
    status["worker"]["pid"].as_u64()
}
