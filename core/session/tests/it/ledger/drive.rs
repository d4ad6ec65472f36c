//! One process after the other carries the model's connection.

use super::kernel::{Fuel, Got, Kernel, Socket, Stores};
use super::record::{Sealed, Toy};
use std::collections::HashMap;
use std::marker::PhantomData;
use symbolon_crypto::{Aead, Secret, SecretBytes};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_session::ConnectionId;
use symbolon_session::ledger::{
    Carrier, Ended, Entry, Geometry, Interest, KeySeal, Ledger, LedgerError, LedgerMemory, Opened,
    Protection, Step, Truncation,
};

/// A record layer in the world of one connection, and the client's half of it.
pub(crate) trait Layer: Protection + Sized {
    /// Bytes of each ring.
    const RING: usize;
    /// What the client is told when the application failed.
    const FAILURE: u16 = 80;

    /// That of the first process.
    fn fresh(sealed: Sealed) -> Self;

    /// That of a process that takes over.
    fn restored(keys: &SecretBytes, entry: &Entry, sealed: Sealed) -> Self;

    /// What the client's socket carries.
    fn client_sends(says: &[Says]) -> Vec<u8>;

    /// What the client makes of what it got.
    fn client_saw(bytes: &[u8]) -> ClientSaw;
}

/// What the client does, in order.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    Data(Vec<u8>),
    KeyUpdate {
        reply: bool,
    },
    CloseNotify,
    Alert(u16),
    /// Bytes that are no record.
    Garbage(Vec<u8>),
}

/// Both ends of a connection, and how the network cuts what they send.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) client: Vec<Says>,
    pub(crate) application: Vec<u8>,
    pub(crate) client_pieces: Vec<usize>,
    pub(crate) application_pieces: Vec<usize>,
    pub(crate) truncation: Truncation,
    pub(crate) application_resets_at: Option<usize>,
}

impl Story {
    /// What the application must get.
    pub(crate) fn upload(&self) -> Vec<u8> {
        let data = |says: &Says| if let Says::Data(data) = says { data.clone() } else { vec![] };
        self.client.iter().flat_map(data).collect()
    }

    fn kernel<L: Layer>(&self) -> Kernel {
        let mut application = Socket::new(self.application.clone(), &self.application_pieces, 1);
        if let Some(at) = self.application_resets_at {
            application = application.resetting_at(at);
        }
        Kernel {
            client: Socket::new(L::client_sends(&self.client), &self.client_pieces, 0),
            application,
            memory: super::kernel::Memory::new(L::RING),
        }
    }
}

/// What the client made of what it got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientSaw {
    pub(crate) data: Vec<u8>,
    pub(crate) key_updates: usize,
    pub(crate) closed: bool,
    pub(crate) alert: Option<u16>,
    /// A record did not open, or came after the last.
    pub(crate) wrong: bool,
    /// A part of a record is left.
    pub(crate) cut: bool,
}

/// How a process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    Killed,
    Ended(Ended),
    /// It could not take over.
    Refused(LedgerError),
}

/// The world of a connection under the trivial record layer.
pub(crate) type World = WorldOf<Toy>;

/// The world of one connection, and everything that happens to it.
pub(crate) struct WorldOf<L> {
    pub(crate) kernel: Kernel,
    pub(crate) fuel: Fuel,
    sealed: Sealed,
    family: Box<dyn Aead>,
    truncation: Truncation,
    /// The negative control: which commits after the first change nothing.
    pub(crate) forgets: fn(&Entry) -> bool,
    /// How many system calls and stores a connection may take before it counts as stuck.
    patience: u64,
    layer: PhantomData<L>,
}

impl<L: Layer> WorldOf<L> {
    pub(crate) fn new(story: &Story, every_word: bool) -> Self {
        Self {
            kernel: story.kernel::<L>(),
            fuel: Fuel::new(u64::MAX, every_word),
            sealed: Sealed::new(HashMap::new().into()),
            family: crypto().aes256_gcm(&Secret::new([3; 32])),
            truncation: story.truncation,
            forgets: |_| false,
            patience: 100_000,
            layer: PhantomData,
        }
    }

    /// The first process. Its fuel also counts the stores that begin the ledger.
    pub(crate) fn begin(&mut self) -> Process {
        let geometry = Geometry::new(ConnectionId([9; 16]), L::RING, L::RING).unwrap();
        let ledger = Ledger::begin(&mut Stores(&mut self.kernel.memory, &self.fuel), geometry);
        let layer = L::fresh(self.sealed.clone());
        let (client, application) = (self.kernel.client.counters(), self.kernel.application.counters());
        self.drive(Carrier::begin(ledger, layer, self.truncation, client, application))
    }

