//! One connection, carried step by step.

mod inbound;
mod outbound;

use self::inbound::Inbound;
use self::outbound::{Outbound, Phase};
use super::{
    Adoption, ClientEnd, Counters, Ended, Entry, Interest, KeySeal, Ledger, LedgerMemory, Lost, Protection,
    Rings, Standing, Step, ToClient, Truncation,
};

/// Carries one connection: takes records from the client and gives their content to the application,
/// takes bytes from the application and gives them as records to the client.
///
/// Ask [`Carrier::next`] what to do, do it, tell what came of it, ask again. Killed after any step, or
/// in the middle of one, [`Carrier::adopt`] in another process goes on without a lost or repeated byte.
/// A step that would block is told by [`Carrier::blocked`], and asked for again once
/// [`Carrier::ready`] said that it can be done; say so between any two steps, not only after a
/// [`Step::Wait`], or a busy direction keeps a quiet one waiting.
pub struct Carrier<P> {
    ledger: Ledger,
    /// What is true now; what is committed follows by [`Carrier::commit`].
    entry: Entry,
    protection: P,
    outbound: Outbound,
    inbound: Inbound,
    commit_due: bool,
    keys_changed: bool,
    /// The alert with which we want to end.
    alert: Option<u16>,
    ended: Option<Ended>,
    blocked: Interest,
    client_was_read_last: bool,
}

