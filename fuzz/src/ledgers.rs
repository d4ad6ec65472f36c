//! What a dead worker left: memory that is damaged, or says anything at all with the right checksums, beside counters
//! that say anything; and a client and an application that go on from there.

use symbolon_crypto::{Aead, Secret};
use symbolon_record::{TlsRole, TlsSuite};
use symbolon_session::ConnectionId;
use symbolon_session::ledger::{
    Carrier, ClientEnd, Counters, Entry, Geometry, Intent, Interest, KeySeal, LEDGER_BYTES, Ledger,
    LedgerMemory, Opened, Rings, Standing, Step, TlsProtection, ToApplication, ToClient, Truncation,
};
use symbolon_wire::{Reader, WireError, Writer};

use crate::gateway::{Seeded, crypto};
use crate::tls_records::{SAID, conversation, session};
use crate::{Target, by};

pub(crate) const TARGET: Target = Target { name: "ledgers", feed, seeds };

/// A ledger as it stands in memory.
const MEMORY: u8 = 0;
/// Suite, entry, counters, what the client sent, and how much each step achieves.
const ENTRY: u8 = 1;

const RING: usize = 1 << 16;

/// No input keeps a carrier going for longer.
const STEPS: usize = 300;

const ALL: Interest = Interest {
    client_readable: true,
    client_writable: true,
    application_readable: true,
    application_writable: true,
};

fn feed(data: &[u8]) {
    match data {
        [MEMORY, rest @ ..] => memory(rest),
        // an input that is too short says less, and nothing wrong
        [ENTRY, suite, rest @ ..] => drop(entry(suite_of(*suite), &mut Reader::new(rest))),
        _ => {}
    }
}

fn suite_of(number: u8) -> TlsSuite {
    let suites = TlsSuite::TLS.into_iter().chain([TlsSuite::NativeStream]);
    suites.cycle().nth(usize::from(number)).unwrap_or(TlsSuite::NativeStream)
}

fn family() -> Box<dyn Aead> {
    crypto().aes256_gcm(&Secret::new([3; 32]))
}

/// The words of a ledger, and rings of which each window is one slice.
struct Memory {
    words: Vec<u64>,
    rings: [Vec<u8>; 2],
}

impl Memory {
    fn new() -> Self {
        Self { words: vec![0; LEDGER_BYTES / 8], rings: [vec![0; 2 * RING], vec![0; 2 * RING]] }
    }

    fn fill(&mut self, ring: usize, position: u64, bytes: &[u8]) {
        for (n, byte) in bytes.iter().enumerate() {
            let at = (position as usize).wrapping_add(n) % RING;
            self.rings[ring][at] = *byte;
            self.rings[ring][at + RING] = *byte;
        }
    }

    fn window(&self, ring: usize, position: u64, length: usize) -> &[u8] {
        assert!(length <= RING, "no window is longer than its ring");
        let at = position as usize % RING;
        &self.rings[ring][at..at + length]
    }
}

impl LedgerMemory for Memory {
    fn load(&self, word: usize) -> u64 {
        self.words[word]
    }

    fn store(&mut self, word: usize, value: u64) {
        self.words[word] = value;
    }

    fn publish(&mut self, word: usize, value: u64) {
        self.words[word] = value;
    }
}

impl Rings for Memory {
    fn client(&self, position: u64, length: usize) -> &[u8] {
        self.window(0, position, length)
    }

    fn application(&self, position: u64, length: usize) -> &[u8] {
        self.window(1, position, length)
    }
}

/// A connection that has just begun, and its first commit.
fn begun(suite: TlsSuite) -> Memory {
    let mut memory = Memory::new();
    let geometry = Geometry::new(ConnectionId([4; 16]), RING, RING).expect("powers of two");
    let ledger = Ledger::begin(&mut memory, geometry);
    let nothing = Counters { written: 0, read: 0, standing: Standing::Live };
    let protection = TlsProtection::new(crypto(), &session(suite, TlsRole::Server).state());
    let mut carrier = Carrier::begin(ledger, protection, Truncation::Reset, nothing, nothing);
    assert_eq!(carrier.next(&memory), Step::Commit, "the first step");
    carrier.commit(&mut memory, &mut KeySeal::new(&*family(), &mut Seeded::new()));
    memory
}

fn open(memory: &Memory) -> Option<Opened> {
    Ledger::open(memory, &KeySeal::new(&*family(), &mut Seeded::new())).ok()
}

fn memory(bytes: &[u8]) {
    let mut memory = Memory::new();
    for (word, bytes) in memory.words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    }
    let Some(Opened { ledger, entry, keys }) = open(&memory) else { return };
    let Ok(protection) = TlsProtection::restored(crypto(), &keys, &entry) else { return };
    let nothing = Counters { written: 0, read: 0, standing: Standing::Live };
    let _ = Carrier::adopt(ledger, entry, protection, nothing, nothing, &memory);
}

