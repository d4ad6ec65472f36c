//! A worker's end of the socket to its holder.

use crate::message::{MAX_CARRIED, ToHolder, ToWorker};
use crate::pass::{self, Message};
use crate::{FamilyKey, HeldId, InHand, Unable};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A connection that is handed over, with all that outlived its worker.
#[derive(Debug)]
pub struct HeldConnection {
    /// How holder and workers name it.
    pub id: HeldId,
    /// How many of its workers died.
    pub deaths: u32,
    /// The client's socket.
    pub client: OwnedFd,
    /// The application's socket.
    pub application: OwnedFd,
    /// The memory file, to be opened as a [`MemoryFile`](crate::MemoryFile).
    pub memory: OwnedFd,
}

/// What the holder wants.
#[derive(Debug)]
pub enum FromHolder {
    /// The first message: what the family shares.
    Begin {
        /// The key under which keys in ledgers are sealed.
        family: FamilyKey,
        /// Says which connections are being worked on.
        in_hand: InHand,
        /// On which a relay is asked: the holder begins one as soon as something lies there.
        relay: OwnedFd,
        /// The listening sockets, in the order of the holder's settings; shared with the other workers.
        listeners: Vec<OwnedFd>,
    },
    /// Lead from now on: accept, and be what only one of the family can be. It may come before this worker
    /// is ready, and comes before any connection of a dead leader's. It is never taken back.
    Lead {
        /// How many of this family led and were ready before.
        before: u64,
    },
    /// Carry these on. Their former worker is dead. Also for one that does not lead, when the one that
    /// does gave them back.
    Carry(Vec<HeldConnection>),
    /// A connection that was offered is not held, since the holder is full: it dies with this worker.
    NotHeld(HeldId),
    /// Stop and end the process. May come for a second time, then as the last.
    Stop {
        /// The whole family ends: connections are brought to their end in order, and nobody carries on.
        /// Otherwise at the next step of each connection; others carry on.
        last: bool,
    },
    /// Read the configuration again; connections stay as they are.
    Reload,
    /// The first message to a relay.
    Relay {
        /// On which it is asked, by all workers; an answer goes where the question says.
        requests: OwnedFd,
    },
    /// The holder is gone: what this worker carries dies with it. Accept nothing more, close the
    /// listening sockets so that another family can open them, and end with the last connection.
    HolderGone,
}

/// The socket to the holder, for any number of threads at once: each message is sent and received whole.
///
/// What is sent waits while the socket is full. That is not for long, since the holder never waits for a
/// worker; a worker that must not wait at all says so by [`HolderLink::set_nonblocking`].
#[derive(Debug)]
pub struct HolderLink {
    socket: OwnedFd,
    /// What the first message said.
    worker: OnceLock<u32>,
    /// How many connections were named.
    named: AtomicU64,
}

impl HolderLink {
    /// Takes the socket over that the holder gave this process as its standard input, which is
    /// `/dev/null` afterwards.
    ///
    /// # Errors
    /// When standard input is no such socket.
    pub fn from_standard_input() -> io::Result<Self> {
        let stdin = rustix::stdio::stdin();
        if rustix::net::sockopt::socket_type(stdin)? != rustix::net::SocketType::SEQPACKET {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let socket = rustix::io::fcntl_dupfd_cloexec(stdin, 3)?;
        let null = std::fs::File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(&null)?;
        Ok(Self::new(socket))
    }

    const fn new(socket: OwnedFd) -> Self {
        Self { socket, worker: OnceLock::new(), named: AtomicU64::new(0) }
    }

    /// The next message; waits for it.
    ///
    /// # Errors
    /// What the kernel says; `InvalidData` when the holder says nonsense, which is a reason to end.
    pub fn receive(&self) -> io::Result<FromHolder> {
        self.take(RecvFlags::empty())
    }

    /// The next message, if one is there: to be asked until `WouldBlock` after the socket became
    /// readable.
    ///
    /// # Errors
    /// As [`HolderLink::receive`], and `WouldBlock`.
    pub fn try_receive(&self) -> io::Result<FromHolder> {
        self.take(RecvFlags::DONTWAIT)
    }

    fn take(&self, flags: RecvFlags) -> io::Result<FromHolder> {
        let Some(message) = pass::receive(self.socket.as_fd(), flags)? else {
            return Ok(FromHolder::HolderGone);
        };
        let nonsense = || io::Error::from(io::ErrorKind::InvalidData);
        match ToWorker::parse(message.bytes()).map_err(|_| nonsense())? {
            _ if message.too_long => Err(nonsense()),
            ToWorker::Begin { worker } => {
                self.worker.set(worker).map_err(|_| nonsense())?;
                let mut descriptors = message.descriptors.into_iter();
                let mut next = || descriptors.next().ok_or_else(nonsense);
                let (family, in_hand, relay) = (next()?, next()?, next()?);
                Ok(FromHolder::Begin {
                    family: FamilyKey::open(family)?,
                    in_hand: InHand::open(&in_hand)?,
                    relay,
                    listeners: descriptors.collect(),
                })
            }
            ToWorker::Carry(connections) => self.handed_over(connections, message),
            ToWorker::NotHeld { id } => Ok(FromHolder::NotHeld(id)),
            ToWorker::Stop { last } => Ok(FromHolder::Stop { last }),
            ToWorker::Reload => Ok(FromHolder::Reload),
            ToWorker::Lead { before } => Ok(FromHolder::Lead { before }),
            ToWorker::Relay => {
                let requests = message.descriptors.into_iter().next().ok_or_else(nonsense)?;
                Ok(FromHolder::Relay { requests })
            }
        }
    }

    /// Connections with their descriptors. Those whose descriptors found no room in this process are
    /// given back at once.
    fn handed_over(&self, connections: Vec<(HeldId, u32)>, message: Message) -> io::Result<FromHolder> {
        let expected = 3 * connections.len();
        let got = message.descriptors.len();
        if connections.len() > MAX_CARRIED || got > expected || got < expected && !message.cut {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut descriptors = message.descriptors.into_iter();
        let mut carried = Vec::new();
        for (id, deaths) in connections {
            match (descriptors.next(), descriptors.next(), descriptors.next()) {
                (Some(client), Some(application), Some(memory)) => {
                    carried.push(HeldConnection { id, deaths, client, application, memory });
                }
                // in any case: what was received does not come again
                _ => self.say_at_last(ToHolder::Unable { id, why: Unable::Exhausted })?,
            }
        }
        Ok(FromHolder::Carry(carried))
    }

    /// Whether to tell `WouldBlock` rather than to wait, both when receiving and when the socket is full:
    /// then the message was not sent, and is to be sent again when the socket is writable.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        Ok(rustix::io::ioctl_fionbio(&self.socket, nonblocking)?)
    }

    /// This worker can carry connections.
    ///
    /// # Errors
    /// What the kernel says; the same for all that follow.
    pub fn ready(&self) -> io::Result<()> {
        self.say(ToHolder::Ready, &[])
    }

    /// Gives a connection to be held, once its ledger has its first commit; says how it is called from now
    /// on. There is no answer, unless the holder is full: whoever waits for one costs both processes a
    /// wake-up for each connection. Only the worker that leads may.
    ///
    /// # Errors
    /// `NotConnected` before the first message was received. What the kernel says; `WouldBlock`, also of a socket that waits, when as many descriptors of this
    /// user are on their way as one process may have: a socket that is writable says nothing of that, so
    /// it is to be tried again after some milliseconds.
    pub fn hold(
        &self,
        client: BorrowedFd<'_>,
        application: BorrowedFd<'_>,
        memory: BorrowedFd<'_>,
    ) -> io::Result<HeldId> {
        let worker = *self.worker.get().ok_or(io::ErrorKind::NotConnected)?;
        let id = HeldId::new(worker, self.named.fetch_add(1, Ordering::Relaxed) + 1);
        self.say(ToHolder::Hold { id }, &[client, application, memory])?;
        Ok(id)
    }

    /// A connection has come to its end, also one that was not held; its sockets are shut or reset. Then
    /// its memory is erased.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn release(&self, id: HeldId) -> io::Result<()> {
        self.say(ToHolder::Release { id }, &[])
    }

