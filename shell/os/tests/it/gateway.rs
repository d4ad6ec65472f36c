//! A worker that carries connections: accepts, dials, moves records one way and plain bytes the other.

use crate::layer::Layer;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use symbolon_crypto::{Aead, Entropy};
use symbolon_os::{
    FromHolder, HeldConnection, HeldId, HolderLink, InHand, MemoryFile, counters, forbid_dumps, prepare,
};
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_session::ConnectionId;
use symbolon_session::ledger::{
    Carrier, Ended, Geometry, Interest, KeySeal, Ledger, Opened, Step, Truncation,
};

/// Where the application is.
pub(crate) const APPLICATION: &str = "SYMBOLON_OS_TEST_APPLICATION";
const RING: usize = 1 << 16;
/// Steps of one connection before the next has its turn.
const TURN: usize = 64;

const CLIENT_READ: Interest = interest(true, false, false, false);
const CLIENT_WRITE: Interest = interest(false, true, false, false);
const APPLICATION_READ: Interest = interest(false, false, true, false);
const APPLICATION_WRITE: Interest = interest(false, false, false, true);
const ALL: Interest = interest(true, true, true, true);

const fn interest(a: bool, b: bool, c: bool, d: bool) -> Interest {
    Interest { client_readable: a, client_writable: b, application_readable: c, application_writable: d }
}

struct Connection {
    id: HeldId,
    carrier: Carrier<Layer>,
    memory: MemoryFile,
    client: OwnedFd,
    application: OwnedFd,
    waits: Interest,
}

struct Worker {
    link: HolderLink,
    in_hand: InHand,
    family: Box<dyn Aead>,
    listener: Option<TcpListener>,
    connections: Vec<Connection>,
    /// It is the one that accepts.
    leads: bool,
    /// The holder is gone.
    alone: bool,
    /// Has never anything to say; its other end is kept.
    nothing: OwnedFd,
    _other_end: OwnedFd,
}

pub(crate) fn run() {
    forbid_dumps().unwrap();
    let link = HolderLink::from_standard_input().unwrap();
    let FromHolder::Begin { family, in_hand, listeners, .. } = link.receive().unwrap() else {
        panic!("the first message")
    };
    let family = crypto().aes256_gcm(&family.secret());
    let listener = listeners.into_iter().next().map(TcpListener::from);
    listener.iter().for_each(|listener| listener.set_nonblocking(true).unwrap());
    // the first random bytes of a process take tens of milliseconds: before it is ready, not after
    SystemEntropy.fill(&mut [0; 16]);
    link.ready().unwrap();
    let (nothing, _other_end) = symbolon_os::pass::pair().unwrap();
    let (connections, leads, alone) = (vec![], false, false);
    Worker { link, in_hand, family, listener, connections, leads, alone, nothing, _other_end }.work();
}

impl Worker {
    fn work(&mut self) {
        while !self.alone || !self.connections.is_empty() {
            let (link, accept, ready) = self.wait();
            if link && !self.hear() {
                return;
            }
            if accept {
                self.accept();
            }
            for (i, ready) in ready.into_iter().enumerate() {
                if ready {
                    self.connections[i].waits = self.drive(i);
                }
            }
            let over = |connection: &mut Connection| connection.waits == Interest::default();
            for connection in self.connections.extract_if(.., over) {
                connection.memory.erase().unwrap();
            }
        }
    }

    /// What the link, the listener and each connection have.
    fn wait(&self) -> (bool, bool, Vec<bool>) {
        // a link without a holder would wake us again and again
        let link = if self.alone { self.nothing.as_fd() } else { self.link.as_fd() };
        let mut fds = vec![PollFd::from_borrowed_fd(link, PollFlags::IN)];
        let listener = self.listener.iter().filter(|_| self.leads);
        fds.extend(listener.map(|listener| PollFd::new(listener, PollFlags::IN)));
        let first = fds.len();
        for connection in &self.connections {
            let waits = connection.waits;
            let flags = |readable: bool, writable: bool| {
                let readable = if readable { PollFlags::IN } else { PollFlags::empty() };
                readable | if writable { PollFlags::OUT } else { PollFlags::empty() }
            };
            // a socket on which nothing is waited for would wake us when the other end is gone
            for (socket, flags) in [
                (&connection.client, flags(waits.client_readable, waits.client_writable)),
                (&connection.application, flags(waits.application_readable, waits.application_writable)),
            ] {
                let socket = if flags.is_empty() { self.nothing.as_fd() } else { socket.as_fd() };
                fds.push(PollFd::from_borrowed_fd(socket, flags));
            }
        }
        rustix::event::poll(&mut fds, None).unwrap();
        let has = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let ready = fds[first..].chunks(2).map(|fds| fds.iter().any(has)).collect();
        (has(&fds[0]), first == 2 && has(&fds[1]), ready)
    }

    /// False when it is over.
    fn hear(&mut self) -> bool {
        match self.link.receive().unwrap() {
            FromHolder::Carry(connections) => connections.into_iter().for_each(|held| self.adopt(held)),
            FromHolder::NotHeld(id) => self.connections.retain(|c| c.id != id),
            FromHolder::Lead { .. } => self.leads = true,
            FromHolder::Stop { .. } => return false,
            FromHolder::HolderGone => {
                // what is carried goes on without a net, and another holder can listen
                self.alone = true;
                self.listener = None;
            }
            FromHolder::Reload | FromHolder::Relay { .. } => {}
            FromHolder::Begin { .. } => panic!("begun before"),
        }
        true
    }

