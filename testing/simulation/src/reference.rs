//! The reference model: what must be true of everything that happens, whoever does it.
//!
//! It sees all hosts at once and the true time. Each rule is looked at when something happens that could break it.

use crate::world::{Instant, SEC};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use symbolon_wire::Time;

type Session = [u8; 16];

/// How long a node that reaches its stores may go on as if a right were there: it looks twice a second.
const GRACE: u64 = 4 * SEC;
/// How far the clocks are apart at most, in seconds, and how rarely a node looks at the time.
pub(crate) const SKEW_SECS: u64 = 3;
const TICK_SECS: u64 = 4;

/// What happened in a world, to see that something did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions that were opened, by token or by ticket.
    pub sign_ins: u64,
    /// Sessions that were opened by ticket.
    pub tickets: u64,
    /// Sessions that went on over another connection.
    pub attaches: u64,
    /// Those of them that went to another node.
    pub moves: u64,
    /// Streams that reached their application.
    pub streams: u64,
    /// Reports that the store acknowledged.
    pub reports: u64,
    /// Rights that were withdrawn, sessions that were ended.
    pub withdrawals: u64,
    /// Messages that were recorded and shown again.
    pub replays: u64,
    /// Crashes, partitions, clock steps and takeovers.
    pub faults: u64,
    /// Times that a replica became the primary.
    pub takeovers: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.sign_ins += more.sign_ins;
        self.tickets += more.tickets;
        self.attaches += more.attaches;
        self.moves += more.moves;
        self.streams += more.streams;
        self.reports += more.reports;
        self.withdrawals += more.withdrawals;
        self.replays += more.replays;
        self.faults += more.faults;
        self.takeovers += more.takeovers;
    }
}

/// Whose a session is.
#[derive(Clone, Copy)]
struct Owner {
    user: u8,
    registration: u32,
    expires: Time,
}

#[derive(Default)]
pub(crate) struct Reference {
    violation: Option<String>,
    pub(crate) counts: Counts,
    sessions: BTreeMap<Session, Owner>,
    owners: BTreeMap<(Session, u64), (u8, u64)>,
    since: BTreeMap<(Session, u64), Instant>,
    last_owner: BTreeMap<Session, u8>,
    dealt: BTreeMap<Session, Vec<Range<u64>>>,
    acted: BTreeSet<(Session, u64)>,
    operations: BTreeSet<u64>,
    attaches: BTreeSet<Vec<u8>>,
    first_messages: BTreeSet<[u8; 32]>,
    tickets: BTreeSet<[u8; 32]>,
    kept: BTreeMap<Session, Vec<(u64, u64)>>,
    ended: BTreeMap<Session, Instant>,
    locked: BTreeMap<u8, Instant>,
    withdrawn: BTreeMap<u8, Instant>,
    revoked: BTreeMap<(u8, u32), Instant>,
    trouble: BTreeMap<u8, Instant>,
}

impl Reference {
    pub(crate) fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    pub(crate) fn violated(&mut self, rule: String) {
        self.violation.get_or_insert(rule);
    }

    /// A node could not ask its stores.
    pub(crate) fn troubled(&mut self, node: u8, now: Instant) {
        self.trouble.insert(node, now);
    }

    /// A session takes effect that was asked for at `began`.
    pub(crate) fn signed_in(
        &mut self,
        session: Session,
        (user, registration, expires): (u8, u32, Time),
        first_message: [u8; 32],
        began: Instant,
    ) {
        self.counts.sign_ins += 1;
        self.sessions.insert(session, Owner { user, registration, expires });
        if !self.first_messages.insert(first_message) {
            self.violated("a first message opened two sessions".to_owned());
        }
        if self.locked.get(&user).is_some_and(|at| *at < began) {
            self.violated(format!("user {user} signed in after being locked"));
        }
        if self.revoked.get(&(user, registration)).is_some_and(|at| *at < began) {
            self.violated(format!("user {user} signed in with a revoked token"));
        }
    }

    pub(crate) fn redeemed(&mut self, ticket: [u8; 32], of: Session, began: Instant) {
        self.counts.tickets += 1;
        if !self.tickets.insert(ticket) {
            self.violated("a ticket opened two sessions".to_owned());
        }
        if self.ended.get(&of).is_some_and(|at| *at < began) {
            self.violated("a ticket opened a session after its own was ended".to_owned());
        }
    }

    /// A node says that it carries a session from this epoch on.
    pub(crate) fn owned(&mut self, session: Session, epoch: u64, node: u8, boot: u64, now: Instant) {
        self.since.entry((session, epoch)).or_insert(now);
        let owner = *self.owners.entry((session, epoch)).or_insert((node, boot));
        if owner != (node, boot) {
            self.violated(format!("epoch {epoch} has two owners: nodes {} and {node}", owner.0));
        }
        if self.last_owner.insert(session, node).is_some_and(|last| last != node) {
            self.counts.moves += 1;
        }
    }

