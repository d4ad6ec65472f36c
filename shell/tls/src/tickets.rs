//! TLS session tickets that every worker of a node opens (RFC 8446 §4.6.1, RFC 5077).
//!
//! ```text
//! ticket = period (4) | nonce (12) | AES-256-GCM( session ) | tag (16)       associated data: period
//! root of the next period = derive(root, "symbolon/1 tls ticket next")      six hours each
//! key                     = derive(root, "symbolon/1 tls ticket")
//! ```
//! A ticket is taken in the period in which it was given and in the next; then its key is gone, and cannot be
//! made again from what is left. That matters for TLS 1.2, whose tickets hold what opens the connection: so
//! the first root is random, shared in memory alone, and never written down. What a ticket says of the client
//! is looked at again by whoever resumes a session.

use rustls::server::ProducesTickets;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use symbolon_crypto::{Crypto, Entropy as _, Secret, TAG, label};
use symbolon_provider::SystemEntropy;

/// How long one key gives tickets, in seconds.
const PERIOD_SECS: u64 = 6 * 3600;

const HEADER: usize = 4 + 12;

/// The keys of tickets, from a secret that the workers share.
pub struct TicketKeys {
    crypto: Crypto,
    clock: fn() -> u64,
    now: Mutex<Periods>,
}

/// The present key and the one before.
struct Periods {
    present: u32,
    root: Secret<32>,
    before: Option<Secret<32>>,
}

impl std::fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TicketKeys")
    }
}

/// Seconds since 1970.
fn system_clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Periods {
    fn key(&self, crypto: Crypto) -> Secret<32> {
        crypto.derive(&self.root, label::TLS_TICKET, &[])
    }

    /// Goes on to `period`; what is older than the one before it is gone then.
    fn advance(&mut self, crypto: Crypto, period: u32) {
        while self.present < period {
            self.before = Some(self.key(crypto));
            self.root = crypto.derive(&self.root, label::TLS_TICKET_NEXT, &[]);
            self.present += 1;
        }
    }
}

impl TicketKeys {
    /// From a random secret that serves nothing else, drawn in the present period.
    #[must_use]
    pub fn new(crypto: Crypto, secret: Secret<32>) -> Self {
        Self::with_clock(crypto, secret, system_clock)
    }

    fn with_clock(crypto: Crypto, root: Secret<32>, clock: fn() -> u64) -> Self {
        let periods = Periods { present: period(clock), root, before: None };
        Self { crypto, clock, now: Mutex::new(periods) }
    }

    fn periods(&self) -> MutexGuard<'_, Periods> {
        let mut periods = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        periods.advance(self.crypto, period(self.clock));
        periods
    }
}

/// Sixteen centuries have less than two million of them.
fn period(clock: fn() -> u64) -> u32 {
    u32::try_from(clock() / PERIOD_SECS).unwrap_or(u32::MAX).min(2_000_000)
}

impl ProducesTickets for TicketKeys {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        PERIOD_SECS as u32
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        let (period, key) = {
            let periods = self.periods();
            (periods.present.to_be_bytes(), periods.key(self.crypto))
        };
        let mut nonce = [0; 12];
        SystemEntropy.fill(&mut nonce);
        let mut ticket = Vec::with_capacity(HEADER + session.len() + TAG);
        ticket.extend_from_slice(&period);
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(session);
        let tag = self.crypto.aes256_gcm(&key).seal(&nonce, &period, &mut ticket[HEADER..]);
        ticket.extend_from_slice(&tag);
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (period, rest) = ticket.split_first_chunk::<4>()?;
        let (nonce, sealed) = rest.split_first_chunk::<12>()?;
        let key = {
            let periods = self.periods();
            match periods.present.checked_sub(u32::from_be_bytes(*period))? {
                0 => periods.key(self.crypto),
                1 => periods.before.as_ref()?.duplicate(),
                _ => return None,
            }
        };
        let mut session = sealed.to_vec();
        let length = self.crypto.aes256_gcm(&key).open(nonce, period, &mut session).ok()?;
        session.truncate(length);
        Some(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use symbolon_provider::crypto;

    #[test]
    fn every_worker_opens_a_ticket_for_six_to_twelve_hours() {
        static CLOCK: AtomicU64 = AtomicU64::new(100 * PERIOD_SECS);
        let clock = || CLOCK.load(Ordering::Relaxed);
        let [one, other] = [(), ()].map(|()| TicketKeys::with_clock(crypto(), Secret::new([7; 32]), clock));
        let ticket = one.encrypt(b"session").unwrap();
        assert_eq!(other.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        CLOCK.store(101 * PERIOD_SECS, Ordering::Relaxed);
        assert_eq!(other.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        let later = other.encrypt(b"later").unwrap();
        assert_eq!(one.decrypt(&later).as_deref(), Some(&b"later"[..]), "both went on alike");
        CLOCK.store(102 * PERIOD_SECS, Ordering::Relaxed);
        assert_eq!((one.decrypt(&ticket), other.decrypt(&ticket)), (None, None));
    }

    #[test]
    fn a_ticket_that_is_not_ours_or_was_altered_opens_nothing() {
        let keys = TicketKeys::new(crypto(), Secret::new([7; 32]));
        let ticket = keys.encrypt(b"session").unwrap();
        for i in 0..ticket.len() {
            let mut altered = ticket.clone();
            altered[i] ^= 1;
            assert_eq!(keys.decrypt(&altered), None, "byte {i}");
            assert_eq!(keys.decrypt(&ticket[..i]), None, "{i} bytes");
        }
        let other = TicketKeys::new(crypto(), Secret::new([8; 32]));
        assert_eq!(other.decrypt(&ticket), None);
    }
}
