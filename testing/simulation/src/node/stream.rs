//! Streams: `shell/server/src/stream.rs`. The application is a line in the reference model.

use super::{Node, Refused};
use crate::bug::Bug;
use crate::letter::Frame;
use crate::random::Random;
use crate::world::{Inbox, MS};
use symbolon_crypto::Entropy;
use symbolon_session::{
    ClaimedStream, EndReason, Line, Refusal, SessionId, StreamClaims, StreamError, StreamRange,
};

/// How many times a stream carries something after it was opened, and how often.
const TURNS: u64 = 24;
const TURN: u64 = 450 * MS;

impl Node {
    /// Authenticated, claimed, permitted, dialled, in this order.
    pub(super) async fn open_stream(&self, body: Vec<u8>, from_node: Inbox) -> Result<(), Refused> {
        let opening = ClaimedStream::receive(body).map_err(|_| Refused(false))?;
        let id = opening.session();
        let number = self.decide(opening, from_node)?;
        let Some(number) = number else { return Ok(()) };
        for _ in 0..self.world.random(0, TURNS) {
            self.world.sleep(self.host, TURN).await;
            if !self.memory().live.get(&id).is_some_and(|l| l.streams.contains(&number)) {
                return Ok(());
            }
            self.act(id, None);
        }
        if let Some(live) = self.memory().live.get_mut(&id) {
            live.streams.remove(&number);
        }
        Ok(())
    }

    fn act(&self, id: SessionId, number: Option<(u64, u64)>) {
        let time = self.world.true_time();
        self.world.refer(|r, now| r.acts(id.0, self.index, number, now, time));
    }

    /// Its number, if it may be carried; otherwise its client was told so.
    fn decide(&self, opening: ClaimedStream, from_node: Inbox) -> Result<Option<u64>, Refused> {
        let entropy: &mut dyn Entropy =
            &mut if self.has(Bug::AnswerNotRandom) { Random::new(1) } else { self.world.entropy() };
        let id = opening.session();
        let mut memory = self.memory();
        let users = memory.users.clone();
        let live = memory.live.get_mut(&id).filter(|l| !l.over).ok_or(Refused(true))?;
        let authentic = live.root.authenticate(opening).map_err(|_| Refused(false))?;
        let claimed = if self.has(Bug::NumberNotClaimed) {
            let mut claims = StreamClaims::new(id);
            let only = StreamRange::new(authentic.number(), authentic.number() + 1);
            let _ = only.map(|only| claims.grant(only));
            claims.claim(authentic)
        } else {
            live.claims.claim(authentic)
        };
        let refusal = |reason| Refusal { reason, detail: Line::default() };
        let reply = |body: Result<Vec<u8>, StreamError>| -> Result<(), Refused> {
            self.send(from_node, Frame::StreamReply(body.map_err(|_| Refused(false))?));
            Ok(())
        };
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(refused) => {
                let number = refused.stream.number();
                self.world.note(|| format!("stream {number} of session {id} is refused: {}", refused.why));
                reply(refused.stream.refuse(&refusal(EndReason::NumberRefused), entropy))?;
                return Ok(None);
            }
        };
        let user = users.get(usize::from(live.state.user.0[0]));
        if !user.is_some_and(|u| u.entitled && !u.locked) {
            reply(claimed.refuse(&refusal(EndReason::NotPermitted), entropy))?;
            return Ok(None);
        }
        let number = claimed.number();
        let operation = claimed.request().origin.as_str().parse().unwrap_or(u64::MAX);
        self.world.note(|| format!("stream {number} of session {id} acts at node {}", self.index));
        self.act(id, Some((number, operation)));
        let (body, _) = claimed.accept(entropy).map_err(|_| Refused(false))?;
        self.send(from_node, Frame::StreamReply(body));
        live.streams.insert(number);
        Ok(Some(number))
    }
}
