//! Ends, of one direction and of both.

use super::*;
use symbolon_record::{Alert, CallerMisused, KeyUpdateRequest, MAX_WITHOUT_DATA, PeerMisbehaved};

#[test]
fn one_side_closes_and_the_other_goes_on() {
    for suite in TlsSuite::TLS {
        let (mut server, mut client) = pair(suite);
        assert_eq!(server.end_of_input(), Err(RecordError::Truncated));
        let bytes = [data(&mut client, b"request"), sent(&mut client, Outgoing::Alert(Alert::CloseNotify))];
        assert_eq!(seen(&mut server, &bytes.concat()).unwrap(), ["request", "PeerClosed"]);
        assert_eq!(
            (server.end_of_input(), server.is_receiving(), server.is_sending()),
            (Ok(()), false, true)
        );
        assert_eq!(client.pin(Outgoing::Data, 1), Err(CallerMisused::AlreadyClosed.into()));

        let reply = data(&mut server, b"reply");
        assert_eq!(seen(&mut client, &reply).unwrap(), ["reply"], "{suite:?}");
        let close = sent(&mut server, Outgoing::Alert(Alert::CloseNotify));
        assert_eq!(seen(&mut client, &close).unwrap(), ["PeerClosed"]);
    }
}

#[test]
fn what_comes_after_a_close_is_ignored() {
    let (mut server, client) = pair(TlsSuite::Tls13Aes128GcmSha256);
    let close = sealed_by_hand(&client, 21, &[1, 0]);
    seen(&mut server, &close).unwrap();
    assert_eq!(seen(&mut server, &[23, 3, 3, 0, 18].map(|b| [b]).concat()).unwrap(), [""; 0]);
    let garbage = [&[23, 3, 3, 0, 18][..], &[7; 18]].concat();
    assert_eq!(seen(&mut server, &garbage).unwrap(), ["Nothing"]);
    assert_eq!(server.end_of_input(), Ok(()));
}

#[test]
fn nothing_is_owed_any_more_after_our_own_close() {
    let (mut server, mut client) = pair(TlsSuite::Tls13Aes128GcmSha256);
    sent(&mut server, Outgoing::Alert(Alert::CloseNotify));
    let update = sent(&mut client, Outgoing::KeyUpdate(KeyUpdateRequest::Requested));
    let bytes = [update, data(&mut client, b"late")].concat();
    assert_eq!(seen(&mut server, &bytes).unwrap(), ["KeyUpdated", "late"]);
    assert_eq!(server.owed(), None);
    assert_eq!(server.fail(&PeerMisbehaved::Forged.into()), None, "a close was our last word");
}

#[test]
fn a_fatal_alert_ends_both_directions() {
    for suite in TlsSuite::TLS {
        let (mut server, mut client) = pair(suite);
        let withdrawn = sent(&mut server, Outgoing::Alert(Alert::AccessDenied));
        assert!(!server.is_sending() && !server.is_receiving());
        let error = seen(&mut client, &withdrawn).unwrap_err();
        assert_eq!(error, RecordError::PeerGaveUp(49));
        assert_eq!(client.fail(&error), None);
        assert_eq!(client.pin(Outgoing::Data, 1), Err(CallerMisused::AlreadyClosed.into()));
        let late = seen(&mut client, &sealed_by_hand(&server, 23, b"late"));
        assert_eq!(late, Err(CallerMisused::AlreadyFailed.into()), "{suite:?}");
    }
}

#[test]
fn in_tls_1_3_every_other_alert_is_fatal_whatever_its_level() {
    for (suite, warning) in [
        (TlsSuite::Tls13Aes128GcmSha256, Err(RecordError::PeerGaveUp(112))),
        (TlsSuite::EcdheEcdsaAes128GcmSha256, Ok(vec!["Nothing".to_owned()])),
    ] {
        let (mut server, client) = pair(suite);
        assert_eq!(seen(&mut server, &sealed_by_hand(&client, 21, &[1, 112])), warning);
        let (mut server, mut client) = pair(suite);
        let canceled = sent(&mut client, Outgoing::Alert(Alert::UserCanceled));
        assert_eq!(seen(&mut server, &canceled).unwrap(), ["Nothing"]);
    }
}

#[test]
fn a_flood_of_warnings_or_of_empty_records_is_refused() {
    for (content, payload) in [(21, &[1, 90][..]), (23, &[])] {
        for suite in [TlsSuite::Tls13Aes128GcmSha256, TlsSuite::EcdheEcdsaAes128GcmSha256] {
            let (mut server, mut client) = pair(suite);
            let mut next = |server: &mut TlsSession| {
                let record = sealed_by_hand(&client, content, payload);
                client.pin(Outgoing::Alert(Alert::UserCanceled), 0).unwrap();
                client.sent().unwrap();
                seen(server, &record)
            };
            for _ in 0..MAX_WITHOUT_DATA {
                assert_eq!(next(&mut server).unwrap(), ["Nothing"]);
            }
            assert_eq!(next(&mut server), Err(PeerMisbehaved::TooManyWithoutData.into()));
        }
    }
}
