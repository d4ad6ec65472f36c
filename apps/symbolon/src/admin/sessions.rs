//! `admin sessions`: who is signed in, and through which streams.

use clap::Subcommand;
use serde_json::Value;

use super::listing::{Done, Listing, rows};
use super::{Desk, path};
use crate::exit::Outcome;

const SESSIONS: &str = "/v1/sessions";

/// What can be done about sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// List all live sessions
    List,
    /// End a session and its streams; its user may sign in again
    End {
        /// The session's id, from the list
        id: String,
    },
}

pub(super) async fn run(desk: &Desk<'_>, command: SessionsCommand) -> Outcome {
    let output = desk.global.output();
    match command {
        SessionsCommand::List => {
            let columns = [
                ("ID", "id"),
                ("USER", "user"),
                ("FROM", "source"),
                ("MACHINE", "machine"),
                ("PLACE", "place"),
                ("CONNECTED", "connected"),
                ("STREAMS", "open"),
                ("ADOPTED", "streams_adopted"),
                ("UNTIL", "expires"),
            ];
            let sessions =
                rows("sessions", desk.node.get(SESSIONS).await?).into_iter().map(with_open).collect();
            output.report(&Listing::new("sessions", sessions, columns, "Nobody is signed in."));
        }
        SessionsCommand::End { id } => {
            let answer = desk.node.delete(&path(SESSIONS, [id.as_str()])).await?;
            output.report(&Done::new(answer, format!("Session {id} and its streams have ended.")));
        }
    }
    Ok(())
}

/// To which applications the session has streams open now.
fn with_open(mut session: Value) -> Value {
    let streams = session["streams"].as_array().map(Vec::as_slice).unwrap_or_default();
    let open = streams.iter().map(|s| s["app"].clone()).collect();
    if let Some(fields) = session.as_object_mut() {
        fields.insert("open".to_owned(), open);
    }
    session
}
