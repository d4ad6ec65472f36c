//! Agent, node and the way between them in steps of a drawn order: what a slow store, quick reconnections and lost
//! grants do to streams that open meanwhile.

use super::Numbers;
use std::collections::{BTreeSet, VecDeque};
use symbolon_crypto::Secret;
use symbolon_policy::AppName;
use symbolon_provider::crypto;
use symbolon_session::{
    ClaimedStream, Line, SessionId, SessionSecret, StreamClaims, StreamRange, StreamRequest, StreamRoot,
};

const ID: SessionId = SessionId([7; 16]);
/// What the node deals at once.
const DEALT: u64 = 256;
/// What a node that starts leaves out.
const SKIPPED: u64 = 1 << 32;
/// Streams that open at once: few, so that none is overtaken by all the numbers that a node remembers.
const OPENING: usize = 16;
const STEPS: usize = 4_000;
/// Steps after which other things are slow.
const PHASE: usize = 100;
/// The kinds of steps.
const KINDS: usize = 6;

/// A stream that opens.
#[derive(Default)]
struct Opening {
    /// On its way to the node: the number, the message, and in which connection the number was drawn.
    sent: Option<(u64, Vec<u8>, u32)>,
    /// The connection in which it was drawn and refused last.
    refused: Option<u32>,
}

struct World {
    random: u64,
    numbers: Numbers,
    /// Somebody wants the agent to ask for numbers.
    wanted: bool,
    /// Requests on their way, and answers.
    requests: u32,
    grants: VecDeque<StreamRange>,
    connection: u32,
    openings: Vec<Opening>,
    root: StreamRoot,
    claims: StreamClaims,
    next: u64,
    drawn: BTreeSet<u64>,
    acted: BTreeSet<u64>,
    refusals: u32,
    /// What an attacker has seen last.
    seen: Option<(u64, Vec<u8>)>,
}

impl World {
    fn new(seed: u64) -> Self {
        let secret = SessionSecret::new(Secret::new([3; 32]));
        let mut world = Self {
            random: seed,
            numbers: Numbers::default(),
            wanted: false,
            requests: 0,
            grants: VecDeque::new(),
            connection: 1,
            openings: Vec::new(),
            root: StreamRoot::new(crypto(), ID, &secret),
            claims: StreamClaims::new(ID),
            next: 0,
            drawn: BTreeSet::new(),
            acted: BTreeSet::new(),
            refusals: 0,
            seen: None,
        };
        let first = world.deal();
        world.grants.push_back(first);
        world
    }

