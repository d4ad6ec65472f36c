//! The issuer that a token or the configuration trusts, those that followed it, and which gateways'
//! certificates they have revoked.
//!
//! ```text
//! files, beside the token:
//! issuer.changes   { followed at (8) | IssuerChange <16> } …
//! issuer.crl       { issuer (32) | revocation list, DER <24> } …
//! ```
//! A gateway says that another issuer follows; the statement is signed by both, so nobody else can make one. It
//! is kept, since the token goes on naming the first issuer: whoever opens it follows the same way again, with
//! the time at which it was followed first. Lists come over sessions and from the directory; the
//! newest of each issuer is kept, for this agent's issuers and for those of others beside it. What stands on one
//! is refused however old the list is; that none is at hand, or an old one, refuses nobody, or a client that was
//! off for a week could reach no gateway.

use crate::directory::{Directory, change_file_of, list_file_of};
use crate::files::{Lock, read_bounded, write_private};
use crate::{AgentError, Paths, clock};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use symbolon_crypto::{
    GatewayName, IssuerChange, IssuerFingerprint, IssuerSet, KeySet, KeySetError, TrustedIssuer,
    VerifiedKeySet,
};
use symbolon_provider::crypto;
use symbolon_token::container::Token;
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};
use tokio::time::Instant;

/// Some dozens of changes, of about three kilobytes each.
const MAX_CHANGES: usize = 256 * 1024;

/// The longest list is 4 MiB: what a token's two issuers can have, and room for many of a usual length.
const MAX_LISTS: usize = 9 * 1024 * 1024;

/// Issuers that are followed at once through a directory: as many as there were while a client was off.
const MAX_STEPS: usize = 8;

/// A revocation list, DER, and whose it is.
type List = (IssuerFingerprint, Vec<u8>);

/// Whom to trust.
#[derive(Debug)]
pub(crate) struct Issuers {
    root: TrustedIssuer,
    set: Mutex<IssuerSet>,
    /// The lists that the set has, as they came.
    lists: Mutex<Vec<List>>,
    directory: Option<Directory>,
    changes_file: PathBuf,
    lists_file: PathBuf,
}

impl Issuers {
    /// From the issuer that the token or the configuration names. A file that cannot be read leaves
    /// that one alone.
    pub(crate) fn load(paths: &Paths, root: TrustedIssuer) -> Self {
        let changes_file = paths.token.with_file_name("issuer.changes");
        let lists_file = paths.token.with_file_name("issuer.crl");
        let mut set = IssuerSet::of(root.clone());
        for (followed, change) in read_changes(&changes_file).unwrap_or_default() {
            // Those of other issuers are for other tokens.
            let _ = set.follow(crypto(), &change, followed);
        }
        let issuers = Self {
            root,
            set: Mutex::new(set),
            lists: Mutex::default(),
            directory: None,
            changes_file,
            lists_file,
        };
        for (_, list) in read_lists(&issuers.lists_file).unwrap_or_default() {
            // Those of other issuers are for other tokens.
            let _ = issuers.take(&list);
        }
        issuers
    }

    /// From what a token holds. One that was handed out for a gateway is for that one alone until it is
    /// registered: then each registration has its own.
    pub(crate) fn of_token(paths: &Paths, token: &Token) -> Self {
        let issuers = Self::load(paths, token.issuer().clone());
        if let Some(gateway) = token.gateway() {
            let mut set = issuers.set();
            *set = set.clone().only(gateway.clone());
        }
        issuers
    }

    /// The same, and what is published there is looked at too.
    #[must_use]
    pub(crate) fn looking_in(self, directory: Option<Directory>) -> Self {
        Self { directory, ..self }
    }

    fn set(&self) -> MutexGuard<'_, IssuerSet> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that is named.
    pub(crate) const fn root(&self) -> &TrustedIssuer {
        &self.root
    }

