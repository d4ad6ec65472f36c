//! What can be moved besides what flows, what is refused, and what goes along.

use crate::hosts::{BOTH, Family, Network};
use rustix::net::{SendFlags, sockopt};
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use symbolon_os::repair::{CannotRepair, FreezeError, Frozen, RestoreError, TcpImage, can_repair};
use symbolon_os::{prepare, tcp_counters};

/// States of linux/tcp_states.h.
const ESTABLISHED: u8 = 1;
const FIN_WAIT1: u8 = 4;
const FIN_WAIT2: u8 = 5;
const CLOSE: u8 = 7;
const CLOSE_WAIT: u8 = 8;
const LAST_ACK: u8 = 9;
const CLOSING: u8 = 11;

fn state(socket: &TcpStream) -> u8 {
    tcp_counters(socket.as_fd()).unwrap().state
}

/// Asks again until it is so.
fn comes_to_be(what: &str, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::yield_now();
    }
}

fn comes_to(socket: &TcpStream, expected: u8) {
    let begun = Instant::now();
    while state(socket) != expected {
        assert!(begun.elapsed() < Duration::from_secs(10), "{} comes to {expected}", state(socket));
        std::thread::yield_now();
    }
}

/// Writes until no more fits, and gives how much.
fn fill(socket: &mut TcpStream) -> usize {
    socket.set_nonblocking(true).unwrap();
    let (mut written, mut last) = (0, Instant::now());
    while last.elapsed() < Duration::from_millis(200) {
        if let Ok(count) = socket.write(&[7; 65_536]) {
            written += count;
            last = Instant::now();
        }
    }
    socket.set_nonblocking(false).unwrap();
    written
}

fn rest(socket: &mut TcpStream) -> Vec<u8> {
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut all = vec![];
    socket.read_to_end(&mut all).unwrap();
    all
}

#[test]
fn what_a_peer_ended_stays_ended_and_the_other_way_goes_on() {
    for family in BOTH {
        for unread in [0, 5] {
            let network = Network::new(family);
            let (mut client, mut server) = network.connection();
            client.write_all(&[1; 20]).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            comes_to(&server, CLOSE_WAIT);
            server.read_exact(&mut vec![0; 20 - unread]).unwrap();
            for turn in 0..4 {
                server = network.moves(server, turn % 2);
                comes_to(&server, CLOSE_WAIT);
                server.write_all(&[2; 1_000]).unwrap();
                client.read_exact(&mut [0; 1_000]).unwrap();
            }
            assert_eq!(rest(&mut server).len(), unread);
            // after its end was read, too
            server = network.moves(server, 0);
            assert_eq!(rest(&mut server).len(), 0);
            server.shutdown(Shutdown::Write).unwrap();
            assert_eq!(rest(&mut client).len(), 0);
            comes_to(&server, CLOSE);
            network.nobody_was_reset();
        }
    }
}

#[test]
fn what_we_ended_stays_ended_and_the_peer_goes_on() {
    for family in BOTH {
        let network = Network::new(family);
        let (mut client, mut server) = network.connection();
        server.write_all(&[1; 20]).unwrap();
        server.shutdown(Shutdown::Write).unwrap();
        comes_to(&server, FIN_WAIT2);
        for turn in 0..4 {
            server = network.moves(server, turn % 2);
            client.write_all(&[2; 1_000]).unwrap();
            server.read_exact(&mut [0; 1_000]).unwrap();
            comes_to(&server, FIN_WAIT2);
        }
        assert_eq!(rest(&mut client).len(), 20);
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(&mut server).len(), 0);
        comes_to(&server, CLOSE);
        network.nobody_was_reset();
    }
}

#[test]
fn an_end_behind_a_full_window_moves_with_all_that_is_before_it() {
    for family in BOTH {
        for by_peer in [None, Some(CLOSING), Some(LAST_ACK)] {
            let network = Network::new(family);
            let (mut client, mut server) = network.connection();
            let written = fill(&mut server);
            if by_peer == Some(LAST_ACK) {
                client.shutdown(Shutdown::Write).unwrap();
                comes_to(&server, CLOSE_WAIT);
            }
            server.shutdown(Shutdown::Write).unwrap();
            if by_peer == Some(CLOSING) {
                client.shutdown(Shutdown::Write).unwrap();
            }
            comes_to(&server, by_peer.unwrap_or(FIN_WAIT1));
            for turn in 0..3 {
                server = network.moves(server, turn % 2);
                comes_to(&server, if by_peer.is_some() { LAST_ACK } else { FIN_WAIT1 });
            }
            assert_eq!(rest(&mut client).len(), written);
            drop(client);
            assert_eq!(rest(&mut server).len(), 0);
            comes_to(&server, CLOSE);
            network.nobody_was_reset();
        }
    }
}

