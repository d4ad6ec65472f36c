//! A first message acts once: time window, replay cache and context keys (`Opened::read`,
//! `Opened::first_time` in core/context/src/acceptor.rs; `Shared::remember` in shell/server).
//!
//! One message, made at any time, which the network may deliver to either node as often as it
//! likes. A node opens it, compares the time, asks the store, and then opens a context. Nodes crash between any two
//! steps; a node that starts anew has new context keys.

use crate::clock::{Cache, NODES, Node, SERVED, Seen, Served, TOLERANCE, World, node_of};
use stateright::{Model, Property};

/// For how long a message is remembered after its own time (`Opened::remember_until`).
const REMEMBER: i8 = 2 * TOLERANCE;
/// The last minute that is looked at: all is over two minutes earlier.
const END: i8 = 9;

/// Who can open a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// The process for which it was sealed, until it ends: a context key is never written down.
    OfTheProcess,
    /// Worse than the product: every node, and they survive a restart.
    OfTheDomain,
}

/// Whether a node looks at its clock again after it asked the store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Once, before it asks.
    ReadBefore,
    /// Again afterwards: what is no longer to be remembered is refused.
    ReadAgain,
}

/// The machine.
#[derive(Clone, Copy)]
pub(crate) struct Replay {
    pub(crate) cache: Cache,
    pub(crate) keys: Keys,
    pub(crate) clock: Clock,
    pub(crate) world: World,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Idle,
    /// The message opened and its time fits; so long ago.
    Fits(i8),
    /// [`Cache::LookThenInsert`]: it was not there.
    NotThere,
}

const IDLE: Step = Step::Idle;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    now: i8,
    /// The message's own time.
    made: i8,
    steps: [Step; SERVED],
    /// Whether the key for which it was sealed is still there.
    key: [bool; NODES],
    seen: Seen,
    accepted: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Tick,
    Deliver(Served),
    AskStore(Served),
    Insert(Served),
    Crash(Node),
    PowerCut,
    Sweep(Node),
}

impl Model for Replay {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let key = [true, self.keys == Keys::OfTheDomain];
        (0..=END - REMEMBER)
            .map(|made| State {
                now: 0,
                made,
                steps: [IDLE; SERVED],
                key,
                seen: Seen::default(),
                accepted: 0,
            })
            .collect()
    }

    fn actions(&self, _: &State, actions: &mut Vec<Action>) {
        actions.extend([Action::Tick, Action::PowerCut]);
        for served in 0..SERVED {
            actions.extend([Action::Deliver(served), Action::AskStore(served), Action::Insert(served)]);
        }
        for node in 0..NODES {
            actions.extend([Action::Crash(node), Action::Sweep(node)]);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut s = last.clone();
        match action {
            Action::Tick => {
                s.now += 1;
                for step in &mut s.steps {
                    if let Step::Fits(ago) = step {
                        *ago += 1;
                        if *ago > self.world.stall {
                            return None;
                        }
                    }
                }
                (s.now <= END).then_some(s)
            }
            Action::Deliver(served) => {
                let node = node_of(served);
                let distance = (self.world.at(node, s.now) - s.made).abs();
                let opens = s.key[node] && s.steps[served] == IDLE && distance <= TOLERANCE;
                s.steps[served] = Step::Fits(0);
                opens.then_some(s)
            }
            Action::AskStore(served) => {
                let Step::Fits(_) = s.steps[served] else { return None };
                let node = node_of(served);
                let (now, expires) = (self.world.at(node, s.now), s.made + REMEMBER);
                s.steps[served] = IDLE;
                if self.cache == Cache::LookThenInsert {
                    if !s.seen.holds(self.cache, node, now) {
                        s.steps[served] = Step::NotThere;
                    }
                } else {
                    let absent = s.seen.put_if_absent(self.cache, node, expires, now);
                    let late = self.clock == Clock::ReadAgain && now >= expires;
                    s.accepted = (s.accepted + u8::from(absent && !late)).min(2);
                }
                Some(s)
            }
            Action::Insert(served) => {
                if s.steps[served] != Step::NotThere {
                    return None;
                }
                s.seen.insert(self.cache, node_of(served), s.made + REMEMBER);
                s.steps[served] = IDLE;
                s.accepted = (s.accepted + 1).min(2);
                Some(s)
            }
            Action::Crash(node) => {
                self.start_anew(&mut s, node);
                (s != *last).then_some(s)
            }
            Action::PowerCut => {
                // the nodes of one SQLite file are lost together with it
                if !self.world.forgetful_store || s.seen.is_empty() {
                    return None;
                }
                s.seen.lose();
                (0..NODES).for_each(|node| self.start_anew(&mut s, node));
                Some(s)
            }
            Action::Sweep(node) => s.seen.sweep(self.cache, node, self.world.at(node, s.now)).then_some(s),
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE, |_, s: &State| s.accepted <= 1),
            Property::sometimes("it acts", |_, s: &State| s.accepted == 1),
        ]
    }
}

/// The promise.
pub(crate) const ONCE: &str = "a first message acts at most once";

impl Replay {
    fn start_anew(&self, s: &mut State, node: Node) {
        for served in (0..SERVED).filter(|served| node_of(*served) == node) {
            s.steps[served] = IDLE;
        }
        s.key[node] &= self.keys == Keys::OfTheDomain;
        if self.cache == Cache::OfEachNode {
            s.seen.sweep(self.cache, node, i8::MAX);
        }
    }
}
