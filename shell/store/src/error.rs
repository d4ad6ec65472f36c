/// What a call was about, in [`StoreError::Conflict`] and [`StoreError::NotFound`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// A user by id, name or code.
    User,
    /// A user's name, spelled the same.
    UserName,
    /// A user's name that looks like another one (UTS #39 skeleton).
    ConfusableName,
    /// A user identification code.
    UserCode,
    /// A token's registration at this gateway.
    Registration,
    /// A password.
    Password,
    /// An invitation.
    Invitation,
    /// A registration template.
    Template,
    /// A published application.
    App,
    /// An entitlement.
    Entitlement,
    /// A setting.
    Setting,
    /// A live session.
    Session,
    /// A certificate of a person or a device.
    Certificate,
    /// A key that was revoked with its certificates.
    RevokedKey,
    /// A name that TLS clients ask for.
    TlsName,
    /// A request for a certificate.
    CertificateRequest,
    /// The number of a revocation list.
    RevocationList,
    /// A gateway's certificate that is revoked already.
    RevokedGateway,
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::UserName => "user name",
            Self::ConfusableName => "user name that looks like another",
            Self::UserCode => "user identification code",
            Self::Registration => "registration",
            Self::Password => "password",
            Self::Invitation => "invitation",
            Self::Template => "template",
            Self::App => "application",
            Self::Entitlement => "entitlement",
            Self::Setting => "setting",
            Self::Session => "session",
            Self::Certificate => "certificate",
            Self::RevokedKey => "key that was revoked",
            Self::TlsName => "TLS name",
            Self::CertificateRequest => "request for a certificate",
            Self::RevocationList => "number of a revocation list",
            Self::RevokedGateway => "gateway's certificate that is revoked",
        })
    }
}

/// Why an invitation does not open a registration. The operator learns which; a peer learns none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvitationRefusal {
    /// Nobody made it.
    #[error("unknown invitation")]
    Unknown,
    /// A registration with it was confirmed before.
    #[error("invitation was used")]
    Consumed,
    /// Another registration began with it less than ten minutes ago and may still be confirmed.
    #[error("invitation is in use by another registration")]
    Claimed,
    /// Its time is over.
    #[error("invitation has expired")]
    Expired,
    /// It names somebody else.
    #[error("invitation is for another user")]
    ForAnotherUser,
    /// An administrator took it back.
    #[error("invitation was revoked")]
    Revoked,
}

/// Why the store did not do what was asked. Nothing was changed unless the variant says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process serves this directory; `pid` as that process wrote it down.
    #[error("the store is in use by another process{}", pid.map(|p| format!(" (pid {p})")).unwrap_or_default())]
    InUse {
        /// The other process, when known.
        pid: Option<u32>,
    },
    /// Somebody else held the database for longer than [`crate::BUSY_TIMEOUT`]. Try again.
    #[error("the database is busy")]
    Busy,
    /// The file system, the file or the database may only be read.
    #[error("the store is read-only")]
    ReadOnly,
    /// No space is left, or the quota is reached.
    #[error("no space left for the store")]
    DiskFull,
    /// A newer program has written this store.
    #[error("the store has schema {found}, this program knows up to {known}: start the newer program")]
    NewerSchema {
        /// The version in the store.
        found: u64,
        /// The newest version that this program knows.
        known: u64,
    },
    /// No node of this program has started on this store yet, which brings it up to date.
    #[error("the store has schema {found}, this program has {known}: start the node with this program first")]
    OlderSchema {
        /// The version in the store.
        found: u64,
        /// That of this program.
        known: u64,
    },
    /// There is no store to be copied.
    #[error("there is no store")]
    Missing,
    /// There is a store where one was to be made.
    #[error("there is a store already")]
    NotEmpty,
    /// It was moved, to where its nodes find it now.
    #[error("the store was moved to {0}")]
    Moved(String),
    /// The store holds something that no program wrote: a damaged or altered file.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// It exists already, or was changed meanwhile.
    #[error("{what} is taken")]
    Conflict {
        /// Which kind of thing.
        what: What,
    },
    /// It does not exist (any more).
    #[error("no such {what}")]
    NotFound {
        /// Which kind of thing.
        what: What,
    },
    /// The invitation does not open a registration.
    #[error(transparent)]
    Invitation(#[from] InvitationRefusal),
    /// Another node has claimed the session since: the caller no longer owns it.
    #[error("another node owns the session now")]
    Fenced,
    /// A sealed value does not open: wrong node key, or the value was altered or moved.
    #[error("a sealed value does not open with this node's key")]
    Sealed,
    /// The server of the hot records cannot be reached, or did not answer in time. What was asked may have
    /// been done all the same: ask what is so, or refuse.
    #[error("the hot store does not answer: {0}")]
    Unreachable(String),
    /// Fewer replicas than the operator wants have it. It may be done, and may be lost with the server.
    #[error("the hot store has fewer replicas in step than it should")]
    NotReplicated,
    /// The store's nodes keep its hot records elsewhere than in this place, or the server has lost them all:
    /// here nobody would know of other nodes' sessions, and what they have seen would be taken for new.
    #[error("the hot records of this store are not in {0}")]
    HotElsewhere(String),
    /// Anything else, in the engine's words.
    #[error("store: {0}")]
    Other(String),
}