    fn accept(&mut self) {
        let Some(Ok((client, _))) = self.listener.as_ref().map(TcpListener::accept) else { return };
        let application = TcpStream::connect(std::env::var(APPLICATION).unwrap()).unwrap();
        let (client, application) = (OwnedFd::from(client), OwnedFd::from(application));
        prepare(client.as_fd()).unwrap();
        prepare(application.as_fd()).unwrap();
        let geometry = Geometry::new(ConnectionId([1; 16]), RING, RING).unwrap();
        let (mut memory, ledger) = MemoryFile::create(geometry, b"gateway").unwrap();
        let counts = |socket: &OwnedFd| counters(socket.as_fd()).unwrap();
        let (of_client, of_application) = (counts(&client), counts(&application));
        let mut carrier =
            Carrier::begin(ledger, Layer::fresh(), Truncation::Passed, of_client, of_application);
        assert_eq!(carrier.next(&memory), Step::Commit);
        carrier.commit(&mut memory, &mut KeySeal::new(&*self.family, &mut SystemEntropy));
        let id = self.link.hold(client.as_fd(), application.as_fd(), memory.descriptor()).unwrap();
        let waits = interest(true, false, true, false);
        self.connections.push(Connection { id, carrier, memory, client, application, waits });
    }

    fn adopt(&mut self, held: HeldConnection) {
        self.in_hand.take(held.id);
        let HeldConnection { id, client, application, memory, .. } = held;
        let memory = MemoryFile::open(memory).unwrap();
        let mut entropy = SystemEntropy;
        let seal = KeySeal::new(&*self.family, &mut entropy);
        let Opened { ledger, entry, keys } = Ledger::open(&memory, &seal).unwrap();
        let counts = |socket: &OwnedFd| counters(socket.as_fd()).unwrap();
        let (of_client, of_application) = (counts(&client), counts(&application));
        let layer = Layer::restored(&keys, &entry);
        match Carrier::adopt(ledger, entry, layer, of_client, of_application, &memory) {
            Ok(carrier) => {
                let waits = ALL;
                self.connections.push(Connection { id, carrier, memory, client, application, waits });
                self.link.carried(id).unwrap();
            }
            Err(lost) => {
                eprintln!("lost: {lost}");
                self.link.release(id).unwrap();
            }
        }
        self.in_hand.put_down();
    }

    /// Takes steps until there is nothing to do, or others should have their turn. What is waited for;
    /// nothing if it is over.
    fn drive(&mut self, i: usize) -> Interest {
        let Connection { id, carrier, memory, client, application, .. } = &mut self.connections[i];
        self.in_hand.take(*id);
        carrier.ready(ALL);
        let mut steps = 0;
        let waits = loop {
            steps += 1;
            if steps == TURN {
                break ALL;
            }
            match carrier.next(memory) {
                Step::Commit => {
                    carrier.commit(memory, &mut KeySeal::new(&*self.family, &mut SystemEntropy));
                }
                Step::ReadClient { position, room } => {
                    let room = memory.client_room(position, room).unwrap();
                    match rustix::net::recv(&*client, room, RecvFlags::DONTWAIT) {
                        Ok((count, _)) => carrier.read_client(count),
                        Err(Errno::AGAIN) => carrier.blocked(CLIENT_READ),
                        Err(_) => carrier.client_failed(),
                    }
                }
                Step::ReadApplication { position, room } => {
                    let room = memory.application_room(position, room).unwrap();
                    match rustix::net::recv(&*application, room, RecvFlags::DONTWAIT) {
                        Ok((count, _)) => carrier.read_application(count),
                        Err(Errno::AGAIN) => carrier.blocked(APPLICATION_READ),
                        Err(_) => carrier.end_with(80),
                    }
                }
                Step::WriteClient => match send(client, carrier.for_client()) {
                    Ok(count) => carrier.wrote_client(count),
                    Err(Errno::AGAIN) => carrier.blocked(CLIENT_WRITE),
                    Err(_) => carrier.client_failed(),
                },
                Step::WriteApplication => match send(application, carrier.for_application()) {
                    Ok(count) => carrier.wrote_application(count),
                    Err(Errno::AGAIN) => carrier.blocked(APPLICATION_WRITE),
                    Err(_) => carrier.end_with(80),
                },
                Step::EndClient => {
                    // one that is not connected any more has ended
                    let _ = rustix::net::shutdown(&*client, Shutdown::Write);
                    carrier.ended_client();
                }
                Step::EndApplication => {
                    let _ = rustix::net::shutdown(&*application, Shutdown::Write);
                    carrier.ended_application();
                }
                Step::Wait(waits) => {
                    if carrier.is_idle() {
                        memory.rest().unwrap();
                    }
                    break waits;
                }
                Step::Ended(ended) => {
                    if ended != Ended::Orderly {
                        eprintln!("ended: {ended:?}");
                    }
                    if !self.alone {
                        self.link.release(*id).unwrap();
                    }
                    break Interest::default();
                }
            }
        };
        self.in_hand.put_down();
        waits
    }
}

fn send(socket: &OwnedFd, bytes: &[u8]) -> rustix::io::Result<usize> {
    rustix::net::send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
}
