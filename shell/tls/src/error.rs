//! What can go wrong before a connection is carried on.

use symbolon_record::HandoverError;

/// Why there is no connection. The client was told what TLS has a word for.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The connection broke.
    #[error("the connection broke off: {0}")]
    Broken(#[from] std::io::Error),
    /// What the client sent is no TLS, or not one of PostgreSQL's questions for it.
    #[error("that is no TLS")]
    NotTls,
    /// More bytes than any handshake takes.
    #[error("the handshake is too long")]
    TooLong,
    /// The client, or we on its behalf, gave up.
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    /// The keys that came out of the handshake cannot be carried on.
    #[error("the connection cannot be carried on: {0}")]
    Handover(#[from] HandoverError),
    /// A suite that our records do not have; the site offered it by mistake.
    #[error("our records do not have the suite {0:#06x}")]
    Suite(u16),
}

/// Why a site cannot be served. Its administrator erred.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// Certificate and key do not make a server.
    #[error("certificate or key: {0}")]
    Certificate(rustls::Error),
    /// The key is of no kind that is known.
    #[error("the key is not PKCS #8, SEC 1 or PKCS #1")]
    Key,
    /// A name of a protocol for ALPN that is empty or longer than 255 bytes.
    #[error("a protocol's name has 1 to 255 bytes (RFC 7301 §3.1)")]
    Alpn,
}
