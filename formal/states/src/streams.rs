//! A stream number acts once (`SqlHotStore::claim_session`, `deal_streams`, `skip_streams` in
//! shell/store/src/hot_sql.rs; `StreamClaims` in core/session/src/claims.rs; `Carried::deal_streams` in
//! shell/server/src/carry.rs).
//!
//! One session that moves between two nodes. Whatever number was ever granted, the client has opened a
//! stream with it and the attacker has recorded that; he may send it to either node at any time.

use crate::clock::{NODES, Node};
use stateright::{Model, Property};

/// Numbers in a range that is dealt.
const RANGE: usize = 2;
/// Numbers that are left out when a node starts; more than a power cut can take back.
const SKIP: usize = 2;
/// Where the numbers end for us.
const NUMBERS: usize = 12;
/// How often the session changes its owner.
const ATTACHES: u8 = 3;

/// How numbers are dealt and remembered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// The product's: one statement deals, only to the owner; a node accepts what it dealt itself since it
    /// started; a node that starts leaves numbers out.
    Ours,
    /// Broken: a node that starts takes the last range of the store for its own.
    RangeNotDealtAnew,
    /// Broken: no numbers are left out when a node starts.
    NothingSkipped,
    /// Broken: a node reads the counter and writes it in another statement, whoever owns the session.
    ReadThenWrite,
}

/// The machine.
#[derive(Clone)]
pub(crate) struct Streams {
    pub(crate) rules: Rules,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Memory {
    /// Numbers that this node dealt and that have not acted.
    granted: [bool; NUMBERS],
    /// The epoch under which it has the session.
    epoch: Option<u8>,
    /// [`Rules::ReadThenWrite`]: what it read.
    read: Option<usize>,
}

const FORGOTTEN: Memory = Memory { granted: [false; NUMBERS], epoch: None, read: None };

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    epoch: u8,
    /// `next_stream` in the store.
    next: usize,
    /// What of it is on the disk.
    durable: usize,
    nodes: [Memory; NODES],
    /// Numbers that the client has used.
    opened: [bool; NUMBERS],
    acted: [u8; NUMBERS],
    power_cuts: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Attach(Node),
    Deal(Node),
    Write(Node),
    Open(Node, usize),
    Crash(Node),
    Flush,
    PowerCut,
}

/// The promise.
pub(crate) const ONCE: &str = "a stream number acts at most once";

impl Streams {
    fn grant(s: &mut State, node: Node, first: usize) {
        for number in first..first + RANGE {
            s.nodes[node].granted[number] = true;
            s.opened[number] = true;
        }
    }

    /// A node starts: it remembers nothing.
    fn start(&self, s: &mut State, node: Node) -> bool {
        s.nodes[node] = FORGOTTEN;
        if self.rules == Rules::RangeNotDealtAnew && s.next >= RANGE {
            for number in s.next - RANGE..s.next {
                s.nodes[node].granted[number] = true;
            }
        }
        if matches!(self.rules, Rules::Ours | Rules::ReadThenWrite) {
            s.next += SKIP;
            s.durable = s.next;
        }
        s.next <= NUMBERS
    }
}

impl Model for Streams {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            epoch: 0,
            next: 0,
            durable: 0,
            nodes: [FORGOTTEN; NODES],
            opened: [false; NUMBERS],
            acted: [0; NUMBERS],
            power_cuts: 0,
        }]
    }

    fn actions(&self, s: &State, actions: &mut Vec<Action>) {
        actions.extend([Action::Flush, Action::PowerCut]);
        for node in 0..NODES {
            actions.extend([
                Action::Attach(node),
                Action::Deal(node),
                Action::Write(node),
                Action::Crash(node),
            ]);
            let usable = |number: &usize| s.opened[*number] && s.nodes[node].granted[*number];
            actions.extend((0..NUMBERS).filter(usable).map(|number| Action::Open(node, number)));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut s = last.clone();
        match action {
            Action::Attach(node) => {
                s.epoch += 1;
                s.nodes[node].epoch = Some(s.epoch);
                (s.epoch <= ATTACHES).then_some(s)
            }
            Action::Deal(node) => {
                let unflushed = s.next - s.durable;
                if s.nodes[node].epoch != Some(s.epoch) && self.rules != Rules::ReadThenWrite
                    || s.nodes[node].epoch.is_none()
                    || s.next + RANGE > NUMBERS
                    || unflushed + RANGE > SKIP
                    || s.nodes[node].read.is_some()
                {
                    return None;
                }
                if self.rules == Rules::ReadThenWrite {
                    s.nodes[node].read = Some(s.next);
                } else {
                    let first = s.next;
                    s.next += RANGE;
                    Self::grant(&mut s, node, first);
                }
                Some(s)
            }
            Action::Write(node) => {
                let first = s.nodes[node].read.take()?;
                s.next = first + RANGE;
                s.durable = s.durable.min(s.next);
                Self::grant(&mut s, node, first);
                Some(s)
            }
            Action::Open(node, number) => {
                s.nodes[node].granted[number] = false;
                s.acted[number] = (s.acted[number] + 1).min(2);
                Some(s)
            }
            Action::Crash(node) => {
                if s.nodes[node] == FORGOTTEN {
                    return None;
                }
                self.start(&mut s, node).then_some(s)
            }
            Action::Flush => {
                s.durable = s.next;
                (s != *last).then_some(s)
            }
            Action::PowerCut => {
                if s.power_cuts == 2 || s.next == s.durable {
                    return None;
                }
                s.power_cuts += 1;
                s.next = s.durable;
                let mut fits = true;
                for node in 0..NODES {
                    fits &= self.start(&mut s, node);
                }
                fits.then_some(s)
            }
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE, |_, s: &State| s.acted.iter().all(|a| *a <= 1)),
            Property::sometimes("numbers act on both nodes", |_, s: &State| {
                s.epoch >= 2 && s.acted.iter().filter(|a| **a == 1).count() >= 3
            }),
        ]
    }
}
