//! A device's certificate is renewed (`Certifying` in shell/server/src/admin/ca_session.rs;
//! `add_certificate`, `confirm_certificate`, `certificate_used` in shell/store/src/certificates.rs;
//! `Certificates` in shell/agent/src/agent/certificates.rs).
//!
//! The device talks to one node and a thief to another, who copied its key at some moment. Every message may
//! be lost, and a node may crash between any two steps. A transaction is one step, as in `invitation`.

use stateright::{Model, Property};

/// The device, and the thief.
const HANDS: usize = 2;
const DEVICE: usize = 0;
const THIEF: usize = 1;
/// Certificates that are made at most, the first one included.
const MADE: usize = 5;

/// What the office looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// The product's.
    Ours,
    /// Broken: a certificate is in force as soon as it was made, as if no answer were ever lost.
    NoConfirmation,
    /// Broken: the same, and one that was followed is renewed again, so that a lost answer costs nothing.
    FollowedAgain,
    /// Broken: a confirmation does not look whether another one was first.
    ConfirmUnchecked,
    /// Broken: only a confirmation puts into force.
    UseIsNothing,
}

/// The machine.
#[derive(Clone)]
pub(crate) struct Renewal {
    pub(crate) rules: Rules,
    pub(crate) thief: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Row {
    None,
    Pending { replaces: usize },
    Active,
    Superseded,
}

/// What a node does for who talks to it; gone after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Serving {
    Nothing,
    /// The key of this one was proved.
    Proved(usize),
    /// It was active when it was looked at.
    Looked(usize),
    /// This one was made; the answer is not out yet.
    Made(usize),
    /// The answer arrived, and the confirmation is awaited.
    Waiting(usize),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    rows: [Row; MADE],
    made: usize,
    /// Which certificate each has; the thief has none at first.
    has: [Option<usize>; HANDS],
    serving: [Serving; HANDS],
    /// How many next ones of each came into force.
    followed: [u8; MADE],
    /// Whether a next one was made for one that had been followed.
    from_followed: bool,
    /// Whether a renewal of the device's was refused.
    refused: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Copy,
    Prove(usize),
    Look(usize),
    Make(usize),
    Answer(usize),
    LoseAnswer(usize),
    Confirm(usize),
    LoseConfirmation(usize),
    Use(usize),
    Crash(usize),
}

impl State {
    /// Puts a pending one into force; false when another one was first.
    fn put(&mut self, rules: Rules, which: usize) -> bool {
        let Row::Pending { replaces } = self.rows[which] else { return true };
        if self.rows[replaces] != Row::Active && rules != Rules::ConfirmUnchecked {
            return false;
        }
        self.rows[which] = Row::Active;
        self.follow(replaces);
        true
    }

    fn follow(&mut self, old: usize) {
        self.rows[old] = Row::Superseded;
        self.followed[old] += 1;
    }

    fn refuse(&mut self, hand: usize) {
        self.serving[hand] = Serving::Nothing;
        self.refused |= hand == DEVICE;
    }
}

/// What grace rests on.
pub(crate) const LINE: &str = "of one certificate at most one next comes into force";
/// Why an old key is worth nothing.
pub(crate) const FOLLOWED: &str = "for one that was followed no next one is made";
/// What the device relies on.
pub(crate) const RETURN: &str = "without a thief the device is never refused";

