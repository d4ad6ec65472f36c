//! A worker that dies at any instant, in a model of what outlives it: the kernel's counters, what came from
//! the client and is kept, and a ledger with the state. The client is rustls and notices nothing.

use crate::pattern;
use std::io::{Read as _, Write as _};
use symbolon_provider::crypto;
use symbolon_record::{KeyUpdateRequest, MAX_PINNED, MAX_RECORD, Outgoing, TLS_STATE, TlsEvent};
use symbolon_record::{RecordError, TlsRole, TlsSession, TlsState, TlsSuite, TlsVersion};
use symbolon_tls_peers::{RustlsPeer, Setup, shake_hands};

/// A coin that falls the same way in every run with the same seed (xorshift64*).
struct Luck(u64);

impl Luck {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    fn one_in(&mut self, limit: usize) -> bool {
        self.below(limit) == 0
    }
}

/// What a dead worker leaves.
struct World {
    client: RustlsPeer,
    /// What the application has for the client, and what it got from the client.
    source: Vec<u8>,
    delivered: Vec<u8>,
    /// Bytes written to the client, as the kernel counts them.
    written: usize,
    /// Everything that came from the client.
    inbound: Vec<u8>,
    ledger: Ledger,
    luck: Luck,
    deaths: usize,
}

/// What is remembered, in one go.
#[derive(Clone)]
struct Ledger {
    state: [u8; TLS_STATE],
    /// `written` before what is pinned.
    written: usize,
    /// How much of `source` was sent, of `inbound` opened, of `delivered` remembered.
    sent: usize,
    opened: usize,
    delivered: usize,
}

/// The worker is gone, with all that it knew.
struct Died;

impl World {
    fn new(suite: TlsSuite, seed: u64) -> Self {
        let setup = Setup::new(TlsRole::Server, suite).unwrap();
        let mut client = RustlsPeer::new(&setup).unwrap();
        let state = *shake_hands(&setup, &mut client).unwrap().state.to_bytes().expose();
        Self {
            client,
            source: pattern(600_000),
            delivered: Vec::new(),
            written: 0,
            inbound: Vec::new(),
            ledger: Ledger { state, written: 0, sent: 0, opened: 0, delivered: 0 },
            luck: Luck(seed),
            deaths: 0,
        }
    }

    fn perhaps_die(&mut self) -> Result<(), Died> {
        if self.luck.one_in(7) {
            self.deaths += 1;
            return Err(Died);
        }
        Ok(())
    }

    /// Does one thing or dies of it.
    fn work(&mut self) -> Result<(), Died> {
        let state = TlsState::from_bytes(&self.ledger.state).unwrap();
        let mut session = TlsSession::resume(crypto(), &state);
        if session.pinned().is_some() {
            return self.write_pinned(session);
        }
        self.perhaps_die()?;
        let left = self.source.len() - self.ledger.sent;
        let tls13 = session.suite().version() == TlsVersion::Tls13;
        match (session.owed(), self.luck.below(4)) {
            (Some(owed), 0 | 1) => session.pin(owed, 0).unwrap(),
            (None, 0) if left > 0 => {
                let length = 1 + self.luck.below(left.min(MAX_PINNED));
                session.pin(Outgoing::Data, length).unwrap();
            }
            (None, 1) if tls13 && self.luck.one_in(4) => {
                session.pin(Outgoing::KeyUpdate(KeyUpdateRequest::Requested), 0).unwrap();
            }
            _ => return self.deliver(session),
        }
        let mut ledger = Ledger { written: self.written, ..self.ledger.clone() };
        session.write_state(&mut ledger.state);
        self.perhaps_die()?;
        self.ledger = ledger;
        self.perhaps_die()?;
        self.write_pinned(session)
    }

    fn write_pinned(&mut self, mut session: TlsSession) -> Result<(), Died> {
        let (what, length) = session.pinned().unwrap();
        let payload = if what == Outgoing::Data { &self.source[self.ledger.sent..][..length] } else { &[] };
        let mut records = vec![0; session.sealed_length()];
        session.seal(payload, &mut records).unwrap();
        let mut skip = self.written - self.ledger.written;
        while skip < records.len() {
            self.perhaps_die()?;
            let count = 1 + self.luck.below(records.len() - skip);
            self.client.write_all(&records[skip..skip + count]).unwrap();
            assert_eq!(self.client.fault, None);
            self.written += count;
            skip += count;
        }
        self.perhaps_die()?;
        session.sent().unwrap();
        session.write_state(&mut self.ledger.state);
        self.ledger.sent += if what == Outgoing::Data { length } else { 0 };
        Ok(())
    }