#[test]
fn urgent_bytes_that_nobody_has_read_stand_in_line_among_the_others() {
    for family in BOTH {
        let network = Network::new(family);
        let (mut client, server) = network.connection();
        prepare(server.as_fd()).unwrap();
        client.write_all(b"before").unwrap();
        rustix::net::send(&client, b"!", SendFlags::OOB).unwrap();
        client.write_all(b"behind").unwrap();
        comes_to_be("all is there", || tcp_counters(server.as_fd()).unwrap().unread == 13);
        let mut server = network.moves(server, 0);
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(&mut server), b"before!behind");
        network.nobody_was_reset();
    }
}

#[test]
fn a_window_told_by_a_segment_far_ahead_that_stays_behind_keeps_nothing_from_moving() {
    /// Where an image has the number of that segment: behind mark, version, two addresses of IPv4, and who has ended.
    const CHANGED_BY: std::ops::Range<usize> = 21..25;
    let network = Network::new(Family::V4);
    let (mut client, server) = network.connection();
    client.write_all(b"unread").unwrap();
    comes_to_be("it is there", || tcp_counters(server.as_fd()).unwrap().unread == 6);
    let [old, new] = &network.nodes;
    old.address.remove().unwrap();
    let image = Frozen::freeze(server.as_fd()).unwrap().end().unwrap();
    // as when it came out of order, and the window was closed then for want of memory
    let mut bytes = image.to_bytes().expose().to_vec();
    let number = u32::from_be_bytes(bytes[CHANGED_BY].try_into().unwrap());
    bytes[CHANGED_BY].copy_from_slice(&number.wrapping_add(1 << 24).to_be_bytes());
    let mut server = new.host.within(|| {
        let restored = TcpImage::parse(&bytes).unwrap().restore().unwrap();
        new.address.add().unwrap();
        new.address.announce().unwrap();
        TcpStream::from(restored.go_on().unwrap())
    });
    let written = fill(&mut server);
    server.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut client).len(), written);
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&mut server), b"unread");
    network.nobody_was_reset();
}

#[test]
fn what_is_first_lost_after_a_move_is_sent_again_within_a_second_also_when_nothing_was_on_its_way() {
    for family in BOTH {
        let network = Network::new(family);
        let (mut client, mut server) = network.connection();
        server.write_all(b"known").unwrap();
        client.read_exact(&mut [0; 5]).unwrap();
        comes_to_be("nothing is on its way", || tcp_counters(server.as_fd()).unwrap().unacknowledged == 0);
        // the new host knows the client, and finds nobody at this port
        let there = SocketAddr::new(client.local_addr().unwrap().ip(), 9);
        network.nodes[1].host.within(|| TcpStream::connect(there).unwrap_err());
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // the client does not believe that it moved, so what it answers is lost
        let entry = format!("{} dev eth0", network.nodes[0].address.address());
        network.client.ip(&format!("neigh change {entry} nud permanent"));
        let mut server = network.moves(server, 0);
        let begun = Instant::now();
        server.write_all(b"first").unwrap();
        client.read_exact(&mut [0; 5]).unwrap();
        network.client.ip(&format!("neigh del {entry}"));
        comes_to_be("it is acknowledged", || tcp_counters(server.as_fd()).unwrap().unacknowledged == 0);
        assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    }
}

#[test]
fn how_the_socket_behaves_and_the_peers_segment_size_go_along() {
    let network = Network::new(Family::V4);
    network.client.ip("link set eth0 mtu 900");
    let (mut client, server) = network.connection();
    server.set_nodelay(true).unwrap();
    sockopt::set_socket_keepalive(&server, true).unwrap();
    sockopt::set_tcp_keepidle(&server, Duration::from_secs(60)).unwrap();
    sockopt::set_tcp_keepintvl(&server, Duration::from_secs(7)).unwrap();
    sockopt::set_tcp_keepcnt(&server, 3).unwrap();
    sockopt::set_tcp_user_timeout(&server, 12_345).unwrap();
    let mut server = network.moves(server, 0);
    assert!(server.nodelay().unwrap());
    assert!(sockopt::socket_keepalive(&server).unwrap());
    assert!(sockopt::socket_oobinline(&server).unwrap());
    assert!(sockopt::socket_reuseaddr(&server).unwrap());
    assert_eq!(sockopt::socket_linger(&server).unwrap(), None);
    assert_eq!(sockopt::tcp_keepidle(&server).unwrap(), Duration::from_secs(60));
    assert_eq!(sockopt::tcp_keepintvl(&server).unwrap(), Duration::from_secs(7));
    assert_eq!(sockopt::tcp_keepcnt(&server).unwrap(), 3);
    assert_eq!(sockopt::tcp_user_timeout(&server).unwrap(), 12_345);
    // what is longer would not arrive: the switch tells nobody
    let begun = Instant::now();
    server.write_all(&[1; 100_000]).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    client.read_exact(&mut [0; 100_000]).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1));
    network.nobody_was_reset();
}

