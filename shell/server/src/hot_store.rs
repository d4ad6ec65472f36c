//! The place of live sessions and replay keys, when an operator gives up the one before.

use crate::clock::now;
use crate::config::NodeConfig;
use crate::error::NodeError;
use crate::keys::NodeKeys;
use crate::listeners::Directory;
use symbolon_provider::SystemEntropy;
use symbolon_store::{Actor, Store};

/// Has the live sessions and replay keys of a node's store be where its configuration says from now on; those in the
/// place before are given up.
///
/// # Errors
/// [`NodeError::Config`] when no node has started there, [`NodeError::Store`] while one runs; others as at a start.
pub async fn replace_hot_store(config: &NodeConfig) -> Result<(), NodeError> {
    let home = config.home();
    if !home.join("node.key").exists() {
        return Err(NodeError::Config(format!("no node has started in {} yet", home.display())));
    }
    let _directory = Directory::take(config)?;
    let keys = NodeKeys::load_or_make(config, now())?;
    let (crypto, entropy) = (symbolon_provider::crypto(), Box::new(SystemEntropy));
    let by = Actor::admin("local");
    Ok(Store::replace_hot(&config.store(), &keys.node_key, crypto, entropy, &by, now()).await?)
}