    /// A connection that was handed over is carried on.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn carried(&self, id: HeldId) -> io::Result<()> {
        self.say(ToHolder::Carried { id }, &[])
    }

    /// A connection that was handed over, and was not touched, is another's to carry.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn unable(&self, id: HeldId, why: Unable) -> io::Result<()> {
        self.say(ToHolder::Unable { id, why }, &[])
    }

    /// Says it as soon as there is room.
    fn say_at_last(&self, message: ToHolder) -> io::Result<()> {
        loop {
            match self.say(message, &[]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                said => return said,
            }
            match rustix::event::poll(&mut [PollFd::new(&self.socket, PollFlags::OUT)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn say(&self, message: ToHolder, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        pass::send(self.socket.as_fd(), &message.to_bytes(), descriptors, SendFlags::empty())
    }
}

impl AsFd for HolderLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::{HolderLink, ToHolder, io, pass};
    use crate::InHand;
    use rustix::net::RecvFlags;
    use std::os::fd::AsFd;

    #[test]
    fn many_threads_may_use_what_a_worker_has_at_once() {
        fn shared<T: Send + Sync>() {}
        shared::<HolderLink>();
        shared::<InHand>();
    }

    #[test]
    fn a_link_that_must_not_wait_tells_of_a_full_socket_and_goes_on_when_there_is_room() {
        let (socket, holder) = pass::pair().expect("a pair");
        let link = HolderLink::new(socket);
        link.set_nonblocking(true).expect("a socket");
        let would_block = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
        assert!(link.receive().is_err_and(would_block), "nothing was said");
        let mut sent = 0;
        while link.ready().is_ok() {
            sent += 1;
        }
        assert!(link.ready().is_err_and(would_block));
        for _ in 0..sent {
            let message = pass::receive(holder.as_fd(), RecvFlags::DONTWAIT).expect("it was sent");
            assert_eq!(message.expect("a message").bytes(), [1]);
        }
        assert!(pass::receive(holder.as_fd(), RecvFlags::DONTWAIT).is_err_and(would_block), "whole or not");
        link.ready().expect("room");
    }

    #[test]
    fn what_found_no_descriptor_is_given_back_even_when_the_socket_is_full() {
        let (socket, holder) = pass::pair().expect("a pair");
        let link = HolderLink::new(socket);
        link.set_nonblocking(true).expect("a socket");
        while link.ready().is_ok() {}
        let unable = ToHolder::Unable { id: crate::HeldId(7), why: crate::Unable::Exhausted };
        let last = std::thread::scope(|threads| {
            threads.spawn(|| link.say_at_last(unable).expect("said"));
            loop {
                let message = pass::receive(holder.as_fd(), RecvFlags::empty()).expect("it was sent");
                let message = ToHolder::parse(message.expect("a message").bytes()).expect("a message");
                if message != ToHolder::Ready {
                    break message;
                }
            }
        });
        assert_eq!(last, unable);
    }
}
