//! `admin audit`: the chain of everything that was changed.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::Value;

use super::Desk;
use super::client::query;
use super::listing::{Done, Listing, rows};
use crate::exit::{Complaint, Outcome};
use crate::private::NewFile;

/// Rows that are asked for at once.
const PAGE: u64 = 1000;

/// What can be done about the audit chain.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List rows
    List {
        /// Those after this number
        #[arg(long, default_value_t = 0, value_name = "NUMBER")]
        after: u64,
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..=PAGE))]
        limit: u64,
    },
    /// Check every row: nothing altered, removed, added or moved
    Verify,
    /// Print all rows, one JSON object a line
    Export {
        /// Write them to a file that only its owner may read
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

pub(super) async fn run(desk: &Desk<'_>, command: AuditCommand) -> Outcome {
    match command {
        AuditCommand::List { after, limit } => {
            let columns = [
                ("ROW", "seq"),
                ("TIME", "time"),
                ("WHO", "actor"),
                ("ACTION", "action"),
                ("OBJECT", "object"),
                ("DETAIL", "detail"),
            ];
            let page = page(desk, after, limit).await?;
            desk.global.output().report(&Listing::new("rows", page.into(), columns, "No such rows."));
            Ok(())
        }
        AuditCommand::Verify => verify(desk).await,
        AuditCommand::Export { out } => export(desk, out).await,
    }
}

async fn page(desk: &Desk<'_>, after: u64, limit: u64) -> Outcome<Vec<Value>> {
    let pairs = [("after", Some(after.to_string())), ("limit", Some(limit.to_string()))];
    Ok(rows("rows", desk.node.get(&query("/v1/audit", pairs)).await?))
}

async fn verify(desk: &Desk<'_>) -> Outcome {
    let answer = desk.node.get("/v1/audit/verify").await?;
    let rows = answer["rows"].as_u64().unwrap_or(0);
    if answer["ok"] == true {
        desk.global.output().report(&Done::new(answer, format!("The chain of {rows} rows is whole.")));
        return Ok(());
    }
    let fault = answer["fault"].as_str().unwrap_or("unknown fault");
    Err(Complaint::failure(format!("the audit chain is broken: {fault}")).code("audit").fix(
        "somebody changed the store behind the node's back: keep a copy of it, and compare with your last export",
    ))
}

async fn export(desk: &Desk<'_>, out: Option<PathBuf>) -> Outcome {
    let mut file = out.as_ref().map(|path| NewFile::create(path)).transpose()?;
    let (mut after, mut count) = (0, 0);
    loop {
        let rows = page(desk, after, PAGE).await?;
        let Some(last) = rows.last().and_then(|row| row["seq"].as_u64()) else { break };
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        match &mut file {
            Some(file) => file.write(lines.as_bytes())?,
            None => desk.global.output().raw(lines.as_bytes()),
        }
        count += rows.len();
        after = last;
    }
    if let (Some(file), Some(path)) = (file, out) {
        file.finish()?;
        let answer = serde_json::json!({ "rows": count, "file": path });
        desk.global.output().report(&Done::new(answer, format!("{count} rows are in {}.", path.display())));
    }
    Ok(())
}
