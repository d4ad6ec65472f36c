//! [`HotStore`] in a Redis or Valkey server: one script for each operation, run by the server in one piece.
//!
//! ```text
//!   symbolon:meta                 schema, mark, life of the server, skipped stream numbers
//!   symbolon:session:ID           user, token, epoch, owner, times, next stream, sealed state
//!   symbolon:sessions             every session by its end       symbolon:user:ID, symbolon:registration:ID
//!   symbolon:notices:NODE         what became of its sessions    symbolon:noticed
//!   symbolon:seen:KEY             a replay key, until when
//! ```
//! Whether something has expired is decided by the time that the caller says, as on the other engines. The
//! server forgets by its own clock a quarter of an hour later, so that no clock has to agree with another.
//!
//! A server that was restarted, or took the place of another one, may have lost its last writes. Each connection
//! knows the *life* of the server to which it was made; the first of a new life leaves out stream numbers of every
//! session, up to where the server's clock says, and a script that comes by a connection of an earlier life is refused.

mod answer;
mod files;
mod link;
mod pool;
mod reply;
mod script;
mod url;

pub use url::{HotUrl, HotUrlError};

use crate::engine::big;
use crate::hot::{
    Claim, Claimed, Ending, HotStore, NOTICES_STAY_SECS, NewSession, Notice, Seen, Session, SessionsOf, Swept,
};
use crate::seal::{Guard, Place};
use crate::{NodeId, ReplayKey, Result, SessionId, UserId};
use answer::{corrupt, count, dealt, news, oldest_first, parsed, refusal, session, sessions, texts};
use pool::Pool;
use reply::Reply;
use script::Script;
use std::ops::Range;
use std::sync::Arc;
use symbolon_crypto::SecretBytes;
use symbolon_wire::Time;

/// How much longer than a record counts the server keeps it: clocks of nodes may be ten minutes apart.
const KEPT_LONGER_MS: u64 = 15 * 60 * 1000;
/// The longest that the server is asked to keep anything: ten years, far from the end of its numbers.
const KEPT_AT_MOST_MS: u64 = 10 * 365 * 86_400 * 1000;
/// How many skips a node makes when it starts: 2^32 numbers, as in SQL.
const SKIPS_AT_START: u64 = 16;
/// How many sessions the server looks at in one piece: a millisecond, in which others wait.
const AT_ONCE: usize = 500;

/// Hot records in a Redis or Valkey server.
#[derive(Clone)]
pub struct RedisHotStore {
    pool: Arc<Pool>,
    guard: Arc<Guard>,
}

impl std::fmt::Debug for RedisHotStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedisHotStore")
    }
}

fn state_place(id: &SessionId) -> Place<'_> {
    Place { table: "sessions", row: &id.0, column: "state" }
}

