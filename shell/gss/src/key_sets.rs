//! The services that an initiator can name: their key sets, and whom it trusts for them (A1).

use crate::config::InitiatorConfig;
use crate::private::{self, Readers};
use crate::status::{BAD_NAME, FAILURE, Failure, Reason};
use std::path::Path;
use symbolon_crypto::{GatewayName, IssuerFingerprint, KeySet, TrustedIssuer, VerifiedKeySet};
use symbolon_provider::crypto;
use symbolon_wire::{Decode, Time};

/// How a published key set's file ends.
pub(crate) const EXTENSION: &str = "keyset";

/// Who vouches for services.
pub(crate) enum Trust {
    Certificate(TrustedIssuer),
    Fingerprint(IssuerFingerprint),
}

impl Trust {
    pub(crate) fn new(config: &InitiatorConfig) -> Result<Self, Failure> {
        let bad = Failure::new(FAILURE, Reason::NoIssuer);
        match (&config.issuer, &config.issuer_fingerprint) {
            (Some(path), None) => {
                let der = private::read(path, Readers::Everybody).map_err(|_| bad)?;
                let issuer = TrustedIssuer::from_certificate(crypto(), der.expose()).map_err(|_| bad)?;
                Ok(Self::Certificate(issuer))
            }
            (None, Some(digits)) => parse_fingerprint(digits)
                .map(Self::Fingerprint)
                .ok_or(Failure::new(FAILURE, Reason::NoIssuer)),
            _ => Err(Failure::new(FAILURE, Reason::BadConfiguration)),
        }
    }

    /// The check that comes before any secret leaves.
    pub(crate) fn verify(
        &self,
        set: &[u8],
        name: &GatewayName,
        now: Time,
    ) -> Result<VerifiedKeySet, Failure> {
        let bad = Failure::new(BAD_NAME, Reason::KeySet);
        let set = KeySet::from_bytes(set).map_err(|_| bad)?;
        let issuer = match self {
            Self::Certificate(issuer) => issuer.clone(),
            Self::Fingerprint(expected) => {
                TrustedIssuer::from_fingerprint(crypto(), &set.issuer, *expected).map_err(|_| bad)?
            }
        };
        set.verify(crypto(), &issuer, name, now).map_err(|_| bad)
    }
}

/// The set that was published for `name`, if it is at hand and still good. One that is missing or out of
/// date is asked of the service, which costs a round trip and nothing else: what comes is checked alike.
pub(crate) fn published(
    directory: Option<&Path>,
    trust: &Trust,
    name: &GatewayName,
    now: Time,
) -> Option<VerifiedKeySet> {
    let file = directory?.join(format!("{name}.{EXTENSION}"));
    let bytes = private::read(&file, Readers::Everybody).ok()?;
    trust.verify(bytes.expose(), name, now).ok()
}

fn parse_fingerprint(digits: &str) -> Option<IssuerFingerprint> {
    let digits: String = digits.chars().filter(|c| !c.is_whitespace()).collect();
    if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
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
