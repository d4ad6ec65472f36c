//! A session on its connection: `shell/server/src/carry.rs`.

use super::attach::report_of;
use super::{Node, Refused};
use crate::bug::Bug;
use crate::letter::{Frame, Letter};
use crate::world::{Inbox, SEC};
use std::ops::Range;
use symbolon_session::{
    ControlMessage, EndReason, IssuedTicket, Line, SessionChannel, SessionId, StreamRange, TicketOwner,
};
use symbolon_store::{HotStore as _, StoreError};
use symbolon_wire::FRAME_HEADER;

/// How long a connection may say nothing.
const IDLE: u64 = 20 * SEC;

/// How long a ticket is good, in seconds.
const TICKET_SECS: u64 = 12;

/// A session's connection, as its node has it.
struct Carried<'a> {
    node: &'a Node,
    id: SessionId,
    channel: SessionChannel,
    /// What it writes is fenced by its epoch.
    epoch: u64,
    from_node: Inbox,
    to_node: Inbox,
}

impl Node {
    pub(super) async fn carry(
        &self,
        id: SessionId,
        channel: SessionChannel,
        dealt: Range<u64>,
        from_node: Inbox,
        to_node: Inbox,
        first: Option<ControlMessage>,
    ) {
        let epoch = channel.epoch().0;
        let mut carried = Carried { node: self, id, channel, epoch, from_node, to_node };
        self.review_session(id);
        // Refused: the connection is over, and its session waits for its client.
        drop(carried.converse(dealt, first).await);
    }
}

impl Carried<'_> {
    async fn converse(&mut self, dealt: Range<u64>, first: Option<ControlMessage>) -> Result<(), Refused> {
        self.grant(dealt)?;
        if let Some(first) = first {
            self.heard(first).await?;
        }
        loop {
            let state = self.node.memory().live.get(&self.id).map(|l| (l.over, l.connection == self.to_node));
            match state {
                Some((true, true)) => return self.say_goodbye().await,
                Some((false, true)) => {}
                _ => return Ok(()),
            }
            let until = self.node.world.now() + IDLE;
            match self.node.world.receive(self.to_node, until).await {
                Some(Letter::Frame(Frame::Wrapped(mut body))) => {
                    let message = self.channel.open(&mut body).map_err(|_| Refused(false))?;
                    // What another connection has the session of says nothing any more.
                    let mine = |l: &super::Live| l.connection == self.to_node && !l.over;
                    if self.node.memory().live.get(&self.id).is_some_and(mine) {
                        self.heard(message).await?;
                    }
                }
                Some(_) => {}
                None => return Ok(()),
            }
        }
    }

    /// Whatever ended it here ends it everywhere.
    async fn say_goodbye(&mut self) -> Result<(), Refused> {
        self.send(&ControlMessage::SessionEnded { reason: EndReason::Replaced, detail: Line::default() })?;
        let id = symbolon_store::SessionId(self.id.0);
        let ending = self.node.ending(EndReason::EndedByAdministrator);
        let _ = self.node.hot.end_session(id, Some(self.epoch), ending).await;
        let mut memory = self.node.memory();
        if memory.live.get(&self.id).is_some_and(|l| l.connection == self.to_node) {
            memory.live.remove(&self.id);
        }
        Ok(())
    }

    fn send(&mut self, message: &ControlMessage) -> Result<(), Refused> {
        let frame = self.channel.seal(message).map_err(|_| Refused(false))?;
        self.node.send(self.from_node, Frame::Wrapped(frame[FRAME_HEADER..].to_vec()));
        Ok(())
    }

    /// Lets the client use numbers that the store dealt to this node.
    fn grant(&mut self, dealt: Range<u64>) -> Result<(), Refused> {
        let node = self.node;
        node.world.refer(|r, _| r.dealt(self.id.0, dealt.clone()));
        let range = StreamRange::new(dealt.start, dealt.end).map_err(|_| Refused(false))?;
        {
            let mut memory = node.memory();
            let live = memory.live.get_mut(&self.id).ok_or(Refused(true))?;
            let more = StreamRange::new(dealt.end.saturating_sub(2000), dealt.end);
            match more {
                Ok(more) if node.has(Bug::NumbersOfOthersTaken) => drop(live.claims.grant(more)),
                _ => live.claims.grant(range).map_err(|_| Refused(false))?,
            }
        }
        self.send(&ControlMessage::StreamsGranted(range))
    }

    async fn heard(&mut self, message: ControlMessage) -> Result<(), Refused> {
        let id = symbolon_store::SessionId(self.id.0);
        let hot = &self.node.hot;
        match message {
            ControlMessage::Report(report) => {
                if let Some(live) = self.node.memory().live.get_mut(&self.id) {
                    live.state.report = report;
                }
                self.publish().await?;
            }
            ControlMessage::Ping(number) => self.send(&ControlMessage::Pong(number))?,
            ControlMessage::StreamsRequest => {
                let dealt = hot.deal_streams(id, Some(self.epoch), super::STREAMS_AT_ONCE).await?;
                self.grant(dealt)?;
            }
            ControlMessage::TicketRequest => {
                if let Some(ticket) = self.ticket() {
                    self.send(&ControlMessage::Ticket(ticket))?;
                }
            }
            ControlMessage::Logout => {
                hot.end_session(id, None, self.node.ending(EndReason::Logout)).await?;
                self.node.world.refer(|r, now| r.ended(self.id.0, now));
                self.node.end(self.id);
                self.node.memory().live.remove(&self.id);
                return Err(Refused(true));
            }
            _ => {}
        }
        Ok(())
    }

    async fn publish(&self) -> Result<(), Refused> {
        let node = self.node;
        let (state, report) = match node.memory().live.get(&self.id) {
            Some(live) => (live.state.to_secret_bytes(), report_of(&live.state)),
            None => return Ok(()),
        };
        let began = node.world.now();
        let kept = || node.world.refer(|r, _| r.kept(self.id.0, self.epoch, report, began));
        if node.has(Bug::ReportBeforePublish) {
            kept();
        }
        let id = symbolon_store::SessionId(self.id.0);
        match node.hot.publish_session(id, self.epoch, &state).await {
            Ok(()) => kept(),
            // Another node, or another connection, has it: this one ends by itself.
            Err(StoreError::Fenced | StoreError::NotFound { .. }) => {}
            Err(e) => return Err(e.into()),
        }
        Ok(())
    }

    fn ticket(&self) -> Option<IssuedTicket> {
        let node = self.node;
        let mut entropy = node.world.entropy();
        let memory = node.memory();
        let state = &memory.live.get(&self.id)?.state;
        let owner = TicketOwner {
            user: state.user,
            registration: state.registration,
            token_class: state.token_class,
            session: state.id,
            proved: state.proved,
        };
        let (keys, now) = (&node.tickets, node.clock());
        Some(IssuedTicket::issue(node.crypto, &mut entropy, keys, &state.secret, &owner, now, TICKET_SECS))
    }
}
