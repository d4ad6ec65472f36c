//! TLS session tickets that every worker of a node opens (RFC 8446 §4.6.1, RFC 5077).
//!
//! ```text
//! ticket = period (4) | nonce (12) | AES-256-GCM( session ) | tag (16)       associated data: period
//! key    = derive(domain secret, "symbolon/1 tls ticket\0", period)          one for six hours
//! ```
//! A ticket is taken in the period in which it was given and in the next. What it says of the client is
//! looked at again by whoever resumes a session.

use rustls::server::ProducesTickets;
use std::time::{SystemTime, UNIX_EPOCH};
use symbolon_crypto::{Crypto, Entropy as _, Secret, TAG, label};
use symbolon_provider::SystemEntropy;

/// How long one key gives tickets, in seconds.
const PERIOD_SECS: u64 = 6 * 3600;

const HEADER: usize = 4 + 12;

/// The keys of tickets, from a secret that the workers share.
pub struct TicketKeys {
    crypto: Crypto,
    secret: Secret<32>,
    clock: fn() -> u64,
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

impl TicketKeys {
    /// From a secret that serves nothing else.
    #[must_use]
    pub fn new(crypto: Crypto, secret: Secret<32>) -> Self {
        Self { crypto, secret, clock: system_clock }
    }

    fn period(&self) -> u32 {
        u32::try_from((self.clock)() / PERIOD_SECS).unwrap_or(u32::MAX)
    }

    fn key(&self, period: [u8; 4]) -> Secret<32> {
        self.crypto.derive(&self.secret, label::TLS_TICKET, &[&period])
    }
}

impl ProducesTickets for TicketKeys {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        PERIOD_SECS as u32
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        let period = self.period().to_be_bytes();
        let mut nonce = [0; 12];
        SystemEntropy.fill(&mut nonce);
        let mut ticket = Vec::with_capacity(HEADER + session.len() + TAG);
        ticket.extend_from_slice(&period);
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(session);
        let tag = self.crypto.aes256_gcm(&self.key(period)).seal(&nonce, &period, &mut ticket[HEADER..]);
        ticket.extend_from_slice(&tag);
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (period, rest) = ticket.split_first_chunk::<4>()?;
        let (nonce, sealed) = rest.split_first_chunk::<12>()?;
        let (now, given) = (self.period(), u32::from_be_bytes(*period));
        if given > now || now - given > 1 {
            return None;
        }
        let mut session = sealed.to_vec();
        let length = self.crypto.aes256_gcm(&self.key(*period)).open(nonce, period, &mut session).ok()?;
        session.truncate(length);
        Some(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_provider::crypto;

    fn at(hours: u64) -> TicketKeys {
        let clock = match hours {
            0 => || 100 * PERIOD_SECS,
            6 => || 101 * PERIOD_SECS,
            _ => || 102 * PERIOD_SECS,
        };
        TicketKeys { crypto: crypto(), secret: Secret::new([7; 32]), clock }
    }

    #[test]
    fn every_worker_opens_a_ticket_for_six_to_twelve_hours() {
        let ticket = at(0).encrypt(b"session").unwrap();
        assert_eq!(at(0).decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(at(6).decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(at(12).decrypt(&ticket), None);
        let early = at(6).encrypt(b"session").unwrap();
        assert_eq!(at(0).decrypt(&early), None, "from the future");
    }

    #[test]
    fn a_ticket_that_is_not_ours_or_was_altered_opens_nothing() {
        let keys = at(0);
        let ticket = keys.encrypt(b"session").unwrap();
        for i in 0..ticket.len() {
            let mut altered = ticket.clone();
            altered[i] ^= 1;
            assert_eq!(keys.decrypt(&altered), None, "byte {i}");
            assert_eq!(keys.decrypt(&ticket[..i]), None, "{i} bytes");
        }
        let other = TicketKeys { secret: Secret::new([8; 32]), ..at(0) };
        assert_eq!(other.decrypt(&ticket), None);
    }
}
