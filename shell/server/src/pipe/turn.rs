//! The steps of a connection: what its carrier asks for, done on the sockets.

use super::Pipe;
use rustix::net::{SendFlags, Shutdown};
use std::io::{self, ErrorKind};
use symbolon_provider::SystemEntropy;
use symbolon_session::EndReason;
use symbolon_session::ledger::{Carrier, Ended, Interest, KeySeal, Step};
use tokio::io::Interest as Ready;
use tokio::net::TcpStream;

/// Steps of one connection before the next has its turn.
const STEPS: usize = 64;

const CLIENT_READ: Interest = interest(true, false, false, false);
const CLIENT_WRITE: Interest = interest(false, true, false, false);
const APPLICATION_READ: Interest = interest(false, false, true, false);
const APPLICATION_WRITE: Interest = interest(false, false, false, true);
const ALL: Interest = interest(true, true, true, true);

const fn interest(
    client_readable: bool,
    client_writable: bool,
    application_readable: bool,
    application_writable: bool,
) -> Interest {
    Interest { client_readable, client_writable, application_readable, application_writable }
}

/// What became of a turn.
pub(super) enum Turn {
    /// There is more to do at once.
    Busy,
    /// Nothing to do before one of these.
    Waits(Interest),
    /// It is over.
    Ended(Ended),
}

/// Writes what the socket has room for. With `more` to come at once, the kernel may keep it for a moment: one segment
/// less to send, and the peer is not woken for each record.
fn send(socket: &TcpStream, bytes: &[u8], more: bool) -> io::Result<usize> {
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let flags = if more { flags | SendFlags::MORE } else { flags };
    socket.try_io(Ready::WRITABLE, || Ok(rustix::net::send(socket, bytes, flags)?))
}

impl Pipe {
    /// Does what can be done now, as long as others can wait.
    pub(super) fn turn(&mut self) -> Turn {
        let Self { carrier, memory, client, application, keeper, held, language, rests, failure, .. } = self;
        let Some(memory) = memory else { return Turn::Ended(Ended::ClientGone) };
        let _in_hand = keeper.take_in_hand(*held);
        let mut failed = |carrier: &mut Carrier<_>, error| {
            failure.get_or_insert(error);
            carrier.end_with(language.say(EndReason::ApplicationReset));
        };
        carrier.ready(ALL);
        for _ in 0..STEPS {
            match carrier.next(memory) {
                Step::Commit => {
                    carrier.commit(memory, &mut KeySeal::new(keeper.key(), &mut SystemEntropy));
                }
                Step::ReadClient { position, room } => {
                    *rests = false;
                    let room = memory.client_room(position, room);
                    match room.and_then(|room| client.try_read(room)) {
                        Ok(count) => carrier.read_client(count),
                        Err(e) if e.kind() == ErrorKind::WouldBlock => carrier.blocked(CLIENT_READ),
                        Err(_) => carrier.client_failed(),
                    }
                }
                Step::ReadApplication { position, room } => {
                    *rests = false;
                    let room = memory.application_room(position, room);
                    match room.and_then(|room| application.try_read(room)) {
                        Ok(count) => carrier.read_application(count),
                        Err(e) if e.kind() == ErrorKind::WouldBlock => carrier.blocked(APPLICATION_READ),
                        Err(e) => failed(carrier, e),
                    }
                }
                Step::WriteClient => match send(client, carrier.for_client(), carrier.more_for_client()) {
                    Ok(count) => carrier.wrote_client(count),
                    Err(e) if e.kind() == ErrorKind::WouldBlock => carrier.blocked(CLIENT_WRITE),
                    Err(_) => carrier.client_failed(),
                },
                Step::WriteApplication => {
                    let more = carrier.more_for_application(memory);
                    match send(application, carrier.for_application(), more) {
                        Ok(count) => carrier.wrote_application(count),
                        Err(e) if e.kind() == ErrorKind::WouldBlock => carrier.blocked(APPLICATION_WRITE),
                        Err(e) => failed(carrier, e),
                    }
                }
                Step::EndClient => {
                    // one that is not connected any more has ended
                    let _ = rustix::net::shutdown(&*client, Shutdown::Write);
                    carrier.ended_client();
                }
                Step::EndApplication => {
                    let _ = rustix::net::shutdown(&*application, Shutdown::Write);
                    carrier.ended_application();
                }
                Step::Wait(interest) => return Turn::Waits(interest),
                Step::Ended(ended) => return Turn::Ended(ended),
            }
        }
        Turn::Busy
    }
}