/// The result of every call of this crate.
pub type Result<T> = std::result::Result<T, StoreError>;

impl From<sqlx::Error> for StoreError {
    fn from(e: sqlx::Error) -> Self {
        match &e {
            sqlx::Error::Database(d) => match d.code() {
                Some(code) => from_code(&code, d.message()),
                None => Self::Other(d.message().to_owned()),
            },
            sqlx::Error::Io(io) => Self::from_io(io),
            sqlx::Error::PoolTimedOut => Self::Busy,
            sqlx::Error::ColumnDecode { index, .. } => Self::Corrupt(format!("column {index}")),
            sqlx::Error::ColumnNotFound(name) => Self::Corrupt(format!("column {name}")),
            _ => Self::Other(e.to_string()),
        }
    }
}

impl StoreError {
    pub(crate) fn from_io(e: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        match e.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::Other(e.to_string()),
        }
    }
}

/// SQLite's result codes are at most four digits, with the primary code in the low byte; a
/// SQLSTATE of PostgreSQL has five characters.
fn from_code(code: &str, message: &str) -> StoreError {
    const IOERR_SHMSIZE: u32 = 10 | (19 << 8);
    if code.len() < 5 {
        let extended = code.parse::<u32>().unwrap_or(0);
        return match (extended, extended & 0xff) {
            (IOERR_SHMSIZE, _) | (_, 13) => StoreError::DiskFull,
            (_, 8) => StoreError::ReadOnly,
            (_, 5 | 6) => StoreError::Busy,
            (_, 11 | 26) => StoreError::Corrupt(message.to_owned()),
            _ => StoreError::Other(format!("{message} ({code})")),
        };
    }
    match code {
        "53100" => StoreError::DiskFull,
        "25006" => StoreError::ReadOnly,
        "40001" | "40P01" | "55P03" | "57014" => StoreError::Busy,
        "XX001" | "XX002" => StoreError::Corrupt(message.to_owned()),
        _ => StoreError::Other(format!("{message} ({code})")),
    }
}

/// A broken rule of uniqueness means that `what` is taken; anything else is what it is.
pub(crate) fn or_taken(what: What) -> impl Fn(sqlx::Error) -> StoreError {
    move |e| match e.as_database_error() {
        Some(d) if d.is_unique_violation() => StoreError::Conflict { what },
        _ => e.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_engines_become_the_same_errors() {
        for (code, error) in [
            ("13", StoreError::DiskFull),
            ("53100", StoreError::DiskFull),
            ("4874", StoreError::DiskFull),
            ("8", StoreError::ReadOnly),
            ("1032", StoreError::ReadOnly),
            ("25006", StoreError::ReadOnly),
            ("5", StoreError::Busy),
            ("517", StoreError::Busy),
            ("40P01", StoreError::Busy),
            ("26", StoreError::Corrupt("m".into())),
            ("267", StoreError::Corrupt("m".into())),
            ("XX001", StoreError::Corrupt("m".into())),
        ] {
            assert_eq!(from_code(code, "m"), error, "{code}");
        }
    }
}
