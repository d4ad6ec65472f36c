//! Channel bindings (RFC 5056).

use crate::caller::{Credential, Side, buffer, place};
use crate::world::PASSWORD;
use std::ptr;
use symbolon_gss::abi::ChannelBindings;
use symbolon_gss::oid::MECHANISM;
use symbolon_gss::status::{BAD_BINDINGS, COMPLETE};

/// `GSS_C_CHANNEL_BOUND_FLAG`.
const CHANNEL_BOUND: u32 = 2048;

fn bindings(application: &[u8]) -> ChannelBindings {
    ChannelBindings {
        initiator_addrtype: 0,
        initiator_address: place(),
        acceptor_addrtype: 0,
        acceptor_address: place(),
        application_data: buffer(application),
    }
}

#[test]
fn an_acceptor_that_names_its_channel_takes_no_other() {
    let (user, service) = (Credential::password(PASSWORD), Credential::service());
    let (one, other) = (bindings(b"tls-exporter:one"), bindings(b"tls-exporter:other"));
    let none = ptr::null();
    let cases = [
        (&raw const one, &raw const one, COMPLETE, true),
        (&raw const one, &raw const other, BAD_BINDINGS, false),
        (none, &raw const one, BAD_BINDINGS, false),
        // As with Kerberos: a program from before there were channels does not ask.
        (&raw const one, none, COMPLETE, false),
        (none, none, COMPLETE, false),
    ];
    for (initiators, acceptors, expected, bound) in cases {
        let (mut initiator, mut acceptor) = (Side::new(), Side::new());
        let (_, first) = initiator.initiate(&user, 0, initiators, None);
        let (major, second) = acceptor.accept(&service, acceptors, &first);
        assert_eq!(major, expected);
        if major == COMPLETE {
            assert_eq!(acceptor.flags & CHANNEL_BOUND != 0, bound);
            assert_eq!(initiator.initiate(&user, 0, initiators, Some(&second)).0, COMPLETE);
        }
    }
}

#[test]
fn what_stands_in_clear_before_the_first_message_is_bound() {
    let (user, service) = (Credential::password(PASSWORD), Credential::service());
    // kind, version, length (3), options (1), channel (32)
    for (at, bit) in [(5, 1), (6, 1), (37, 128)] {
        let (_, mut first) = Side::new().initiate(&user, 0, ptr::null(), None);
        let identifier = first.windows(MECHANISM.len()).position(|w| w == MECHANISM).unwrap();
        first[identifier + MECHANISM.len() + at] ^= bit;
        assert_eq!(Side::new().accept(&service, ptr::null(), &first).0, BAD_BINDINGS);
    }
}
