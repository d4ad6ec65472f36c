//! Connections that carry something while they move from host to host and back.

use crate::hosts::{BOTH, Family, Network};
use rustix::net::sockopt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use symbolon_os::counters;

const MOVES: usize = 20;
/// A prime, so that no buffer of anybody divides it.
const PERIOD: usize = 1_048_573;

/// What is sent: bytes without a shorter period, so that one that is missing, doubled or moved is noticed.
struct Content(Vec<u8>);

impl Content {
    fn new() -> Self {
        let mut state = 7_u64;
        let byte = std::iter::repeat_with(move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        });
        Self(byte.take(PERIOD).collect())
    }

    /// Up to 64 KiB of it, from a position.
    fn from(&self, at: u64) -> &[u8] {
        let start = (at % PERIOD as u64) as usize;
        &self.0[start..PERIOD.min(start + 65_536)]
    }

    fn check(&self, mut at: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let expected = self.from(at);
            let length = expected.len().min(bytes.len());
            assert!(expected[..length] == bytes[..length], "within {length} bytes from {at}");
            at += length as u64;
            bytes = &bytes[length..];
        }
    }

    /// Writes as much as there is room for.
    fn write(&self, socket: &mut TcpStream, at: &mut u64) -> bool {
        match socket.write(self.from(*at)) {
            Ok(count) => {
                *at += count as u64;
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("writing at {at}: {error}"),
        }
    }

    /// Reads and checks what is there; no more after the end.
    fn read(&self, socket: &mut TcpStream, at: &mut u64) -> Option<bool> {
        let mut buffer = [0; 65_536];
        match socket.read(&mut buffer) {
            Ok(0) => None,
            Ok(count) => {
                self.check(*at, &buffer[..count]);
                *at += count as u64;
                Some(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Some(false),
            Err(error) => panic!("reading at {at}: {error}"),
        }
    }
}

/// Random numbers of the day, told so that a failure can be seen again.
struct Luck(u64);

impl Luck {
    fn new() -> Self {
        let seed =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
        println!("seed {seed}");
        Self(seed | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Reads to the end, checks, and gives the length and the longest pause.
fn reads_all(content: &Content, mut socket: TcpStream) -> (u64, Duration) {
    let (mut at, mut last, mut pause) = (0, Instant::now(), Duration::ZERO);
    while let Some(more) = content.read(&mut socket, &mut at) {
        assert!(more, "nothing came for a long time");
        pause = pause.max(last.elapsed());
        last = Instant::now();
    }
    (at, pause)
}

fn writes_until(content: &Content, mut socket: TcpStream, stop: &AtomicBool) -> u64 {
    let mut at = 0;
    while !stop.load(Ordering::Relaxed) {
        content.write(&mut socket, &mut at);
    }
    socket.shutdown(Shutdown::Write).unwrap();
    at
}

/// The service's side: writes and reads, and moves at random instants.
fn serves(network: &Network, mut socket: TcpStream, content: &Content, stop: &AtomicBool) -> (u64, u64) {
    let (mut luck, mut at, mut moved) = (Luck::new(), 0, 0);
    let (mut sent, mut got) = (0, 0);
    let mut next = Instant::now() + Duration::from_millis(100);
    socket.set_nonblocking(true).unwrap();
    loop {
        let writing = moved < MOVES && content.write(&mut socket, &mut sent);
        match content.read(&mut socket, &mut got) {
            None => return (sent, got),
            Some(reading) if !writing && !reading => std::thread::yield_now(),
            Some(_) => {}
        }
        if moved < MOVES && Instant::now() >= next {
            socket = network.moves(socket, at);
            socket.set_nonblocking(true).unwrap();
            (at, moved) = (1 - at, moved + 1);
            next = Instant::now() + Duration::from_micros(luck.below(150_000));
            if moved == MOVES {
                socket.shutdown(Shutdown::Write).unwrap();
                stop.store(true, Ordering::Relaxed);
            }
        }
    }
}

fn transfers_survive(family: Family) {
    let network = Network::new(family);
    let (client, server) = network.connection();
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let (content, stop) = (Content::new(), AtomicBool::new(false));
    let (down, up, (sent, got)) = std::thread::scope(|scope| {
        let reader = client.try_clone().unwrap();
        let down = scope.spawn(|| reads_all(&content, reader));
        let up = scope.spawn(|| writes_until(&content, client, &stop));
        let served = serves(&network, server, &content, &stop);
        (down.join().unwrap(), up.join().unwrap(), served)
    });
    println!("{sent} bytes down, longest pause {:?}; {got} up", down.1);
    // each move begins the kernel's clock for sending again anew (200 ms and more), and may come before it is over
    assert!(down.1 < Duration::from_secs(5), "{:?}", down.1);
    assert_eq!((down.0, up), (sent, got));
    network.nobody_was_reset();
}

#[test]
fn transfers_both_ways_are_whole_after_twenty_moves_over_ipv4() {
    transfers_survive(Family::V4);
}

#[test]
fn transfers_both_ways_are_whole_after_twenty_moves_over_ipv6() {
    transfers_survive(Family::V6);
}

#[test]
fn an_idle_connection_moves_and_speaks_again() {
    for family in BOTH {
        let network = Network::new(family);
        let (mut client, mut server) = network.connection();
        for turn in 0..MOVES {
            server = network.moves(server, turn % 2);
            let at_first = counters(server.as_fd()).unwrap();
            assert_eq!(at_first.read, 0);
            for word in [b"first", b"other"] {
                let mut heard = [0; 5];
                client.write_all(word).unwrap();
                server.read_exact(&mut heard).unwrap();
                assert_eq!(&heard, word);
                server.write_all(word).unwrap();
                client.read_exact(&mut heard).unwrap();
                assert_eq!(&heard, word);
            }
            let now = counters(server.as_fd()).unwrap();
            assert_eq!((now.written - at_first.written, now.read), (10, 10));
        }
        network.nobody_was_reset();
    }
}

/// Sizes of the kernel's buffers.
fn buffers(socket: &TcpStream) -> (usize, usize) {
    let (send, receive) =
        (sockopt::socket_send_buffer_size(socket), sockopt::socket_recv_buffer_size(socket));
    (send.unwrap(), receive.unwrap())
}

#[test]
fn full_windows_both_ways_move_and_lose_nothing() {
    for family in BOTH {
        let network = Network::new(family);
        let content = Content::new();
        let (mut client, mut server) = network.connection();
        let (mut down, mut up) = (0, 0);
        let fill = |client: &mut TcpStream, server: &mut TcpStream, down: &mut u64, up: &mut u64| {
            client.set_nonblocking(true).unwrap();
            server.set_nonblocking(true).unwrap();
            // until for a while nothing more fits
            let mut last = Instant::now();
            while last.elapsed() < Duration::from_millis(300) {
                if content.write(server, down) | content.write(client, up) {
                    last = Instant::now();
                }
            }
        };
        fill(&mut client, &mut server, &mut down, &mut up);
        for turn in 0..6 {
            let before = buffers(&server);
            server = network.moves(server, turn % 2);
            assert_eq!(buffers(&server), before, "else they grow with each move");
            let after = counters(server.as_fd()).unwrap();
            assert!(after.written > 0 && after.written <= down && after.read == 0);
            if turn == 3 {
                fill(&mut client, &mut server, &mut down, &mut up);
            }
        }
        for socket in [&client, &server] {
            socket.set_nonblocking(false).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            socket.shutdown(Shutdown::Write).unwrap();
        }
        std::thread::scope(|scope| {
            let down_all = scope.spawn(|| reads_all(&content, client));
            assert_eq!(reads_all(&content, server).0, up);
            assert_eq!(down_all.join().unwrap().0, down);
        });
        network.nobody_was_reset();
    }
}
