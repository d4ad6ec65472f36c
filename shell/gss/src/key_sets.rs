//! The services that an initiator can name: their key sets, and whom it trusts for them (A1).

use crate::config::InitiatorConfig;
use crate::private::{self, PrivateFileError, Readers};
use crate::status::{BAD_NAME, FAILURE, Failure, Reason};
use std::path::Path;
use symbolon_crypto::{
    GatewayName, IssuerFingerprint, KeySet, KeySetError, TrustedIssuer, VerifiedKeySet, X509Error,
};
use symbolon_provider::crypto;
use symbolon_wire::{Decode, Time, WireError};

/// How a published key set's file ends.
pub(crate) const EXTENSION: &str = "keyset";

/// Who vouches for services.
pub(crate) enum Trust {
    Certificate(TrustedIssuer),
    Fingerprint(IssuerFingerprint),
}

/// Why nobody is trusted, or a set of keys is not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    #[error("either issuer or issuer_fingerprint must be set")]
    NotOne,
    #[error("issuer_fingerprint does not have 64 hexadecimal digits")]
    NoFingerprint,
    #[error(transparent)]
    File(#[from] PrivateFileError),
    #[error(transparent)]
    Issuer(#[from] X509Error),
    #[error("not a key set: {0}")]
    NoSet(#[from] WireError),
    #[error(transparent)]
    Set(#[from] KeySetError),
}

impl From<TrustError> for Failure {
    fn from(error: TrustError) -> Self {
        match error {
            TrustError::NotOne => Self::new(FAILURE, Reason::BadConfiguration),
            TrustError::NoFingerprint | TrustError::File(_) | TrustError::Issuer(X509Error::Malformed(_)) => {
                Self::new(FAILURE, Reason::NoIssuer)
            }
            TrustError::Issuer(_) | TrustError::NoSet(_) | TrustError::Set(_) => {
                Self::new(BAD_NAME, Reason::KeySet)
            }
        }
    }
}

impl Trust {
    pub(crate) fn new(config: &InitiatorConfig) -> Result<Self, TrustError> {
        match (&config.issuer, &config.issuer_fingerprint) {
            (Some(path), None) => {
                let der = private::read(path, Readers::Everybody)?;
                Ok(Self::Certificate(TrustedIssuer::from_certificate(crypto(), der.expose())?))
            }
            (None, Some(digits)) => {
                parse_fingerprint(digits).map(Self::Fingerprint).ok_or(TrustError::NoFingerprint)
            }
            _ => Err(TrustError::NotOne),
        }
    }

    /// The check that comes before any secret leaves.
    pub(crate) fn verify(
        &self,
        set: &[u8],
        name: &GatewayName,
        now: Time,
    ) -> Result<VerifiedKeySet, TrustError> {
        let set = KeySet::from_bytes(set)?;
        let issuer = match self {
            Self::Certificate(issuer) => issuer.clone(),
            Self::Fingerprint(expected) => TrustedIssuer::from_fingerprint(crypto(), &set.issuer, *expected)?,
        };
        Ok(set.verify(crypto(), &issuer, name, now)?)
    }

    /// The set that was published for `name`, if it is at hand and still good. One that is missing or out
    /// of date is asked of the service, which costs a round trip and nothing else: what comes is checked
    /// alike.
    pub(crate) fn published(
        &self,
        directory: &Path,
        name: &GatewayName,
        now: Time,
    ) -> Result<VerifiedKeySet, TrustError> {
        let file = directory.join(format!("{name}.{EXTENSION}"));
        self.verify(private::read(&file, Readers::Everybody)?.expose(), name, now)
    }
}

fn parse_fingerprint(digits: &str) -> Option<IssuerFingerprint> {
    let digits: String = digits.chars().filter(|c| !c.is_whitespace()).collect();
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(IssuerFingerprint(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_64_digits_with_or_without_spaces() {
        let parsed = parse_fingerprint(&"0a".repeat(32)).unwrap();
        assert_eq!(parsed.0, [10; 32]);
        assert_eq!(parse_fingerprint(&parsed.to_string()), Some(parsed));
        for bad in ["", "0a", &"0g".repeat(32), &"é".repeat(32), &"+1".repeat(32)] {
            assert_eq!(parse_fingerprint(bad), None);
        }
    }
}
