//! The hot records in memory, by the rules of [`symbolon_store::HotStore`] and the statements of `hot_sql.rs`.

use crate::bug::Bug;
use std::collections::BTreeMap;
use std::ops::Range;
use symbolon_store::{
    Claimed, Ending, News, NodeId, Notice, RegistrationId, ReplayKey, Result, Session, SessionId, SessionsOf,
    StoreError, Swept, UserId, What,
};
use symbolon_wire::Time;

const GONE: StoreError = StoreError::NotFound { what: What::Session };

/// How much longer than its session a notice is kept, in seconds: its reader's clock may be behind. Here the model is
/// ahead of the product, see `docs/simulation.md`.
const NOTICE_SECS: u64 = 240;

/// What [`symbolon_store::NewSession`] says, to be sent.
pub(crate) struct Opening {
    pub(crate) id: SessionId,
    pub(crate) user: UserId,
    pub(crate) registration: Option<RegistrationId>,
    pub(crate) owner: NodeId,
    pub(crate) expires: Time,
    pub(crate) state: Vec<u8>,
    pub(crate) streams: u32,
}

/// What [`symbolon_store::Claim`] says, to be sent.
pub(crate) struct Claiming {
    pub(crate) id: SessionId,
    pub(crate) epoch: u64,
    pub(crate) published: Vec<u8>,
    pub(crate) owner: NodeId,
    pub(crate) state: Vec<u8>,
    pub(crate) streams: u32,
}

#[derive(Clone)]
struct Row {
    session: Session,
    state: Vec<u8>,
    /// No two publications look alike.
    publication: u64,
}

/// All hot records.
#[derive(Clone, Default)]
pub(crate) struct Tables {
    sessions: BTreeMap<SessionId, Row>,
    notices: BTreeMap<(NodeId, SessionId), (Notice, Time)>,
    seen: BTreeMap<ReplayKey, Time>,
    publications: u64,
    pub(crate) bug: Option<Bug>,
}

impl Tables {
    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// What a replica gets.
    pub(crate) fn copied(&self) -> Self {
        let mut copy = self.clone();
        if self.has(Bug::ReplayKeysNotReplicated) {
            copy.seen.clear();
        }
        copy
    }

    pub(crate) fn open(&mut self, new: Opening, now: Time) -> Result<u64> {
        if self.sessions.contains_key(&new.id) {
            return Err(StoreError::Conflict { what: What::Session });
        }
        let Opening { id, user, registration, owner, expires, state, streams } = new;
        let next_stream = streams.into();
        let session = Session { id, user, registration, epoch: 1, owner, created: now, expires, next_stream };
        self.publications += 1;
        self.sessions.insert(id, Row { session, state, publication: self.publications });
        Ok(1)
    }

    fn live(&self, id: SessionId, now: Time) -> Result<&Row> {
        self.sessions.get(&id).filter(|row| row.session.expires > now).ok_or(GONE)
    }

    pub(crate) fn session(&self, id: SessionId, now: Time) -> Result<Session> {
        Ok(self.live(id, now)?.session.clone())
    }

    pub(crate) fn look(&self, id: SessionId, now: Time) -> Result<(Session, Vec<u8>, Vec<u8>)> {
        let row = self.live(id, now)?;
        Ok((row.session.clone(), row.state.clone(), row.publication.to_be_bytes().to_vec()))
    }

    pub(crate) fn claim(&mut self, claim: Claiming, now: Time) -> Result<Claimed> {
        let (no_fence, same_epoch, twice) =
            (self.has(Bug::NoFence), self.has(Bug::EpochNotRaised), self.has(Bug::RangeDealtTwice));
        self.publications += 1;
        let publication = self.publications;
        let row = self.sessions.get_mut(&claim.id).filter(|row| row.session.expires > now).ok_or(GONE)?;
        let unchanged = row.session.epoch == claim.epoch && row.publication.to_be_bytes() == *claim.published;
        if !unchanged && !no_fence {
            return Err(StoreError::Fenced);
        }
        let before = row.session.owner;
        row.session.owner = claim.owner;
        row.session.epoch += u64::from(!same_epoch);
        row.state = claim.state;
        row.publication = publication;
        let start = row.session.next_stream;
        let end = start + u64::from(claim.streams);
        if !twice {
            row.session.next_stream = end;
        }
        let (session, expires) = (row.session.clone(), row.session.expires);
        if before != claim.owner {
            let notice = Notice { session: claim.id, epoch: session.epoch, news: News::Moved };
            self.notices.insert((before, claim.id), (notice, expires));
        }
        Ok(Claimed { session, streams: start..end })
    }

