//! What keeps a connection when this process dies: the holder, if there is one.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use symbolon_crypto::{Aead, Crypto, Entropy, SecretBytes};
use symbolon_os::{FamilyKey, HeldId, HolderLink, InHand, Unable};
use symbolon_provider::SystemEntropy;
use symbolon_tls::TicketMemory;

/// Keeps connections, or nobody does.
pub(crate) struct Keeper {
    /// Under which keys are sealed in ledgers.
    key: Box<dyn Aead>,
    holder: Option<ToHolder>,
}

struct ToHolder {
    link: HolderLink,
    family: Arc<FamilyKey>,
    in_hand: InHand,
    offers: Mutex<Offers>,
    /// Whether connections are given to it.
    carry_on: bool,
}

#[derive(Default)]
struct Offers {
    next: u64,
    /// Those that were not answered yet.
    open: HashMap<u64, Hold>,
}

/// How one connection is held.
#[derive(Clone)]
pub(super) struct Hold(Arc<Mutex<Standing>>);

#[derive(Clone, Copy)]
enum Standing {
    /// The holder was asked.
    Offered,
    Held(HeldId),
    /// It dies with this process.
    Alone,
    /// It came to its end.
    Over,
}

impl Hold {
    fn new(standing: Standing) -> Self {
        Self(Arc::new(Mutex::new(standing)))
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that a connection is being worked on, as long as it lives.
pub(super) struct Taken<'a>(Option<&'a InHand>);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(in_hand) = self.0 {
            in_hand.put_down();
        }
    }
}

impl Keeper {
    /// Nobody: connections die with this process.
    pub(crate) fn nobody(crypto: Crypto) -> Self {
        let entropy: &mut dyn Entropy = &mut SystemEntropy;
        Self { key: crypto.aes256_gcm(&entropy.secret()), holder: None }
    }

    /// The holder at the other end of `link`.
    pub(crate) fn holder(
        crypto: Crypto,
        link: HolderLink,
        family: FamilyKey,
        in_hand: InHand,
        carry_on: bool,
    ) -> Self {
        let key = crypto.aes256_gcm(&family.secret());
        let family = Arc::new(family);
        Self { key, holder: Some(ToHolder { link, family, in_hand, offers: Mutex::default(), carry_on }) }
    }

    /// The holder's process, if there is one.
    pub(crate) fn holder_pid(&self) -> Option<u32> {
        let parent = rustix::process::getppid()?;
        self.holder.as_ref().and_then(|_| u32::try_from(parent.as_raw_nonzero().get()).ok())
    }

    /// Asks the holder for a new program, as an operator would.
    pub(crate) fn ask_for_replacement(&self) -> std::io::Result<()> {
        let (Some(_), Some(holder)) = (&self.holder, rustix::process::getppid()) else {
            return Err(std::io::ErrorKind::NotFound.into());
        };
        Ok(rustix::process::kill_process(holder, rustix::process::Signal::USR2)?)
    }

    /// Where keys of TLS tickets are remembered for the next worker.
    pub(crate) fn ticket_memory(&self) -> Option<Box<dyn TicketMemory>> {
        self.holder.as_ref().map(|holder| Box::new(OfFamily(holder.family.clone())) as Box<dyn TicketMemory>)
    }

    pub(super) fn key(&self) -> &dyn Aead {
        &*self.key
    }

    /// The way to the holder.
    pub(crate) fn link(&self) -> Option<&HolderLink> {
        self.holder.as_ref().map(|holder| &holder.link)
    }

    /// Has a connection held whose ledger has its first commit.
    pub(super) fn offer(
        &self,
        client: BorrowedFd<'_>,
        application: BorrowedFd<'_>,
        memory: BorrowedFd<'_>,
    ) -> Hold {
        let Some(holder) = self.holder.as_ref().filter(|holder| holder.carry_on) else {
            return self.alone();
        };
        let hold = Hold::new(Standing::Offered);
        let token = {
            let mut offers = holder.offers();
            offers.next += 1;
            let token = offers.next;
            offers.open.insert(token, hold.clone());
            token
        };
        if let Err(e) = holder.link.hold(token, client, application, memory) {
            tracing::error!("a connection is not held: {e}");
            holder.offers().open.remove(&token);
            *hold.standing() = Standing::Alone;
        }
        hold
    }

    /// A connection that cannot be held.
    #[expect(clippy::unused_self, reason = "who keeps says that nobody does")]
    pub(super) fn alone(&self) -> Hold {
        Hold::new(Standing::Alone)
    }

    /// A connection that the holder handed over.
    pub(super) fn held_already(id: HeldId) -> Hold {
        Hold::new(Standing::Held(id))
    }

    /// The holder's answer to an offer; nothing when it is full.
    pub(crate) fn answered(&self, token: u64, id: Option<HeldId>) {
        let Some(holder) = &self.holder else { return };
        let Some(hold) = holder.offers().open.remove(&token) else { return };
        let mut standing = hold.standing();
        match (*standing, id) {
            (Standing::Over, Some(id)) => holder.release(id),
            (Standing::Over, None) => {}
            (_, Some(id)) => *standing = Standing::Held(id),
            (_, None) => {
                tracing::warn!("the holder has no room: a connection would not outlive this process");
                *standing = Standing::Alone;
            }
        }
    }

    /// Has the holder know which connection is being worked on.
    pub(super) fn take_in_hand(&self, hold: &Hold) -> Taken<'_> {
        let (Some(holder), Standing::Held(id)) = (&self.holder, *hold.standing()) else { return Taken(None) };
        holder.in_hand.take(id);
        Taken(Some(&holder.in_hand))
    }

    /// The same before a connection is opened at all.
    pub(super) fn take_up(&self, id: HeldId) -> Taken<'_> {
        self.take_in_hand(&Self::held_already(id))
    }

    /// A connection is over.
    pub(super) fn release(&self, hold: &Hold) {
        let before = std::mem::replace(&mut *hold.standing(), Standing::Over);
        if let (Some(holder), Standing::Held(id)) = (&self.holder, before) {
            holder.release(id);
        }
    }

    /// A connection that was handed over is carried on.
    pub(super) fn carried(&self, id: HeldId) {
        self.say(|link| link.carried(id));
    }

    /// A connection that was handed over is another's to carry.
    pub(super) fn unable(&self, id: HeldId, why: Unable) {
        self.say(|link| link.unable(id, why));
    }

    fn say(&self, what: impl FnOnce(&HolderLink) -> std::io::Result<()>) {
        if let Some(Err(e)) = self.link().map(what) {
            tracing::error!("the holder does not hear: {e}");
        }
    }
}

struct OfFamily(Arc<FamilyKey>);

impl TicketMemory for OfFamily {
    fn recall(&self) -> Option<SecretBytes> {
        self.0.legacy()
    }

    fn remember(&self, bytes: &SecretBytes) {
        self.0.leave(bytes);
    }
}

impl ToHolder {
    fn offers(&self) -> MutexGuard<'_, Offers> {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(&self, id: HeldId) {
        if let Err(e) = self.link.release(id) {
            tracing::error!("the holder does not hear: {e}");
        }
    }
}
