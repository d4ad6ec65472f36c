//! Towards the client: choose a record, commit what it is, seal it, write it.

use super::Carrier;
use crate::ledger::{Ended, Intent, Keys, Lost, Protection, Rings, ToClientResumed};

/// The record in hand towards the client, and what the application sent.
pub(super) struct Outbound {
    pub(super) phase: Phase,
    record: Vec<u8>,
    sent: usize,
    /// Bytes ever read from the application.
    pub(super) head: u64,
    /// The application has ended what it sends.
    end: bool,
    /// The client's socket is shut for writing.
    pub(super) shut: bool,
}

/// How far the record in hand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is none.
    Idle,
    /// What it will be stands in the entry, and is to be committed.
    Chosen,
    /// It is committed, so it may be sealed.
    Committed,
    /// It is sealed and not wholly written.
    Writing,
}

impl Outbound {
    pub(super) const fn new(head: u64) -> Self {
        Self { phase: Phase::Idle, record: Vec::new(), sent: 0, head, end: false, shut: false }
    }

    pub(super) fn is_writing(&self) -> bool {
        self.phase == Phase::Writing
    }
}

impl<P: Protection> Carrier<P> {
    pub(super) fn resume_outbound(&mut self, resumed: ToClientResumed) {
        if let Some(Intent::Alert(alert)) = self.entry.to_client.intent {
            self.alert = Some(alert);
        }
        match resumed {
            ToClientResumed::Idle => {}
            ToClientResumed::Sent(intent) => self.record_is_out(intent, self.protection.sealed_length()),
            ToClientResumed::Resealed { record, sent } => {
                (self.outbound.record, self.outbound.sent) = (record, sent);
                self.outbound.phase = Phase::Writing;
            }
        }
    }

    /// Chooses the next record, if none is in hand and something is to be sent.
    pub(super) fn choose_record(&mut self) {
        if self.outbound.phase != Phase::Idle || self.entry.to_client.closed {
            return;
        }
        let held = self.outbound.head.wrapping_sub(self.entry.to_client.taken);
        let intent = match (self.alert, self.protection.due()) {
            (Some(alert), _) => Intent::Alert(alert),
            (None, Some(due)) => due,
            (None, None) if held > 0 => Intent::Data(held.min(self.protection.longest_data() as u64) as u32),
            (None, None) if self.outbound.end => Intent::CloseNotify,
            (None, None) => return,
        };
        if let Intent::Alert(alert) = intent {
            self.alert = Some(alert);
        }
        if self.protection.pin(intent).is_err() {
            return self.contradicted();
        }
        self.entry.to_client.intent = Some(intent);
        self.outbound.phase = Phase::Chosen;
        self.commit_due = true;
    }

    /// Seals the record whose intent is committed.
    pub(super) fn seal_record(&mut self, rings: &impl Rings) -> Result<(), Lost> {
        let (Phase::Committed, Some(intent)) = (self.outbound.phase, self.entry.to_client.intent) else {
            return Ok(());
        };
        let length = if let Intent::Data(length) = intent { length as usize } else { 0 };
        let data = rings.application(self.entry.to_client.taken, length);
        self.outbound.sent = 0;
        let sealed = self.protection.seal(data, &mut self.outbound.record);
        if sealed.is_err() || self.outbound.record.len() != self.protection.sealed_length() {
            return Err(Lost::Unsealable);
        }
        self.outbound.phase = Phase::Writing;
        Ok(())
    }

    /// What is to be written to the client, after [`Step::WriteClient`](crate::ledger::Step).
    #[must_use]
    pub fn for_client(&self) -> &[u8] {
        if self.outbound.is_writing() { &self.outbound.record[self.outbound.sent..] } else { &[] }
    }

    /// Whether more is written to the client at once after [`Carrier::for_client`], whatever comes: the kernel may
    /// wait for it, and send both together.
    #[must_use]
    pub fn more_for_client(&self) -> bool {
        let held = self.outbound.head.wrapping_sub(self.entry.to_client.taken);
        matches!(self.entry.to_client.intent, Some(Intent::Data(length)) if held > u64::from(length))
    }

    /// The kernel took so many bytes of [`Carrier::for_client`].
    pub fn wrote_client(&mut self, count: usize) {
        self.outbound.sent = (self.outbound.sent + count).min(self.outbound.record.len());
        if let Some(intent) = self.entry.to_client.intent.filter(|_| self.outbound.is_writing())
            && self.outbound.sent == self.outbound.record.len()
        {
            self.record_is_out(intent, self.outbound.record.len());
        }
    }

    /// The record went out whole. The ledger need not say so at once: the kernel's counter does.
    fn record_is_out(&mut self, intent: Intent, length: usize) {
        let Ok(keys) = self.protection.sent() else { return self.contradicted() };
        let out = &mut self.entry.to_client;
        out.written = out.written.wrapping_add(length as u64);
        out.intent = None;
        if keys == Keys::Changed {
            out.keys = out.keys.wrapping_add(1);
            self.keys_changed = true;
        }
        match intent {
            Intent::Data(length) => out.taken = out.taken.wrapping_add(u64::from(length)),
            Intent::KeyUpdate | Intent::Warning(_) => {}
            Intent::CloseNotify | Intent::Alert(_) => out.closed = true,
        }
        self.outbound.phase = Phase::Idle;
    }

    /// So many bytes came from the application into the ring; none means that it has ended what it sends.
    pub fn read_application(&mut self, count: usize) {
        self.outbound.head = self.outbound.head.wrapping_add(count as u64);
        self.outbound.end |= count == 0;
    }

    /// The client's socket is shut for writing.
    pub fn ended_client(&mut self) {
        self.outbound.shut = true;
    }

    /// How much may be read from the application, if anything may: never less than half the ring, which
    /// holds the longest record.
    pub(super) fn application_room(&self) -> Option<usize> {
        let ring = self.ledger.geometry().application_ring();
        let room = ring.saturating_sub(self.outbound.head.wrapping_sub(self.entry.to_client.taken) as usize);
        let wanted = !self.outbound.end && !self.entry.to_client.closed && self.alert.is_none();
        (wanted && room >= ring / 2).then_some(room)
    }

    /// Ended by an alert of the client: what is in hand towards it is of no use any more.
    pub(super) fn client_alerted(&mut self, alert: u16) {
        self.end(Ended::ClientAlert(alert));
    }
}