    /// SplitMix64.
    fn below(&mut self, end: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn deal(&mut self) -> StreamRange {
        let range = StreamRange::new(self.next, self.next + DEALT).unwrap();
        self.next += DEALT;
        self.claims.grant(range).unwrap();
        range
    }

    /// As `Shared::draw` and `Tunnel::open` do.
    fn open(&mut self) {
        let Some(at) = self.openings.iter().position(|o| o.sent.is_none()) else { return };
        let number = self.numbers.draw();
        self.wanted |= self.numbers.are_wanted();
        let Some(number) = number else { return };
        assert!(self.drawn.insert(number.get()), "a number is used once");
        let request = StreamRequest { app: AppName::parse("db").unwrap(), origin: Line::default() };
        let name = number.get();
        let body = self.root.open(number, &request).unwrap().body;
        self.openings[at].sent = Some((name, body, self.connection));
    }

    /// As the agent's control task does.
    fn ask(&mut self) {
        if std::mem::take(&mut self.wanted) && self.numbers.ask() {
            self.requests += 1;
        }
    }

    /// The store answers the node, which reads on.
    fn answer(&mut self, most: u64) {
        for _ in 0..most.min(self.requests.into()) {
            self.requests -= 1;
            let range = self.deal();
            self.grants.push_back(range);
        }
    }

    fn hear(&mut self) {
        if let Some(range) = self.grants.pop_front() {
            self.numbers.grant(range).unwrap();
        }
    }

    /// One of the streams on their way comes to the node.
    fn arrive(&mut self) {
        let sent: Vec<usize> =
            (0..self.openings.len()).filter(|at| self.openings[*at].sent.is_some()).collect();
        if sent.is_empty() {
            return;
        }
        let at = sent[self.below(sent.len() as u64) as usize];
        let (number, body, connection) = self.openings[at].sent.take().unwrap();
        self.seen = Some((number, body.clone()));
        if self.claim(number, body) {
            self.openings.remove(at);
            return;
        }
        self.refusals += 1;
        if connection == self.connection {
            let before = self.openings[at].refused.replace(connection);
            assert_ne!(before, Some(connection), "one connection costs one stream another try once");
        }
        self.numbers.refused(number);
    }

    fn claim(&mut self, number: u64, body: Vec<u8>) -> bool {
        let stream = self.root.authenticate(ClaimedStream::receive(body).unwrap()).unwrap();
        let acts = self.claims.claim(stream).is_ok();
        assert!(!acts || self.acted.insert(number), "a number acts once");
        acts
    }

    fn replay(&mut self) {
        if let Some((number, body)) = self.seen.clone() {
            self.claim(number, body);
        }
    }

    /// The connection breaks, with what is on its way; some times in a row.
    fn reconnect(&mut self, restarts: bool) {
        for _ in 0..=self.below(6) {
            // What the node has read already is dealt and told to nobody.
            let late = self.below(3);
            self.answer(late);
            self.requests = 0;
            self.grants.clear();
            self.numbers.lost();
            if restarts && self.below(4) == 0 {
                self.claims = StreamClaims::new(ID);
                self.next += SKIPPED;
            }
            self.connection += 1;
            let first = self.deal();
            self.grants.push_back(first);
            if self.below(2) == 0 {
                self.hear();
            }
        }
    }

    fn step(&mut self, weights: &[u64; KINDS], restarts: bool) {
        let mut at = self.below(weights.iter().sum());
        let kind = weights.iter().position(|weight| {
            let found = at < *weight;
            at = at.saturating_sub(*weight);
            found
        });
        match kind.unwrap() {
            0 => {
                if self.openings.len() < OPENING {
                    self.openings.push(Opening::default());
                }
                self.open();
            }
            1 => self.ask(),
            2 => {
                let most = self.below(8);
                self.answer(most);
            }
            3 => self.hear(),
            4 => self.arrive(),
            _ if self.below(20) == 0 => self.reconnect(restarts),
            _ => self.replay(),
        }
    }

    /// All that is under way comes to its end.
    fn drain(&mut self) {
        for _ in 0..4 * OPENING {
            self.open();
            self.ask();
            self.answer(u64::MAX);
            self.hear();
            self.arrive();
        }
        assert!(self.openings.is_empty(), "no stream waits for ever");
    }

    fn run(seed: u64, reconnections: bool, restarts: bool) -> Self {
        let mut world = Self::new(seed);
        for _ in 0..STEPS / PHASE {
            let mut weights = [0; KINDS];
            weights.fill_with(|| 1 << world.below(7));
            weights[KINDS - 1] = if reconnections { world.below(4) } else { 0 };
            for _ in 0..PHASE {
                world.step(&weights, restarts);
            }
        }
        world.drain();
        world
    }
}

#[test]
fn on_one_connection_no_number_is_refused() {
    for seed in 0..100 {
        assert_eq!(World::run(seed, false, false).refusals, 0, "seed {seed}");
    }
}

#[test]
fn a_stream_is_refused_once_at_most_in_one_connection_whatever_was_lost_before() {
    let refusals: u32 = (0..100).map(|seed| World::run(seed, true, seed % 2 == 0).refusals).sum();
    assert!(refusals > 0, "some were lost");
}