    /// Where they and their gateways may publish.
    pub(crate) const fn directory(&self) -> Option<&Directory> {
        self.directory.as_ref()
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
            AgentError::denied(format!("the statement that another issuer follows is not believed: {e}"))
                .fix("check the address; somebody may stand between you and the gateway, so send it nothing")
        })?;
        if set.current().fingerprint() == before {
            return Ok(());
        }
        tracing::info!(issuer = %set.current().fingerprint(), "another issuer follows");
        let mut all = read_changes(&self.changes_file).unwrap_or_default();
        all.push((now, change));
        let mut w = Writer::new();
        for (followed, change) in all {
            followed.encode(&mut w);
            w.bytes16(&change.to_bytes());
        }
        write_private(&self.changes_file, &w.into_bytes())
    }

    /// Takes a list in, if it is the newest of its issuer's, and keeps it for the next agent.
    ///
    /// # Errors
    /// It is none of a trusted issuer's.
    pub(crate) fn admit_list(&self, list: &[u8]) -> Result<(), AgentError> {
        let Some(signer) = self.take(list)? else { return Ok(()) };
        tracing::info!("the issuer has another revocation list");
        let _one = Lock::wait(&self.lists_file)?;
        let mut kept = read_lists(&self.lists_file).unwrap_or_default();
        // An agent beside this one may have been told of a newer one.
        for (_, list) in kept.iter().filter(|(of, _)| *of == signer) {
            let _ = self.take(list);
        }
        let newest = self.lists().iter().find(|(of, _)| *of == signer).cloned();
        if let Some(newest) = newest {
            kept = with_newest(kept, newest);
        }
        let mut w = Writer::new();
        for (of, list) in kept {
            w.fixed(&of.0);
            w.bytes24(&list);
        }
        write_private(&self.lists_file, &w.into_bytes())
    }

    fn lists(&self) -> MutexGuard<'_, Vec<List>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whose list was taken; none when one that is no older is known.
    fn take(&self, list: &[u8]) -> Result<Option<IssuerFingerprint>, AgentError> {
        let taken = self.set().admit_list(crypto(), list, clock::now()).map_err(|e| {
            AgentError::denied(format!("a revocation list that is not believed: {e}"))
                .fix("tell the gateway's operator")
        })?;
        if let Some(signer) = taken {
            let mut lists = self.lists();
            lists.retain(|(of, _)| *of != signer);
            lists.push((signer, list.to_vec()));
        }
        Ok(taken)
    }

    /// Whether this is the certificate of one that is trusted now.
    fn knows(&self, certificate: &[u8]) -> bool {
        self.set().at(clock::now()).any(|issuer| issuer.certificate() == certificate)
    }

    /// Follows the statement that a gateway shows with keys of another issuer than those that are trusted. It
    /// is looked at only then.
    ///
    /// # Errors
    /// It is not by an issuer that is trusted; nothing is changed then.
    pub(crate) fn follow_to(&self, shown: &[u8], change: &[u8]) -> Result<(), AgentError> {
        if change.is_empty() || self.knows(shown) { Ok(()) } else { self.follow(change) }
    }

    /// Learns what is published about the issuers and comes by then, if there is a directory: who follows them,
    /// and which certificates they have revoked.
    ///
    /// # Errors
    /// What is published there is not what it should be.
    pub(crate) async fn learn(&self, deadline: Instant) -> Result<(), AgentError> {
        let Some(directory) = &self.directory else { return Ok(()) };
        for _ in 0..MAX_STEPS {
            let present = self.current().fingerprint();
            let Some(change) = directory.change(present, deadline).await? else { break };
            let wrong = |e: AgentError| directory.wrong(&change_file_of(present), &e.message);
            self.follow(&change).map_err(wrong)?;
        }
        for issuer in self.now() {
            if let Some(list) = directory.list(issuer.fingerprint(), deadline).await? {
                let wrong = |e: AgentError| directory.wrong(&list_file_of(issuer.fingerprint()), &e.message);
                self.admit_list(&list).map_err(wrong)?;
            }
        }
        Ok(())
    }

    /// Whether a gateway that was verified before is still to be talked to.
    ///
    /// # Errors
    /// Its certificate is on a list by now.
    pub(crate) fn check_again(&self, verified: &VerifiedKeySet) -> Result<(), AgentError> {
        self.set().check_again(verified).map_err(|e| AgentError::key_set(&e))
    }
}

fn read_changes(file: &Path) -> Option<Vec<(Time, IssuerChange)>> {
    let bytes = read_bounded(file, MAX_CHANGES).ok()??;
    parse_changes(&bytes).ok()
}

fn parse_changes(bytes: &[u8]) -> Result<Vec<(Time, IssuerChange)>, WireError> {
    let mut r = Reader::new(bytes);
    let mut changes = Vec::new();
    while !r.rest().is_empty() {
        changes.push((Time::decode(&mut r)?, IssuerChange::from_bytes(r.bytes16()?)?));
    }
    Ok(changes)
}

fn read_lists(file: &Path) -> Option<Vec<List>> {
    let bytes = read_bounded(file, MAX_LISTS).ok()??;
    let mut r = Reader::new(&bytes);
    let mut lists = Vec::new();
    while !r.rest().is_empty() {
        lists.push((IssuerFingerprint(r.fixed().ok()?), r.bytes24().ok()?.to_vec()));
    }
    Some(lists)
}

/// The lists to keep, with this one in the place of its issuer's; what was changed longest ago gives way when
/// they are too many.
fn with_newest(mut kept: Vec<List>, newest: List) -> Vec<List> {
    kept.retain(|(of, _)| *of != newest.0);
    kept.push(newest);
    let mut length: usize = kept.iter().map(written_length).sum();
    let dropped = kept.iter().take_while(|list| {
        let too_long = length > MAX_LISTS;
        length = length.saturating_sub(written_length(list));
        too_long
    });
    let dropped = dropped.count();
    kept.split_off(dropped)
}