impl RedisHotStore {
    /// Reaches the server, and says by which mark it is known: the one that is known already, if one is.
    pub(crate) async fn open(
        url: &HotUrl,
        guard: Arc<Guard>,
        known: Option<Vec<u8>>,
    ) -> Result<(Self, Vec<u8>)> {
        let pool = Pool::open(url, &guard, known).await?;
        let mark = pool.mark().to_vec();
        Ok((Self { pool: Arc::new(pool), guard }, mark))
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    async fn run(&self, script: Script, arguments: &[&[u8]]) -> Result<Reply> {
        self.pool.run(script, arguments).await
    }

    /// Runs a script that has nothing to say but whether it was done.
    async fn done(&self, script: Script, arguments: &[&[u8]]) -> Result<()> {
        match self.run(script, arguments).await? {
            Reply::Text(word) if word == b"OK" => Ok(()),
            reply => Err(refusal(&reply)),
        }
    }

    async fn look_at(&self, id: SessionId, now: Time) -> Result<(Session, Vec<u8>)> {
        let (id, now) = (id.to_string(), digits(now));
        session(self.run(Script::Look, &[id.as_bytes(), now.as_bytes()]).await?)
    }
}

fn digits(time: Time) -> String {
    big(time.0).to_string()
}

/// How long the server keeps what counts until then, in milliseconds.
fn kept_ms(expires: Time, now: Time) -> String {
    let counts = expires.0.saturating_sub(now.0).div_ceil(1000);
    (counts.saturating_add(KEPT_LONGER_MS)).min(KEPT_AT_MOST_MS).to_string()
}

/// An epoch, or any.
fn of_epoch(epoch: Option<u64>) -> String {
    epoch.map(|epoch| big(epoch).to_string()).unwrap_or_default()
}

impl HotStore for RedisHotStore {
    async fn open_session(&self, new: &NewSession, now: Time) -> Result<u64> {
        let registration = new.registration.map(|id| id.to_string()).unwrap_or_default();
        self.done(
            Script::Open,
            &[
                new.id.to_string().as_bytes(),
                new.user.to_string().as_bytes(),
                registration.as_bytes(),
                new.owner.to_string().as_bytes(),
                digits(now).as_bytes(),
                digits(new.expires).as_bytes(),
                new.streams.to_string().as_bytes(),
                &self.guard.seal(&state_place(&new.id), new.state.expose()),
                kept_ms(new.expires, now).as_bytes(),
            ],
        )
        .await?;
        Ok(1)
    }

    async fn claim_session(&self, seen: &Seen, claim: Claim<'_>, now: Time) -> Result<Claimed> {
        let Claim { owner, state, streams } = claim;
        let id = seen.session.id;
        let claimed = self
            .run(
                Script::Claim,
                &[
                    id.to_string().as_bytes(),
                    digits(now).as_bytes(),
                    of_epoch(Some(seen.session.epoch)).as_bytes(),
                    &seen.published,
                    owner.to_string().as_bytes(),
                    &self.guard.seal(&state_place(&id), state.expose()),
                    streams.to_string().as_bytes(),
                ],
            )
            .await?;
        let (session, _) = session(claimed)?;
        let streams = dealt(&session, streams);
        Ok(Claimed { session, streams })
    }

    async fn publish_session(&self, id: SessionId, epoch: u64, state: &SecretBytes) -> Result<()> {
        let sealed = self.guard.seal(&state_place(&id), state.expose());
        let epoch = of_epoch(Some(epoch));
        self.done(Script::Publish, &[id.to_string().as_bytes(), epoch.as_bytes(), &sealed]).await
    }

    async fn renew_session(&self, id: SessionId, epoch: u64, expires: Time) -> Result<()> {
        self.done(
            Script::Renew,
            &[
                id.to_string().as_bytes(),
                of_epoch(Some(epoch)).as_bytes(),
                digits(expires).as_bytes(),
                KEPT_LONGER_MS.to_string().as_bytes(),
                KEPT_AT_MOST_MS.to_string().as_bytes(),
            ],
        )
        .await
    }

    async fn deal_streams(&self, id: SessionId, epoch: Option<u64>, count: u32) -> Result<Range<u64>> {
        let (id, epoch, number) = (id.to_string(), of_epoch(epoch), count.to_string());
        let arguments = [id.as_bytes(), epoch.as_bytes(), number.as_bytes()];
        let (session, _) = session(self.run(Script::Deal, &arguments).await?)?;
        Ok(dealt(&session, count))
    }

    async fn skip_streams(&self) -> Result<()> {
        self.done(Script::Skip, &[SKIPS_AT_START.to_string().as_bytes()]).await
    }

    async fn session(&self, id: SessionId, now: Time) -> Result<Session> {
        Ok(self.look_at(id, now).await?.0)
    }

    async fn look(&self, id: SessionId, now: Time) -> Result<Seen> {
        let (session, published) = self.look_at(id, now).await?;
        let state = self.guard.open(&state_place(&id), &published)?;
        Ok(Seen { session, state, published })
    }