    /// The next process.
    pub(crate) fn adopt(&mut self) -> Process {
        for _ in 0..self.fuel.used() % 3 {
            // meanwhile, things arrive
            self.kernel.client.tick();
            self.kernel.application.tick();
        }
        let opened = {
            let memory = Stores(&mut self.kernel.memory, &self.fuel);
            Ledger::open(&memory, &KeySeal::new(&*self.family, &mut SystemEntropy))
        };
        let Opened { ledger, entry, keys } = match opened {
            Ok(opened) => opened,
            Err(error) => return Process::Refused(error),
        };
        let layer = L::restored(&keys, &entry, self.sealed.clone());
        let (client, application) = (self.kernel.client.counters(), self.kernel.application.counters());
        match Carrier::adopt(ledger, entry, layer, client, application, &self.kernel.memory) {
            Ok(carrier) => self.drive(carrier),
            Err(lost) => Process::Ended(Ended::Lost(lost)),
        }
    }

    /// What the client made of what it got.
    pub(crate) fn client_saw(&self) -> ClientSaw {
        L::client_saw(&self.kernel.client.outgoing)
    }

    fn drive(&mut self, mut carrier: Carrier<L>) -> Process {
        let mut committed = false;
        loop {
            if self.fuel.is_dead() {
                return Process::Killed;
            }
            self.patience = self.patience.checked_sub(1).expect("the connection comes to its end");
            let step = carrier.next(&self.kernel.memory);
            if let Step::Ended(ended) = step {
                return Process::Ended(ended);
            }
            if step == Step::Commit {
                let mut memory = Stores(&mut self.kernel.memory, &self.fuel);
                let mut entropy = SystemEntropy;
                let seal = &mut KeySeal::new(&*self.family, &mut entropy);
                let begun = committed || carrier.entry().epoch > 0;
                if begun && (self.forgets)(carrier.entry()) {
                    carrier.commit(&mut Nowhere, seal);
                } else {
                    carrier.commit(&mut memory, seal);
                }
                committed = true;
                continue;
            }
            if let Step::Wait(interest) = step {
                assert_ne!(interest, Interest::default(), "it waits for something");
                let Kernel { client, application, .. } = &self.kernel;
                let kept = client.waits_for_more && !interest.client_writable
                    // nothing more is passed once an alert is to be sent, and nothing read
                    || application.waits_for_more && !interest.application_writable && interest.client_readable;
                assert!(!kept, "what was to come at once does not");
                self.kernel.client.tick();
                self.kernel.application.tick();
                carrier.ready(interest);
                continue;
            }
            if self.fuel.spend() {
                self.call(&mut carrier, step);
            }
        }
    }

    /// One system call.
    fn call(&mut self, carrier: &mut Carrier<L>, step: Step) {
        let kernel = &mut self.kernel;
        let (got, what) = match step {
            Step::ReadClient { position, room } => (
                kernel.read_client(position, room),
                Interest { client_readable: true, ..Interest::default() },
            ),
            Step::ReadApplication { position, room } => (
                kernel.read_application(position, room),
                Interest { application_readable: true, ..Interest::default() },
            ),
            Step::WriteClient => (
                kernel.client.write(carrier.for_client(), carrier.more_for_client()),
                Interest { client_writable: true, ..Interest::default() },
            ),
            Step::WriteApplication => (
                {
                    let more = carrier.more_for_application(&kernel.memory);
                    kernel.application.write(carrier.for_application(), more)
                },
                Interest { application_writable: true, ..Interest::default() },
            ),
            Step::EndClient => {
                kernel.client.own_end = true;
                return carrier.ended_client();
            }
            Step::EndApplication => {
                kernel.application.own_end = true;
                return carrier.ended_application();
            }
            Step::Commit | Step::Wait(_) | Step::Ended(_) => unreachable!("done by the caller"),
        };
        match (step, got) {
            (_, Got::WouldBlock) => carrier.blocked(what),
            (Step::ReadClient { .. }, Got::Bytes(count)) => carrier.read_client(count),
            (Step::ReadApplication { .. }, Got::Bytes(count)) => carrier.read_application(count),
            (Step::WriteClient, Got::Bytes(count)) => carrier.wrote_client(count),
            (_, Got::Bytes(count)) => carrier.wrote_application(count),
            (Step::ReadClient { .. } | Step::WriteClient, Got::Failed) => carrier.client_failed(),
            (_, Got::Failed) => carrier.end_with(L::FAILURE),
        }
    }
}

/// A memory that keeps nothing.
struct Nowhere;

impl LedgerMemory for Nowhere {
    fn load(&self, _: usize) -> u64 {
        0
    }

    fn store(&mut self, _: usize, _: u64) {}

    fn publish(&mut self, _: usize, _: u64) {}
}
