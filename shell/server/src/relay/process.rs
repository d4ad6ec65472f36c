//! The relay as a process of its own: begun by the holder when somebody asks, and never replaced while it carries.

use super::message::{Answer, Failure, MAX_ROOTS, Request};
use super::{copy, dial, pair, waited_for};
use rustix::net::{RecvFlags, SendFlags};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::thread;
use std::time::Duration;
use symbolon_crypto::Entropy as _;
use symbolon_os::pass::{self, Message};
use symbolon_os::{FromHolder, HolderLink, Signals, forbid_dumps};
use symbolon_provider::SystemEntropy;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long connections may take to hand over their last bytes when all workers are gone.
const LAST_BYTES: Duration = Duration::from_secs(3);

/// What a relay is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Another answers from now on.
    Leave,
    /// Nobody is left for whom it could carry anything.
    End,
}

/// A process that a holder began to dial applications, and to carry their bytes.
#[derive(Debug)]
pub struct RelayProcess {
    requests: OwnedFd,
    link: HolderLink,
}

impl RelayProcess {
    /// Takes from standard input what the holder gave. To be called before the process has a second thread.
    ///
    /// # Errors
    /// When no holder began this process.
    pub fn begin() -> io::Result<Self> {
        forbid_dumps()?;
        Signals::give_back()?;
        let link = HolderLink::from_standard_input()?;
        let FromHolder::Relay { requests } = link.receive()? else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        // The first random bytes of a process take tens of milliseconds: now, not when somebody waits.
        SystemEntropy.fill(&mut [0; 16]);
        Ok(Self { requests, link })
    }

    /// Answers, and carries what it has dialled; returns when it may end.
    ///
    /// # Errors
    /// When the system gives it no thread, or nothing can be waited for.
    pub async fn run(self) -> io::Result<()> {
        let Self { requests, link } = self;
        let (to_us, mut orders) = mpsc::unbounded_channel();
        thread::Builder::new().name("holder".to_owned()).spawn(move || hear(&link, &to_us))?;
        let mut requests = Some(waited_for(requests)?);
        let mut carried = JoinSet::new();
        let mut until = None;
        let mut told = false;
        while requests.is_some() || !carried.is_empty() {
            tokio::select! {
                asked = next(requests.as_ref()) => match asked? {
                    Some(message) => drop(carried.spawn(answer(message))),
                    None => requests = None,
                },
                Some(_) = carried.join_next() => {}
                order = orders.recv(), if !told => {
                    requests = None;
                    if order != Some(Order::Leave) {
                        until = Some(Instant::now() + LAST_BYTES);
                        told = true;
                    }
                }
                () = at(until) => return Ok(()),
            }
        }
        Ok(())
    }
}

/// The next request.
async fn next(requests: Option<&UnixDatagram>) -> io::Result<Option<Message>> {
    let Some(requests) = requests else { return std::future::pending().await };
    let receive = || pass::receive(requests.as_fd(), RecvFlags::DONTWAIT);
    requests.async_io(Interest::READABLE, receive).await
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn hear(link: &HolderLink, orders: &mpsc::UnboundedSender<Order>) {
    loop {
        let order = match link.receive() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Ok(FromHolder::Stop { last: false }) => Order::Leave,
            // also when the holder is gone, or says what a relay does not know
            _ => Order::End,
        };
        if orders.send(order).is_err() || order == Order::End {
            return;
        }
    }
}

/// Deals with one request to the end of its connection.
async fn answer(message: Message) {
    let bytes = message.bytes().to_vec();
    let mut descriptors = message.descriptors.into_iter();
    // without it nobody can be told anything; who asked sees the end
    let Some(asker) = descriptors.next() else { return };
    let Ok(asker) = waited_for(asker) else { return };
    let answer = match Request::parse(&bytes, || descriptors.next().and_then(read_roots)) {
        Err(e) => Err(Failure::unreachable(format!("the relay does not understand: {e}"))),
        Ok(request) => {
            let dialled = async {
                let application = dial::dial(&request.to).await?;
                Ok::<_, Failure>((application, pair::pair().await?))
            };
            tokio::select! {
                dialled = tokio::time::timeout(request.within, dialled) => {
                    dialled.unwrap_or_else(|_| Err(Failure::unreachable("it took too long")))
                }
                // who asked says nothing more, so it is gone
                _ = asker.readable() => return,
            }
        }
    };
    let say = |answer: Answer, descriptors: &[_]| {
        pass::send(asker.as_fd(), &answer.to_bytes(), descriptors, SendFlags::DONTWAIT)
    };
    match answer {
        Err(failure) => drop(say(Answer::Failed(failure), &[])),
        Ok((application, (theirs, ours))) => {
            if say(Answer::Connected, &[theirs.as_fd()]).is_err() {
                return;
            }
            drop(theirs);
            drop(asker);
            copy::carry(ours, application).await;
        }
    }
}

/// Certificates from another process's memory, as far as there may be.
fn read_roots(file: OwnedFd) -> Option<String> {
    let mut file = File::from(file);
    file.rewind().ok()?;
    let mut text = String::new();
    file.take(MAX_ROOTS as u64 + 1).read_to_string(&mut text).ok()?;
    (text.len() <= MAX_ROOTS).then_some(text)
}
