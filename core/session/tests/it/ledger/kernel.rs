//! A model of what survives a killed process: two sockets with the kernel's counters, and the memory
//! file. Fuel says after how many stores and system calls the process is killed.

use std::cell::Cell;
use symbolon_session::ledger::{Counters, LEDGER_BYTES, LedgerMemory, Rings, TcpCounters};

/// What a system call gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Bytes(usize),
    WouldBlock,
    Failed,
}

/// Runs dry when the process is killed.
#[derive(Debug)]
pub(crate) struct Fuel {
    left: Cell<u64>,
    used: Cell<u64>,
    /// Whether each stored word is an instant to be killed at, or only a few of each commit.
    pub(crate) every_word: bool,
}

impl Fuel {
    pub(crate) fn new(left: u64, every_word: bool) -> Self {
        Self { left: Cell::new(left), used: Cell::new(0), every_word }
    }

    pub(crate) fn refill(&self, left: u64) {
        self.left.set(left);
    }

    /// Whether the process lives to do one thing more.
    pub(crate) fn spend(&self) -> bool {
        let alive = self.left.get() > 0;
        self.left.set(self.left.get().saturating_sub(1));
        self.used.set(self.used.get() + u64::from(alive));
        alive
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.left.get() == 0
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.get()
    }
}

/// A TCP socket: what the peer sends comes in the given pieces, and so much is taken at a time.
#[derive(Clone, Debug)]
pub(crate) struct Socket {
    incoming: Vec<u8>,
    arrived: usize,
    end_arrived: bool,
    read: usize,
    /// What the peer got.
    pub(crate) outgoing: Vec<u8>,
    /// Our end, and whether the peer has it.
    pub(crate) own_end: bool,
    own_end_acked: bool,
    acked: usize,
    /// The last write said that more comes at once.
    pub(crate) waits_for_more: bool,
    pieces: Vec<usize>,
    /// How often something arrived, and how often something was written.
    arrivals: usize,
    writes: usize,
    /// What `bytes_acked` begins with: 1 on the side that connected.
    base: u64,
    /// The connection was reset.
    pub(crate) reset: bool,
    /// What is read stays nothing, and nothing is written, after the peer vanished so far in.
    resets_at: Option<usize>,
}

impl Socket {
    pub(crate) fn new(incoming: Vec<u8>, pieces: &[usize], base: u64) -> Self {
        Self {
            incoming,
            arrived: 0,
            end_arrived: false,
            read: 0,
            outgoing: Vec::new(),
            own_end: false,
            own_end_acked: false,
            acked: 0,
            waits_for_more: false,
            pieces: pieces.to_vec(),
            arrivals: 0,
            writes: 0,
            base,
            reset: false,
            resets_at: None,
        }
    }

    /// Resets when so many bytes have arrived.
    pub(crate) fn resetting_at(mut self, arrived: usize) -> Self {
        self.resets_at = Some(arrived);
        self
    }

    /// A little time passes: something arrives, something is acknowledged.
    pub(crate) fn tick(&mut self) {
        self.arrivals += 1;
        let piece = self.pieces[self.arrivals % self.pieces.len()];
        self.own_end_acked |= self.own_end && self.acked == self.outgoing.len();
        self.acked = (self.acked + piece).min(self.outgoing.len());
        self.end_arrived |= self.arrived == self.incoming.len();
        self.arrived = (self.arrived + piece).min(self.incoming.len());
        self.reset |= self.resets_at.is_some_and(|at| self.arrived >= at);
    }

