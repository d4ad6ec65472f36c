//! Hot records: what nodes share about live sessions, and what must not be seen twice.
//!
//! A session has one owner at a time. Whoever claims it gets the next epoch, and everything that an
//! earlier owner still tries to publish is refused. Whoever takes a session from another node, or ends one
//! that another node carries, leaves that node a [`Notice`] in the same transaction.

use crate::{NodeId, RegistrationId, ReplayKey, Result, SessionId, UserId};
use std::future::Future;
use std::ops::Range;
use symbolon_crypto::SecretBytes;
use symbolon_wire::Time;

/// How long a notice is kept after its session would have expired, in seconds: the node that it is for may have a clock
/// that is behind, and carries the session on by that.
pub(crate) const NOTICES_STAY_SECS: u64 = 900;

/// A session that is to be. Its first epoch is 1.
#[derive(Debug)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The registration with which the user signed in, if it was by token.
    pub registration: Option<RegistrationId>,
    /// The node that carries it.
    pub owner: NodeId,
    /// From when on it is gone.
    pub expires: Time,
    /// What another node needs to carry it on; opaque here, kept sealed.
    pub state: SecretBytes,
    /// How many stream numbers its node is dealt at once: 0 and the following.
    pub streams: u32,
}

/// A live session without its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The registration with which the user signed in, if it was by token.
    pub registration: Option<RegistrationId>,
    /// The fencing number: grows with each claim.
    pub epoch: u64,
    /// The node that carries it.
    pub owner: NodeId,
    /// When it was opened.
    pub created: Time,
    /// From when on it is gone.
    pub expires: Time,
    /// The first stream number that no node has.
    pub next_stream: u64,
}

/// A session as somebody saw it who may claim it.
#[derive(Debug)]
pub struct Seen {
    /// The session.
    pub session: Session,
    /// What its owner published last.
    pub state: SecretBytes,
    /// The same as it stands in the table: no two publications look alike.
    pub(crate) published: Vec<u8>,
}

impl Seen {
    /// As an engine saw it. `published` is what stands in its table; no two publications may look alike.
    #[must_use]
    pub const fn new(session: Session, state: SecretBytes, published: Vec<u8>) -> Self {
        Self { session, state, published }
    }

    /// What a claim is compared with.
    #[must_use]
    pub fn published(&self) -> &[u8] {
        &self.published
    }
}

/// How a session is taken over.
#[derive(Debug)]
pub struct Claim<'a> {
    /// The node that carries it from now on.
    pub owner: NodeId,
    /// What another node needs after it.
    pub state: &'a SecretBytes,
    /// How many stream numbers that no node was ever dealt it gets with it.
    pub streams: u32,
}

/// A session that the caller owns now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The session, with its new epoch and owner.
    pub session: Session,
    /// The stream numbers that came with it.
    pub streams: Range<u64>,
}

/// How a session is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The node that ends it, which needs no notice of it.
    pub by: NodeId,
    /// Why, for the node that carries it: a code of the protocol, from 1 on.
    pub why: u8,
}

/// What a node must know of a session that it carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Which session.
    pub session: SessionId,
    /// The epoch that it has now, or had at its end.
    pub epoch: u64,
    /// What became of it.
    pub news: News,
}

/// What became of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Another node carries it on, from that epoch on.
    Moved,
    /// It was ended for this reason.
    Ended(u8),
}

impl News {
    /// The reason of the end; 0 stands for "another node has it now".
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Moved => 0,
            Self::Ended(why) => why,
        }
    }
}

/// Whose sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionsOf {
    /// All of a user.
    User(UserId),
    /// Those that were opened with one token.
    Registration(RegistrationId),
}

/// How much [`HotStore::sweep`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Sessions whose time was over.
    pub sessions: u64,
    /// Replay keys whose time was over, where the engine does not forget them by itself.
    pub replay_keys: u64,
}

/// Live sessions and the replay cache, shared by the nodes of a cluster.
///
/// An answer that a call gives is decided for all nodes. When a call fails, ask again or refuse:
/// "unknown" is never "yes".
pub trait HotStore: Send + Sync {
    /// Opens a session and returns its first epoch.
    ///
    /// # Errors
    /// [`crate::StoreError::Conflict`] when the id is taken.
    fn open_session(&self, new: &NewSession, now: Time) -> impl Future<Output = Result<u64>> + Send;

