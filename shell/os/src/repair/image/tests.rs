use super::{Buffers, Conduct, Ended, MAX_BUFFER, MAX_ROUND_TRIP, Receiving, Sending, TcpImage};
use crate::repair::kernel::{Negotiated, Window};
use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};
use symbolon_crypto::SecretBytes;
use symbolon_wire::WireError;

/// Where the version stands.
const VERSION_AT: usize = 4;

fn queue() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..300)
}

fn addresses() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
    let v4 = (any::<[u8; 2]>(), any::<[u8; 2]>())
        .prop_map(|(a, b)| (IpAddr::from([10, 0, a[0], a[1]]), IpAddr::from([192, 0, b[0], b[1]])));
    let v6 = (any::<u16>(), any::<u16>()).prop_map(|(a, b)| {
        (IpAddr::from([0xFD00, 0, 0, 0, 0, 0, 0, a]), IpAddr::from([0x2001, 0xDB8, 0, 0, 0, 0, 0, b]))
    });
    (prop_oneof![v4, v6], 1_u16.., 1_u16..)
        .prop_map(|((a, b), from, to)| (SocketAddr::new(a, from), SocketAddr::new(b, to)))
}

prop_compose! {
    fn image()(
        (local, peer) in addresses(),
        ended in any::<(bool, bool)>(),
        numbers in any::<[u32; 4]>(),
        windows in proptest::array::uniform3(0_u32..0x3FFF_C000),
        mss in 1_u16..,
        scales in proptest::option::of((0_u8..=14, 0_u8..=14)),
        flags in any::<[bool; 4]>(),
        timestamp in any::<u32>(),
        round_trip in 0..=MAX_ROUND_TRIP,
        sizes in proptest::array::uniform2(0..=MAX_BUFFER),
        fixed in 0_u8..4,
        keep in (1_u16..32_768, 1_u16..32_768, 1_u8..128),
        user_timeout in 0_u32..0x8000_0000,
        (send, receive) in (queue(), queue()),
        unsent in any::<u32>(),
    ) -> TcpImage {
        let [sack, timestamps, nodelay, keepalive] = flags;
        TcpImage {
            local,
            peer,
            ended: Ended { by_us: ended.0, by_peer: ended.1 },
            window: Window {
                changed_by: numbers[0],
                peers: windows[0].min(windows[1]),
                peers_largest: windows[1],
                ours: windows[2],
                ours_from: numbers[1],
            },
            negotiated: Negotiated { mss, scales, sack, timestamps },
            timestamp: if timestamps { timestamp } else { 0 },
            round_trip,
            buffers: Buffers { send: sizes[0], receive: sizes[1], fixed },
            conduct: Conduct {
                nodelay,
                keepalive,
                keep_idle: keep.0,
                keep_interval: keep.1,
                keep_count: keep.2,
                user_timeout,
            },
            sending: Sending {
                next: numbers[2],
                unsent: unsent % (send.len() as u32 + 1),
                queue: SecretBytes::new(send),
            },
            receiving: Receiving { next: numbers[3], queue: SecretBytes::new(receive) },
        }
    }
}

proptest! {
    #[test]
    fn an_image_is_read_as_it_was_written(image in image()) {
        prop_assert_eq!(TcpImage::parse(image.to_bytes().expose()).unwrap(), image);
    }

    #[test]
    fn what_is_read_of_damaged_bytes_has_those_bytes_as_its_encoding(
        image in image(), changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..4), keep in any::<u16>(),
    ) {
        let mut bytes = image.to_bytes().expose().to_vec();
        for (at, value) in changes {
            let at = usize::from(at) % bytes.len();
            bytes[at] = value;
        }
        if keep % 4 == 0 {
            bytes.truncate(usize::from(keep) % bytes.len());
        }
        if let Ok(image) = TcpImage::parse(&bytes) {
            let again = image.to_bytes();
            prop_assert_eq!(again.expose(), bytes.as_slice());
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = TcpImage::parse(&bytes);
        let marked = [b"SYMT\x01".as_slice(), &bytes].concat();
        let _ = TcpImage::parse(&marked);
    }

    #[test]
    fn a_connection_is_printed_without_what_it_carries(image in image()) {
        let printed = format!("{image:?}");
        let queues = format!("unacknowledged: {}, ", image.unacknowledged());
        prop_assert!(printed.contains(&queues) && printed.len() < 300);
    }

    #[test]
    fn another_version_is_refused_as_such(image in image(), version in 2_u8..) {
        let mut bytes = image.to_bytes().expose().to_vec();
        bytes[VERSION_AT] = version;
        prop_assert_eq!(TcpImage::parse(&bytes).unwrap_err(), WireError::UnknownVersion(version));
    }
}
