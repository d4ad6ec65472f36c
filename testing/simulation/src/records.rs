//! The durable records: who may what, and which tickets were spent. They lose nothing, and may be out of reach.

use crate::letter::Letter;
use crate::remote::{ANSWER, RemoteHot, nobody};
use crate::world::{Host, World};
use std::collections::BTreeSet;
use symbolon_store::Result;

/// What an administrator orders about a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Lock(u8),
    Unlock(u8),
    Withdraw(u8),
    Entitle(u8),
    /// The token counts no more; its user has another one.
    Revoke(u8),
    /// One session of the user ends.
    EndSession(u8),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct User {
    pub(crate) locked: bool,
    pub(crate) entitled: bool,
    /// The only registration that counts.
    pub(crate) registration: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Records {
    pub(crate) users: Vec<User>,
    pub(crate) revision: u64,
    pub(crate) spent: BTreeSet<[u8; 32]>,
}

impl Records {
    pub(crate) fn new(users: u8) -> Self {
        let user = User { entitled: true, ..User::default() };
        Self { users: vec![user; users.into()], revision: 1, spent: BTreeSet::new() }
    }

    /// Makes a change; the same again changes nothing, so an order may be repeated. The token that its
    /// user has then.
    pub(crate) fn change(&mut self, change: Change, registration: u32) -> u32 {
        self.revision += 1;
        let (Change::Lock(whose)
        | Change::Unlock(whose)
        | Change::Withdraw(whose)
        | Change::Entitle(whose)
        | Change::Revoke(whose)
        | Change::EndSession(whose)) = change;
        let user = &mut self.users[usize::from(whose)];
        match change {
            Change::Lock(_) => user.locked = true,
            Change::Unlock(_) => user.locked = false,
            Change::Withdraw(_) => user.entitled = false,
            Change::Entitle(_) => user.entitled = true,
            Change::Revoke(_) => user.registration = user.registration.max(registration + 1),
            Change::EndSession(_) => {}
        }
        user.registration
    }
}

pub(crate) async fn keep(world: World, mut records: Records) {
    let host = Host::Records;
    let door = world.open_door(host);
    loop {
        if let Some(Letter::Durable { call, reply, .. }) = world.receive(door, u64::MAX).await {
            let answer = call(&mut records);
            world.post(host, reply, Letter::Answer(Ok(answer)));
        }
    }
}

impl RemoteHot {
    /// Asks the durable records, which are on the same network.
    pub(crate) async fn durable<T: Send + 'static>(
        &self,
        what: &'static str,
        call: impl FnOnce(&mut Records) -> T + Send + 'static,
    ) -> Result<T> {
        let world = &self.world;
        let reply = world.open_box(self.host);
        let call = Box::new(move |records: &mut Records| Box::new(call(records)) as _);
        world.post(self.host, Host::Records.door(), Letter::Durable { call, what, reply });
        let answer = world.receive(reply, world.now() + ANSWER).await;
        world.close_box(reply);
        if let Some(Letter::Answer(Ok(answer))) = answer {
            return answer.downcast().map(|t| *t).map_err(|_| nobody());
        }
        self.troubled();
        Err(nobody())
    }
}
