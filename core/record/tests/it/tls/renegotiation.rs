//! Messages of the handshake that come when it is over.

use super::*;
use symbolon_record::{Alert, CallerMisused, MAX_WITHOUT_DATA, PeerMisbehaved};

const SUITE12: TlsSuite = TlsSuite::EcdheRsaAes128GcmSha256;
const SUITE13: TlsSuite = TlsSuite::Tls13Aes128GcmSha256;

const HELLO_REQUEST: [u8; 4] = [0; 4];

fn client_hello() -> Vec<u8> {
    [&[1, 0, 0, 200][..], &[3; 200]].concat()
}

#[test]
fn tls_1_2_refuses_to_renegotiate_and_goes_on() {
    let (mut server, client) = pair(SUITE12);
    assert_eq!(seen(&mut server, &sealed_by_hand(&client, 22, &client_hello())).unwrap(), ["Nothing"]);
    assert_eq!(server.owed(), Some(Outgoing::Alert(Alert::NoRenegotiation)));
    let (_, mut client) = pair(SUITE12);
    let bytes = data(&mut server, b"and on");
    assert_eq!(seen(&mut client, &bytes).unwrap(), ["Nothing", "and on"]);
    assert_eq!(server.owed(), None);

    let (server, mut client) = pair(SUITE12);
    assert_eq!(seen(&mut client, &sealed_by_hand(&server, 22, &HELLO_REQUEST)).unwrap(), ["Nothing"]);
    assert_eq!(client.owed(), Some(Outgoing::Alert(Alert::NoRenegotiation)));
}

#[test]
fn a_hello_in_pieces_is_refused_once_and_nothing_comes_between() {
    let hello = client_hello();
    let (mut server, client) = pair_at(SUITE12, 0, 0);
    let keys = Keys::new(SUITE12, 2);
    let seal = |number, content, payload: &[u8]| by_hand::seal(SUITE12, &keys, number, content, payload);
    drop(client);
    let pieces = [seal(0, 22, &hello[..2]), seal(1, 22, &hello[2..9]), seal(2, 22, &hello[9..])];
    assert_eq!(seen(&mut server, &pieces.concat()).unwrap(), ["Nothing"; 3]);
    assert_eq!(seen(&mut server, &seal(3, 23, b"data")).unwrap(), ["data"]);

    let (mut server, _) = pair_at(SUITE12, 0, 0);
    let interleaved = [seal(0, 22, &hello[..2]), seal(1, 23, b"data")].concat();
    assert_eq!(seen(&mut server, &interleaved), Err(PeerMisbehaved::UnexpectedContent(23).into()));
}

#[test]
fn requests_to_renegotiate_without_end_are_refused() {
    let (mut server, _) = pair_at(SUITE12, 0, 0);
    let keys = Keys::new(SUITE12, 2);
    for number in 0..u64::from(MAX_WITHOUT_DATA) {
        let hello = by_hand::seal(SUITE12, &keys, number, 22, &client_hello());
        assert_eq!(seen(&mut server, &hello).unwrap(), ["Nothing"]);
    }
    let hello = by_hand::seal(SUITE12, &keys, u64::from(MAX_WITHOUT_DATA), 22, &client_hello());
    let error = seen(&mut server, &hello).unwrap_err();
    assert_eq!(error, PeerMisbehaved::TooManyWithoutData.into());
    assert_eq!(server.fail(&error), Some(Outgoing::Alert(Alert::UnexpectedMessage)));
}

#[test]
fn tls_1_3_knows_no_renegotiation() {
    let (mut server, client) = pair(SUITE13);
    let refused = Err(PeerMisbehaved::UnexpectedHandshake(1).into());
    assert_eq!(seen(&mut server, &sealed_by_hand(&client, 22, &client_hello())), refused);
    let misuse = server.pin(Outgoing::Alert(Alert::NoRenegotiation), 0);
    assert_eq!(misuse, Err(CallerMisused::NotInThisVersion.into()));
}

#[test]
fn a_client_skips_tickets_and_a_server_is_sent_none() {
    let ticket = [&[4, 0, 0, 90][..], &[5; 90]].concat();
    let (server, mut client) = pair(SUITE13);
    assert_eq!(seen(&mut client, &sealed_by_hand(&server, 22, &ticket.repeat(2))).unwrap(), ["Nothing"]);
    assert_eq!(client.owed(), None);
    let (mut server, client) = pair(SUITE13);
    let refused = Err(PeerMisbehaved::UnexpectedHandshake(4).into());
    assert_eq!(seen(&mut server, &sealed_by_hand(&client, 22, &ticket)), refused);
}

#[test]
fn a_successor_goes_on_in_the_middle_of_a_ticket() {
    let ticket = [&[4, 0, 1, 0][..], &[5; 256]].concat();
    let keys = Keys::new(SUITE13, 1);
    for cut in 1..ticket.len() {
        let (_, mut client) = pair_at(SUITE13, 0, 0);
        seen(&mut client, &by_hand::seal(SUITE13, &keys, 0, 22, &ticket[..cut])).unwrap();
        let state = TlsState::from_bytes(client.state().to_bytes().expose()).unwrap();
        let mut client = TlsSession::resume(crypto(), &state);
        seen(&mut client, &by_hand::seal(SUITE13, &keys, 1, 22, &ticket[cut..])).unwrap();
        let data = by_hand::seal(SUITE13, &keys, 2, 23, b"whole");
        assert_eq!(seen(&mut client, &data).unwrap(), ["whole"], "cut at {cut}");
    }
}
