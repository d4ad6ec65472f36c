//! A node's records in another place: a database instead of its directory, a backup, a backup that comes back.

use crate::clock::now;
use crate::config::NodeConfig;
use crate::error::NodeError;
use crate::files::{damaged, file_error, make_private_dir, read, write_private};
use crate::keys::node_key;
use crate::listeners::Directory;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use symbolon_provider::SystemEntropy;
use symbolon_store::{Actor, Copied, CopyFor, Copying, DatabaseUrl, Store, StoreOptions};

/// How the names of keys and certificates end. Whatever else lies in the directory is of one process or one moment: who
/// has it, which of several nodes it is, an invitation that is good for a day.
const KEPT: [&str; 2] = ["key", "crt"];

/// Has a node's records be in a database from now on, live sessions and all. No node may use them meanwhile. The node's
/// configuration is to name the database then; without, it does not start any more.
///
/// # Errors
/// [`NodeError::Store`], also while a node runs; [`NodeError::Config`] when none has started there yet.
pub async fn move_records(config: &NodeConfig, to: &DatabaseUrl) -> Result<Copied, NodeError> {
    has_own_keys(config)?;
    let _directory = Directory::take(config)?;
    let from = config.store();
    let to = StoreOptions { hot: from.hot.clone(), ..StoreOptions::database(to.clone()) };
    copy(&from, &to, CopyFor::Moving, &config.dir).await
}

/// Makes the directory `backup` with the node's keys and records of one moment, without live sessions. The node may run.
/// Who has it has the node: only its owner reads it, and it is to be kept accordingly.
///
/// # Errors
/// [`NodeError::File`] when it is there already or cannot be written; [`NodeError::Store`]; [`NodeError::Config`] when no
/// node has started there yet.
pub async fn back_up(config: &NodeConfig, backup: &Path) -> Result<Copied, NodeError> {
    has_own_keys(config)?;
    fs::DirBuilder::new().mode(0o700).create(backup).map_err(file_error(backup))?;
    let kept = async {
        copy_files(&config.dir, backup)?;
        copy(&config.store(), &kept_in(backup), CopyFor::Keeping, &config.dir).await
    };
    let kept = kept.await;
    if kept.is_err() {
        // half of it would be taken for the whole
        let _ = fs::remove_dir_all(backup);
    }
    kept
}

/// Makes a node of what [`back_up`] kept, where none is: its keys in the directory, its records where the configuration
/// says.
///
/// # Errors
/// [`NodeError::Config`] when a node has started there; [`NodeError::Damaged`] when `backup` is none;
/// [`NodeError::Store`].
pub async fn restore(config: &NodeConfig, backup: &Path) -> Result<Copied, NodeError> {
    if config.dir.join("node.key").exists() || config.with.is_some() {
        let dir = config.dir.display();
        return Err(NodeError::Config(format!("there is a node in {dir} already; use another directory")));
    }
    if read(&backup.join("node.key"))?.is_none() {
        return Err(damaged(backup, "it is no backup: it has no node.key"));
    }
    make_private_dir(&config.dir)?;
    let _directory = Directory::take(config)?;
    let files = copy_files(backup, &config.dir)?;
    let restored = copy(&kept_in(backup), &config.store(), CopyFor::Restoring, backup).await;
    if restored.is_err() {
        for file in files {
            let _ = fs::remove_file(file);
        }
    }
    restored
}

fn kept_in(backup: &Path) -> StoreOptions {
    StoreOptions::exclusive(backup.join("store"))
}

/// A node that shares another's keys and records has nothing to be copied.
fn has_own_keys(config: &NodeConfig) -> Result<(), NodeError> {
    match (&config.with, config.dir.join("node.key").exists()) {
        (None, true) => Ok(()),
        (Some(home), _) => Err(NodeError::Config(format!(
            "this node shares keys and records with the one in {}: name that directory",
            home.display()
        ))),
        (None, false) => {
            Err(NodeError::Config(format!("no node has started in {} yet", config.dir.display())))
        }
    }
}

async fn copy(
    from: &StoreOptions,
    to: &StoreOptions,
    what_for: CopyFor,
    keys: &Path,
) -> Result<Copied, NodeError> {
    let key = node_key(keys)?.ok_or_else(|| damaged(&keys.join("node.key"), "it is missing"))?;
    let by = Actor::admin("local");
    let copying = Copying { from, to, what_for, by: &by, now: now() };
    Ok(Store::copy(&copying, &key, symbolon_provider::crypto(), Box::new(SystemEntropy)).await?)
}

/// Copies keys and certificates, and says where they are now.
fn copy_files(from: &Path, to: &Path) -> Result<Vec<PathBuf>, NodeError> {
    let mut copied = vec![];
    for entry in fs::read_dir(from).map_err(file_error(from))? {
        let entry = entry.map_err(file_error(from))?;
        let path = entry.path();
        if !path.extension().is_some_and(|ending| KEPT.iter().any(|kept| ending == *kept)) {
            continue;
        }
        let bytes = read(&path)?.ok_or_else(|| damaged(&path, "it leads nowhere"))?;
        let copy = to.join(entry.file_name());
        write_private(&copy, bytes.expose())?;
        copied.push(copy);
    }
    Ok(copied)
}
