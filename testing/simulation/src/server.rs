//! The two servers of the hot store: a primary that acknowledges what its replica has, and the replica that follows
//! it when it dies.

use crate::bug::Bug;
use crate::letter::{Answer, Letter};
use crate::tables::Tables;
use crate::world::{Host, Inbox, Instant, MS, World};
use symbolon_store::StoreError;

/// How long a write waits for the replica.
const IN_STEP: u64 = 150 * MS;
/// How often what the replica may have missed is sent again.
const AGAIN: u64 = 40 * MS;

/// A write that its asker does not know of yet.
struct Waiting {
    version: u64,
    since: Instant,
    reply: Inbox,
    answer: Answer,
}

/// What a server does from its start on.
pub(crate) async fn serve(world: World, me: u8, primary: bool) {
    let host = Host::Server(me);
    let door = world.open_door(host);
    let other = Host::Server(1 - me).door();
    let bug = world.kernel().bug;
    let mut tables = Tables::default();
    tables.bug = bug;
    let (mut term, mut version, mut copied) = (u64::from(primary), 0, 0);
    let mut leads = primary;
    let mut waiting: Vec<Waiting> = Vec::new();
    let mut sent = 0;
    loop {
        let letter = world.receive(door, world.now() + AGAIN).await;
        let now = world.now();
        match letter {
            Some(Letter::Hot { call, writes, reply, .. }) if leads => {
                let answer = call(&mut tables);
                if !writes || bug == Some(Bug::AsyncReplication) {
                    world.post(host, reply, Letter::Answer(Ok(answer)));
                } else {
                    waiting.push(Waiting { version: version + 1, since: now, reply, answer });
                }
                if writes {
                    version += 1;
                    let copy = Box::new(tables.copied());
                    world.post(host, other, Letter::Copy { term, version, tables: copy });
                    sent = now;
                }
            }
            Some(Letter::Hot { reply, .. }) => {
                let nobody = StoreError::Unreachable("not the primary".to_owned());
                world.post(host, reply, Letter::Answer(Err(nobody)));
            }
            Some(Letter::Copy { term: theirs, version: newer, tables: copy }) if !leads => {
                if (theirs, newer) > (term, version) {
                    (term, version, tables) = (theirs, newer, *copy);
                }
                world.kernel().in_step = true;
                world.post(host, other, Letter::Copied { term, version });
            }
            Some(Letter::Copied { term: theirs, version: theirs_too }) if leads && theirs == term => {
                copied = copied.max(theirs_too);
            }
            Some(Letter::Promote { term: new }) => {
                (leads, term, copied) = (true, new, 0);
                world.note(|| format!("server {me} leads with version {version}"));
            }
            _ => {}
        }
        let mut later = Vec::new();
        for write in waiting {
            if write.version <= copied {
                world.post(host, write.reply, Letter::Answer(Ok(write.answer)));
            } else if now >= write.since + IN_STEP {
                world.post(host, write.reply, Letter::Answer(Err(StoreError::NotReplicated)));
            } else {
                later.push(write);
            }
        }
        waiting = later;
        if leads && copied < version.max(1) && now >= sent + AGAIN {
            // an empty replica hears of the first version, too
            version = version.max(1);
            let copy = Box::new(tables.copied());
            world.post(host, other, Letter::Copy { term, version, tables: copy });
            sent = now;
        }
    }
}