    /// Opens a few records and hands what they hold to the application, byte by byte if need be.
    fn deliver(&mut self, mut session: TlsSession) -> Result<(), Died> {
        self.client.read_to_end(&mut self.inbound).unwrap();
        let (mut ahead, mut out) = (session.ahead(), vec![0; MAX_RECORD]);
        let (mut opened, mut plain) = (self.ledger.opened, Vec::new());
        // What a predecessor delivered must be opened again, however many records it had taken together.
        let mut skip = self.delivered.len() - self.ledger.delivered;
        while ahead.may_go_on() && (plain.len() < skip || !self.luck.one_in(3)) {
            let Some(length) = session.record_length(&self.inbound[opened..]).unwrap() else { break };
            let record = &self.inbound[opened..opened + length];
            match session.open_from(&mut ahead, record, &mut out).unwrap() {
                TlsEvent::Data(data) => plain.extend_from_slice(data),
                TlsEvent::KeyUpdated => {}
                other => panic!("{other:?}"),
            }
            opened += length;
        }
        while skip < plain.len() {
            self.perhaps_die()?;
            let count = 1 + self.luck.below(plain.len() - skip);
            self.delivered.extend_from_slice(&plain[skip..skip + count]);
            skip += count;
        }
        self.perhaps_die()?;
        assert_eq!(skip, plain.len());
        session.received(ahead).unwrap();
        session.write_state(&mut self.ledger.state);
        self.ledger = Ledger { opened, delivered: self.delivered.len(), ..self.ledger.clone() };
        Ok(())
    }
}

fn live_through_deaths(suite: TlsSuite, seed: u64) {
    println!("{suite:?}, seed {seed}");
    let mut world = World::new(suite, seed);
    let (upload, mut said) = (pattern(400_000), 0);
    let mut download = Vec::new();
    while download.len() < world.source.len() || world.delivered.len() < upload.len() {
        if said < upload.len() && world.luck.one_in(3) {
            let count = 1 + world.luck.below((upload.len() - said).min(30_000));
            world.client.say(&upload[said..said + count]).unwrap();
            said += count;
        }
        if suite.version() == TlsVersion::Tls13 && world.luck.one_in(9) {
            world.client.tls.refresh_traffic_keys().unwrap();
        }
        let _ = world.work();
        download.extend(world.client.heard());
    }
    assert!(download == world.source && world.delivered == upload, "not what was sent");
    println!("{} deaths", world.deaths);
    assert!(world.deaths > 20);
}

#[test]
fn a_connection_outlives_its_workers_whenever_they_die() {
    for suite in TlsSuite::TLS {
        for seed in 1..5 {
            live_through_deaths(suite, seed);
        }
    }
}

/// The negative control: what happens to a worker that remembers only after it has written.
#[test]
fn without_the_pin_the_client_notices() {
    let setup = Setup::new(TlsRole::Server, TlsSuite::Tls13Aes128GcmSha256).unwrap();
    let mut client = RustlsPeer::new(&setup).unwrap();
    let before = shake_hands(&setup, &mut client).unwrap().state;
    let mut worker = TlsSession::resume(crypto(), &before);
    let mut records = Vec::new();
    worker.send(Outgoing::Data, b"written, and forgotten", &mut records).unwrap();
    client.write_all(&records).unwrap();

    let mut successor = TlsSession::resume(crypto(), &before);
    let mut records = Vec::new();
    successor.send(Outgoing::Data, b"something else", &mut records).unwrap();
    client.write_all(&records).unwrap();
    assert_eq!(client.fault, Some(rustls::Error::DecryptError));
    let mut alert = Vec::new();
    client.read_to_end(&mut alert).unwrap();
    let (mut ahead, mut out) = (successor.ahead(), vec![0; MAX_RECORD]);
    let told = successor.open_from(&mut ahead, &alert, &mut out);
    assert_eq!(told, Err(RecordError::PeerGaveUp(20)));
}