fn entry(suite: TlsSuite, r: &mut Reader<'_>) -> Result<(), WireError> {
    let mut memory = begun(suite);
    let Opened { ledger, entry, keys } = open(&memory).expect("it was just begun");
    let entry = read_entry(r, entry)?;
    let (client, application) = (read_counters(r)?, read_counters(r)?);
    let sent = r.bytes16()?;
    memory.fill(0, entry.to_application.taken, sent);
    let Ok(protection) = TlsProtection::restored(crypto(), &keys, &entry) else { return Ok(()) };
    let adopted = Carrier::adopt(ledger, entry, protection, client, application, &memory);
    let Ok(mut carrier) = adopted else { return Ok(()) };
    for _ in 0..STEPS {
        let much = usize::from(r.u8()?);
        match carrier.next(&memory) {
            Step::Commit => carrier.commit(&mut memory, &mut KeySeal::new(&*family(), &mut Seeded::new())),
            Step::ReadClient { position, room } => {
                assert!((1..=RING).contains(&room), "there is room where something is read");
                let count = much.min(room).min(sent.len());
                memory.fill(0, position, &sent[..count]);
                carrier.read_client(count);
            }
            Step::ReadApplication { position, room } => {
                assert!((1..=RING).contains(&room), "there is room where something is read");
                let bytes = vec![7; much.saturating_mul(100).min(room)];
                memory.fill(1, position, &bytes);
                carrier.read_application(bytes.len());
            }
            Step::WriteClient => {
                let length = carrier.for_client().len();
                assert!(length > 0, "there is something to write");
                carrier.wrote_client(much.saturating_mul(100).clamp(1, length));
            }
            Step::WriteApplication => {
                let length = carrier.for_application().len();
                assert!(length > 0, "there is something to write");
                carrier.wrote_application(much.clamp(1, length));
            }
            Step::EndClient => carrier.ended_client(),
            Step::EndApplication => carrier.ended_application(),
            Step::Wait(_) if much % 16 == 0 => carrier.end_with(u16::from(r.u8()?)),
            Step::Wait(_) if much % 16 == 1 => carrier.client_failed(),
            Step::Wait(_) => carrier.ready(ALL),
            Step::Ended(_) => return Ok(()),
        }
    }
    Ok(())
}

fn read_entry(r: &mut Reader<'_>, begun: Entry) -> Result<Entry, WireError> {
    let flags = r.u8()?;
    let intent = match r.u8()? {
        0 => None,
        1 => Some(Intent::Data(r.u32()?)),
        2 => Some(Intent::KeyUpdate),
        3 => Some(Intent::CloseNotify),
        4 => Some(Intent::Alert(r.u16()?)),
        _ => Some(Intent::Warning(r.u16()?)),
    };
    let end = match flags >> 1 & 3 {
        0 | 3 => ClientEnd::Open,
        1 => ClientEnd::Orderly,
        _ => ClientEnd::Truncated,
    };
    let conduct = if flags & 16 == 0 { begun.conduct } else { r.fixed()? };
    let to_client = ToClient {
        number: r.u64()?,
        keys: r.u32()?,
        taken: r.u64()?,
        written: r.u64()?,
        intent,
        closed: flags & 1 == 1,
    };
    let to_application =
        ToApplication { number: r.u64()?, keys: r.u32()?, taken: r.u64()?, written: r.u64()?, end };
    let truncation = if flags & 8 == 0 { Truncation::Reset } else { Truncation::Passed };
    Ok(Entry { epoch: r.u32()?, to_client, to_application, conduct, truncation })
}

fn read_counters(r: &mut Reader<'_>) -> Result<Counters, WireError> {
    let standing = match r.u8()? {
        0 => Standing::Live,
        1 => Standing::Over,
        _ => Standing::Failed,
    };
    Ok(Counters { written: r.u64()?, read: r.u64()?, standing })
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for number in 0..=TlsSuite::TLS.len() as u8 {
        let suite = suite_of(number);
        let words: Vec<u8> = begun(suite).words.iter().flat_map(|word| word.to_le_bytes()).collect();
        seeds.push(by(MEMORY, &words));
        for (intent, way) in [(0, 40), (1, 40), (3, 33)] {
            let mut w = Writer::new();
            w.u8(number);
            w.u8(0);
            w.u8(intent);
            if intent == 1 {
                w.u32(SAID[0].len() as u32);
            }
            for _ in 0..2 {
                w.u64(0);
                w.u32(0);
                w.u64(0);
                w.u64(0);
            }
            w.u32(1);
            let sent = conversation(suite);
            // all of it has been read from the client, and something from the application
            for read in [sent.len() as u64, SAID[0].len() as u64] {
                w.u8(0);
                w.u64(0);
                w.u64(read);
            }
            w.bytes16(&sent);
            let mut seed = by(ENTRY, &w.into_bytes());
            seed.extend([way; 80]);
            seeds.push(seed);
        }
    }
    seeds
}