    fn read(&mut self, into: &mut dyn FnMut(usize, u8), room: usize) -> Got {
        self.tick();
        if self.reset {
            return Got::Failed;
        }
        let count = (self.arrived - self.read).min(room);
        for i in 0..count {
            into(i, self.incoming[self.read + i]);
        }
        self.read += count;
        if count > 0 || self.end_arrived && self.read == self.incoming.len() {
            Got::Bytes(count)
        } else {
            Got::WouldBlock
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8], more: bool) -> Got {
        self.tick();
        assert!(!self.own_end, "nothing is written after our end");
        if self.reset {
            return Got::Failed;
        }
        self.writes += 1;
        let count = self.pieces[self.writes % self.pieces.len()].min(bytes.len());
        self.outgoing.extend(&bytes[..count]);
        if count > 0 {
            self.waits_for_more = more;
        }
        if count > 0 { Got::Bytes(count) } else { Got::WouldBlock }
    }

    /// As Linux counts: an end is a byte, and the last state does not tell how it came to be.
    pub(crate) fn counters(&self) -> Counters {
        let own = u64::from(self.own_end);
        let end = u64::from(self.end_arrived);
        let acked = self.base + self.acked as u64 + u64::from(self.own_end_acked);
        let state = match (self.own_end, self.own_end_acked, self.end_arrived) {
            _ if self.reset => 7,
            (false, _, false) => 1,
            (false, _, true) => 8,
            (true, false, false) => 4,
            (true, true, false) => 5,
            (true, false, true) => [9, 11][self.acked % 2],
            (true, true, true) => [6, 7][self.acked % 2],
        };
        TcpCounters {
            state,
            bytes_acked: acked,
            unacknowledged: self.base + self.outgoing.len() as u64 + own - acked,
            bytes_received: self.arrived as u64 + end,
            unread: (self.arrived - self.read) as u64,
            error: self.reset,
        }
        .counters()
    }
}

/// The memory file: the ledger's words and both rings, each twice so that windows are contiguous.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub(crate) words: Vec<u64>,
    client_ring: Vec<u8>,
    application_ring: Vec<u8>,
}

impl Memory {
    pub(crate) fn new(ring: usize) -> Self {
        Self {
            words: vec![0; LEDGER_BYTES / 8],
            client_ring: vec![0; 2 * ring],
            application_ring: vec![0; 2 * ring],
        }
    }

    fn put(ring: &mut [u8], position: u64, i: usize, byte: u8) {
        let size = ring.len() / 2;
        let at = (position as usize + i) % size;
        (ring[at], ring[at + size]) = (byte, byte);
    }
}

impl Rings for Memory {
    fn client(&self, position: u64, length: usize) -> &[u8] {
        let at = position as usize % (self.client_ring.len() / 2);
        &self.client_ring[at..at + length]
    }

    fn application(&self, position: u64, length: usize) -> &[u8] {
        let at = position as usize % (self.application_ring.len() / 2);
        &self.application_ring[at..at + length]
    }
}

/// The memory as the process under test stores to it, until it is killed.
pub(crate) struct Stores<'a>(pub(crate) &'a mut Memory, pub(crate) &'a Fuel);

impl LedgerMemory for Stores<'_> {
    fn load(&self, word: usize) -> u64 {
        self.0.words[word]
    }

    fn store(&mut self, word: usize, value: u64) {
        let counts = self.1.every_word || word % 8 == 3;
        if if counts { self.1.spend() } else { !self.1.is_dead() } {
            self.0.words[word] = value;
        }
    }

    fn publish(&mut self, word: usize, value: u64) {
        if self.1.spend() {
            self.0.words[word] = value;
        }
    }
}

/// All that survives the process.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    pub(crate) client: Socket,
    pub(crate) application: Socket,
    pub(crate) memory: Memory,
}

impl Kernel {
    pub(crate) fn read_client(&mut self, position: u64, room: usize) -> Got {
        let ring = &mut self.memory.client_ring;
        self.client.read(&mut |i, byte| Memory::put(ring, position, i, byte), room)
    }

    pub(crate) fn read_application(&mut self, position: u64, room: usize) -> Got {
        let ring = &mut self.memory.application_ring;
        self.application.read(&mut |i, byte| Memory::put(ring, position, i, byte), room)
    }
}
