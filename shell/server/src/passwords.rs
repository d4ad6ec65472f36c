//! Passwords (A4): few at a time, few wrong ones, and no difference between a wrong password and a
//! user who does not exist.

use crate::config::Limits;
use crate::refusal::Refused;
use crate::source::Source;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use symbolon_context::{PasswordCheck, PasswordProved, PasswordVerifier};
use symbolon_crypto::{SecretBytes, TranscriptHash};
use symbolon_directory::BackendError;
use symbolon_provider::SystemEntropy;
use symbolon_wire::{RefusalCode, Time};
use tokio::sync::Semaphore;

/// For how long a wrong password is remembered, in seconds.
const WINDOW_SECS: u64 = 600;
/// Names and addresses that are remembered; a flood of made-up names pushes out the oldest window.
const REMEMBERED: usize = 10_000;

/// Passwords that somebody else is asked for at the same time: so many guesses may go beyond the limit.
const ASKED_AT_ONCE: usize = 16;
/// How long one waits to be among them.
const ASKED_WITHIN: Duration = Duration::from_secs(4);

pub(crate) struct Passwords {
    check: Arc<PasswordCheck>,
    at_once: Arc<Semaphore>,
    asked_at_once: Semaphore,
    failures: Arc<Mutex<HashMap<Counted, Failures>>>,
    wrong_allowed: u32,
}

/// What is counted: a claimed name, whether it exists or not, and where somebody comes from.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Counted {
    Name(String),
    Source(Source),
}

struct Failures {
    since: Time,
    count: u32,
}

impl Passwords {
    pub(crate) fn new(limits: &Limits) -> Result<Self, symbolon_context::VerifierError> {
        Ok(Self {
            check: Arc::new(PasswordCheck::new(&mut SystemEntropy)?),
            at_once: Arc::new(Semaphore::new(limits.password_checks.max(1))),
            asked_at_once: Semaphore::new(ASKED_AT_ONCE),
            failures: Arc::default(),
            wrong_allowed: limits.wrong_passwords,
        })
    }

    /// Checks the password of `token` against `verifier`, on a thread of its own.
    pub(crate) async fn verify(
        &self,
        claimed: &str,
        source: IpAddr,
        token: SecretBytes,
        verifier: Option<PasswordVerifier>,
        binding: TranscriptHash,
        now: Time,
    ) -> Result<PasswordProved, Refused> {
        let counted = [Counted::Name(claimed.to_owned()), Counted::Source(Source::of(source))];
        let too_many = || {
            let known = counted.iter().any(|c| self.failures_of(c, now) >= self.wrong_allowed);
            let told = || {
                let reason = format!("too many wrong passwords for {claimed} or from {source}");
                Refused::new(RefusalCode::Busy, reason)
            };
            if known { Err(told()) } else { Ok(()) }
        };
        too_many()?;
        let permit = self.at_once.clone().acquire_owned().await;
        let permit = permit.map_err(|_| Refused::new(RefusalCode::Stopping, "the node is stopping"))?;
        // Those who waited before us may have used the attempts up.
        too_many()?;
        let (check, failures) = (self.check.clone(), self.failures.clone());
        let outcome = tokio::task::spawn_blocking(move || {
            // Counted here, so that a peer that hangs up meanwhile is counted too.
            let outcome = check.verify(&token, verifier.as_ref(), &binding);
            if outcome.is_err() {
                counted.into_iter().for_each(|c| count(&failures, c, now));
            }
            drop(permit);
            outcome
        })
        .await;
        match outcome {
            Ok(Ok(proved)) => Ok(proved),
            Ok(Err(_)) => Err(Refused::denied(format!("wrong password or unknown user: {claimed}"))),
            Err(e) => Err(Refused::new(RefusalCode::Internal, format!("password check: {e}"))),
        }
    }

    /// The same by whoever else knows passwords.
    pub(crate) async fn ask<P>(
        &self,
        claimed: &str,
        source: IpAddr,
        asked: impl Future<Output = Result<Option<P>, BackendError>>,
        now: Time,
    ) -> Result<P, Refused> {
        let counted = [Counted::Name(claimed.to_owned()), Counted::Source(Source::of(source))];
        let busy = |reason: String| Err(Refused::new(RefusalCode::Busy, reason));
        let too_many = || counted.iter().any(|c| self.failures_of(c, now) >= self.wrong_allowed);
        let told = || format!("too many wrong passwords for {claimed} or from {source}");
        if too_many() {
            return busy(told());
        }
        let Ok(place) = tokio::time::timeout(ASKED_WITHIN, self.asked_at_once.acquire()).await else {
            return busy(format!("the password of {claimed}: others are asked about all the time"));
        };
        let _place = place.map_err(|_| Refused::new(RefusalCode::Stopping, "the node is stopping"))?;
        // Those who waited before us may have used the attempts up.
        if too_many() {
            return busy(told());
        }
        match asked.await {
            Ok(Some(proved)) => Ok(proved),
            Ok(None) => {
                counted.into_iter().for_each(|c| count(&self.failures, c, now));
                Err(Refused::denied(format!("wrong password or unknown user: {claimed}")))
            }
            Err(e @ BackendError::Denied(_)) => Err(Refused::denied(format!("{claimed}: {e}"))),
            Err(e) => Err(Refused::new(RefusalCode::Internal, e.to_string())),
        }
    }

    fn failures_of(&self, counted: &Counted, now: Time) -> u32 {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(counted).filter(|f| f.since.distance_secs(now) < WINDOW_SECS).map_or(0, |f| f.count)
    }
}

fn count(failures: &Mutex<HashMap<Counted, Failures>>, counted: Counted, now: Time) {
    let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    if failures.len() >= REMEMBERED {
        failures.retain(|_, f| f.since.distance_secs(now) < WINDOW_SECS);
        if failures.len() >= REMEMBERED
            && let Some(oldest) = failures.iter().min_by_key(|(_, f)| f.since).map(|(s, _)| s.clone())
        {
            failures.remove(&oldest);
        }
    }
    let entry = failures.entry(counted).or_insert(Failures { since: now, count: 0 });
    if entry.since.distance_secs(now) >= WINDOW_SECS {
        *entry = Failures { since: now, count: 0 };
    }
    entry.count += 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn guesses_that_come_all_at_once_are_counted_like_others() {
        let passwords =
            Arc::new(Passwords::new(&Limits { wrong_passwords: 3, ..Limits::default() }).unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let guesses: Vec<_> = (0..500)
            .map(|_| {
                let (passwords, asked) = (passwords.clone(), asked.clone());
                tokio::spawn(async move {
                    let back_end = async {
                        asked.fetch_add(1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        Ok(None::<()>)
                    };
                    passwords.ask("alice", IpAddr::from([192, 0, 2, 1]), back_end, Time::from_secs(1)).await
                })
            })
            .collect();
        for guess in guesses {
            assert!(guess.await.unwrap().is_err());
        }
        let asked = asked.load(Ordering::SeqCst);
        assert!(asked <= 3 + ASKED_AT_ONCE, "{asked} guesses");
    }
}
