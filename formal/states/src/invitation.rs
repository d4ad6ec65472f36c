//! An invitation registers one token (`Store::begin_registration`, `confirm_registration`, `lapse` in
//! shell/store/src/registering.rs; `claim`, `consume`, `reopen` in invitations.rs; `Shared::register` and
//! `Shared::by_token` in shell/server).
//!
//! Two clients with the same code, each at a node of its own. Every message may be lost, every node
//! may crash between any two steps, a client may try again, a claim lapses, an administrator may
//! take the invitation back. A transaction is one step: each takes the head of the audit chain first, so
//! they run one after another on both engines.

use stateright::{Model, Property};

/// Clients, and the node that each talks to.
const CLIENTS: usize = 2;
/// How often one client tries.
const TRIES: u8 = 2;
/// `CONFIRM_WITHIN_SECS` in ticks of five minutes.
const CONFIRM_WITHIN: u8 = 2;
/// When the invitation ends.
const EXPIRES: u8 = 5;
/// The last tick that is looked at.
const END: u8 = 6;

/// What the transactions look at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// The product's.
    Ours,
    /// Broken: the code is looked at before the transaction (`Shared::plan`) and not again in it.
    ClaimUnchecked,
    /// Broken: who claimed the code is not looked at when it is consumed.
    ConsumeUnchecked,
    /// Broken: neither is looked at.
    NothingChecked,
    /// Broken: the gateway keeps a registration for good when it sends its reply.
    NoConfirmation,
}

/// The machine.
#[derive(Clone)]
pub(crate) struct Invitation {
    pub(crate) rules: Rules,
}

/// A registration: whose, and which try.
type Registration = (usize, u8);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Code {
    Open,
    Claimed { by: Registration, at: u8 },
    Consumed { by: Registration },
    Revoked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Row {
    None,
    Provisional { created: u8 },
    Active,
}

/// What a client's node is about to do for it; gone after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Serving {
    Nothing,
    /// The request opened and the code was good when it was looked at.
    Planned,
    /// The first transaction is through; the reply is not out yet.
    Begun,
    /// The reply is out, and the confirmation awaited.
    Waiting,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    now: u8,
    code: Code,
    rows: [[Row; TRIES as usize]; CLIENTS],
    /// How often each client began.
    tries: [u8; CLIENTS],
    /// The try whose key is in the client's token file.
    keys: [Option<u8>; CLIENTS],
    serving: [Serving; CLIENTS],
    /// Whether an administrator took the invitation back.
    taken_back: bool,
    /// Whether the gateway told the client that its registration is kept.
    told: [bool; CLIENTS],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Tick,
    Request(usize),
    Begin(usize),
    Reply(usize),
    LoseReply(usize),
    Confirm(usize),
    SignIn(usize),
    Crash(usize),
    Abandon(usize),
    Revoke,
}

impl State {
    fn row(&mut self, (client, attempt): Registration) -> &mut Row {
        &mut self.rows[client][usize::from(attempt) - 1]
    }

    fn active(&self) -> usize {
        self.rows.iter().flatten().filter(|r| **r == Row::Active).count()
    }

    /// `lapse`: what was not confirmed in time is removed, and its claim opened.
    fn lapse(&mut self) {
        let old = |at: u8, now: u8| at + CONFIRM_WITHIN <= now;
        for row in self.rows.iter_mut().flatten() {
            if matches!(*row, Row::Provisional { created } if old(created, self.now)) {
                *row = Row::None;
            }
        }
        if matches!(self.code, Code::Claimed { at, .. } if old(at, self.now)) {
            self.code = Code::Open;
        }
    }

    /// `begin_registration`.
    fn begin(&mut self, rules: Rules, id: Registration) -> bool {
        self.lapse();
        let checked = matches!(rules, Rules::Ours | Rules::ConsumeUnchecked | Rules::NoConfirmation);
        if checked && (self.code != Code::Open || self.now >= EXPIRES) {
            return false;
        }
        self.code = Code::Claimed { by: id, at: self.now };
        *self.row(id) = Row::Provisional { created: self.now };
        if rules == Rules::NoConfirmation {
            self.code = Code::Consumed { by: id };
            *self.row(id) = Row::Active;
        }
        true
    }

    /// `confirm_registration`.
    fn confirm(&mut self, rules: Rules, id: Registration) -> bool {
        self.lapse();
        match *self.row(id) {
            Row::None => return false,
            Row::Active => return true,
            Row::Provisional { .. } => {}
        }
        let checked = matches!(rules, Rules::Ours | Rules::ClaimUnchecked);
        if checked && !matches!(self.code, Code::Claimed { by, .. } if by == id) {
            return false;
        }
        self.code = Code::Consumed { by: id };
        *self.row(id) = Row::Active;
        true
    }
}

