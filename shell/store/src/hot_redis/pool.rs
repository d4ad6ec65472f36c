//! A few connections, each used by one call at a time.
//!
//! A call whose caller gives up takes its connection with it: an answer that nobody read must not be taken
//! for the answer to the next question.

use super::link::{Answer, IfEmpty, Link, Way, unexpected};
use super::reply::Reply;
use super::script::Script;
use crate::seal::{Guard, Place};
use crate::{BUSY_TIMEOUT, Result, StoreError};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// As many as to PostgreSQL. Each costs the server about 20 kB, and carries ten thousand calls a second.
const CONNECTIONS: usize = 8;

/// What the mark of a server is, sealed: it tells a node with another key at once, and no two marks are alike.
const SAMPLE: Place<'_> = Place { table: "meta", row: b"hot node key", column: "bytes" };

/// All connections to the server.
pub(super) struct Pool {
    way: Way,
    places: Semaphore,
    idle: Mutex<Vec<Link>>,
}

impl Pool {
    /// Connects once, to learn what is wrong. A server that is to have the mark that is `known` has it already.
    ///
    /// # Errors
    /// As [`Way::connect`]; [`StoreError::Sealed`] when the records were made with another node key.
    pub(super) async fn open(url: &super::HotUrl, guard: &Guard, known: Option<Vec<u8>>) -> Result<Self> {
        let (mark, if_empty) = match known {
            Some(mark) => (mark, IfEmpty::Refuse),
            None => (guard.seal(&SAMPLE, b"symbolon"), IfEmpty::Begin),
        };
        let mut way = Way::new(url, mark)?;
        let link = timeout_at(Instant::now() + BUSY_TIMEOUT, way.connect(if_empty)).await;
        let (link, found) = link.unwrap_or_else(|_| Err(silent(&way)))?;
        guard.open(&SAMPLE, &found)?;
        match if_empty {
            IfEmpty::Begin => way.mark = found,
            IfEmpty::Refuse => way.recognise(&found)?,
        }
        Ok(Self { way, places: Semaphore::new(CONNECTIONS), idle: Mutex::new(vec![link]) })
    }

    /// By what the server is known.
    pub(super) fn mark(&self) -> &[u8] {
        &self.way.mark
    }

    /// Runs a script, on which the answer depends for all nodes.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when no connection became free; [`StoreError::Unreachable`] and
    /// [`StoreError::NotReplicated`] when it may have been done; whatever the server refuses.
    pub(super) async fn run(&self, script: Script, arguments: &[&[u8]]) -> Result<Reply> {
        let until = Instant::now() + BUSY_TIMEOUT;
        let place = timeout_at(until, self.places.acquire()).await;
        let _place = place.map_err(|_| StoreError::Busy)?.map_err(|_| closed())?;
        timeout_at(until, self.run_here(script, arguments)).await.unwrap_or_else(|_| Err(silent(&self.way)))
    }

    /// Lets no further call begin, waits for those that are under way, and hangs up.
    pub(super) async fn close(&self) {
        let all = self.places.acquire_many(CONNECTIONS as u32).await;
        self.places.close();
        drop(all);
        self.hang_up();
    }

    async fn run_here(&self, script: Script, arguments: &[&[u8]]) -> Result<Reply> {
        let mut again = true;
        loop {
            // what came in meanwhile, an end of a connection too, is seen by the runtime now
            tokio::task::yield_now().await;
            let (mut link, used_before) = match self.idle() {
                Some(link) => (link, true),
                None => (self.connect().await?, false),
            };
            let Answer { reply, replicated } = match self.way.run(&mut link, script, arguments).await {
                Ok(answer) => answer,
                // the server may have gone since the connection was used last; who only reads asks again
                Err(_) if again && used_before && script.only_reads() => {
                    again = false;
                    self.hang_up();
                    continue;
                }
                Err(e) => return Err(self.way.gone(&e)),
            };
            match reply {
                Reply::Error(why) if why.starts_with("STRANGER") || why.starts_with("NOSCRIPT") => {
                    // nothing was done
                    self.hang_up();
                    if !again {
                        return Err(StoreError::Busy);
                    }
                    again = false;
                }
                Reply::Error(why) if why.starts_with("READONLY") => {
                    // another server is the primary now: it will be found by connecting again
                    self.hang_up();
                    return Err(StoreError::ReadOnly);
                }
                reply => {
                    self.keep(link);
                    return self.acknowledge(reply, replicated);
                }
            }
        }
    }

    /// An answer that counts: what was done is where the operator wants it.
    fn acknowledge(&self, reply: Reply, replicated: Option<Reply>) -> Result<Reply> {
        if let Reply::Error(_) = reply {
            return Err(unexpected(reply));
        }
        // "no" changed nothing, and there is nothing to replicate
        let nothing_done =
            matches!(&reply, Reply::Number(0)) || matches!(&reply, Reply::Text(t) if t != b"OK");
        match replicated {
            None => Ok(reply),
            Some(_) if nothing_done => Ok(reply),
            Some(Reply::Number(reached)) if reached >= self.way.replicas().into() => Ok(reply),
            Some(_) => Err(StoreError::NotReplicated),
        }
    }

    async fn connect(&self) -> Result<Link> {
        // one that comes back empty has lost what this node knows of it, and goes on under the same mark
        let (link, found) = self.way.connect(IfEmpty::Begin).await?;
        self.way.recognise(&found)?;
        Ok(link)
    }

    fn idle(&self) -> Option<Link> {
        loop {
            let mut link = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if link.seems_alive() {
                return Some(link);
            }
        }
    }

    fn keep(&self, link: Link) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(link);
    }

    fn hang_up(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn silent(way: &Way) -> StoreError {
    way.gone(&std::io::Error::new(
        std::io::ErrorKind::TimedOut,
        format!("no answer within {} s", BUSY_TIMEOUT.as_secs()),
    ))
}

fn closed() -> StoreError {
    StoreError::Other("the hot store was closed".to_owned())
}
