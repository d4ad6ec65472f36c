//! The record layer of TLS, in the place of the trivial one.

use super::drive::{ClientSaw, Layer, Process, Says, Story, WorldOf};
use super::kernel::{Fuel, Memory, Stores};
use super::record::Sealed;
use super::{assert_whole, killed_after, nothing_wrong};
use proptest::prelude::*;
use symbolon_crypto::{Secret, SecretBytes};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_record::{
    Alert, HandedOver, KeyUpdateRequest, Outgoing, TlsEvent, TlsRole, TlsSession, TlsState, TlsSuite,
    TlsVersion,
};
use symbolon_session::ledger::{
    CONDUCT, Carrier, ClientEnd, Counters, Ended, Entry, Fault, Geometry, Intent, KeySeal, Keys, Ledger,
    Lost, Numbers, Protection, Received, STREAM_END, Standing, Step, TlsProtection, ToApplication, ToClient,
    Truncation,
};
use symbolon_session::{ConnectionId, EndReason};

/// The number of our own suite.
const NATIVE: u16 = TlsSuite::NativeStream.number();

/// What a handshake leaves of one direction.
struct Direction {
    sequence: u64,
    key: Vec<u8>,
    iv: [u8; 12],
    secret: Option<Vec<u8>>,
}

impl Direction {
    /// Some keys, which belong to their secret in TLS 1.3.
    fn new(suite: TlsSuite, seed: u8, sequence: u64) -> Self {
        let length = suite.cipher().key_length();
        if suite.version() == TlsVersion::Tls12 {
            return Self { sequence, key: vec![seed; length], iv: [seed ^ 1; 12], secret: None };
        }
        let secret = vec![seed; suite.secret_length()];
        let key = expand_label(&secret, b"key", length);
        let iv = expand_label(&secret, b"iv", 12).try_into().unwrap();
        Self { sequence, key, iv, secret: Some(secret) }
    }

    fn handed(&self) -> HandedOver<'_> {
        let traffic_secret = self.secret.as_deref();
        HandedOver { sequence: self.sequence, key: &self.key, iv: &self.iv, traffic_secret }
    }
}

/// HKDF-Expand-Label of one block at most (RFC 8446 §7.1).
fn expand_label(secret: &[u8], label: &[u8], length: usize) -> Vec<u8> {
    let label = [b"tls13 ", label].concat();
    let info = [&[0, length as u8, label.len() as u8][..], &label, &[0, 1]].concat();
    let mut block = match secret.len() {
        48 => crypto().hmac_sha384(secret, &[&info]).to_vec(),
        _ => crypto().hmac_sha256(secret, &[&info]).to_vec(),
    };
    block.truncate(length);
    block
}

fn state(suite: TlsSuite, role: TlsRole) -> TlsState {
    let (down, up) = (Direction::new(suite, 7, 2), Direction::new(suite, 9, 1));
    let (sending, receiving) = if role == TlsRole::Server { (&down, &up) } else { (&up, &down) };
    TlsState::after_handshake(crypto(), role, suite, sending.handed(), receiving.handed()).unwrap()
}

/// A server's record layer of the suite with this number.
#[derive(Debug)]
struct Tls<const SUITE: u16>(TlsProtection);

impl<const SUITE: u16> Tls<SUITE> {
    fn suite() -> TlsSuite {
        TlsSuite::from_number(SUITE).unwrap()
    }
}

impl<const SUITE: u16> Layer for Tls<SUITE> {
    const RING: usize = 512;
    const FAILURE: u16 =
        if SUITE == NATIVE { STREAM_END + EndReason::ApplicationReset.code() as u16 } else { 80 };

    fn fresh(_: Sealed) -> Self {
        Self(TlsProtection::new(crypto(), &state(Self::suite(), TlsRole::Server)))
    }

    fn restored(keys: &SecretBytes, entry: &Entry, _: Sealed) -> Self {
        Self(TlsProtection::restored(crypto(), keys, entry).unwrap())
    }

