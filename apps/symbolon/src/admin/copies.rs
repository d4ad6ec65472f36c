//! `admin migrate`, `admin backup`, `admin restore`: a node's records in another place. They need no node that runs.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use symbolon_server::{Copied, DatabaseUrl, DatabaseUrlError, NodeConfig, NodeError};

use super::Desk;
use super::listing::Done;
use crate::exit::{Complaint, Outcome};
use crate::place;
use crate::progress::Progress;
use crate::serve::{load_config, node_complaint};

/// A database that takes the records.
#[derive(Args, Debug)]
pub(crate) struct MigrateArgs {
    /// postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full&sslrootcert=FILE; leave the password to PGPASSFILE or
    /// PGPASSWORD, since others see what a command is told
    #[arg(long, value_name = "URL")]
    to: String,
}

/// Where a backup goes.
#[derive(Args, Debug)]
pub(crate) struct BackupArgs {
    /// A directory that is not there yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Where a backup is.
#[derive(Args, Debug)]
pub(crate) struct RestoreArgs {
    /// The directory that `admin backup` made
    backup: PathBuf,
}

pub(super) async fn migrate(desk: &Desk<'_>, args: &MigrateArgs) -> Outcome {
    // not by the parser of arguments, which would repeat a password
    let to: DatabaseUrl =
        args.to.parse().map_err(|e: DatabaseUrlError| Complaint::usage(e.to_string()).code("url"))?;
    let config = config(desk)?;
    let copied = copied(desk, &config, symbolon_server::move_records(&config, &to)).await?;
    let sentence = format!(
        "{} rows are in {} now. Name it in the configuration of this node, as `store`, before you start it.",
        copied.rows, to
    );
    report(desk, &Done::new(answer(copied), sentence).next(desk.paste.node(["serve"])))
}

pub(super) async fn backup(desk: &Desk<'_>, args: &BackupArgs) -> Outcome {
    let config = config(desk)?;
    let out = place::absolute(&args.out)?;
    let copied = copied(desk, &config, symbolon_server::back_up(&config, &out)).await?;
    let sentence = format!(
        "{} rows and the node's keys are in {}. Who reads them can be the node: keep them where only you can.",
        copied.rows,
        out.display()
    );
    report(desk, &Done::new(answer(copied), sentence))
}

pub(super) async fn restore(desk: &Desk<'_>, args: &RestoreArgs) -> Outcome {
    let config = config(desk)?;
    let backup = place::absolute(&args.backup)?;
    let copied = copied(desk, &config, symbolon_server::restore(&config, &backup)).await?;
    let sentence = format!(
        "{} rows are back, and the {} of the audit hold. Open invitations are revoked; what was revoked since that backup is to be revoked again.",
        copied.rows, copied.audited
    );
    report(desk, &Done::new(answer(copied), sentence).next(desk.paste.node(["serve"])))
}

fn config(desk: &Desk<'_>) -> Outcome<NodeConfig> {
    Ok(load_config(desk.global, toml::Table::new())?.0)
}

fn answer(copied: Copied) -> serde_json::Value {
    json!({ "rows": copied.rows, "audited": copied.audited })
}

/// Shows that it goes on, and says what became of it.
async fn copied(
    desk: &Desk<'_>,
    config: &NodeConfig,
    work: impl Future<Output = Result<Copied, NodeError>>,
) -> Outcome<Copied> {
    let told = async {
        let copied = work.await.map_err(|e| node_complaint(e, config, &desk.paste))?;
        Ok((copied, format!("{} rows copied, {} of the audit verified", copied.rows, copied.audited)))
    };
    Progress::new(desk.global.output()).step("copy", "Copying records", told).await
}

fn report(desk: &Desk<'_>, done: &Done) -> Outcome {
    desk.global.output().report(done);
    Ok(())
}