/// An issuer, a length and the list.
fn written_length((of, list): &List) -> usize {
    of.0.len() + 3 + list.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_issuer::{ContextKeys, Issuer, RevocationReason, Revoked, Validity};

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
        std::fs::write(&next.changes_file, b"damaged").unwrap();
        assert_eq!(Issuers::load(&paths, trusted(&old)).now(), [trusted(&old)]);
    }

    #[tokio::test]
    async fn a_revoked_gateway_is_refused_by_this_agent_and_the_next_and_an_old_list_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(Some(dir.path().join("home"))).unwrap();
        let now = clock::now();
        let [issuer, other] = ["Ours", "Other"].map(|name| Issuer::create(name, now, 10).unwrap());
        let trusted = TrustedIssuer::from_certificate(crypto(), issuer.certificate()).unwrap();
        let name = GatewayName::parse("gw.example").unwrap();
        let identity = issuer.gateway_identity(&name, Validity::starting(now, 3600)).unwrap();
        let keys = ContextKeys::new(identity, issuer.certificate().to_vec(), 3600, now).unwrap();
        let issuers = Issuers::load(&paths, trusted.clone());
        let verified = issuers.verify_key_set(keys.offer(), &name).unwrap();
        let serial = verified.identity().serial().to_vec();
        let revoked = Revoked { serial, at: now, reason: RevocationReason::KeyCompromise };
        let list = |issuer: &Issuer, number, revoked: &[Revoked]| {
            issuer.revocation_list(number, revoked, Validity::starting(now, 3600)).unwrap()
        };
        let bad = list(&issuer, 3, std::slice::from_ref(&revoked));
        assert!(issuers.admit_list(&list(&other, 9, std::slice::from_ref(&revoked))).is_err());
        issuers.admit_list(&list(&issuer, 2, &[])).unwrap();
        issuers.check_again(&verified).unwrap();

        let folder = dir.path().join("keysets");
        std::fs::create_dir(&folder).unwrap();
        let place = Some(folder.to_str().unwrap().to_owned());
        let config = crate::UserConfig { key_sets: place, ..crate::UserConfig::default() };
        let issuers = issuers.looking_in(Directory::of(&config).unwrap());
        issuers.learn(Directory::deadline()).await.unwrap();
        let file = folder.join(list_file_of(trusted.fingerprint()));
        std::fs::write(&file, b"nonsense").unwrap();
        assert_eq!(
            issuers.learn(Directory::deadline()).await.unwrap_err().code.as_deref(),
            Some("wrong-directory")
        );
        issuers.check_again(&verified).unwrap();
        std::fs::write(&file, &bad).unwrap();
        issuers.learn(Directory::deadline()).await.unwrap();
        std::fs::write(&file, list(&issuer, 1, &[])).unwrap();
        issuers.learn(Directory::deadline()).await.unwrap();
        for issuers in [issuers, Issuers::load(&paths, trusted)] {
            assert_eq!(issuers.check_again(&verified).unwrap_err().code.as_deref(), Some("gateway-revoked"));
            assert_eq!(issuers.verify_key_set(keys.offer(), &name), Err(KeySetError::Revoked));
        }
    }

    #[test]
    fn agents_beside_each_other_keep_the_newest_list_of_each_issuer() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(Some(dir.path().to_owned())).unwrap();
        let now = clock::now();
        let [ours, other] = ["Ours", "Other"].map(|name| Issuer::create(name, now, 10).unwrap());
        let load = |issuer: &Issuer| {
            Issuers::load(&paths, TrustedIssuer::from_certificate(crypto(), issuer.certificate()).unwrap())
        };
        let name = GatewayName::parse("gw.example").unwrap();
        let identity = ours.gateway_identity(&name, Validity::starting(now, 3600)).unwrap();
        let keys = ContextKeys::new(identity, ours.certificate().to_vec(), 3600, now).unwrap();
        let verified = load(&ours).verify_key_set(keys.offer(), &name).unwrap();
        let revoked = Revoked {
            serial: verified.identity().serial().to_vec(),
            at: now,
            reason: RevocationReason::KeyCompromise,
        };
        let list = |issuer: &Issuer, number, revoked: &[Revoked]| {
            issuer.revocation_list(number, revoked, Validity::starting(now, 3600)).unwrap()
        };
        let [first, second, stranger] = [load(&ours), load(&ours), load(&other)];
        first.admit_list(&list(&ours, 3, &[revoked])).unwrap();
        second.admit_list(&list(&ours, 2, &[])).unwrap();
        assert!(second.check_again(&verified).is_err(), "what another agent was told counts too");
        stranger.admit_list(&list(&other, 9, &[])).unwrap();
        assert!(load(&ours).check_again(&verified).is_err(), "another token's list takes nobody's place");
        assert_eq!(read_lists(&first.lists_file).unwrap().len(), 2);
    }

    #[test]
    fn lists_that_are_too_many_to_keep_give_way_to_later_ones() {
        let entry = |n: u8| (IssuerFingerprint([n; 32]), vec![n; MAX_LISTS / 3]);
        let kept = with_newest(vec![entry(1), entry(2), entry(3)], entry(2));
        assert_eq!(kept.iter().map(|(of, _)| of.0[0]).collect::<Vec<_>>(), [3, 2]);
    }
}
