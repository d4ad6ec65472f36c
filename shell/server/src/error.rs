use std::path::PathBuf;
use symbolon_crypto::{CryptoError, X509Error};
use symbolon_issuer::IssuerError;
use symbolon_store::StoreError;

/// Why a node does not start or stopped.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A file of the node's directory cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the node's directory is not what it should be.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The port cannot be taken.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration asks for something impossible.
    #[error("configuration: {0}")]
    Config(String),
    /// A part of the node stopped unasked.
    #[error("{part} stopped: {reason}")]
    Failed {
        /// Which.
        part: &'static str,
        /// Why.
        reason: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Certificates.
    #[error("certificates: {0}")]
    Issuer(#[from] IssuerError),
    /// Certificates.
    #[error("certificates: {0}")]
    X509(#[from] X509Error),
    /// Keys.
    #[error("keys: {0}")]
    Crypto(#[from] CryptoError),
    /// Entitlements in the store that make no policy.
    #[error("entitlements: {0}")]
    Policy(#[from] symbolon_policy::PolicyError),
}
