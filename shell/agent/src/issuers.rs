//! The issuer that a token or the configuration trusts, and those that followed it.
//!
//! ```text
//! file, beside the token: { followed at (8) | IssuerChange <16> } …
//! ```
//! A gateway says within a session that another issuer follows; the statement is signed by both, so
//! nobody else can make one. It is kept, since the token goes on naming the first issuer: whoever opens
//! it follows the same way again, with the time at which it was followed first.

use crate::files::{read_bounded, write_private};
use crate::{AgentError, Paths, clock};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use symbolon_crypto::{
    GatewayName, IssuerChange, IssuerSet, KeySet, KeySetError, TrustedIssuer, VerifiedKeySet,
};
use symbolon_provider::crypto;
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

/// Some dozens of changes, of about three kilobytes each.
const MAX_FILE: usize = 256 * 1024;

/// Whom to trust.
#[derive(Debug)]
pub(crate) struct Issuers {
    root: TrustedIssuer,
    set: Mutex<IssuerSet>,
    file: PathBuf,
}

impl Issuers {
    /// From the issuer that the token or the configuration names. A file that cannot be read leaves
    /// that one alone.
    pub(crate) fn load(paths: &Paths, root: TrustedIssuer) -> Self {
        let file = paths.token.with_file_name("issuer.changes");
        let mut set = IssuerSet::of(root.clone());
        for (followed, change) in read(&file).unwrap_or_default() {
            // Those of other issuers are for other tokens.
            let _ = set.follow(crypto(), &change, followed);
        }
        Self { root, set: Mutex::new(set), file }
    }

    fn set(&self) -> MutexGuard<'_, IssuerSet> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that is named.
    pub(crate) const fn root(&self) -> &TrustedIssuer {
        &self.root
    }

    /// The one that counts from now on.
    pub(crate) fn current(&self) -> TrustedIssuer {
        self.set().current().clone()
    }

    /// All that are trusted now, the present one first.
    pub(crate) fn now(&self) -> Vec<TrustedIssuer> {
        self.set().at(clock::now()).cloned().collect()
    }

    /// The one of which a gateway showed the certificate, if it is trusted, otherwise the present one.
    pub(crate) fn shown(&self, certificate: &[u8]) -> TrustedIssuer {
        let shown = self.now().into_iter().find(|issuer| issuer.certificate() == certificate);
        shown.unwrap_or_else(|| self.current())
    }

    /// [`KeySet::verify`] under any of them.
    pub(crate) fn verify_key_set(
        &self,
        key_set: &KeySet,
        name: &GatewayName,
    ) -> Result<VerifiedKeySet, KeySetError> {
        self.set().verify_key_set(crypto(), key_set, name, clock::now())
    }

    /// Follows a change that a gateway told of; one that is known changes nothing.
    pub(crate) fn follow(&self, bytes: &[u8]) -> Result<(), AgentError> {
        let change = IssuerChange::from_bytes(bytes)?;
        let now = clock::now();
        let mut set = self.set();
        let before = set.current().fingerprint();
        set.follow(crypto(), &change, now).map_err(|e| {
            AgentError::denied(format!("the gateway told of another issuer, which is not believed: {e}"))
        })?;
        if set.current().fingerprint() == before {
            return Ok(());
        }
        tracing::info!(issuer = %set.current().fingerprint(), "another issuer follows");
        let mut all = read(&self.file).unwrap_or_default();
        all.push((now, change));
        let mut w = Writer::new();
        for (followed, change) in all {
            followed.encode(&mut w);
            w.bytes16(&change.to_bytes());
        }
        write_private(&self.file, &w.into_bytes())
    }
}

fn read(file: &std::path::Path) -> Option<Vec<(Time, IssuerChange)>> {
    let bytes = read_bounded(file, MAX_FILE).ok()??;
    parse(&bytes).ok()
}

fn parse(bytes: &[u8]) -> Result<Vec<(Time, IssuerChange)>, WireError> {
    let mut r = Reader::new(bytes);
    let mut changes = Vec::new();
    while !r.rest().is_empty() {
        changes.push((Time::decode(&mut r)?, IssuerChange::from_bytes(r.bytes16()?)?));
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_issuer::Issuer;

    #[test]
    fn a_change_is_followed_by_this_agent_and_the_next_and_a_false_one_by_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(Some(dir.path().to_owned())).unwrap();
        let now = clock::now();
        let [old, new, other] = ["Old", "New", "Other"].map(|name| Issuer::create(name, now, 10).unwrap());
        let trusted =
            |issuer: &Issuer| TrustedIssuer::from_certificate(crypto(), issuer.certificate()).unwrap();
        let issuers = Issuers::load(&paths, trusted(&old));
        let false_change = other.hand_over(&new, now.plus_secs(60), now).unwrap();
        assert!(issuers.follow(&false_change.to_bytes()).is_err());
        assert!(issuers.follow(b"nonsense").is_err());
        assert_eq!(issuers.current(), trusted(&old));
        let change = old.hand_over(&new, now.plus_secs(60), now).unwrap().to_bytes();
        for _ in 0..2 {
            issuers.follow(&change).unwrap();
            assert_eq!(issuers.now(), [trusted(&new), trusted(&old)]);
        }
        let next = Issuers::load(&paths, trusted(&old));
        assert_eq!((next.current(), next.root()), (trusted(&new), &trusted(&old)));
        assert_eq!(next.shown(old.certificate()), trusted(&old));
        assert_eq!(Issuers::load(&paths, trusted(&other)).now(), [trusted(&other)], "of another token");
        std::fs::write(&next.file, b"damaged").unwrap();
        assert_eq!(Issuers::load(&paths, trusted(&old)).now(), [trusted(&old)]);
    }
}