#[test]
fn a_connection_whose_image_went_nowhere_goes_on_where_it_was() {
    for family in BOTH {
        let network = Network::new(family);
        let (mut client, mut server) = network.connection();
        let old = &network.nodes[0];
        let written = fill(&mut server);
        old.address.remove().unwrap();
        let frozen = Frozen::freeze(server.as_fd()).unwrap();
        client.write_all(b"meanwhile").unwrap();
        old.address.add().unwrap();
        old.address.announce().unwrap();
        frozen.thaw().unwrap();
        let mut heard = [0; 9];
        server.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        server.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"meanwhile");
        server.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(&mut client).len(), written);
    }
}

#[test]
fn the_old_socket_is_gone_for_all_who_have_it_and_the_peer_hears_nothing() {
    let network = Network::new(Family::V4);
    let (mut client, server) = network.connection();
    let another = server.try_clone().unwrap();
    let server = network.moves(server, 0);
    assert_eq!((state(&another), state(&server)), (CLOSE, ESTABLISHED));
    drop(another);
    client.set_nonblocking(true).unwrap();
    assert_eq!(client.read(&mut [0; 1]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    network.nobody_was_reset();
}

#[test]
fn the_order_is_demanded_where_the_hosts_can_see_it() {
    for family in BOTH {
        let network = Network::new(family);
        let (mut client, mut server) = network.connection();
        let [old, new] = &network.nodes;
        old.host.within(|| {
            let still = Frozen::freeze(server.as_fd()).unwrap_err();
            assert!(matches!(still, FreezeError::StillHere(address) if address == old.address.address()));
        });
        server.write_all(b"untouched").unwrap();
        client.read_exact(&mut [0; 9]).unwrap();
        old.address.remove().unwrap();
        old.host.within(|| {
            let image = Frozen::freeze(server.as_fd()).unwrap().end().unwrap();
            new.host.within(|| {
                let restored = image.restore().unwrap();
                assert!(matches!(image.restore().unwrap_err(), RestoreError::Exists), "for the second time");
                assert!(matches!(restored.go_on().unwrap_err(), RestoreError::NoAddress(_)));
                // nobody heard of it, so it may be tried again
                let restored = image.restore().unwrap();
                new.address.add().unwrap();
                new.address.announce().unwrap();
                server = TcpStream::from(restored.go_on().unwrap());
            });
        });
        server.write_all(b"as if nothing had been").unwrap();
        client.read_exact(&mut [0; 22]).unwrap();
        network.nobody_was_reset();
    }
}

#[test]
fn connections_that_are_over_and_listeners_are_refused() {
    let network = Network::new(Family::V4);
    let (client, server) = network.connection();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(matches!(Frozen::freeze(listener.as_fd()), Err(FreezeError::State(10))));
    for socket in [&client, &server] {
        socket.shutdown(Shutdown::Write).unwrap();
    }
    comes_to_be("both ends are over", || state(&client) == CLOSE && state(&server) == CLOSE);
    assert!(matches!(Frozen::freeze(server.as_fd()), Err(FreezeError::State(CLOSE))));
}

#[test]
fn who_may_not_is_told_what_is_missing() {
    let without = |which: CapabilitySet| {
        std::thread::spawn(move || {
            let mut sets: CapabilitySets = rustix::thread::capabilities(None).unwrap();
            sets.effective.remove(which);
            rustix::thread::set_capabilities(None, sets).unwrap();
            can_repair()
        })
    };
    can_repair().expect("these tests move connections");
    let told = without(CapabilitySet::NET_ADMIN).join().unwrap();
    assert!(matches!(told, Err(CannotRepair::NotPermitted)), "{told:?}");
    let told = without(CapabilitySet::NET_RAW).join().unwrap();
    assert!(matches!(told, Err(CannotRepair::NoRawSocket)), "{told:?}");
}