    /// Takes a session over as it was seen: the next epoch. Another node that had it gets a notice.
    ///
    /// # Errors
    /// [`crate::StoreError::NotFound`] when it is gone or expired; [`crate::StoreError::Fenced`]
    /// when it was claimed, or another state published, since it was seen.
    fn claim_session(
        &self,
        seen: &Seen,
        claim: Claim<'_>,
        now: Time,
    ) -> impl Future<Output = Result<Claimed>> + Send;

    /// Publishes the state for the next owner.
    ///
    /// # Errors
    /// [`crate::StoreError::Fenced`] when somebody has claimed it since;
    /// [`crate::StoreError::NotFound`] when it was ended.
    fn publish_session(
        &self,
        id: SessionId,
        epoch: u64,
        state: &SecretBytes,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Moves the end of a session.
    ///
    /// # Errors
    /// As [`HotStore::publish_session`].
    fn renew_session(
        &self,
        id: SessionId,
        epoch: u64,
        expires: Time,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Deals `count` stream numbers that no node was ever dealt. With `epoch`, only to its owner.
    ///
    /// # Errors
    /// [`crate::StoreError::Fenced`], [`crate::StoreError::NotFound`].
    fn deal_streams(
        &self,
        id: SessionId,
        epoch: Option<u64>,
        count: u32,
    ) -> impl Future<Output = Result<Range<u64>>> + Send;

    /// Leaves out four thousand million stream numbers of every session, once at each start of a
    /// node: a power cut may have taken back the last ranges that were dealt.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the engine.
    fn skip_streams(&self) -> impl Future<Output = Result<()>> + Send;

    /// A session without its state.
    ///
    /// # Errors
    /// [`crate::StoreError::NotFound`] when it is gone or expired.
    fn session(&self, id: SessionId, now: Time) -> impl Future<Output = Result<Session>> + Send;

    /// A session with what its owner published last, without taking it over: to check who asks for it.
    ///
    /// # Errors
    /// [`crate::StoreError::NotFound`] when it is gone or expired; [`crate::StoreError::Sealed`] when
    /// its state was altered.
    fn look(&self, id: SessionId, now: Time) -> impl Future<Output = Result<Seen>> + Send;

    /// All live sessions, the oldest first.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the engine.
    fn list_sessions(&self, now: Time) -> impl Future<Output = Result<Vec<Session>>> + Send;

    /// All live sessions of one user, the oldest first.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the engine.
    fn sessions_of_user(&self, user: UserId, now: Time) -> impl Future<Output = Result<Vec<Session>>> + Send;

    /// How many sessions a user has on all nodes, with those that have expired and were not swept yet.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the engine.
    fn count_sessions(&self, user: UserId) -> impl Future<Output = Result<u64>> + Send;

    /// Ends a session, whoever owns it. With `epoch`, only in that epoch.
    ///
    /// # Errors
    /// [`crate::StoreError::NotFound`]; [`crate::StoreError::Fenced`] when it has another epoch.
    fn end_session(
        &self,
        id: SessionId,
        epoch: Option<u64>,
        ending: Ending,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Ends all sessions of a user or a token, and names them, so that their streams can be cut.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the engine.
    fn end_sessions_of(
        &self,
        whose: SessionsOf,
        ending: Ending,
    ) -> impl Future<Output = Result<Vec<SessionId>>> + Send;

    /// The notices that were left for a node, the newest of each session. They stay until they are forgotten, so that
    /// an answer which is lost loses none.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the engine.
    fn notices(&self, node: NodeId) -> impl Future<Output = Result<Vec<Notice>>> + Send;

    /// Forgets notices that a node has acted upon, but not one that has come in the place of such a one.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the engine; then some may be forgotten.
    fn forget_notices(&self, node: NodeId, notices: &[Notice]) -> impl Future<Output = Result<()>> + Send;

    /// Whether `key` was not seen before; it counts as seen until `expires`.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the engine: then treat it as seen.
    fn put_if_absent(
        &self,
        key: ReplayKey,
        expires: Time,
        now: Time,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Removes what has expired.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the engine.
    fn sweep(&self, now: Time) -> impl Future<Output = Result<Swept>> + Send;
}
