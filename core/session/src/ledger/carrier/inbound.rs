//! Towards the application: open a record, write its content, commit that it is passed on.

use super::Carrier;
use crate::ledger::{
    ClientEnd, Ended, Fault, Keys, Protection, Received, Rings, ToApplicationResumed, Truncation,
};

/// What a record longer than half the ring is told: record_overflow (RFC 8446 §6.2).
const RECORD_OVERFLOW: u16 = 22;

/// From this length on a record has content: alerts and key updates are shorter, however they are protected.
const SURELY_DATA: usize = 64;

/// The record in hand towards the application, and what the client sent.
pub(super) struct Inbound {
    /// Whether content is in hand.
    pub(super) busy: bool,
    content: Vec<u8>,
    sent: usize,
    /// The record's length in the ring.
    length: usize,
    /// Bytes ever read from the client.
    pub(super) head: u64,
    /// The client's TCP connection has ended what it sends.
    end: bool,
    /// The application's socket is shut for writing.
    pub(super) shut: bool,
}

impl Inbound {
    pub(super) const fn new(head: u64) -> Self {
        Self { busy: false, content: Vec::new(), sent: 0, length: 0, head, end: false, shut: false }
    }
}

impl<P: Protection> Carrier<P> {
    pub(super) fn resume_inbound(&mut self, resumed: ToApplicationResumed) {
        if let ToApplicationResumed::Reopened { length, content, sent } = resumed {
            self.inbound.busy = true;
            (self.inbound.content, self.inbound.sent, self.inbound.length) = (content, sent, length);
            self.wrote_application(0);
        }
    }

    /// Opens records until one has content, or none is whole. What has none is passed on by that, and
    /// committed together with what comes next.
    pub(super) fn take_records(&mut self, rings: &impl Rings) {
        while self.ended.is_none()
            && self.alert.is_none()
            && !self.inbound.busy
            && self.entry.to_application.end == ClientEnd::Open
        {
            match self.take_record(rings) {
                Ok(true) => {}
                Ok(false) => return self.see_end(),
                Err(Fault(alert)) => return self.end_with(alert),
            }
        }
    }

    /// Opens the next record, if it is there.
    fn take_record(&mut self, rings: &impl Rings) -> Result<bool, Fault> {
        let tail = self.entry.to_application.taken;
        let held = self.inbound.head.wrapping_sub(tail) as usize;
        let length = self.protection.record_length(rings.client(tail, held))?;
        if length.is_some_and(|length| length > self.ledger.geometry().client_ring() / 2) {
            return Err(Fault(RECORD_OVERFLOW));
        }
        let Some(length) = length.filter(|&length| length <= held) else { return Ok(false) };
        let record = rings.client(tail, length);
        let received = self.protection.open(record, &mut self.inbound.content)?;
        (self.inbound.length, self.inbound.sent) = (length, 0);
        match received {
            Received::Data if !self.inbound.content.is_empty() => self.inbound.busy = true,
            Received::Data | Received::Nothing | Received::KeyUpdate => self.record_is_passed(0),
            Received::CloseNotify => {
                self.record_is_passed(0);
                self.entry.to_application.end = ClientEnd::Orderly;
            }
            Received::Alert(alert) => self.client_alerted(alert),
        }
        Ok(true)
    }

    /// The client's connection ended, and no whole record is left.
    fn see_end(&mut self) {
        if !self.inbound.end {
            return;
        }
        match self.entry.truncation {
            Truncation::Passed => {
                self.entry.to_application.end = ClientEnd::Truncated;
                self.commit_due = true;
            }
            Truncation::Reset => {
                self.end(Ended::Truncated);
            }
        }
    }

    /// The record in hand is with the application, or had nothing for it.
    fn record_is_passed(&mut self, content: usize) {
        let Ok(keys) = self.protection.received() else { return self.contradicted() };
        let passed = &mut self.entry.to_application;
        if keys == Keys::Changed {
            passed.keys = passed.keys.wrapping_add(1);
            self.keys_changed = true;
        }
        passed.taken = passed.taken.wrapping_add(self.inbound.length as u64);
        passed.written = passed.written.wrapping_add(content as u64);
        self.inbound.busy = false;
        self.commit_due = true;
    }

    /// What is to be written to the application, after [`Step::WriteApplication`](crate::ledger::Step).
    #[must_use]
    pub fn for_application(&self) -> &[u8] {
        if self.inbound.busy { &self.inbound.content[self.inbound.sent..] } else { &[] }
    }

    /// Whether more is written to the application at once after [`Carrier::for_application`], whatever comes: the
    /// kernel may wait for it, and send both together.
    #[must_use]
    pub fn more_for_application(&self, rings: &impl Rings) -> bool {
        let next = self.entry.to_application.taken.wrapping_add(self.inbound.length as u64);
        let held = self.inbound.head.wrapping_sub(next) as usize;
        let length = self.protection.record_length(rings.client(next, held));
        self.inbound.busy && length.is_ok_and(|l| l.is_some_and(|l| (SURELY_DATA..=held).contains(&l)))
    }

    /// The kernel took so many bytes of [`Carrier::for_application`].
    pub fn wrote_application(&mut self, count: usize) {
        self.inbound.sent = (self.inbound.sent + count).min(self.inbound.content.len());
        if self.inbound.busy && self.inbound.sent == self.inbound.content.len() {
            self.record_is_passed(self.inbound.content.len());
        }
    }

    /// So many bytes came from the client into the ring; none means that its connection has ended.
    pub fn read_client(&mut self, count: usize) {
        self.inbound.head = self.inbound.head.wrapping_add(count as u64);
        self.inbound.end |= count == 0;
    }

    /// The application's socket is shut for writing.
    pub fn ended_application(&mut self) {
        self.inbound.shut = true;
    }

    /// How much may be read from the client, if anything may: never less than half the ring, which holds
    /// the longest record.
    pub(super) fn client_room(&self) -> Option<usize> {
        let ring = self.ledger.geometry().client_ring();
        let room =
            ring.saturating_sub(self.inbound.head.wrapping_sub(self.entry.to_application.taken) as usize);
        let open = self.entry.to_application.end == ClientEnd::Open;
        let wanted = !self.inbound.end && open && self.alert.is_none();
        (wanted && room >= ring / 2).then_some(room)
    }
}
