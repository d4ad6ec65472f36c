//! Where a store's hot records are: the durable ones remember it, so that no node keeps them elsewhere.
//!
//! A server is known by its mark, which the first node there draws at random. Hot records that lie beside the durable
//! ones have the mark of no bytes.

use crate::chain::Change;
use crate::engine::{Columns, Engine};
use crate::{HotUrl, Result, StoreError};

/// The mark of hot records that lie beside the durable ones.
pub(crate) const BESIDE: &[u8] = &[];

/// What people are told of a place.
pub(crate) fn described(server: Option<&HotUrl>) -> String {
    match server {
        Some(url) => format!("{url} under \"{}\"", url.prefix()),
        None => "the store itself".to_owned(),
    }
}

/// The mark of the place where the hot records are, once some node knows.
pub(crate) async fn remembered(durable: &Engine) -> Result<Option<Vec<u8>>> {
    let row = sqlx::query("SELECT bytes FROM meta WHERE name = 'hot store'")
        .fetch_optional(durable.write())
        .await?;
    row.map(|row| row.bytes("bytes")).transpose()
}

/// Remembers the place for all nodes, unless another one is remembered.
///
/// # Errors
/// [`StoreError::HotElsewhere`] when another one is.
pub(crate) async fn remember(durable: &Engine, mark: &[u8], server: Option<&HotUrl>) -> Result<()> {
    sqlx::query(
        "INSERT INTO meta (name, number, bytes) VALUES ('hot store', 0, $1) ON CONFLICT (name) DO NOTHING",
    )
    .bind(mark)
    .execute(durable.write())
    .await?;
    match remembered(durable).await? {
        Some(other) if other != mark => Err(StoreError::HotElsewhere(described(server))),
        _ => Ok(()),
    }
}

/// Remembers another place from now on.
pub(crate) async fn replace(change: &mut Change, mark: &[u8]) -> Result<()> {
    sqlx::query(
        "INSERT INTO meta (name, number, bytes) VALUES ('hot store', 0, $1)
         ON CONFLICT (name) DO UPDATE SET bytes = excluded.bytes",
    )
    .bind(mark)
    .execute(change.conn())
    .await?;
    Ok(())
}
