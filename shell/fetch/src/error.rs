/// Why a document was not got.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// An address that is none, or not one of HTTPS where that is asked for.
    #[error("not an acceptable address: {0}")]
    Address(String),
    /// The certificates in which to trust cannot be read.
    #[error("certificates: {0}")]
    Certificates(String),
    /// No connection, or it broke.
    #[error("{0}")]
    Connection(String),
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// An answer that is not "200 OK"; it is not followed anywhere else.
    #[error("it answered with status {0}")]
    Status(u16),
    /// An answer that is too long.
    #[error("its answer is too long")]
    TooLong,
}
