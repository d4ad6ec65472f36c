//! The kernel's counters, on real sockets.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use symbolon_os::{counters, prepare, tcp_counters};
use symbolon_session::ledger::{Counters, Standing};

/// A connection: the side that connected, and the side that accepted.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    connected.set_nodelay(true).unwrap();
    accepted.set_nodelay(true).unwrap();
    prepare(connected.as_fd()).unwrap();
    prepare(accepted.as_fd()).unwrap();
    (connected, accepted)
}

fn of(socket: &TcpStream) -> Counters {
    counters(socket.as_fd()).unwrap()
}

/// Asks again until it is so.
fn comes_to_be(what: impl Fn() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it comes to be");
        std::thread::yield_now();
    }
}

#[test]
fn what_was_written_and_read_is_counted_on_both_sides() {
    let (mut a, mut b) = connection();
    for (writer, reader) in [(true, false), (false, true)] {
        assert_ne!(writer, reader);
        let (from, to) = if writer { (&mut a, &mut b) } else { (&mut b, &mut a) };
        let (sent, got) = (of(from).written, of(to).read);
        let (mut written, mut read) = (0, 0);
        for size in [1, 2, 1_000, 60_000, 3] {
            from.write_all(&vec![7; size]).unwrap();
            written += size as u64;
            assert_eq!(of(from).written - sent, written);
            let mut part = vec![0; size / 2 + 1];
            to.read_exact(&mut part).unwrap();
            read += part.len() as u64;
            assert_eq!(of(to).read - got, read);
        }
    }
}

#[test]
fn ends_are_not_counted_as_bytes_in_whatever_order_they_come() {
    for first in [true, false] {
        for unread in [0, 5] {
            let (mut a, mut b) = connection();
            let (start_a, start_b) = (of(&a), of(&b));
            a.write_all(&[1; 20]).unwrap();
            b.write_all(&[2; 30]).unwrap();
            a.read_exact(&mut vec![0; 30 - unread]).unwrap();
            b.read_exact(&mut vec![0; 20 - unread]).unwrap();
            let holds = |standing: Option<Standing>| {
                for (socket, start, written, read) in [(&a, start_a, 20, 30), (&b, start_b, 30, 20)] {
                    let now = of(socket);
                    assert_eq!(now.written - start.written, written);
                    assert_eq!(now.read - start.read, read - unread as u64);
                    assert!(standing.is_none_or(|standing| now.standing == standing), "{now:?}");
                }
            };
            holds(Some(Standing::Live));
            let (one, other) = if first { (&a, &b) } else { (&b, &a) };
            one.shutdown(Shutdown::Write).unwrap();
            holds(None);
            comes_to_be(|| tcp_counters(other.as_fd()).unwrap().state == 8);
            holds(Some(Standing::Live));
            other.shutdown(Shutdown::Write).unwrap();
            holds(None);
            comes_to_be(|| of(&a).standing == Standing::Over && of(&b).standing == Standing::Over);
            holds(None);
            let mut rest = vec![];
            a.read_to_end(&mut rest).unwrap();
            assert_eq!(rest.len(), unread);
            assert_eq!(of(&a).read - start_a.read, 30);
        }
    }
}

#[test]
fn what_the_peer_does_not_take_counts_as_written() {
    let (mut a, b) = connection();
    let start = of(&a).written;
    a.set_nonblocking(true).unwrap();
    let mut written = 0;
    while let Ok(count) = a.write(&[3; 65_536]) {
        written += count as u64;
    }
    assert!(tcp_counters(a.as_fd()).unwrap().unacknowledged > 0, "the window is closed");
    assert_eq!(of(&a).written - start, written);
    drop(b);
}

#[test]
fn a_reset_is_told_from_an_end_as_long_as_nobody_took_note_of_it() {
    let (mut a, mut b) = connection();
    a.write_all(&[1; 10]).unwrap();
    b.read_exact(&mut [0; 4]).unwrap();
    // with bytes unread, closing resets
    drop(b);
    comes_to_be(|| of(&a).standing != Standing::Live);
    assert_eq!(of(&a).standing, Standing::Failed);
    assert!(a.read(&mut [0; 1]).is_err());
    assert_eq!(of(&a).standing, Standing::Over);
}

#[test]
fn an_urgent_byte_counts_like_any_other() {
    let (a, mut b) = connection();
    let start = of(&b).read;
    let send = |bytes: &[u8], flags| rustix::net::send(&a, bytes, flags).unwrap();
    send(b"before", rustix::net::SendFlags::empty());
    send(b"!", rustix::net::SendFlags::OOB);
    send(b"after", rustix::net::SendFlags::empty());
    let mut got = [0; 12];
    b.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"before!after");
    assert_eq!(of(&b).read - start, 12);
}

#[test]
fn counters_stand_still_although_the_peer_does_not() {
    let (mut a, mut b) = connection();
    let start = of(&a);
    let feeder = std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        for _ in 0..2_000 {
            b.write_all(&[9; 1_000]).unwrap();
            b.read_exact(&mut buffer[..500]).unwrap();
        }
        b
    });
    let (mut written, mut read, mut buffer) = (0, 0, vec![0; 777]);
    while read < 2_000_000 {
        let count = a.read(&mut buffer).unwrap() as u64;
        read += count;
        let due = read / 2 - written;
        a.write_all(&vec![1; due as usize]).unwrap();
        written += due;
        let now = of(&a);
        assert_eq!((now.read - start.read, now.written - start.written), (read, written));
    }
    drop(feeder.join().unwrap());
}

#[test]
fn a_unix_socket_does_not_count_and_is_refused() {
    let (a, _b) = UnixStream::pair().unwrap();
    assert!(counters(a.as_fd()).is_err());
}