impl Model for Renewal {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut rows = [Row::None; MADE];
        rows[0] = Row::Active;
        vec![State {
            rows,
            made: 1,
            has: [Some(0), None],
            serving: [Serving::Nothing; HANDS],
            followed: [0; MADE],
            from_followed: false,
            refused: false,
        }]
    }

    fn actions(&self, _: &State, actions: &mut Vec<Action>) {
        if self.thief {
            actions.push(Action::Copy);
        }
        for hand in 0..if self.thief { HANDS } else { 1 } {
            actions.extend([
                Action::Prove(hand),
                Action::Look(hand),
                Action::Make(hand),
                Action::Answer(hand),
                Action::LoseAnswer(hand),
                Action::Confirm(hand),
                Action::LoseConfirmation(hand),
                Action::Use(hand),
                Action::Crash(hand),
            ]);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut s = last.clone();
        match action {
            Action::Copy => {
                if s.has[THIEF].is_some() {
                    return None;
                }
                s.has[THIEF] = s.has[DEVICE];
            }
            Action::Prove(hand) => {
                if s.serving[hand] != Serving::Nothing || s.made == MADE {
                    return None;
                }
                s.serving[hand] = Serving::Proved(s.has[hand]?);
            }
            Action::Look(hand) => {
                let Serving::Proved(old) = s.serving[hand] else { return None };
                let used = self.rules == Rules::UseIsNothing || s.put(self.rules, old);
                let good = match s.rows[old] {
                    Row::Active => true,
                    Row::Superseded => self.rules == Rules::FollowedAgain,
                    Row::None | Row::Pending { .. } => false,
                };
                if used && good { s.serving[hand] = Serving::Looked(old) } else { s.refuse(hand) }
            }
            Action::Make(hand) => {
                let Serving::Looked(old) = s.serving[hand] else { return None };
                if s.made == MADE {
                    return None;
                }
                if s.rows[old] != Row::Active && self.rules != Rules::FollowedAgain {
                    s.refuse(hand);
                    return Some(s);
                }
                s.from_followed |= s.rows[old] == Row::Superseded;
                let new = s.made;
                s.made += 1;
                s.rows[new] = Row::Pending { replaces: old };
                if matches!(self.rules, Rules::NoConfirmation | Rules::FollowedAgain) {
                    s.rows[new] = Row::Active;
                    s.follow(old);
                }
                s.serving[hand] = Serving::Made(new);
            }
            Action::Answer(hand) | Action::LoseAnswer(hand) => {
                let Serving::Made(new) = s.serving[hand] else { return None };
                s.serving[hand] = Serving::Nothing;
                if action == Action::Answer(hand) {
                    // into its file, before it is confirmed
                    s.has[hand] = Some(new);
                    s.serving[hand] = Serving::Waiting(new);
                }
            }
            Action::Confirm(hand) => {
                let Serving::Waiting(new) = s.serving[hand] else { return None };
                if !s.put(self.rules, new) {
                    s.refuse(hand);
                }
                s.serving[hand] = Serving::Nothing;
            }
            Action::LoseConfirmation(hand) => {
                if !matches!(s.serving[hand], Serving::Waiting(_)) {
                    return None;
                }
                s.serving[hand] = Serving::Nothing;
            }
            Action::Use(hand) => {
                // a sign-in, at either node
                if self.rules != Rules::UseIsNothing && !s.put(self.rules, s.has[hand]?) {
                    s.refuse(hand);
                }
            }
            Action::Crash(hand) => {
                if s.serving[hand] == Serving::Nothing {
                    return None;
                }
                s.serving[hand] = Serving::Nothing;
            }
        }
        (s != *last).then_some(s)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(LINE, |_, s: &State| s.followed.iter().all(|n| *n <= 1)),
            Property::always(FOLLOWED, |_, s: &State| !s.from_followed),
            Property::sometimes("the device renews twice", |_, s: &State| {
                s.has[DEVICE]
                    .is_some_and(|c| s.rows[c] == Row::Active && s.followed[..c].iter().sum::<u8>() > 1)
            }),
            Property::sometimes("an answer is lost, and the next one arrives", |_, s: &State| {
                s.made == 3 && s.has[DEVICE] == Some(2) && matches!(s.rows[1], Row::Pending { .. })
            }),
        ];
        if self.thief {
            properties.push(Property::sometimes(
                "the device is refused, so the theft is noticed",
                |_, s: &State| s.refused,
            ));
        } else {
            properties.push(Property::always(RETURN, |_, s: &State| !s.refused));
        }
        properties
    }
}
