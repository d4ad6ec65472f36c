//! What works.

use crate::caller::{Credential, Named, SEQUENCE, Side, buffer, is_error, open, place, taken, taken_set};
use crate::world::{PASSWORD, SERVICE, USER};
use std::ptr;
use symbolon_gss::abi::*;
use symbolon_gss::{oid, status};

#[test]
fn two_tokens_open_a_context_for_messages_both_ways() {
    for flags in [0, SEQUENCE] {
        let (one, other) = open(flags);
        assert_eq!((one.flags & SEQUENCE, other.flags & SEQUENCE), (flags, flags));
        for (a, b) in [(&one, &other), (&other, &one)] {
            for message in [&b"there"[..], b"", &[7; 100_000]] {
                assert_eq!(b.unwrap(&a.wrap(message).unwrap()).unwrap(), message);
                assert_eq!(b.verify_mic(message, &a.get_mic(message).unwrap()), status::COMPLETE);
            }
            let late = a.wrap(b"late").unwrap();
            let next = a.wrap(b"next").unwrap();
            if flags == SEQUENCE {
                assert_eq!(b.unwrap(&next), Err(status::FAILURE | status::GAP_TOKEN));
                assert_eq!(b.unwrap(&late).unwrap(), b"late");
                assert_eq!(b.unwrap(&next).unwrap(), b"next");
            } else {
                assert_eq!(b.unwrap(&next).unwrap(), b"next");
                assert_eq!(b.unwrap(&late).unwrap(), b"late");
            }
            assert_eq!(b.unwrap(&late), Err(status::FAILURE | status::DUPLICATE_TOKEN));
        }
    }
}

#[test]
fn a_context_tells_who_is_who_for_how_long_and_how_much_fits() {
    let (one, other) = open(0);
    for (side, ours) in [(&one, 1), (&other, 0)] {
        let (mut source, mut target, mut mechanism) = (ptr::null_mut(), ptr::null_mut(), ptr::null());
        let (mut lifetime, mut flags, mut initiated, mut complete) = (0, 0, 9, 9);
        // SAFETY: all of it lives.
        let major = unsafe {
            gss_inquire_context(
                &mut 0,
                side.context,
                &mut source,
                &mut target,
                &mut lifetime,
                &mut mechanism,
                &mut flags,
                &mut initiated,
                &mut complete,
            )
        };
        assert_eq!((major, initiated, complete, flags), (0, ours, 1, side.flags));
        assert!((35_900..=36_000).contains(&lifetime), "{lifetime}");
        for (name, expected) in [(Named(source), USER), (Named(target), SERVICE)] {
            let mut text = place();
            // SAFETY: all of it lives.
            assert_eq!(unsafe { gss_display_name(&mut 0, name.0, &mut text, ptr::null_mut()) }, 0);
            assert_eq!(taken(&mut text), expected.as_bytes());
        }
        let (mut fits, mut left) = (0, 0);
        // SAFETY: all of it lives.
        unsafe {
            assert_eq!(gss_wrap_size_limit(&mut 0, side.context, 1, 0, 1000, &mut fits), 0);
            assert_eq!(gss_context_time(&mut 0, side.context, &mut left), 0);
        }
        assert_eq!(side.wrap(&vec![0; fits as usize]).unwrap().len(), 1000);
        assert!(left >= 35_900);
    }
}

#[test]
fn both_sides_derive_the_same_numbers() {
    let (one, other) = open(0);
    let derive = |side: &Side, key, input: &[u8], length| {
        let (input, mut out) = (buffer(input), place());
        // SAFETY: all of it lives.
        let major = unsafe { gss_pseudo_random(&mut 0, side.context, key, &input, length, &mut out) };
        if is_error(major) { Err(major) } else { Ok(taken(&mut out)) }
    };
    let long = derive(&one, 0, b"x", 100).unwrap();
    assert_eq!(long.len(), 100);
    assert_eq!(derive(&other, 0, b"x", 100).unwrap(), long);
    assert_eq!(derive(&other, 0, b"x", 33).unwrap(), long[..33], "RFC 4401: a shorter one is its front");
    assert_ne!(derive(&one, 1, b"x", 100).unwrap(), long);
    assert_ne!(derive(&one, 0, b"y", 100).unwrap(), long);
    assert_eq!(derive(&one, 0, b"x", 0).unwrap(), b"");
    for (key, length) in [(2, 8), (-1, 8), (0, -1), (0, isize::MIN), (0, isize::MAX), (0, 1 << 30)] {
        assert!(derive(&one, key, b"x", length).is_err());
    }
}

