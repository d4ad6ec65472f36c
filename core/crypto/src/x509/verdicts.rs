//! Verdicts that were reached before: a certificate that is known costs one hash, no path.

use super::{SubjectError, SubjectTrust, VerifiedSubject};
use crate::Crypto;
use std::collections::{BTreeMap, VecDeque};
use symbolon_wire::Time;

/// The last verdicts, a bounded number of them, the oldest of which gives way.
///
/// Only good verdicts are kept, so whoever sends certificates of nobody fills nothing. A verdict is
/// kept for the one state of trust (issuers, foreign authorities, revocation lists, blocked keys) in
/// which it was reached, and no longer than all that it rests on is in its time.
#[derive(Debug)]
pub struct VerdictCache {
    capacity: usize,
    state: [u8; 32],
    verdicts: BTreeMap<[u8; 32], VerifiedSubject>,
    order: VecDeque<[u8; 32]>,
}

impl VerdictCache {
    /// Keeps at most `capacity` verdicts, of about 300 bytes and a key each.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self { capacity, state: [0; 32], verdicts: BTreeMap::new(), order: VecDeque::new() }
    }

    /// The verdict about the certificate with this SHA-256 that was reached under `trust` as it is
    /// now.
    pub fn known(&mut self, trust: &SubjectTrust, hash: &[u8; 32], now: Time) -> Option<VerifiedSubject> {
        self.keep_up_with(trust);
        let subject = self.verdicts.get(hash)?;
        subject.stands_at(now).then(|| subject.clone())
    }

    /// Keeps a verdict that `trust` reached.
    pub fn remember(&mut self, trust: &SubjectTrust, subject: &VerifiedSubject) {
        self.keep_up_with(trust);
        let hash = *subject.certificate_hash();
        if self.capacity == 0 {
            return;
        }
        if self.verdicts.insert(hash, subject.clone()).is_none() {
            if self.order.len() == self.capacity
                && let Some(oldest) = self.order.pop_front()
            {
                self.verdicts.remove(&oldest);
            }
            self.order.push_back(hash);
        }
    }

    /// The known verdict, or that of a whole check, which is then kept.
    ///
    /// # Errors
    /// As [`SubjectTrust::verify`].
    pub fn verify(
        &mut self,
        crypto: Crypto,
        trust: &SubjectTrust,
        chain: &[&[u8]],
        now: Time,
    ) -> Result<VerifiedSubject, SubjectError> {
        let known = |leaf: &&[u8]| self.known(trust, &crypto.sha256(&[leaf]), now);
        if let Some(known) = chain.first().and_then(known) {
            return Ok(known);
        }
        let subject = trust.verify(crypto, chain, now)?;
        self.remember(trust, &subject);
        Ok(subject)
    }

    /// How many verdicts are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.verdicts.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.verdicts.is_empty()
    }

    fn keep_up_with(&mut self, trust: &SubjectTrust) {
        if self.state != *trust.state() {
            self.state = *trust.state();
            self.verdicts.clear();
            self.order.clear();
        }
    }
}