/// The promises.
pub(crate) const ONE: &str = "an invitation registers at most one token";
/// What the order of storing and confirming is for.
pub(crate) const BOTH: &str = "what the gateway keeps for good the client has";
/// What an administrator relies on.
pub(crate) const NOBODY: &str = "an invitation that was taken back registers nobody";

impl Model for Invitation {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            now: 0,
            code: Code::Open,
            rows: [[Row::None; TRIES as usize]; CLIENTS],
            tries: [0; CLIENTS],
            keys: [None; CLIENTS],
            serving: [Serving::Nothing; CLIENTS],
            taken_back: false,
            told: [false; CLIENTS],
        }]
    }

    fn actions(&self, _: &State, actions: &mut Vec<Action>) {
        actions.extend([Action::Tick, Action::Revoke]);
        for c in 0..CLIENTS {
            actions.extend([
                Action::Request(c),
                Action::Begin(c),
                Action::Reply(c),
                Action::LoseReply(c),
                Action::Confirm(c),
                Action::SignIn(c),
                Action::Crash(c),
                Action::Abandon(c),
            ]);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut s = last.clone();
        match action {
            Action::Tick => s.now += 1,
            Action::Revoke => {
                if matches!(s.code, Code::Consumed { .. } | Code::Revoked) {
                    return None;
                }
                s.code = Code::Revoked;
                s.taken_back = true;
            }
            Action::Request(c) => {
                let good = matches!(s.code, Code::Open | Code::Claimed { .. }) && s.now < EXPIRES;
                if s.serving[c] != Serving::Nothing || s.tries[c] == TRIES || s.told[c] || !good {
                    return None;
                }
                s.tries[c] += 1;
                s.serving[c] = Serving::Planned;
            }
            Action::Begin(c) => {
                if s.serving[c] != Serving::Planned {
                    return None;
                }
                let begun = s.begin(self.rules, (c, last.tries[c]));
                s.serving[c] = if begun { Serving::Begun } else { Serving::Nothing };
            }
            Action::Reply(c) | Action::LoseReply(c) => {
                if s.serving[c] != Serving::Begun {
                    return None;
                }
                let arrives = action == Action::Reply(c);
                s.serving[c] = if arrives { Serving::Waiting } else { Serving::Nothing };
                if arrives {
                    // into the token file, before the confirmation is sent
                    s.keys[c] = Some(s.tries[c]);
                }
            }
            Action::Confirm(c) => {
                if s.serving[c] != Serving::Waiting {
                    return None;
                }
                s.told[c] = s.confirm(self.rules, (c, last.tries[c]));
                s.serving[c] = Serving::Nothing;
            }
            Action::SignIn(c) => {
                // with the key in the token file, at either node: it confirms what was not confirmed
                let id = (c, last.keys[c]?);
                s.told[c] |= s.confirm(self.rules, id);
            }
            Action::Crash(c) => {
                if s.serving[c] == Serving::Nothing {
                    return None;
                }
                s.serving[c] = Serving::Nothing;
            }
            Action::Abandon(c) => {
                // `abandon_registration`, for what a node begun and cannot finish
                let id = (c, last.tries[c]);
                if last.tries[c] == 0 || !matches!(*s.row(id), Row::Provisional { .. }) {
                    return None;
                }
                *s.row(id) = Row::None;
                if matches!(s.code, Code::Claimed { by, .. } if by == id) {
                    s.code = Code::Open;
                }
            }
        }
        (s.now <= END && s != *last).then_some(s)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(ONE, |_, s: &State| s.active() <= 1),
            Property::always(BOTH, |_, s: &State| {
                (0..CLIENTS).all(|c| {
                    (1..=TRIES).all(|t| s.rows[c][usize::from(t) - 1] != Row::Active || s.keys[c] == Some(t))
                })
            }),
            Property::always("whoever was told so is registered", |_, s: &State| {
                (0..CLIENTS).all(|c| !s.told[c] || s.rows[c].contains(&Row::Active))
            }),
            Property::always(NOBODY, |_, s: &State| !s.taken_back || s.active() == 0),
            Property::sometimes("the second client registers", |_, s: &State| s.told[1]),
        ];
        if self.rules != Rules::NoConfirmation {
            properties
                .push(Property::sometimes("a claim lapses and the code serves again", |_, s: &State| {
                    s.now > CONFIRM_WITHIN && s.told[0] && s.tries[0] == TRIES
                }));
        }
        properties
    }
}