/// Without what is carried, and without keys.
impl<P> std::fmt::Debug for Carrier<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Carrier")
            .field("entry", &self.entry)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl<P: Protection> Carrier<P> {
    /// Carries a new connection, whose handshake is over: `protection` goes on from it. `client` and
    /// `application` are counted now, with the handshake's own bytes read and written to the last, and
    /// nothing of either side's content. The first step is the first commit, before which nothing can be
    /// adopted.
    pub fn begin(
        ledger: Ledger,
        protection: P,
        truncation: Truncation,
        client: Counters,
        application: Counters,
    ) -> Self {
        let mut entry = Entry { truncation, ..Entry::default() };
        entry.to_client = ToClient { written: client.written, taken: application.read, ..entry.to_client };
        entry.to_application.written = application.written;
        entry.to_application.taken = client.read;
        let heads = (client.read, application.read);
        Self { keys_changed: true, ..Self::with(ledger, entry, protection, heads) }
    }

    /// Carries on what a dead process left: `ledger` and `entry` as [`Ledger::open`] gave them,
    /// `protection` made from what was found there, the counters read after that process was waited for.
    ///
    /// # Errors
    /// [`Lost`]: reset both sockets.
    pub fn adopt(
        ledger: Ledger,
        entry: Entry,
        mut protection: P,
        client: Counters,
        application: Counters,
        rings: &impl Rings,
    ) -> Result<Self, Lost> {
        let geometry = ledger.geometry();
        let adoption = Adoption::judge(&entry, geometry, client, application, rings, &mut protection)?;
        let heads = (adoption.client_head, adoption.application_head);
        let mut carrier = Self::with(ledger, entry, protection, heads);
        carrier.entry.epoch = entry.epoch.wrapping_add(1);
        carrier.inbound.shut = application.standing == Standing::Over;
        carrier.outbound.shut = client.standing == Standing::Over;
        carrier.resume_outbound(adoption.to_client);
        carrier.resume_inbound(adoption.to_application);
        Ok(carrier)
    }

    fn with(
        ledger: Ledger,
        entry: Entry,
        protection: P,
        (client_head, application_head): (u64, u64),
    ) -> Self {
        Self {
            ledger,
            entry,
            protection,
            outbound: Outbound::new(application_head),
            inbound: Inbound::new(client_head),
            commit_due: true,
            keys_changed: false,
            alert: None,
            ended: None,
            blocked: Interest::default(),
            client_was_read_last: false,
        }
    }

    /// The next thing to do.
    pub fn next(&mut self, rings: &impl Rings) -> Step {
        if self.ended.is_none() {
            // what is received may be answered: with new keys, or with an alert
            self.take_records(rings);
            self.choose_record();
        }
        if let Some(ended) = self.ended {
            return Step::Ended(ended);
        }
        if self.commit_due {
            return Step::Commit;
        }
        if let Err(lost) = self.seal_record(rings) {
            return self.end(Ended::Lost(lost));
        }
        if self.outbound.is_writing() && !self.blocked.client_writable {
            return Step::WriteClient;
        }
        let passing = self.alert.is_none();
        if passing && self.inbound.busy && !self.blocked.application_writable {
            return Step::WriteApplication;
        }
        if self.entry.to_client.closed && !self.outbound.shut {
            return Step::EndClient;
        }
        let client_ended = self.entry.to_application.end != ClientEnd::Open;
        if passing && client_ended && !self.inbound.shut {
            return Step::EndApplication;
        }
        if let Some(alert) = self.alert.filter(|_| self.entry.to_client.closed) {
            return self.end(Ended::Alerted(alert));
        }
        if self.entry.to_client.closed && client_ended {
            return self.end(Ended::Orderly);
        }
        self.read_step().unwrap_or_else(|| Step::Wait(self.interest()))
    }

    /// What to read, the sides in turn.
    fn read_step(&mut self) -> Option<Step> {
        let from_client = self.client_room().filter(|_| !self.blocked.client_readable);
        let from_application = self.application_room().filter(|_| !self.blocked.application_readable);
        let position = self.inbound.head;
        let client = from_client.map(|room| Step::ReadClient { position, room });
        let position = self.outbound.head;
        let application = from_application.map(|room| Step::ReadApplication { position, room });
        let step = if self.client_was_read_last { application.or(client) } else { client.or(application) };
        self.client_was_read_last = matches!(step, Some(Step::ReadClient { .. }));
        step
    }

    /// Everything that is blocked and would be done.
    fn interest(&self) -> Interest {
        Interest {
            client_readable: self.client_room().is_some(),
            client_writable: self.outbound.is_writing(),
            application_readable: self.application_room().is_some(),
            application_writable: self.alert.is_none() && self.inbound.busy,
        }
    }

    /// Commits, as [`Step::Commit`] asks.
    pub fn commit(&mut self, memory: &mut impl LedgerMemory, seal: &mut KeySeal<'_>) {
        let (numbers, conduct) = self.protection.conduct();
        self.entry.to_client.number = numbers.sending;
        self.entry.to_application.number = numbers.receiving;
        self.entry.conduct = conduct;
        let keys = self.keys_changed.then(|| self.protection.keys());
        self.ledger.commit(memory, &self.entry, keys.as_ref().map(|keys| (keys, seal)));
        (self.keys_changed, self.commit_due) = (false, false);
        if self.outbound.phase == Phase::Chosen {
            self.outbound.phase = Phase::Committed;
        }
    }

    /// The steps that move `what` cannot be done now.
    pub fn blocked(&mut self, what: Interest) {
        self.blocked = join(self.blocked, what, |blocked, what| blocked | what);
    }

    /// What was blocked can be tried again.
    pub fn ready(&mut self, what: Interest) {
        self.blocked = join(self.blocked, what, |blocked, what| blocked & !what);
    }

    /// The client's socket failed: a read, a write or a shutdown gave an error.
    pub fn client_failed(&mut self) {
        self.end(Ended::ClientGone);
    }

    /// Ends the connection as soon as the record in hand is out, with `alert` to the client: the
    /// application's socket failed, or the client's right was withdrawn. Nothing more is passed either
    /// way.
    pub fn end_with(&mut self, alert: u16) {
        if self.entry.to_client.closed {
            // nothing may follow the last record
            self.end(Ended::Alerted(alert));
        }
        self.alert.get_or_insert(alert);
    }

    /// The record layer and the carrier do not agree, which no peer can bring about: nothing is sent any
    /// more.
    fn contradicted(&mut self) {
        self.end(Ended::Lost(Lost::Unsealable));
    }

    /// How it came to its end, the first reason counts.
    fn end(&mut self, ended: Ended) -> Step {
        Step::Ended(*self.ended.get_or_insert(ended))
    }

    /// What is true now, committed or about to be; numbers and conduct are of the last commit.
    #[must_use]
    pub const fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Whether both rings are empty and nothing is in hand: their memory may be given back.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.commit_due
            && self.outbound.phase == Phase::Idle
            && !self.inbound.busy
            && self.outbound.head == self.entry.to_client.taken
            && self.inbound.head == self.entry.to_application.taken
    }
}

fn join(a: Interest, b: Interest, with: fn(bool, bool) -> bool) -> Interest {
    Interest {
        client_readable: with(a.client_readable, b.client_readable),
        client_writable: with(a.client_writable, b.client_writable),
        application_readable: with(a.application_readable, b.application_readable),
        application_writable: with(a.application_writable, b.application_writable),
    }
}