    fn client_sends(says: &[Says]) -> Vec<u8> {
        let mut client = TlsSession::resume(crypto(), &state(Self::suite(), TlsRole::Client));
        let mut bytes = vec![];
        for says in says {
            let (what, data) = match says {
                Says::Data(data) => (Outgoing::Data, &data[..]),
                Says::KeyUpdate { reply: true } => {
                    (Outgoing::KeyUpdate(KeyUpdateRequest::Requested), &[][..])
                }
                Says::KeyUpdate { reply: false } => {
                    (Outgoing::KeyUpdate(KeyUpdateRequest::NotRequested), &[][..])
                }
                Says::CloseNotify => (Outgoing::Alert(Alert::CloseNotify), &[][..]),
                Says::Alert(_) => (Outgoing::Alert(Alert::InternalError), &[][..]),
                Says::Garbage(garbage) => {
                    bytes.extend(garbage);
                    continue;
                }
            };
            client.send(what, data, &mut bytes).unwrap();
        }
        bytes
    }

    fn client_saw(mut bytes: &[u8]) -> ClientSaw {
        let mut client = TlsSession::resume(crypto(), &state(Self::suite(), TlsRole::Client));
        let mut saw = ClientSaw::default();
        while let Some(length) = client.record_length(bytes).unwrap().filter(|&length| length <= bytes.len())
        {
            let (record, rest) = bytes.split_at(length);
            bytes = rest;
            let mut content = vec![0; length];
            let mut ahead = client.ahead();
            let after_close = saw.closed || saw.alert.is_some();
            match client.open_from(&mut ahead, record, &mut content) {
                _ if after_close => saw.wrong = true,
                Ok(TlsEvent::Data(data)) => saw.data.extend(data),
                Ok(TlsEvent::KeyUpdated) => saw.key_updates += 1,
                Ok(TlsEvent::PeerClosed) => saw.closed = true,
                Ok(TlsEvent::Ended(end)) => saw.alert = Some(STREAM_END + u16::from(end.code())),
                Ok(TlsEvent::Nothing) => {}
                Err(symbolon_record::RecordError::PeerGaveUp(alert)) => {
                    saw.alert = Some(alert.into());
                    continue;
                }
                Err(_) => saw.wrong = true,
            }
            if saw.wrong {
                return saw;
            }
            client.received(ahead).unwrap();
        }
        saw.cut = !bytes.is_empty();
        saw
    }
}

impl<const SUITE: u16> Protection for Tls<SUITE> {
    fn longest_data(&self) -> usize {
        // so that a story has many records
        90
    }

    fn due(&self) -> Option<Intent> {
        self.0.due()
    }

    fn pin(&mut self, intent: Intent) -> Result<(), Fault> {
        self.0.pin(intent)
    }

    fn sealed_length(&self) -> usize {
        self.0.sealed_length()
    }

    fn seal(&mut self, data: &[u8], record: &mut Vec<u8>) -> Result<(), Fault> {
        self.0.seal(data, record)
    }

    fn sent(&mut self) -> Result<Keys, Fault> {
        self.0.sent()
    }

    fn record_length(&self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        self.0.record_length(bytes)
    }

    fn open(&mut self, record: &[u8], content: &mut Vec<u8>) -> Result<Received, Fault> {
        self.0.open(record, content)
    }

    fn received(&mut self) -> Result<Keys, Fault> {
        self.0.received()
    }

    fn conduct(&self) -> (Numbers, [u8; CONDUCT]) {
        self.0.conduct()
    }

    fn keys(&self) -> SecretBytes {
        self.0.keys()
    }
}

/// Some records each way, with key updates where the version has them, and the end that is given.
fn story(suite: TlsSuite, last: Option<Says>) -> Story {
    let mut client = vec![];
    for i in 0..8_u8 {
        client.push(Says::Data(vec![i; 1 + 20 * usize::from(i)]));
        if i % 2 == 1 && suite.version() == TlsVersion::Tls13 {
            client.push(Says::KeyUpdate { reply: i % 4 == 1 });
        }
    }
    client.extend(last);
    Story {
        client,
        application: (0..900_u32).map(|i| (i * 7) as u8).collect(),
        client_pieces: vec![17, 0, 101, 1, 300],
        application_pieces: vec![70, 300, 0, 2, 190],
        truncation: Truncation::Passed,
        application_resets_at: None,
    }
}

/// Kills after each store and system call, and after pairs of kills that lie a little apart.
fn survives<const SUITE: u16>() {
    let suite = Tls::<SUITE>::suite();
    let story = story(suite, Some(Says::CloseNotify));
    let mut whole = WorldOf::<Tls<SUITE>>::new(&story, true);
    let ended = whole.begin();
    assert_whole(&story, &whole, ended, "undisturbed");
    for kill in 0..whole.fuel.used() {
        for second in [None, Some(kill % 90 + 20)] {
            let mut world = WorldOf::<Tls<SUITE>>::new(&story, true);
            let kills: Vec<u64> = [kill].into_iter().chain(second).collect();
            if let Some(ended) = killed_after(&story, &mut world, &kills) {
                let when = format!("{suite:?} killed after {kills:?}");
                assert_whole(&story, &world, ended, &when);
                if suite.version() == TlsVersion::Tls13 {
                    assert!(world.client_saw().key_updates >= 1, "{when}: no key update was answered");
                }
            }
        }
    }
}

