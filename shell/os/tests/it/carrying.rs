//! Connections through workers that are killed, compared byte for byte at both ends.

use crate::gateway::APPLICATION;
use crate::layer::{Client, Got, SUITE};
use crate::{roles, toy};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use symbolon_os::{Event, Holder};
use symbolon_record::{TlsSuite, TlsVersion};

const UP: u64 = 0xA5A5_1234_5678_9ABD;
const DOWN: u64 = 0x5A5A_8765_4321_FEDB;
/// A connection that takes longer than this for what it should do is stuck.
const PATIENCE: Duration = Duration::from_secs(100);

/// Sends the endless stream until it is enough, then says how much it was.
fn send_until(enough: &AtomicBool, seed: u64, mut piece: impl FnMut(&[u8])) -> u64 {
    let (mut at, mut buffer) = (0, vec![0; 16_384]);
    while !enough.load(Ordering::Relaxed) {
        // sizes that fit nothing
        let size = 1 + (at as usize * 7 + 13) % buffer.len();
        toy::stream(seed, at, &mut buffer[..size]);
        piece(&buffer[..size]);
        at += size as u64;
    }
    at
}

/// Compares what came with the endless stream.
fn compare(seed: u64, at: u64, got: &[u8]) {
    let mut meant = vec![0; got.len()];
    toy::stream(seed, at, &mut meant);
    assert!(meant == got, "a wrong byte between {at} and {}", at + got.len() as u64);
}