#[test]
fn another_process_carries_on() {
    for flags in [0, SEQUENCE] {
        let (mut one, mut other) = open(flags);
        let before = one.wrap(b"before").unwrap();
        other.unwrap(&before).unwrap();
        let (state, others_state) = (one.export().unwrap(), other.export().unwrap());
        assert!(one.context.is_null(), "exporting takes the context away");
        let (one, other) = (Side::import(&state).unwrap(), Side::import(&others_state).unwrap());
        assert_eq!(other.unwrap(&before), Err(status::FAILURE | status::DUPLICATE_TOKEN));
        assert_eq!(other.unwrap(&one.wrap(b"after").unwrap()).unwrap(), b"after");
        assert_eq!(one.verify_mic(b"m", &other.get_mic(b"m").unwrap()), status::COMPLETE);
    }
}

#[test]
fn a_first_token_is_accepted_once() {
    let (user, service) = (Credential::password(PASSWORD), Credential::service());
    let (_, first) = Side::new().initiate(&user, 0, ptr::null(), None);
    assert_eq!(Side::new().accept(&service, ptr::null(), &first).0, status::COMPLETE);
    let mut again = Side::new();
    assert_eq!(again.accept(&service, ptr::null(), &first).0, status::FAILURE | status::DUPLICATE_TOKEN);
    assert_eq!(again.minor, status::Reason::Replayed as u32);
}

#[test]
fn a_wrong_password_is_told_to_the_program_and_to_nobody_else() {
    let (user, service) = (Credential::password("wrong"), Credential::service());
    let (_, first) = Side::new().initiate(&user, 0, ptr::null(), None);
    let mut refused = Side::new();
    let (major, answer) = refused.accept(&service, ptr::null(), &first);
    assert_eq!((major, answer), (status::DEFECTIVE_CREDENTIAL, Vec::new()));
    assert!(refused.context.is_null());
    let mut text = place();
    // SAFETY: all of it lives.
    let major =
        unsafe { gss_display_status(&mut 0, refused.minor, 2, ptr::null(), ptr::null_mut(), &mut text) };
    assert_eq!((major, taken(&mut text)), (0, b"wrong password or unknown user".to_vec()));
}

#[test]
fn the_mechanism_tells_what_it_is() {
    let (mut set, mut known) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: all of it lives.
    unsafe {
        assert_eq!(gss_indicate_mechs(&mut 0, &mut set), 0);
        assert_eq!(taken_set(set), [oid::MECHANISM]);
        assert_eq!(gss_inquire_names_for_mech(&mut 0, ptr::null(), &mut set), 0);
        assert_eq!(taken_set(set), [oid::USER_NAME, oid::HOST_BASED_SERVICE, oid::EXPORT_NAME]);
        assert_eq!(gss_inquire_attrs_for_mech(&mut 0, ptr::null(), &mut set, &mut known), 0);
        assert_eq!(taken_set(set), taken_set(known));
    }
    let (mut sasl, mut found) = (place(), ptr::null());
    // SAFETY: all of it lives. The layer above asks before it frees an identifier.
    unsafe {
        let none = ptr::null_mut();
        assert_eq!(gss_inquire_saslname_for_mech(&mut 0, ptr::null(), &mut sasl, none, none), 0);
        assert_eq!(gss_inquire_mech_for_saslname(&mut 0, &sasl, &mut found), 0);
        assert_eq!(taken(&mut sasl), b"SYMBOLON");
        let other = gss_inquire_mech_for_saslname(&mut 0, &buffer(b"GS2-KRB5"), &mut ptr::null());
        assert_eq!(other, status::BAD_MECH);
        assert_eq!(gss_internal_release_oid(&mut 0, &mut found), status::COMPLETE);
        assert!(found.is_null());
        let foreign = crate::caller::identifier(&[1, 2]);
        let mut held = &raw const foreign;
        assert_eq!(gss_internal_release_oid(&mut 0, &mut held), status::CONTINUE_NEEDED);
        assert!(!held.is_null());
    }
}

#[test]
fn threads_share_a_context() {
    struct Shared(Side);
    // SAFETY: the border says that a handle may be used by several threads.
    unsafe impl Sync for Shared {}
    impl Shared {
        fn side(&self) -> &Side {
            &self.0
        }
    }
    let (one, other) = open(0);
    let shared = Shared(one);
    let wrapped: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let many = || (0..50).map(|_| shared.side().wrap(b"m").unwrap()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(many)).collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    for message in &wrapped {
        assert_eq!(other.unwrap(message).unwrap(), b"m", "no number was used twice");
    }
}