#[test]
fn what_is_said_to_come_at_once_is_there_as_a_whole() {
    // a record and a half, and nothing more for a while
    let story = Story {
        client: vec![Says::Data(vec![1; 150]), Says::Data(vec![2; 150]), Says::CloseNotify],
        client_pieces: vec![0, 0, 0, 0, 250],
        ..story(Tls::<0x1301>::suite(), None)
    };
    let mut world = WorldOf::<Tls<0x1301>>::new(&story, true);
    let ended = world.begin();
    assert_whole(&story, &world, ended, "in two pieces");
}

#[test]
fn connections_of_tls_1_3_survive_kills_at_any_point() {
    survives::<0x1301>();
    survives::<0x1302>();
    survives::<0x1303>();
}

#[test]
fn connections_of_tls_1_2_survive_kills_at_any_point() {
    survives::<0xc02f>();
    survives::<0xc02c>();
    survives::<0xcca8>();
}

#[test]
fn native_streams_survive_kills_at_any_point() {
    survives::<NATIVE>();
}

#[test]
fn why_a_native_stream_ends_is_told_whoever_tells_it() {
    let story = Story { application_resets_at: Some(500), ..story(Tls::<NATIVE>::suite(), None) };
    let code = Tls::<NATIVE>::FAILURE;
    let mut whole = WorldOf::<Tls<NATIVE>>::new(&story, true);
    assert_eq!(whole.begin(), Process::Ended(Ended::Alerted(code)));
    assert_eq!(whole.client_saw().alert, Some(code));
    for kill in (100..whole.fuel.used()).step_by(3) {
        let mut world = WorldOf::<Tls<NATIVE>>::new(&story, true);
        let ended = killed_after(&story, &mut world, &[kill]);
        let gone = Process::Ended(Ended::Lost(Lost::ApplicationGone));
        assert!(
            ended == Some(gone) || ended == Some(Process::Ended(Ended::Alerted(code))),
            "{kill}: {ended:?}"
        );
        let saw = world.client_saw();
        assert!(!saw.closed && !saw.wrong, "killed after {kill}: {saw:?}");
    }
}

#[test]
fn a_fault_is_told_by_its_alert_whoever_tells_it() {
    let suite = TlsSuite::from_number(0x1301).unwrap();
    // a record that nobody sealed, and what is no record
    let forged = [&[23, 3, 3, 0, 30][..], &[0; 30]].concat();
    for (garbage, alert) in [(forged, 20), (vec![99; 30], 10), (vec![23, 3, 3, 0xFF, 0xFF], 22)] {
        let story = story(suite, Some(Says::Garbage(garbage)));
        let mut whole = WorldOf::<Tls<0x1301>>::new(&story, true);
        assert_eq!(whole.begin(), Process::Ended(Ended::Alerted(alert)));
        for kill in (100..whole.fuel.used()).step_by(3) {
            let mut world = WorldOf::<Tls<0x1301>>::new(&story, true);
            let ended = killed_after(&story, &mut world, &[kill]);
            assert_eq!(ended, Some(Process::Ended(Ended::Alerted(alert))), "killed after {kill}");
            assert_eq!(world.client_saw().alert, Some(alert), "killed after {kill}");
            assert_eq!(nothing_wrong(&story, &world), Ok(()), "killed after {kill}");
            assert_eq!(world.kernel.application.outgoing, story.upload(), "all that was good was passed");
        }
    }
}

