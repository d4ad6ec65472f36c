//! Changes of keys, asked for and due.

use super::*;
use symbolon_record::KeyUpdateRequest::{NotRequested, Requested};
use symbolon_record::{CallerMisused, KEY_UPDATE_AFTER, MAX_WITHOUT_DATA, PeerMisbehaved, RECORDS_PER_KEY};

const SUITES: [TlsSuite; 3] =
    [TlsSuite::Tls13Aes128GcmSha256, TlsSuite::Tls13Aes256GcmSha384, TlsSuite::Tls13ChaCha20Poly1305Sha256];

#[test]
fn keys_change_in_one_direction_or_both() {
    for suite in SUITES {
        let (mut server, mut client) = pair(suite);
        let update = sent(&mut client, Outgoing::KeyUpdate(NotRequested));
        let after = data(&mut client, b"new");
        assert_eq!(seen(&mut server, &[update, after].concat()).unwrap(), ["KeyUpdated", "new"]);
        assert_eq!((server.owed(), server.state().sequences()), (None, (SENT, 1)));

        let updates = [0; 2].map(|_| sent(&mut client, Outgoing::KeyUpdate(Requested))).concat();
        assert_eq!(seen(&mut server, &updates).unwrap(), ["KeyUpdated", "KeyUpdated"]);
        assert_eq!(server.owed(), Some(Outgoing::KeyUpdate(NotRequested)));
        let answer = data(&mut server, b"changed once");
        let more = data(&mut server, b"and not again");
        let heard = seen(&mut client, &[answer, more].concat()).unwrap();
        assert_eq!(heard, ["KeyUpdated", "changed once", "and not again"], "{suite:?}");
        assert_eq!(client.owed(), None);
    }
}

#[test]
fn data_waits_until_the_answer_has_gone_out() {
    let (mut server, mut client) = pair(SUITES[0]);
    let update = sent(&mut client, Outgoing::KeyUpdate(Requested));
    seen(&mut server, &update).unwrap();
    assert_eq!(server.pin(Outgoing::Data, 1), Err(CallerMisused::OwesAnother.into()));
    server.send(Outgoing::KeyUpdate(NotRequested), b"", &mut Vec::new()).unwrap();
    assert_eq!(server.pin(Outgoing::Data, 1), Ok(()));
}

#[test]
fn a_key_is_changed_long_before_it_is_used_up() {
    const { assert!(KEY_UPDATE_AFTER + 16 < RECORDS_PER_KEY) };
    for suite in SUITES {
        let (mut server, mut client) = pair_at(suite, KEY_UPDATE_AFTER - 1, 0);
        let heard = seen(&mut client, &data(&mut server, b"last")).unwrap();
        assert_eq!(heard, ["last"]);
        let heard = seen(&mut client, &data(&mut server, b"first")).unwrap();
        assert_eq!(heard, ["KeyUpdated", "first"], "{suite:?}");
        assert_eq!(server.state().sequences().0, 1);
    }
}

#[test]
fn tls_1_2_closes_before_its_key_is_used_up() {
    for suite in [TlsSuite::EcdheEcdsaAes128GcmSha256, TlsSuite::EcdheRsaAes256GcmSha384] {
        let (mut server, mut client) = pair_at(suite, RECORDS_PER_KEY - 8, 0);
        assert_eq!(seen(&mut client, &data(&mut server, b"last")).unwrap(), ["last"]);
        assert_eq!(server.pin(Outgoing::Data, 1), Err(CallerMisused::OwesAnother.into()));
        assert_eq!(seen(&mut client, &data(&mut server, b"more")).unwrap(), ["PeerClosed"]);
        assert!(!server.is_sending());
        assert_eq!(client.end_of_input(), Ok(()), "a clean end, and the client may open another");
        let back = data(&mut client, b"goes on");
        assert_eq!(seen(&mut server, &back).unwrap(), ["goes on"]);
    }
    let (server, _) = pair_at(TlsSuite::EcdheRsaChaCha20Poly1305Sha256, RECORDS_PER_KEY + 8, 0);
    assert_eq!(server.owed(), None, "ChaCha20-Poly1305 has no such limit");
}

#[test]
fn tls_1_2_has_no_key_update() {
    let (mut server, client) = pair(TlsSuite::EcdheEcdsaAes256GcmSha384);
    let refused = Err(CallerMisused::NotInThisVersion.into());
    assert_eq!(server.pin(Outgoing::KeyUpdate(Requested), 0), refused);
    let update = sealed_by_hand(&client, 22, &[24, 0, 0, 1, 0]);
    assert_eq!(seen(&mut server, &update), Err(PeerMisbehaved::UnexpectedHandshake(24).into()));
}

#[test]
fn a_flood_of_key_updates_is_refused() {
    let (mut server, mut client) = pair(SUITES[0]);
    for _ in 0..MAX_WITHOUT_DATA {
        let update = sent(&mut client, Outgoing::KeyUpdate(Requested));
        assert_eq!(seen(&mut server, &update).unwrap(), ["KeyUpdated"]);
    }
    let once_more = sent(&mut client, Outgoing::KeyUpdate(Requested));
    assert_eq!(seen(&mut server, &once_more), Err(PeerMisbehaved::TooManyWithoutData.into()));

    let (mut server, mut client) = pair(SUITES[0]);
    for _ in 0..100 {
        let update = sent(&mut client, Outgoing::KeyUpdate(Requested));
        let both = [update, data(&mut client, b"x")].concat();
        assert_eq!(seen(&mut server, &both).unwrap(), ["KeyUpdated", "x"]);
    }
}
