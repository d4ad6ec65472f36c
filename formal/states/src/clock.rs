//! Two nodes, their clocks, and the store's memory of what was seen: shared by replay cache and tickets.
//!
//! One tick is a minute. `distance_secs` cuts fractions off, so every bound in ticks is up to one
//! second less in the product.

/// How many nodes there are.
pub(crate) const NODES: usize = 2;

/// A node: 0 or 1.
pub(crate) type Node = usize;

/// A connection that a node serves: each serves two at once.
pub(crate) type Served = usize;

/// How many connections are served at once, by all nodes.
pub(crate) const SERVED: usize = 2 * NODES;

/// Who serves it.
pub(crate) const fn node_of(served: Served) -> Node {
    served / 2
}

/// `CLOCK_TOLERANCE_SECS` (core/crypto/src/envelope.rs): two minutes.
pub(crate) const TOLERANCE: i8 = 2;

/// How a node asks whether something was seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cache {
    /// One statement of the store inserts if it is absent (`SqlHotStore::put_if_absent`).
    InsertIfAbsent,
    /// Broken: it looks first and inserts afterwards.
    LookThenInsert,
    /// Broken: each node has a cache of its own.
    OfEachNode,
}

/// How wrong the world may be. Whoever runs nodes answers for it.
#[derive(Clone, Copy)]
pub(crate) struct World {
    /// How far the second node's clock is ahead of the first one's, in ticks.
    pub(crate) ahead: i8,
    /// How long a node may stand still between looking at its clock and asking the store, in ticks.
    pub(crate) stall: i8,
    /// Whether the store may lose what it was told last: a power cut with a SQLite file.
    pub(crate) forgetful_store: bool,
}

impl World {
    /// Nothing is wrong but crashes and restarts of nodes.
    pub(crate) const GOOD: Self = Self { ahead: 0, stall: 0, forgetful_store: false };

    /// A node's time when the first node's is `now`.
    pub(crate) const fn at(&self, node: Node, now: i8) -> i8 {
        if node == 0 { now } else { now + self.ahead }
    }
}

/// One entry of the table `seen`, for each cache that there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Seen([Option<i8>; NODES]);

impl Seen {
    fn place(cache: Cache, node: Node) -> usize {
        if cache == Cache::OfEachNode { node } else { 0 }
    }

    /// Whether it is there and counts at the node's time.
    pub(crate) fn holds(&self, cache: Cache, node: Node, now: i8) -> bool {
        self.0[Self::place(cache, node)].is_some_and(|expires| expires > now)
    }

    /// `INSERT … ON CONFLICT DO UPDATE … WHERE seen.expires <= now`: whether a row was written.
    pub(crate) fn put_if_absent(&mut self, cache: Cache, node: Node, expires: i8, now: i8) -> bool {
        let absent = !self.holds(cache, node, now);
        if absent {
            self.insert(cache, node, expires);
        }
        absent
    }

    /// Writes without looking.
    pub(crate) fn insert(&mut self, cache: Cache, node: Node, expires: i8) {
        self.0[Self::place(cache, node)] = Some(expires);
    }

    /// `DELETE FROM seen WHERE expires <= now`: whether there was something to delete.
    pub(crate) fn sweep(&mut self, cache: Cache, node: Node, now: i8) -> bool {
        let entry = &mut self.0[Self::place(cache, node)];
        entry.take_if(|expires| *expires <= now).is_some()
    }

    /// All is lost.
    pub(crate) fn lose(&mut self) {
        *self = Self::default();
    }

    /// Whether anything is there.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