#[test]
fn a_state_of_another_version_is_left_to_who_knows_it() {
    use symbolon_session::ledger::LedgerError;
    let suite = TlsSuite::from_number(0x1301).unwrap();
    let protection = TlsProtection::new(crypto(), &state(suite, TlsRole::Server));
    let keys = protection.keys();
    let (numbers, conduct) = protection.conduct();
    assert_eq!(numbers, Numbers { sending: 2, receiving: 1 });
    let mut entry = Entry { conduct, ..Entry::default() };
    (entry.to_client.number, entry.to_application.number) = (2, 1);
    let restored = TlsProtection::restored(crypto(), &keys, &entry).unwrap();
    assert_eq!(restored.keys(), keys, "numbers and conduct stand where they belong");
    assert_eq!(restored.conduct(), protection.conduct());
    entry.conduct[0] = 200;
    let refused =
        |keys: &SecretBytes, entry: &Entry| TlsProtection::restored(crypto(), keys, entry).unwrap_err();
    assert_eq!(refused(&keys, &entry), LedgerError::UnknownLayout(200));
    entry.conduct[1] = 77;
    entry.conduct[0] = 1;
    assert_eq!(refused(&keys, &entry), LedgerError::Keys);
    assert_eq!(refused(&SecretBytes::new(vec![0; 219]), &entry), LedgerError::Keys);
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let number = || prop_oneof![0..200_u64, any::<u64>()];
    let intent = prop_oneof![
        Just(None),
        (1..600_u32).prop_map(|length| Some(Intent::Data(length))),
        Just(Some(Intent::KeyUpdate)),
        Just(Some(Intent::CloseNotify)),
        any::<u16>().prop_map(|alert| Some(Intent::Alert(alert))),
    ];
    let end = prop_oneof![Just(ClientEnd::Open), Just(ClientEnd::Orderly), Just(ClientEnd::Truncated)];
    let conduct = prop_oneof![Just([0; CONDUCT]), any::<[u8; CONDUCT]>()];
    let client = (number(), number(), number(), intent, any::<bool>());
    (client, (number(), number(), number(), end), conduct).prop_map(|(c, a, conduct)| Entry {
        epoch: 3,
        to_client: ToClient { number: c.0, keys: 0, taken: c.1, written: c.2, intent: c.3, closed: c.4 },
        to_application: ToApplication { number: a.0, keys: 0, taken: a.1, written: a.2, end: a.3 },
        conduct,
        truncation: Truncation::Passed,
    })
}

fn any_counters() -> impl Strategy<Value = Counters> {
    let count = || prop_oneof![0..700_u64, any::<u64>()];
    let standing =
        prop_oneof![4 => Just(Standing::Live), 1 => Just(Standing::Over), 1 => Just(Standing::Failed)];
    (count(), count(), standing).prop_map(|(written, read, standing)| Counters { written, read, standing })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_ledger_and_the_kernel_say_nothing_panics(
        mut entry in any_entry(),
        client in any_counters(),
        application in any_counters(),
    ) {
        let suite = TlsSuite::from_number(0x1301).unwrap();
        let fresh = TlsProtection::new(crypto(), &state(suite, TlsRole::Server));
        if entry.conduct == [0; CONDUCT] {
            // one that is a conduct, so that what comes after it is reached
            entry.conduct = fresh.conduct().1;
        }
        let memory = &mut Memory::new(512);
        let fuel = Fuel::new(u64::MAX, true);
        let geometry = Geometry::new(ConnectionId([1; 16]), 512, 512).unwrap();
        let mut ledger = Ledger::begin(&mut Stores(memory, &fuel), geometry);
        let family = crypto().aes256_gcm(&Secret::new([3; 32]));
        let mut entropy = SystemEntropy;
        let mut seal = KeySeal::new(&*family, &mut entropy);
        ledger.commit(&mut Stores(memory, &fuel), &entry, Some((&fresh.keys(), &mut seal)));
        let opened = Ledger::open(&Stores(memory, &fuel), &seal).unwrap();
        prop_assert_eq!(opened.entry, entry);
        let Ok(layer) = TlsProtection::restored(crypto(), &opened.keys, &opened.entry) else { return Ok(()) };
        let adopted = Carrier::adopt(opened.ledger, opened.entry, layer, client, application, memory);
        if let Ok(mut carrier) = adopted {
            for _ in 0..10 {
                match carrier.next(memory) {
                    Step::Commit => carrier.commit(&mut Stores(memory, &fuel), &mut seal),
                    Step::WriteClient => carrier.wrote_client(carrier.for_client().len()),
                    Step::WriteApplication => carrier.wrote_application(carrier.for_application().len()),
                    Step::ReadClient { room, .. } => carrier.read_client(room),
                    Step::ReadApplication { room, .. } => carrier.read_application(room),
                    Step::EndClient => carrier.ended_client(),
                    Step::EndApplication => carrier.ended_application(),
                    Step::Wait(_) | Step::Ended(_) => break,
                }
            }
        }
    }
}
