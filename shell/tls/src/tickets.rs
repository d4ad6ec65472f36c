//! TLS session tickets that every worker of a node opens (RFC 8446 §4.6.1, RFC 5077).
//!
//! ```text
//! ticket = period (4) | nonce (12) | AES-256-GCM( session ) | tag (16)       associated data: period
//! root of the next period = derive(root, "symbolon/1 tls ticket next")      six hours each
//! key                     = derive(root, "symbolon/1 tls ticket")
//! ```
//! A ticket is taken in the period in which it was given and in the next; then its key is gone, and cannot be
//! made again from what is left. That matters for TLS 1.2, whose tickets hold what opens the connection: so
//! the first root is random, and what is left is remembered in memory alone ([`TicketMemory`]), for the worker
//! that gives tickets next. What a ticket says of the client is looked at again by whoever resumes a session.

use rustls::server::ProducesTickets;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use symbolon_crypto::{Crypto, Entropy, Secret, SecretBytes, TAG, label};
use symbolon_provider::SystemEntropy;
use symbolon_wire::{Reader, WireError, Writer};

/// How long one key gives tickets, in seconds.
const PERIOD_SECS: u64 = 6 * 3600;

const HEADER: usize = 4 + 12;

/// The longest session of which there is a ticket, in bytes. A session holds its client's certificates, up to 128 KiB;
/// a ticket's length has 16 bits, and the client sends it in its first message.
const MAX_SESSION: usize = 16 << 10;

/// Where the keys of tickets are remembered for the process that gives them next. One process at a time uses it.
pub trait TicketMemory: Send + Sync {
    /// What was put there last, if anything was.
    fn recall(&self) -> Option<SecretBytes>;

    /// Puts `bytes`, at most 80, in the place of what was there, of which nothing is left.
    fn remember(&self, bytes: &SecretBytes);
}

/// The keys of tickets.
pub struct TicketKeys {
    crypto: Crypto,
    clock: fn() -> u64,
    memory: Option<Box<dyn TicketMemory>>,
    /// None before the first ticket.
    now: Mutex<Option<Periods>>,
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

    fn to_bytes(&self) -> SecretBytes {
        let mut w = Writer::with_capacity(80);
        w.u32(self.present);
        w.fixed(self.root.expose());
        w.flag(self.before.is_some());
        if let Some(before) = &self.before {
            w.fixed(before.expose());
        }
        SecretBytes::new(w.into_bytes())
    }

    fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let (present, root) = (r.u32()?, Secret::new(r.fixed()?));
        let before = r.flag()?.then(|| r.fixed().map(Secret::new)).transpose()?;
        r.finish()?;
        Ok(Self { present, root, before })
    }
}

impl TicketKeys {
    /// From a random secret that serves nothing else, drawn in the present period.
    #[must_use]
    pub fn new(crypto: Crypto, secret: Secret<32>) -> Self {
        Self::with_clock(crypto, secret, system_clock)
    }

    /// Those that `memory` remembers, or fresh ones if it does not. It is asked when the first ticket comes or goes:
    /// the process before this one may go on to change them until then.
    #[must_use]
    pub fn remembered(crypto: Crypto, memory: Box<dyn TicketMemory>) -> Self {
        Self { crypto, clock: system_clock, memory: Some(memory), now: Mutex::new(None) }
    }

    fn with_clock(crypto: Crypto, root: Secret<32>, clock: fn() -> u64) -> Self {
        let periods = Periods { present: period(clock), root, before: None };
        Self { crypto, clock, memory: None, now: Mutex::new(Some(periods)) }
    }

    /// Calls `f` with the keys of now.
    fn with<T>(&self, f: impl FnOnce(&Periods) -> T) -> T {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let recalled = || self.memory.as_ref()?.recall();
        let fresh = || {
            let entropy: &mut dyn Entropy = &mut SystemEntropy;
            Periods { present: 0, root: entropy.secret(), before: None }
        };
        let first = now.is_none();
        let periods = now.get_or_insert_with(|| {
            recalled().and_then(|b| Periods::parse(b.expose()).ok()).unwrap_or_else(fresh)
        });
        if periods.present == 0 {
            // drawn this moment
            periods.present = period(self.clock);
        }
        let before = periods.present;
        periods.advance(self.crypto, period(self.clock));
        if let Some(memory) = self.memory.as_ref().filter(|_| first || periods.present != before) {
            memory.remember(&periods.to_bytes());
        }
        f(periods)
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
        if session.len() > MAX_SESSION {
            return None;
        }
        let (period, key) = self.with(|now| (now.present.to_be_bytes(), now.key(self.crypto)));
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
        let key = self.with(|now| match now.present.checked_sub(u32::from_be_bytes(*period))? {
            0 => Some(now.key(self.crypto)),
            1 => now.before.as_ref().map(Secret::duplicate),
            _ => None,
        })?;
        let mut session = sealed.to_vec();
        let length = self.crypto.aes256_gcm(&key).open(nonce, period, &mut session).ok()?;
        session.truncate(length);
        Some(session)
    }
}