    pub(crate) fn attached(
        &mut self,
        session: Session,
        epoch: u64,
        request: &[u8],
        report: u64,
        began: Instant,
    ) {
        self.counts.attaches += 1;
        if !self.attaches.insert(request.to_vec()) {
            self.violated("an attach was accepted twice".to_owned());
        }
        if self.ended.get(&session).is_some_and(|at| *at < began) {
            self.violated("a session was attached to after it was ended".to_owned());
        }
        let before = self.kept.get(&session).into_iter().flatten().filter(|(of, _)| *of < epoch);
        if let Some((_, kept)) = before.max_by_key(|(_, report)| *report).filter(|(_, kept)| *kept > report) {
            self.violated(format!("report {kept} was acknowledged, and epoch {epoch} begins with {report}"));
        }
    }

    pub(crate) fn kept(&mut self, session: Session, epoch: u64, report: u64, began: Instant) {
        self.counts.reports += 1;
        let later = (session, epoch + 1)..=(session, u64::MAX);
        if self.since.range(later).any(|(_, since)| *since < began) {
            self.violated(format!("the owner of epoch {epoch} was acknowledged in a later one"));
        }
        self.kept.entry(session).or_default().push((epoch, report));
    }

    pub(crate) fn dealt(&mut self, session: Session, range: Range<u64>) {
        let ranges = self.dealt.entry(session).or_default();
        let twice = ranges.iter().any(|r| r.start < range.end && range.start < r.end);
        ranges.push(range.clone());
        if twice {
            self.violated(format!("stream numbers {range:?} were dealt twice"));
        }
    }

    /// A stream reaches its application, or carries bytes to it again.
    pub(crate) fn acts(
        &mut self,
        session: Session,
        node: u8,
        number: Option<(u64, u64)>,
        now: Instant,
        time: Time,
    ) {
        if let Some((number, operation)) = number {
            self.counts.streams += 1;
            if !self.acted.insert((session, number)) {
                self.violated(format!("stream {number} acted twice"));
            }
            if !self.operations.insert(operation) {
                self.violated(format!("operation {operation} was done twice"));
            }
        }
        let Some(owner) = self.sessions.get(&session).copied() else {
            return self.violated("a stream of a session that nobody opened".to_owned());
        };
        if time > owner.expires.plus_secs(SKEW_SECS + TICK_SECS) {
            self.violated("a stream of a session whose time was over".to_owned());
        }
        let known = self.trouble.get(&node).copied().unwrap_or(0);
        let late = |at: Option<&Instant>| at.is_some_and(|at| now > known.max(*at) + GRACE);
        let rules = [
            (late(self.ended.get(&session)), "its session was ended"),
            (late(self.locked.get(&owner.user)), "its user was locked"),
            (late(self.withdrawn.get(&owner.user)), "the right was withdrawn"),
            (late(self.revoked.get(&(owner.user, owner.registration))), "its token was revoked"),
        ];
        if let Some((_, why)) = rules.iter().find(|(broken, _)| *broken) {
            let id = symbolon_session::SessionId(session);
            self.violated(format!("a stream of session {id} acts at node {node} although {why}"));
        }
    }

    /// The client was told that its application is reached.
    pub(crate) fn accepted(&mut self, operation: u64) {
        if !self.operations.contains(&operation) {
            self.violated(format!("operation {operation} was acknowledged and never done"));
        }
    }

    pub(crate) fn ended(&mut self, session: Session, now: Instant) {
        self.counts.withdrawals += 1;
        self.ended.entry(session).or_insert(now);
    }

    pub(crate) fn locked(&mut self, user: u8, locked: Option<Instant>) {
        self.counts.withdrawals += u64::from(locked.is_some());
        set(&mut self.locked, user, locked);
    }

    pub(crate) fn withdrawn(&mut self, user: u8, withdrawn: Option<Instant>) {
        self.counts.withdrawals += u64::from(withdrawn.is_some());
        set(&mut self.withdrawn, user, withdrawn);
    }

    pub(crate) fn revoked(&mut self, user: u8, registration: u32, now: Instant) {
        self.counts.withdrawals += 1;
        self.revoked.entry((user, registration)).or_insert(now);
    }
}

fn set(since: &mut BTreeMap<u8, Instant>, user: u8, now: Option<Instant>) {
    match now {
        Some(now) => drop(since.insert(user, now)),
        None => drop(since.remove(&user)),
    }
}
