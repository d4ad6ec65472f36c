//! Workers that offer connections of which the test has the other ends, and talk nonsense about them.

use crate::carrying::turn_until;
use crate::roles::{settings, worker};
use rustix::net::SendFlags;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use symbolon_os::{
    BreakerRules, Event, FromHolder, HeldId, Holder, HolderLink, HolderSettings, MemoryFile, WorkerId,
};
use symbolon_session::ConnectionId;
use symbolon_session::ledger::Geometry;

/// Where the test waits for the other ends of connections.
pub(crate) const OTHER_ENDS: &str = "SYMBOLON_OS_TEST_OTHER_ENDS";
/// A file that the first worker takes away.
pub(crate) const FIRST: &str = "SYMBOLON_OS_TEST_FIRST";

fn memory() -> MemoryFile {
    let geometry = Geometry::new(ConnectionId([2; 16]), 1 << 16, 1 << 16).unwrap();
    MemoryFile::create(geometry, &[]).unwrap().0
}

/// In a worker: offers a connection of which the test has the other ends.
pub(crate) fn offer(link: &HolderLink) -> (TcpStream, TcpStream, MemoryFile) {
    let address = std::env::var(OTHER_ENDS).unwrap();
    let sockets = [(); 2].map(|()| TcpStream::connect(&address).unwrap());
    let [client, application] = sockets;
    let memory = memory();
    link.hold(client.as_fd(), application.as_fd(), memory.descriptor()).unwrap();
    (client, application, memory)
}

/// In a worker: whether no other worker has asked this before. The file of the name in `FIRST` is there
/// until then.
pub(crate) fn is_first() -> bool {
    std::fs::remove_file(std::env::var(FIRST).unwrap()).is_ok()
}

/// In a worker: says what no worker says, of the kind that it is told, with a connection in its care.
pub(crate) fn babbles() {
    let link = HolderLink::from_standard_input().unwrap();
    let FromHolder::Begin { .. } = link.receive().unwrap() else { panic!("the first message") };
    let (client, application) = (memory(), memory());
    let file = memory();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let say = |bytes: &[u8], files: &[std::os::fd::BorrowedFd<'_>]| {
        symbolon_os::pass::send(link.as_fd(), bytes, files, SendFlags::empty()).unwrap();
    };
    // the second connection of the first worker
    let hold = [2, 0, 0, 0, 0x10, 0, 0, 0, 2];
    let _kept = match std::env::var("NONSENSE").unwrap().as_str() {
        "before it is ready" => Some(offer(&link)),
        "without leading" => {
            link.ready().unwrap();
            // the first finds the file, and leads
            (!is_first()).then(|| offer(&link))
        }
        kind => {
            link.ready().unwrap();
            let kept = offer(&link);
            match kind {
                "an unknown message" => say(&[99], &[]),
                "too many bytes" => say(&[1, 0], &[]),
                "too few bytes" => say(&[3, 0, 0], &[]),
                "far too many bytes" => {
                    rustix::net::send(&link, &[1; 5_000], SendFlags::empty()).unwrap();
                }
                "ready twice" => link.ready().unwrap(),
                "not its own" => say(&[3, 0, 0, 0, 0, 0, 0, 0, 200], &[]),
                "descriptors where none belong" => say(&[4, 0, 0, 0, 0, 0, 0, 0, 1], &[socket.as_fd()]),
                "a name that is taken" => say(&[2, 0, 0, 0, 0x10, 0, 0, 0, 1], &[socket.as_fd(); 3]),
                "a name of another's" => say(&[2, 0, 0, 0, 0x20, 0, 0, 0, 2], &[socket.as_fd(); 3]),
                "no descriptors" => say(&hold, &[]),
                "four descriptors" => say(&hold, &[socket.as_fd(); 4]),
                "no sockets" => {
                    say(&hold, &[client.descriptor(), application.descriptor(), file.descriptor()])
                }
                "no memory file" => say(&hold, &[socket.as_fd(); 3]),
                other => panic!("{other}"),
            }
            Some(kept)
        }
    };
    // it is ended by the holder, not by itself
    while !matches!(link.receive().unwrap(), FromHolder::HolderGone) {}
}

/// Whether the other end was reset.
pub(crate) fn is_reset(mut socket: &TcpStream) -> bool {
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    matches!(socket.read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset)
}

/// Whether nothing happened to it.
pub(crate) fn is_open(mut socket: &TcpStream) -> bool {
    socket.set_nonblocking(true).unwrap();
    matches!(socket.read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// A holder whose leader offered connections, of which the test has the other ends.
pub(crate) struct Offered {
    pub(crate) holder: Holder,
    pub(crate) ids: Vec<HeldId>,
    /// Client, application, client, application, …
    ends: Arc<Mutex<Vec<TcpStream>>>,
    offers: tempfile::TempDir,
    pub(crate) environment: Vec<(&'static str, String)>,
}

impl Offered {
    pub(crate) fn new(count: usize, workers: usize, program: &str, breaker: BreakerRules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let offers = tempfile::tempdir().unwrap();
        let file = offers.path().join("offers").to_str().unwrap().to_owned();
        let environment = vec![(OTHER_ENDS, listener.local_addr().unwrap().to_string()), ("OFFERS", file)];
        let ends = Arc::new(Mutex::new(vec![]));
        let accepted = ends.clone();
        std::thread::spawn(move || {
            for end in listener.incoming() {
                accepted.lock().unwrap().push(end.unwrap());
            }
        });
        let settings = HolderSettings { breaker, ..settings(worker(program, &environment), workers) };
        let holder = Holder::new(settings).unwrap();
        let mut offered = Self { holder, ids: vec![], ends, offers, environment };
        offered.offer(count);
        turn_until(&mut offered.holder, |event| {
            if let Event::Held { id, .. } = event {
                offered.ids.push(*id);
            }
            offered.ids.len() == count
        });
        offered
    }

    /// The next worker with `OFFERS` that leads offers so many.
    pub(crate) fn offer(&self, count: usize) {
        std::fs::write(self.offers.path().join("offers"), count.to_string()).unwrap();
    }

    pub(crate) fn carrier(&self) -> (WorkerId, u32) {
        let worker = self.holder.carrier(self.ids[0]).unwrap();
        (worker, self.holder.pid(worker).unwrap())
    }

    /// The ends, all of which have come.
    pub(crate) fn ends(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        let begun = Instant::now();
        loop {
            let ends = self.ends.lock().unwrap();
            if ends.len() >= 2 * self.ids.len() {
                return ends;
            }
            assert!(begun.elapsed() < Duration::from_secs(10));
            drop(ends);
            std::thread::yield_now();
        }
    }

    pub(crate) fn all_open(&self) -> bool {
        self.ends().iter().all(is_open)
    }
}

pub(crate) fn with_connections(count: usize) -> Offered {
    Offered::new(count, 1, "keeps", BreakerRules::default())
}
