//! A session ticket acts once in the domain (`ClaimedTicket::verify`, `TicketProved::redeem` in
//! core/session/src/ticket.rs; `Shared::remember` in shell/server).
//!
//! Its owner shows one ticket again and again, with a new first message each time, to either node. A
//! node checks it, asks the store, and then opens a session. The ticket keys follow from the domain
//! key, so unlike context keys they survive every restart.

use crate::clock::{Cache, NODES, Node, SERVED, Seen, Served, TOLERANCE, World, node_of};
use stateright::{Model, Property};

/// When the ticket ends.
const EXPIRES: i8 = 3;
/// The last minute that is looked at.
const END: i8 = EXPIRES + 2 * TOLERANCE + 2;

/// How long a used ticket is remembered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memory {
    /// Until it ends.
    UntilItEnds,
    /// Twice the clock tolerance longer.
    WithTolerance,
    /// Broken: for the time that a first message is remembered, however long the ticket is good.
    LikeAFirstMessage,
}

/// The machine.
#[derive(Clone, Copy)]
pub(crate) struct Ticket {
    pub(crate) cache: Cache,
    pub(crate) memory: Memory,
    pub(crate) world: World,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Idle,
    /// The ticket is right and in its time; so long ago.
    Right(i8),
    NotThere,
    /// Used up in the store; the session is not open yet.
    Redeemed,
}

const IDLE: Step = Step::Idle;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    now: i8,
    steps: [Step; SERVED],
    seen: Seen,
    sessions: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Tick,
    Show(Served),
    AskStore(Served),
    Insert(Served),
    OpenSession(Served),
    Crash(Node),
    PowerCut,
    Sweep(Node),
}

impl Ticket {
    fn remember_until(&self, now: i8) -> i8 {
        match self.memory {
            Memory::UntilItEnds => EXPIRES,
            Memory::WithTolerance => EXPIRES + 2 * TOLERANCE,
            Memory::LikeAFirstMessage => (now + 1).min(EXPIRES),
        }
    }
}

/// The promise.
pub(crate) const ONCE: &str = "a ticket opens at most one session";

impl Model for Ticket {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State { now: 0, steps: [IDLE; SERVED], seen: Seen::default(), sessions: 0 }]
    }

    fn actions(&self, _: &State, actions: &mut Vec<Action>) {
        actions.extend([Action::Tick, Action::PowerCut]);
        for served in 0..SERVED {
            actions.extend([
                Action::Show(served),
                Action::AskStore(served),
                Action::Insert(served),
                Action::OpenSession(served),
            ]);
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
                    if let Step::Right(ago) = step {
                        *ago += 1;
                        if *ago > self.world.stall {
                            return None;
                        }
                    }
                }
                (s.now <= END).then_some(s)
            }
            Action::Show(served) => {
                let right = s.steps[served] == IDLE && self.world.at(node_of(served), s.now) < EXPIRES;
                s.steps[served] = Step::Right(0);
                right.then_some(s)
            }
            Action::AskStore(served) => {
                let Step::Right(_) = s.steps[served] else { return None };
                let node = node_of(served);
                let now = self.world.at(node, s.now);
                let absent = if self.cache == Cache::LookThenInsert {
                    !s.seen.holds(self.cache, node, now)
                } else {
                    s.seen.put_if_absent(self.cache, node, self.remember_until(now), now)
                };
                s.steps[served] = match (absent, self.cache) {
                    (false, _) => IDLE,
                    (true, Cache::LookThenInsert) => Step::NotThere,
                    (true, _) => Step::Redeemed,
                };
                Some(s)
            }
            Action::Insert(served) => {
                if s.steps[served] != Step::NotThere {
                    return None;
                }
                let node = node_of(served);
                let until = self.remember_until(self.world.at(node, s.now));
                s.seen.insert(self.cache, node, until);
                s.steps[served] = Step::Redeemed;
                Some(s)
            }
            Action::OpenSession(served) => {
                if s.steps[served] != Step::Redeemed {
                    return None;
                }
                s.steps[served] = IDLE;
                s.sessions = (s.sessions + 1).min(2);
                Some(s)
            }
            Action::Crash(node) => {
                for served in (0..SERVED).filter(|served| node_of(*served) == node) {
                    s.steps[served] = IDLE;
                }
                if self.cache == Cache::OfEachNode {
                    s.seen.sweep(self.cache, node, i8::MAX);
                }
                (s != *last).then_some(s)
            }
            Action::PowerCut => {
                if !self.world.forgetful_store || s.seen.is_empty() {
                    return None;
                }
                s.seen.lose();
                s.steps = [IDLE; SERVED];
                Some(s)
            }
            Action::Sweep(node) => s.seen.sweep(self.cache, node, self.world.at(node, s.now)).then_some(s),
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE, |_, s: &State| s.sessions <= 1),
            Property::sometimes("it opens one", |_, s: &State| s.sessions == 1),
            // a node that dies between store and session costs its owner a sign-in, no more
            Property::sometimes("it is used up for nothing", |_, s: &State| {
                s.sessions == 0 && !s.seen.is_empty() && s.steps.iter().all(|x| *x == IDLE)
            }),
        ]
    }
}
