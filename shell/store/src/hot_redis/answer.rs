//! What the scripts answer: sessions, notices, numbers, and why something was not done. What is none of it was written by
//! somebody else.

use super::reply::Reply;
use crate::hot::{News, Session};
use crate::{Result, StoreError, What};
use std::ops::Range;
use std::str::FromStr;
use symbolon_wire::Time;

/// How many stream numbers one skip leaves out: more than are dealt to a session between two copies of the store
/// of which one replaces the other. A skip for each sixteenth of a second leaves numbers for seventy years.
const SKIPPED: u64 = 1 << 28;

/// Why something was not done.
pub(super) fn refusal(reply: &Reply) -> StoreError {
    match reply {
        Reply::Text(word) if word == b"GONE" => StoreError::NotFound { what: What::Session },
        Reply::Text(word) if word == b"FENCED" => StoreError::Fenced,
        Reply::Text(word) if word == b"TAKEN" => StoreError::Conflict { what: What::Session },
        _ => corrupt("an answer"),
    }
}

pub(super) fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} of the hot store is none of ours"))
}

pub(super) fn texts(reply: Reply) -> Result<impl Iterator<Item = Result<Vec<u8>>>> {
    let Reply::List(items) = reply else { return Err(refusal(&reply)) };
    Ok(items.into_iter().map(|item| match item {
        Reply::Text(text) => Ok(text),
        _ => Err(corrupt("a value")),
    }))
}

pub(super) fn parsed<T: FromStr>(bytes: &[u8]) -> Result<T> {
    let text = std::str::from_utf8(bytes).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| corrupt("a value"))
}

/// Reads what `tell` in `lua/common.lua` says: the session, and its state as it stands there.
pub(super) fn session(reply: Reply) -> Result<(Session, Vec<u8>)> {
    let fields: Vec<Vec<u8>> = texts(reply)?.collect::<Result<_>>()?;
    let Ok([user, registration, epoch, owner, created, expires, next, skips_then, state, skips, id]) =
        <[Vec<u8>; 11]>::try_from(fields)
    else {
        return Err(corrupt("a session"));
    };
    let skipped = parsed::<u64>(&skips)?.checked_sub(parsed(&skips_then)?);
    let skipped = skipped.and_then(|times| times.checked_mul(SKIPPED)).ok_or_else(|| corrupt("a number"))?;
    let session = Session {
        id: parsed(&id)?,
        user: parsed(&user)?,
        registration: match registration.is_empty() {
            true => None,
            false => Some(parsed(&registration)?),
        },
        epoch: parsed(&epoch)?,
        owner: parsed(&owner)?,
        created: Time(parsed(&created)?),
        expires: Time(parsed(&expires)?),
        next_stream: parsed::<u64>(&next)?.checked_add(skipped).ok_or_else(|| corrupt("a number"))?,
    };
    Ok((session, state))
}

pub(super) fn sessions(reply: Reply) -> Result<Vec<Session>> {
    let Reply::List(items) = reply else { return Err(refusal(&reply)) };
    items.into_iter().map(|item| session(item).map(|(session, _)| session)).collect()
}

pub(super) fn oldest_first(mut sessions: Vec<Session>) -> Vec<Session> {
    sessions.sort_by_key(|session| (session.created, session.id));
    sessions
}

/// The last `count` numbers before the first one that nobody has.
pub(super) fn dealt(session: &Session, count: u32) -> Range<u64> {
    session.next_stream.saturating_sub(count.into())..session.next_stream
}

pub(super) fn count(reply: &Reply) -> Result<u64> {
    match reply {
        Reply::Number(number) => u64::try_from(*number).map_err(|_| corrupt("a number")),
        reply => Err(refusal(reply)),
    }
}

/// Reads `why:epoch:expires` as epoch and news; 0 stands for "another node has it now".
pub(super) fn news(text: &[u8]) -> Result<(u64, News)> {
    let mut parts = text.split(|&b| b == b':');
    let (Some(why), Some(epoch)) = (parts.next(), parts.next()) else { return Err(corrupt("a notice")) };
    let news = match parsed(why)? {
        0 => News::Moved,
        why => News::Ended(why),
    };
    Ok((parsed(epoch)?, news))
}
