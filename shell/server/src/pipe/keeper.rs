//! What keeps a connection when this process dies: the holder, if there is one.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
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
    /// Whether connections are given to it.
    carry_on: bool,
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
        Self { key, holder: Some(ToHolder { link, family, in_hand, carry_on }) }
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

    /// Has a connection held whose ledger has its first commit: how it is called, unless it dies with this process.
    pub(super) fn hold(
        &self,
        client: BorrowedFd<'_>,
        application: BorrowedFd<'_>,
        memory: BorrowedFd<'_>,
    ) -> Option<HeldId> {
        let holder = self.holder.as_ref().filter(|holder| holder.carry_on)?;
        let held = holder.link.hold(client, application, memory);
        held.inspect_err(|e| tracing::error!("a connection is not held: {e}")).ok()
    }

    /// Has the holder know which connection is being worked on.
    pub(super) fn take_in_hand(&self, hold: Option<HeldId>) -> Taken<'_> {
        let (Some(holder), Some(id)) = (&self.holder, hold) else { return Taken(None) };
        holder.in_hand.take(id);
        Taken(Some(&holder.in_hand))
    }

    /// A connection is over.
    pub(super) fn release(&self, id: HeldId) {
        self.say(|link| link.release(id));
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