    /// A row whose epoch is as it must be.
    fn fenced(&mut self, id: SessionId, epoch: Option<u64>) -> Result<&mut Row> {
        let one_behind = self.has(Bug::FenceOffByOne);
        let row = self.sessions.get_mut(&id).ok_or(GONE)?;
        let present = row.session.epoch;
        let fits = epoch.is_none_or(|epoch| epoch == present || (one_behind && epoch + 1 == present));
        if fits { Ok(row) } else { Err(StoreError::Fenced) }
    }

    pub(crate) fn publish(&mut self, id: SessionId, epoch: u64, state: Vec<u8>) -> Result<()> {
        self.publications += 1;
        let publication = self.publications;
        let row = self.fenced(id, Some(epoch))?;
        (row.state, row.publication) = (state, publication);
        Ok(())
    }

    pub(crate) fn renew(&mut self, id: SessionId, epoch: u64, expires: Time) -> Result<()> {
        self.fenced(id, Some(epoch))?.session.expires = expires;
        Ok(())
    }

    pub(crate) fn deal(&mut self, id: SessionId, epoch: Option<u64>, count: u32) -> Result<Range<u64>> {
        let row = self.fenced(id, epoch)?;
        let start = row.session.next_stream;
        row.session.next_stream += u64::from(count);
        Ok(start..row.session.next_stream)
    }

    pub(crate) fn skip(&mut self) {
        for row in self.sessions.values_mut() {
            row.session.next_stream += 1 << 32;
        }
    }

    pub(crate) fn list(&self, user: Option<UserId>, now: Time) -> Vec<Session> {
        let of = |row: &&Row| user.is_none_or(|user| row.session.user == user) && row.session.expires > now;
        let mut all: Vec<Session> =
            self.sessions.values().filter(of).map(|row| row.session.clone()).collect();
        all.sort_by_key(|session| (session.created, session.id));
        all
    }

    pub(crate) fn count(&self, user: UserId) -> u64 {
        self.sessions.values().filter(|row| row.session.user == user).count() as u64
    }

    pub(crate) fn end(&mut self, id: SessionId, epoch: Option<u64>, ending: Ending) -> Result<()> {
        self.fenced(id, epoch)?;
        self.remove(id, ending);
        Ok(())
    }

    pub(crate) fn end_of(&mut self, whose: SessionsOf, ending: Ending) -> Vec<SessionId> {
        let fits = |session: &Session| match whose {
            SessionsOf::User(user) => session.user == user,
            SessionsOf::Registration(registration) => session.registration == Some(registration),
        };
        let ended: Vec<SessionId> =
            self.sessions.values().filter(|row| fits(&row.session)).map(|row| row.session.id).collect();
        ended.iter().for_each(|id| self.remove(*id, ending));
        ended
    }

    fn remove(&mut self, id: SessionId, ending: Ending) {
        if let Some(Row { session, .. }) = self.sessions.remove(&id)
            && session.owner != ending.by
        {
            let notice = Notice { session: id, epoch: session.epoch, news: News::Ended(ending.why) };
            self.notices.insert((session.owner, id), (notice, session.expires));
        }
    }

    pub(crate) fn notices(&mut self, node: NodeId) -> Vec<Notice> {
        let here: Vec<Notice> =
            self.notices.iter().filter(|((to, _), _)| *to == node).map(|(_, (notice, _))| *notice).collect();
        if self.has(Bug::LostNotices) {
            self.forget_notices(node, &here);
        }
        here
    }

    pub(crate) fn forget_notices(&mut self, node: NodeId, notices: &[Notice]) {
        for notice in notices {
            if self.notices.get(&(node, notice.session)).is_some_and(|(kept, _)| kept == notice) {
                self.notices.remove(&(node, notice.session));
            }
        }
    }

    pub(crate) fn put(&mut self, key: ReplayKey, expires: Time, now: Time) -> bool {
        if self.seen.get(&key).is_some_and(|until| *until > now) {
            return false;
        }
        let expires = if self.has(Bug::ReplayKeysForgotten) { now.plus_secs(1) } else { expires };
        self.seen.insert(key, expires);
        true
    }

    pub(crate) fn sweep(&mut self, now: Time) -> Swept {
        let (sessions, seen) = (self.sessions.len(), self.seen.len());
        self.sessions.retain(|_, row| row.session.expires > now);
        self.seen.retain(|_, expires| *expires > now);
        self.notices.retain(|_, (_, expires)| expires.plus_secs(NOTICE_SECS) > now);
        Swept {
            sessions: (sessions - self.sessions.len()) as u64,
            replay_keys: (seen - self.seen.len()) as u64,
        }
    }
}
