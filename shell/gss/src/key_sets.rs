//! The services that an initiator can name: their key sets, and whom it trusts for them (A1).

use crate::config::InitiatorConfig;
use crate::private::{self, PrivateFileError, Readers};
use crate::status::{BAD_NAME, FAILURE, Failure, Reason};
use std::path::{Path, PathBuf};
use symbolon_crypto::{
    GatewayName, IssuerFingerprint, KeySet, KeySetError, RevocationList, RevocationLists, SubjectError,
    TrustedIssuer, VerifiedKeySet, X509Error,
};
use symbolon_provider::crypto;
use symbolon_wire::{Decode, Time, WireError};

/// How a published key set's file ends.
pub(crate) const EXTENSION: &str = "keyset";

/// How a revocation list's file ends.
const LIST_EXTENSION: &str = "crl";

/// Who vouches for services, and which of them it has revoked.
pub(crate) struct Trust {
    issuer: Vouching,
    /// The list that the configuration names, DER: it must be the issuer's.
    named: Option<Vec<u8>>,
    /// Lists that lie beside the key sets, DER: those of other issuers are passed over.
    beside: Vec<Vec<u8>>,
}

enum Vouching {
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
    #[error("revocation list: {0}")]
    List(#[from] SubjectError),
}

impl From<TrustError> for Failure {
    fn from(error: TrustError) -> Self {
        match error {
            TrustError::NotOne | TrustError::List(_) => Self::new(FAILURE, Reason::BadConfiguration),
            TrustError::NoFingerprint | TrustError::File(_) | TrustError::Issuer(X509Error::Malformed(_)) => {
                Self::new(FAILURE, Reason::NoIssuer)
            }
            TrustError::Set(KeySetError::Revoked) => Self::new(BAD_NAME, Reason::Revoked),
            TrustError::Issuer(_) | TrustError::NoSet(_) | TrustError::Set(_) => {
                Self::new(BAD_NAME, Reason::KeySet)
            }
        }
    }
}

impl Trust {
    pub(crate) fn new(config: &InitiatorConfig) -> Result<Self, TrustError> {
        let issuer = match (&config.issuer, &config.issuer_fingerprint) {
            (Some(path), None) => {
                let der = private::read(path, Readers::Everybody)?;
                Vouching::Certificate(TrustedIssuer::from_certificate(crypto(), der.expose())?)
            }
            (None, Some(digits)) => {
                Vouching::Fingerprint(parse_fingerprint(digits).ok_or(TrustError::NoFingerprint)?)
            }
            _ => return Err(TrustError::NotOne),
        };
        let list = |path: &Path| -> Result<Vec<u8>, TrustError> {
            Ok(RevocationList::der_of(private::read(path, Readers::Everybody)?.expose())?)
        };
        let named = config.revocation_list.as_deref().map(list).transpose()?;
        let beside = config.key_sets.as_deref().map_or_else(Vec::new, lists_in);
        let beside = beside.iter().map(|path| list(path)).collect::<Result<_, _>>()?;
        Ok(Self { issuer, named, beside })
    }

    /// In one issuer, of whom no list is known.
    pub(crate) fn in_issuer(issuer: TrustedIssuer) -> Self {
        Self { issuer: Vouching::Certificate(issuer), named: None, beside: Vec::new() }
    }

    /// The check that comes before any secret leaves. A list that is out of date counts for what it says.
    pub(crate) fn verify(
        &self,
        set: &[u8],
        name: &GatewayName,
        now: Time,
    ) -> Result<VerifiedKeySet, TrustError> {
        let set = KeySet::from_bytes(set)?;
        let issuer = match &self.issuer {
            Vouching::Certificate(issuer) => issuer.clone(),
            Vouching::Fingerprint(expected) => {
                TrustedIssuer::from_fingerprint(crypto(), &set.issuer, *expected)?
            }
        };
        let read = |der: &[u8]| RevocationList::read_undated(crypto(), der, issuer.certificate());
        let mut lists = RevocationLists::none();
        if let Some(list) = &self.named {
            lists.admit(read(list)?);
        }
        for list in &self.beside {
            match read(list) {
                Ok(list) => {
                    lists.admit(list);
                }
                Err(SubjectError::Untrusted) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(set.verify(crypto(), &issuer, &lists, name, now)?)
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

/// The revocation lists in a directory; none in one that is not there.
fn lists_in(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|e| e == LIST_EXTENSION)).collect()
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
    use symbolon_issuer::{ContextKeys, Issuer, RevocationReason, Revoked, Validity};
    use symbolon_wire::Encode as _;

    #[test]
    fn a_fingerprint_is_64_digits_with_or_without_spaces() {
        let parsed = parse_fingerprint(&"0a".repeat(32)).unwrap();
        assert_eq!(parsed.0, [10; 32]);
        assert_eq!(parse_fingerprint(&parsed.to_string()), Some(parsed));
        for bad in ["", "0a", &"0g".repeat(32), &"é".repeat(32), &"+1".repeat(32)] {
            assert_eq!(parse_fingerprint(bad), None);
        }
    }

    #[test]
    fn a_service_on_its_issuers_list_is_refused_wherever_the_list_lies_and_however_old_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let now = Time::from_secs(1_795_262_400);
        let [issuer, other] = ["Ours", "Other"].map(|name| Issuer::create(name, now, 10).unwrap());
        let name = GatewayName::parse("_ldap.db.example").unwrap();
        let identity = issuer.gateway_identity(&name, Validity::starting(now, 3600)).unwrap();
        let set =
            ContextKeys::new(identity, issuer.certificate().to_vec(), 3600, now).unwrap().offer().clone();
        std::fs::write(dir.path().join("issuer.crt"), issuer.certificate()).unwrap();
        let config = |list: Option<&str>| InitiatorConfig {
            issuer: Some(dir.path().join("issuer.crt")),
            issuer_fingerprint: None,
            key_sets: Some(dir.path().to_owned()),
            revocation_list: list.map(|file| dir.path().join(file)),
            passwords_to: Vec::new(),
            suites: symbolon_crypto::Suite::ALL.to_vec(),
            user: None,
            password_file: None,
        };
        let verify = |list| Trust::new(&config(list))?.verify(&set.to_bytes(), &name, now);
        let serial = verify(None).unwrap().identity().serial().to_vec();
        let revoked = Revoked { serial, at: now, reason: RevocationReason::KeyCompromise };
        let long_ago = Validity::starting(now.minus_secs(30 * 24 * 3600), 3600);
        let list =
            |issuer: &Issuer| issuer.revocation_list(1, std::slice::from_ref(&revoked), long_ago).unwrap();
        std::fs::write(dir.path().join("named"), list(&issuer)).unwrap();
        assert!(matches!(verify(Some("named")), Err(TrustError::Set(KeySetError::Revoked))));
        std::fs::write(dir.path().join("other"), list(&other)).unwrap();
        assert!(matches!(verify(Some("other")), Err(TrustError::List(_))), "not of the issuer");
        assert!(matches!(verify(Some("missing")), Err(TrustError::File(_))));
        std::fs::write(dir.path().join("a.crl"), list(&other)).unwrap();
        assert!(verify(None).is_ok(), "of another issuer");
        std::fs::write(dir.path().join("b.crl"), list(&issuer)).unwrap();
        assert!(matches!(verify(None), Err(TrustError::Set(KeySetError::Revoked))));
        std::fs::write(dir.path().join("b.crl"), b"nonsense").unwrap();
        assert!(matches!(verify(None), Err(TrustError::List(_))));
    }
}
