//! Where a PostgreSQL database is.

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use symbolon_crypto::SecretBytes;

/// `postgres://user:password@host:5432/database?sslmode=verify-full&sslrootcert=FILE`, with the parameters of libpq:
/// `sslcert` and `sslkey` for a certificate of our own, `host=/run/postgresql` for a Unix socket.
///
/// A server on another machine must be checked (`verify-full`): the rows are sealed where they are secret, and yet
/// somebody in between could show old ones. What this prints is without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    text: Arc<SecretBytes>,
    /// `host:port/database`.
    place: String,
}

/// Why a text is no [`DatabaseUrl`]. It does not repeat the text, which has a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// It begins otherwise, or a part of it cannot be.
    #[error("a database is postgres://user:password@host:port/database?sslmode=verify-full&sslrootcert=FILE")]
    Form,
    /// A server elsewhere that is not checked.
    #[error(
        "a database on another machine needs sslmode=verify-full, and sslrootcert=FILE for its authority"
    )]
    Unprotected,
}

impl DatabaseUrl {
    /// As somebody wrote it, with its password: to hand on or to compare, never to print.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.text.expose()
    }

    /// For the driver.
    pub(crate) fn for_driver(&self) -> &str {
        // it was made from a text
        std::str::from_utf8(self.text.expose()).unwrap_or_default()
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(DatabaseUrlError::Form);
        }
        let options: PgConnectOptions = text.parse().map_err(|_| DatabaseUrlError::Form)?;
        let host = options.get_host();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let is_here = options.get_socket().is_some()
            || host == "localhost"
            || address.is_ok_and(|address| address.is_loopback());
        if !is_here && !matches!(options.get_ssl_mode(), PgSslMode::VerifyFull) {
            return Err(DatabaseUrlError::Unprotected);
        }
        let server = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{host}:{}", options.get_port()),
        };
        let place = format!("{server}/{}", options.get_database().unwrap_or_default());
        Ok(Self { text: Arc::new(SecretBytes::from(text.to_owned())), place })
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_elsewhere_must_be_checked() {
        let parse = |text: &str| text.parse::<DatabaseUrl>();
        for text in [
            "postgres://node:secret@db.internal/symbolon?sslmode=verify-full&sslrootcert=/etc/ca.pem",
            "postgresql://node@127.0.0.1:5433/symbolon",
            "postgres://node@[::1]/symbolon",
            "postgres://node@localhost/symbolon",
            "postgres://node@db.internal/symbolon?host=/run/postgresql",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in [
            "postgres://node:secret@db.internal/symbolon",
            "postgres://node:secret@192.0.2.1/symbolon?sslmode=require",
            "postgres://node:secret@db.internal/symbolon?sslmode=verify-ca",
        ] {
            assert_eq!(parse(text), Err(DatabaseUrlError::Unprotected), "{text}");
        }
        for text in ["", "mysql://db/x", "postgres://db:port/x", "rediss://db"] {
            assert_eq!(parse(text), Err(DatabaseUrlError::Form), "{text}");
        }
    }

    #[test]
    fn what_is_printed_has_no_password() {
        let url: DatabaseUrl = "postgres://node:secret@localhost:5433/symbolon".parse().unwrap();
        assert_eq!(url.to_string(), "localhost:5433/symbolon");
        assert!(!format!("{url:?}").contains("secret"));
    }
}
