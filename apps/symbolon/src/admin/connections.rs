//! `admin connections`: TLS clients that know nothing of ours, and what they are connected to.

use clap::Subcommand;

use super::listing::{Done, Listing};
use super::{Desk, path};
use crate::exit::Outcome;

const CONNECTIONS: &str = "/v1/connections";

/// What can be done about TLS connections.
#[derive(Debug, Subcommand)]
pub(crate) enum ConnectionsCommand {
    /// List all that are open
    List,
    /// End one; its client may come again
    End {
        /// The connection's id, from the list
        id: u64,
    },
}

pub(super) async fn run(desk: &Desk<'_>, command: ConnectionsCommand) -> Outcome {
    let output = desk.global.output();
    match command {
        ConnectionsCommand::List => {
            let columns = [
                ("ID", "id"),
                ("APPLICATION", "app"),
                ("USER", "user"),
                ("FROM", "source"),
                ("SINCE", "since"),
                ("BYTES UP", "bytes_up"),
                ("BYTES DOWN", "bytes_down"),
                ("WORKER", "worker"),
                ("ADOPTED", "adopted"),
                ("LAST", "adopted_at"),
            ];
            let all = desk.node.get(CONNECTIONS).await?;
            output.report(&Listing::new("connections", all, columns, "No TLS client is connected."));
        }
        ConnectionsCommand::End { id } => {
            let answer = desk.node.delete(&path(CONNECTIONS, [id.to_string().as_str()])).await?;
            output.report(&Done::new(answer, format!("Connection {id} has ended.")));
        }
    }
    Ok(())
}