/// An application that sends one stream and gets another. How much it sent and got.
fn application(
    mut stream: TcpStream,
    enough: Arc<AtomicBool>,
    moved: &AtomicU64,
    buffer: usize,
) -> (u64, u64) {
    let mut writer = stream.try_clone().unwrap();
    let sender = thread::spawn(move || {
        let sent = send_until(&enough, DOWN, |piece| writer.write_all(piece).unwrap());
        writer.shutdown(Shutdown::Write).unwrap();
        sent
    });
    let (mut got, mut buffer) = (0, vec![0; buffer]);
    loop {
        let count = stream.read(&mut buffer).unwrap();
        if count == 0 {
            return (sender.join().unwrap(), got);
        }
        compare(UP, got, &buffer[..count]);
        got += count as u64;
        moved.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// A client that sends one stream in records and gets another, with key updates both ways. How much it
/// sent and got, and how many key updates it got.
fn client(
    mut stream: TcpStream,
    enough: Arc<AtomicBool>,
    suite: Option<TlsSuite>,
    buffer: usize,
) -> (u64, u64, u64) {
    let mut writer = stream.try_clone().unwrap();
    let sender = thread::spawn(move || {
        let (mut client, mut sent, mut records) = (Client::new(suite), 0, vec![]);
        let all = send_until(&enough, UP, |piece| {
            records.clear();
            client.data(piece, &mut records);
            sent += 1;
            if sent % 50 == 0 {
                client.key_update(&mut records);
            }
            writer.write_all(&records).unwrap();
        });
        records.clear();
        client.close(&mut records);
        writer.write_all(&records).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
        all
    });
    let (mut client, mut got, mut updates, mut closed) = (Client::new(suite), 0, 0, false);
    let (mut held, mut buffer) = (vec![], vec![0; buffer]);
    loop {
        let count = stream.read(&mut buffer).unwrap();
        if count == 0 {
            assert!(closed && held.is_empty(), "an end without an end");
            return (sender.join().unwrap(), got, updates);
        }
        held.extend_from_slice(&buffer[..count]);
        let mut from = 0;
        while let Some(length) = client.length(&held[from..]).filter(|&length| from + length <= held.len()) {
            match client.open(&held[from..from + length]) {
                Got::Data(content) => {
                    compare(DOWN, got, &content);
                    got += content.len() as u64;
                }
                Got::KeyUpdate => updates += 1,
                Got::Close => closed = true,
            }
            from += length;
        }
        held.drain(..from);
    }
}

/// Both ends of connections through a gateway.
#[derive(Default)]
pub(crate) struct Ends {
    /// None for the trivial record layer.
    suite: Option<TlsSuite>,
    enough: Arc<AtomicBool>,
    /// Bytes that came to the applications.
    moved: Arc<AtomicU64>,
    connected: Vec<(TcpStream, TcpStream, usize)>,
    clients: Vec<JoinHandle<(u64, u64, u64)>>,
    applications: Vec<JoinHandle<(u64, u64)>>,
}

impl Ends {
    /// Connects to the gateway, and waits until that has dialled. Both ends read so much at a time.
    pub(crate) fn connect(&mut self, gateway: SocketAddr, applications: &TcpListener, buffer: usize) {
        let client = TcpStream::connect(gateway).unwrap();
        let (application, _) = applications.accept().unwrap();
        self.connected.push((client, application, buffer));
    }

    /// Lets both ends of all connections send and read.
    pub(crate) fn begin(&mut self) {
        for (to_gateway, from_gateway, buffer) in self.connected.drain(..) {
            let (enough, also, moved) = (self.enough.clone(), self.enough.clone(), self.moved.clone());
            let suite = self.suite;
            self.clients.push(thread::spawn(move || client(to_gateway, enough, suite, buffer)));
            self.applications.push(thread::spawn(move || application(from_gateway, also, &moved, buffer)));
        }
    }

    /// Waits until so many bytes more have come to the applications.
    pub(crate) fn move_on(&self, bytes: u64) {
        let (begun, enough) = (Instant::now(), self.moved.load(Ordering::Relaxed) + bytes);
        while self.moved.load(Ordering::Relaxed) < enough {
            assert!(begun.elapsed() < PATIENCE, "it goes on");
            thread::yield_now();
        }
    }

    /// Ends all connections, and compares what was sent with what arrived. How many bytes it was, and
    /// how many key updates the clients got.
    pub(crate) fn finish(self) -> (u64, u64) {
        self.enough.store(true, Ordering::Relaxed);
        let (mut bytes, mut updates) = (0, 0);
        for (client, application) in self.clients.into_iter().zip(self.applications) {
            let (sent, got, updated) = client.join().unwrap();
            let (answered, heard) = application.join().unwrap();
            assert_eq!((sent, answered), (heard, got), "all of it arrived, both ways");
            bytes += sent + got;
            updates += updated;
        }
        (bytes, updates)
    }
}

/// Takes turns until `until` says so.
pub(crate) fn turn_until(holder: &mut Holder, mut until: impl FnMut(&Event) -> bool) {
    let begun = Instant::now();
    loop {
        let events = holder.turn(None, Some(Duration::from_secs(10))).unwrap();
        if events.iter().filter(|event| until(event)).count() > 0 {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "it happens in time");
    }
}

pub(crate) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// So many connections through workers of which so many are killed, at random instants. Reads of
/// `buffer` bytes at both ends.
///
/// `SYMBOLON_OS_KILLS` in the environment is another number of kills.
fn through_kills(suite: Option<TlsSuite>, connections: usize, kills: usize, buffer: usize) {
    let kills = std::env::var("SYMBOLON_OS_KILLS").map_or(kills, |kills| kills.parse().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let applications = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut environment = vec![(APPLICATION, applications.local_addr().unwrap().to_string())];
    environment.extend(suite.map(|suite| (SUITE, suite.number().to_string())));
    let mut settings = roles::settings(roles::worker("gateway", &environment), 2);
    settings.listeners.push(listener.into());
    let mut holder = Holder::new(settings).unwrap();
    let mut ready = 0;
    turn_until(&mut holder, |event| {
        ready += usize::from(matches!(event, Event::Ready(_)));
        ready == 2
    });

    let mut ends = Ends { suite, ..Ends::default() };
    for held in 1..=connections {
        ends.connect(address, &applications, buffer);
        while holder.connections() < held {
            holder.turn(None, Some(Duration::from_secs(10))).unwrap();
        }
    }
    ends.begin();

    let (mut killed, mut stalls, mut random) = (0, vec![], 0x9E37_79B9_u64 ^ u64::from(std::process::id()));
    let begun = Instant::now();
    let mut last = Instant::now();
    while killed < kills {
        assert!(last.elapsed() < PATIENCE, "after {killed} kills");
        random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        let wait = Duration::from_micros(random >> 33 & 0x1FFF);
        let until = Instant::now() + wait;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            for event in holder.turn(None, Some(left)).unwrap() {
                if matches!(event, Event::Carried { .. }) {
                    stalls.push(last.elapsed());
                }
                assert!(!matches!(event, Event::Ended { .. } | Event::Nonsense { .. }), "{event:?}");
            }
        }
        if let Some(pid) = holder.busiest().and_then(|worker| holder.pid(worker)) {
            kill(pid);
            killed += 1;
            last = Instant::now();
            turn_until(&mut holder, |event| matches!(event, Event::Died { .. }));
        }
    }
    ends.enough.store(true, Ordering::Relaxed);
    let mut released = 0;
    turn_until(&mut holder, |event| {
        released += usize::from(matches!(event, Event::Released(_)));
        released == connections
    });
    let (bytes, updates) = ends.finish();
    let has_updates = suite.is_none_or(|suite| suite.version() == TlsVersion::Tls13);
    assert_eq!(updates > 0, has_updates, "keys were updated on the way");
    stalls.sort_unstable();
    let stall = |percent: usize| stalls.get(stalls.len() * percent / 100).copied().unwrap_or_default();
    println!(
        "{kills} kills, {} adoptions, from kill to adoption p50 {:?} p99 {:?}, {bytes} bytes, {updates} key \
         updates, {:?}",
        stalls.len(),
        stall(50),
        stall(99),
        begun.elapsed()
    );
    holder.stop();
    turn_until(&mut holder, |event| matches!(event, Event::Died { .. }));
}

#[test]
fn a_connection_survives_two_hundred_kills_of_its_workers() {
    through_kills(None, 1, 200, 50_000);
}

#[test]
fn a_connection_of_tls_1_3_survives_kills() {
    through_kills(Some(TlsSuite::Tls13Aes128GcmSha256), 1, 60, 50_000);
}

#[test]
fn a_connection_of_tls_1_2_survives_kills() {
    through_kills(Some(TlsSuite::EcdheRsaAes128GcmSha256), 1, 60, 50_000);
}

#[test]
fn a_connection_whose_ends_read_slowly_survives_kills() {
    through_kills(None, 1, 40, 300);
}

#[test]
fn many_connections_of_tls_survive_kills() {
    through_kills(Some(TlsSuite::Tls13ChaCha20Poly1305Sha256), 24, 30, 50_000);
}