    async fn list_sessions(&self, now: Time) -> Result<Vec<Session>> {
        let now = digits(now);
        let entries = texts(self.run(Script::Live, &[now.as_bytes()]).await?)?.collect::<Result<Vec<_>>>()?;
        let mut all = Vec::with_capacity(entries.len());
        for some in entries.chunks(AT_ONCE) {
            let mut arguments = vec![now.as_bytes()];
            arguments.extend(some.iter().map(Vec::as_slice));
            all.extend(sessions(self.run(Script::Describe, &arguments).await?)?);
        }
        Ok(oldest_first(all))
    }

    async fn sessions_of_user(&self, user: UserId, now: Time) -> Result<Vec<Session>> {
        let (user, now) = (user.to_string(), digits(now));
        let found = self.run(Script::OfUser, &[user.as_bytes(), now.as_bytes()]).await?;
        sessions(found).map(oldest_first)
    }

    async fn count_sessions(&self, user: UserId) -> Result<u64> {
        count(&self.run(Script::Count, &[user.to_string().as_bytes()]).await?)
    }

    async fn end_session(&self, id: SessionId, epoch: Option<u64>, ending: Ending) -> Result<()> {
        let (by, why) = (ending.by.to_string(), ending.why.to_string());
        let (id, epoch) = (id.to_string(), of_epoch(epoch));
        let arguments = [id.as_bytes(), epoch.as_bytes(), by.as_bytes(), why.as_bytes()];
        self.done(Script::End, &arguments).await
    }

    async fn end_sessions_of(&self, whose: SessionsOf, ending: Ending) -> Result<Vec<SessionId>> {
        let whose = match whose {
            SessionsOf::User(id) => format!("user:{id}"),
            SessionsOf::Registration(id) => format!("registration:{id}"),
        };
        let (by, why) = (ending.by.to_string(), ending.why.to_string());
        let ended = self.run(Script::EndOf, &[whose.as_bytes(), by.as_bytes(), why.as_bytes()]).await?;
        texts(ended)?.map(|id| parsed(&id?)).collect()
    }

    async fn notices(&self, node: NodeId) -> Result<Vec<Notice>> {
        let mut left = texts(self.run(Script::Notices, &[node.to_string().as_bytes()]).await?)?;
        let mut notices = Vec::new();
        while let Some(session) = left.next() {
            let what = left.next().ok_or_else(|| corrupt("a notice"))??;
            let (epoch, news) = news(&what)?;
            notices.push(Notice { session: parsed(&session?)?, epoch, news });
        }
        Ok(notices)
    }

    async fn forget_notices(&self, node: NodeId, notices: &[Notice]) -> Result<()> {
        let node = node.to_string();
        for some in notices.chunks(AT_ONCE) {
            let told = some.iter().flat_map(|notice| {
                [notice.session.to_string(), format!("{}:{}", notice.news.code(), notice.epoch)]
            });
            let told: Vec<String> = std::iter::once(node.clone()).chain(told).collect();
            let arguments: Vec<&[u8]> = told.iter().map(String::as_bytes).collect();
            count(&self.run(Script::Forget, &arguments).await?)?;
        }
        Ok(())
    }

    async fn put_if_absent(&self, key: ReplayKey, expires: Time, now: Time) -> Result<bool> {
        let (key, kept) = (key.to_string(), kept_ms(expires, now));
        let (expires, now) = (digits(expires), digits(now));
        let arguments = [key.as_bytes(), expires.as_bytes(), now.as_bytes(), kept.as_bytes()];
        Ok(count(&self.run(Script::Put, &arguments).await?)? == 1)
    }

    async fn sweep(&self, now: Time) -> Result<Swept> {
        let notices_until = digits(now.minus_secs(NOTICES_STAY_SECS));
        let (now, most) = (digits(now), AT_ONCE.to_string());
        let arguments = [now.as_bytes(), most.as_bytes(), notices_until.as_bytes()];
        let mut swept = Swept::default();
        loop {
            let some = count(&self.run(Script::Sweep, &arguments).await?)?;
            swept.sessions += some;
            if some < AT_ONCE as u64 {
                return Ok(swept);
            }
        }
    }
}