/// How long a ticket is good of a client that showed a certificate, in seconds: one that has another by then is
/// asked for it soon.
pub const TICKETS_OF_SHOWN_SECS: u32 = 600;

/// Before the time, so that a ticket from where nobody was asked is none here.
const SHOWN: [u8; 8] = *b"shown/1\0";

/// The tickets of one connection to a site that asks for certificates: only who has shown one gets any. Else who
/// came without could not come with one later.
#[derive(Debug)]
pub(crate) struct OfShown {
    keys: Arc<dyn ProducesTickets>,
    shown: Arc<AtomicBool>,
    clock: fn() -> u64,
}

impl OfShown {
    pub(crate) fn new(keys: Arc<dyn ProducesTickets>, shown: Arc<AtomicBool>) -> Self {
        Self { keys, shown, clock: system_clock }
    }
}

impl ProducesTickets for OfShown {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        TICKETS_OF_SHOWN_SECS
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        // a session that is resumed was shown nothing, and ends with its ticket
        let shown = self.shown.load(Ordering::Relaxed);
        let session = [&SHOWN[..], &(self.clock)().to_be_bytes(), session].concat();
        shown.then(|| self.keys.encrypt(&session)).flatten()
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let session = self.keys.decrypt(ticket)?;
        let (given, session) = session.strip_prefix(&SHOWN)?.split_first_chunk::<8>()?;
        let age = (self.clock)().checked_sub(u64::from_be_bytes(*given))?;
        (age <= u64::from(TICKETS_OF_SHOWN_SECS)).then(|| session.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;
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
    fn a_session_that_fits_into_no_ticket_gets_none() {
        let keys = TicketKeys::new(crypto(), Secret::new([7; 32]));
        let ticket = keys.encrypt(&[1; MAX_SESSION]).unwrap();
        assert_eq!(keys.decrypt(&ticket).unwrap(), [1; MAX_SESSION]);
        assert_eq!(keys.encrypt(&[1; MAX_SESSION + 1]), None);
    }

    #[test]
    fn who_showed_nothing_gets_no_ticket_and_who_did_for_ten_minutes() {
        static CLOCK: AtomicU64 = AtomicU64::new(1_000_000);
        let clock = || CLOCK.load(Ordering::Relaxed);
        let keys: Arc<dyn ProducesTickets> =
            Arc::new(TicketKeys::with_clock(crypto(), Secret::new([7; 32]), clock));
        let of = |shown: bool| OfShown { keys: keys.clone(), shown: Arc::new(shown.into()), clock };
        assert_eq!(of(false).encrypt(b"session"), None);
        let ticket = of(true).encrypt(b"session").unwrap();
        assert_eq!(of(false).decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        let of_everybody = keys.encrypt(b"session that is long enough for a time").unwrap();
        assert_eq!(of(false).decrypt(&of_everybody), None, "it is from where nobody was asked");
        CLOCK.fetch_add(u64::from(TICKETS_OF_SHOWN_SECS), Ordering::Relaxed);
        assert!(of(false).decrypt(&ticket).is_some());
        CLOCK.fetch_add(1, Ordering::Relaxed);
        assert_eq!(of(false).decrypt(&ticket), None);
    }

    /// Memory that two processes share.
    #[derive(Clone, Default)]
    struct Shared(std::sync::Arc<Mutex<Option<SecretBytes>>>);

    impl TicketMemory for Shared {
        fn recall(&self) -> Option<SecretBytes> {
            self.0.lock().unwrap().as_ref().map(SecretBytes::duplicate)
        }

        fn remember(&self, bytes: &SecretBytes) {
            assert!(bytes.expose().len() <= 80);
            *self.0.lock().unwrap() = Some(bytes.duplicate());
        }
    }

    #[test]
    fn the_next_process_opens_the_tickets_of_the_one_before_and_draws_none_of_its_own() {
        static CLOCK: AtomicU64 = AtomicU64::new(100 * PERIOD_SECS);
        let memory = Shared::default();
        let process = || TicketKeys {
            clock: || CLOCK.load(Ordering::Relaxed),
            ..TicketKeys::remembered(crypto(), Box::new(memory.clone()))
        };
        // prepared before the first has drawn anything
        let (first, next) = (process(), process());
        let old = first.encrypt(b"old").unwrap();
        CLOCK.store(101 * PERIOD_SECS, Ordering::Relaxed);
        let new = first.encrypt(b"new").unwrap();
        assert_eq!(next.decrypt(&old).as_deref(), Some(&b"old"[..]));
        assert_eq!(next.decrypt(&new).as_deref(), Some(&b"new"[..]));
        CLOCK.store(102 * PERIOD_SECS, Ordering::Relaxed);
        assert_eq!((next.decrypt(&old), next.decrypt(&new).is_some()), (None, true));
        let after = process();
        assert_eq!((after.decrypt(&old), after.decrypt(&new).is_some()), (None, true));
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
