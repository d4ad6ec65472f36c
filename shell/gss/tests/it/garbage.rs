//! Nulls, huge lengths, and tokens that are cut, flipped or made up.

use crate::caller::{Credential, Named, Side, buffer, is_error, open, place};
use crate::world::{PASSWORD, USER, world};
use std::ptr::{null, null_mut};
use symbolon_gss::abi::*;
use symbolon_gss::{oid, status};

#[test]
fn cve_garbage_nulls_to_every_gss_entry_point() {
    world();
    // SAFETY: null is a value of every pointer here. No function is left out; the compiler knows each.
    let answers = unsafe {
        [
            ("gss_import_name", gss_import_name(null_mut(), null(), null(), null_mut())),
            ("gss_display_name", gss_display_name(null_mut(), null_mut(), null_mut(), null_mut())),
            ("gss_release_name", gss_release_name(null_mut(), null_mut())),
            ("gss_duplicate_name", gss_duplicate_name(null_mut(), null_mut(), null_mut())),
            ("gss_compare_name", gss_compare_name(null_mut(), null_mut(), null_mut(), null_mut())),
            ("gss_export_name", gss_export_name(null_mut(), null_mut(), null_mut())),
            ("gss_canonicalize_name", gss_canonicalize_name(null_mut(), null_mut(), null(), null_mut())),
            ("gss_localname", gss_localname(null_mut(), null_mut(), null(), null_mut())),
            ("authorize", gssspi_authorize_localname(null_mut(), null_mut(), null(), null())),
            ("inquire_name", gss_inquire_name(null_mut(), null_mut(), null_mut(), null_mut(), null_mut())),
            ("gss_indicate_mechs", gss_indicate_mechs(null_mut(), null_mut())),
            ("names_for_mech", gss_inquire_names_for_mech(null_mut(), null(), null_mut())),
            ("mech_for_saslname", gss_inquire_mech_for_saslname(null_mut(), null(), null_mut())),
            ("status", gss_display_status(null_mut(), 0, 2, null(), null_mut(), null_mut())),
            ("release_oid", gss_internal_release_oid(null_mut(), null_mut())),
            ("by_oid", gss_inquire_sec_context_by_oid(null_mut(), null_mut(), null(), null_mut())),
            (
                "gss_acquire_cred",
                gss_acquire_cred(null_mut(), null_mut(), 0, null(), 1, null_mut(), null_mut(), null_mut()),
            ),
            (
                "with_password",
                gssspi_acquire_cred_with_password(
                    null_mut(),
                    null_mut(),
                    null(),
                    0,
                    null(),
                    1,
                    null_mut(),
                    null_mut(),
                    null_mut(),
                ),
            ),
            (
                "gss_add_cred",
                gss_add_cred(
                    null_mut(),
                    null_mut(),
                    null_mut(),
                    null(),
                    0,
                    0,
                    0,
                    null_mut(),
                    null_mut(),
                    null_mut(),
                    null_mut(),
                ),
            ),
            ("gss_release_cred", gss_release_cred(null_mut(), null_mut())),
            (
                "gss_init_sec_context",
                gss_init_sec_context(
                    null_mut(),
                    null_mut(),
                    null_mut(),
                    null_mut(),
                    null(),
                    0,
                    0,
                    null(),
                    null(),
                    null_mut(),
                    null_mut(),
                    null_mut(),
                    null_mut(),
                ),
            ),
            (
                "gss_accept_sec_context",
                gss_accept_sec_context(
                    null_mut(),
                    null_mut(),
                    null_mut(),
                    null(),
                    null(),
                    null_mut(),
                    null_mut(),
                    null_mut(),
                    null_mut(),
                    null_mut(),
                    null_mut(),
                ),
            ),
            ("gss_delete_sec_context", gss_delete_sec_context(null_mut(), null_mut(), null_mut())),
            (
                "gss_inquire_context",
                gss_inquire_context(
                    null_mut(),
                    null_mut(),
                    null_mut(),
                    null_mut(),
                    null_mut(),
                    null_mut(),
                    null_mut(),
                    null_mut(),
                    null_mut(),
                ),
            ),
            ("gss_context_time", gss_context_time(null_mut(), null_mut(), null_mut())),
            ("gss_export_sec_context", gss_export_sec_context(null_mut(), null_mut(), null_mut())),
            ("gss_import_sec_context", gss_import_sec_context(null_mut(), null(), null_mut())),
            ("gss_wrap", gss_wrap(null_mut(), null_mut(), 0, 0, null(), null_mut(), null_mut())),
            ("gss_unwrap", gss_unwrap(null_mut(), null_mut(), null(), null_mut(), null_mut(), null_mut())),
            ("gss_get_mic", gss_get_mic(null_mut(), null_mut(), 0, null(), null_mut())),
            ("gss_verify_mic", gss_verify_mic(null_mut(), null_mut(), null(), null(), null_mut())),
            ("size_limit", gss_wrap_size_limit(null_mut(), null_mut(), 0, 0, 0, null_mut())),
            ("gss_pseudo_random", gss_pseudo_random(null_mut(), null_mut(), 0, null(), 0, null_mut())),
            ("process_token", gss_process_context_token(null_mut(), null_mut(), null())),
        ]
    };
    for (name, major) in answers {
        assert!(is_error(major), "{name} took nulls: {major:x}");
    }
    // These tell only what they are asked for; asked for nothing, they do nothing.
    // SAFETY: as above.
    unsafe {
        gss_inquire_attrs_for_mech(null_mut(), null(), null_mut(), null_mut());
        gss_inquire_saslname_for_mech(null_mut(), null(), null_mut(), null_mut(), null_mut());
        gss_inquire_cred(null_mut(), null_mut(), null_mut(), null_mut(), null_mut(), null_mut());
        let none = null_mut();
        gss_inquire_cred_by_mech(null_mut(), null_mut(), null(), none, null_mut(), null_mut(), null_mut());
    }
}

#[test]
fn cve_garbage_leaves_no_gss_entry_point_out() {
    let here: String = include_str!("garbage.rs").split_whitespace().collect();
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/src/abi");
    let mut count = 0;
    for file in std::fs::read_dir(sources).unwrap() {
        let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for function in source.split("extern \"C\" fn ").skip(1).filter_map(|s| s.split('(').next()) {
            assert!(here.contains(&format!("{function}(null_mut(),")), "{function} is given no nulls");
            count += 1;
        }
    }
    assert!(count > 35, "only {count} functions were found");
}

#[test]
fn cve_garbage_huge_lengths_to_gss_entry_points() {
    let (one, other) = open(0);
    let (user, service) = (Credential::password(PASSWORD), Credential::service());
    let name = Named::import(USER, oid::USER_NAME).unwrap();
    let mut byte = 0_u8;
    for length in [usize::MAX, isize::MAX as usize, 1 << 40, (1 << 30) + 1] {
        let address: *mut u8 = &raw mut byte;
        let huge = || Buffer { length, value: address.cast() };
        let dangling = || Buffer { length, value: null_mut() };
        for make in [&huge as &dyn Fn() -> Buffer, &dangling] {
            let huge = make();
            let (mut out, mut named, mut held, mut context) = (place(), null_mut(), null_mut(), null_mut());
            let channel = ChannelBindings {
                initiator_addrtype: 0,
                initiator_address: place(),
                acceptor_addrtype: 0,
                acceptor_address: place(),
                application_data: make(),
            };
            let mut side = Side::new();
            assert!(is_error(side.initiate(&user, 0, &raw const channel, None).0));
            // SAFETY: the lengths are lies, which is what is tried; all else lives.
            let answers = unsafe {
                [
                    gss_import_name(&mut 0, &huge, null(), &mut named),
                    gssspi_authorize_localname(&mut 0, name.0, &huge, null()),
                    gss_inquire_mech_for_saslname(&mut 0, &huge, &mut null()),
                    gss_wrap(&mut 0, one.context, 1, 0, &huge, null_mut(), &mut out),
                    gss_unwrap(&mut 0, other.context, &huge, &mut out, null_mut(), null_mut()),
                    gss_get_mic(&mut 0, one.context, 0, &huge, &mut out),
                    gss_verify_mic(&mut 0, one.context, &huge, &buffer(b"x"), null_mut()),
                    gss_verify_mic(&mut 0, one.context, &buffer(b"x"), &huge, null_mut()),
                    gss_pseudo_random(&mut 0, one.context, 0, &huge, 8, &mut out),
                    gss_import_sec_context(&mut 0, &huge, &mut context),
                    gssspi_acquire_cred_with_password(
                        &mut 0,
                        name.0,
                        &huge,
                        0,
                        null(),
                        1,
                        &mut held,
                        null_mut(),
                        null_mut(),
                    ),
                    gss_accept_sec_context(
                        &mut 0,
                        &mut context,
                        service.0,
                        &huge,
                        null(),
                        null_mut(),
                        null_mut(),
                        &mut out,
                        null_mut(),
                        null_mut(),
                        null_mut(),
                    ),
                ]
            };
            assert!(answers.into_iter().all(is_error), "{length:x}: {answers:x?}");
            assert!(out.value.is_null() && named.is_null() && held.is_null() && context.is_null());
        }
    }
    let long = identifier_of(u32::MAX, &mut byte);
    // SAFETY: as above.
    let answers = unsafe {
        [
            gss_import_name(&mut 0, &buffer(b"alice"), &long, &mut null_mut()),
            gss_inquire_names_for_mech(&mut 0, &long, &mut null_mut()),
            gss_canonicalize_name(&mut 0, name.0, &long, &mut null_mut()),
        ]
    };
    assert!(answers.into_iter().all(is_error), "{answers:x?}");
    assert_eq!(other.unwrap(&one.wrap(b"whole").unwrap()).unwrap(), b"whole");
}

fn identifier_of(length: u32, byte: &mut u8) -> Oid {
    Oid { length, elements: std::ptr::from_mut(byte).cast() }
}

#[test]
fn cve_malformed_gss_token_never_fails_open() {
    let (user, service) = (Credential::password(PASSWORD), Credential::service());
    let (_, first) = Side::new().initiate(&user, 0, null(), None);
    let refuse = |token: &[u8], what: &str| {
        let mut side = Side::new();
        let (major, answer) = side.accept(&service, null(), token);
        // A key that is not here is answered with those that are, and nothing is open.
        let offered = major == status::CONTINUE_NEEDED && !answer.is_empty();
        assert!(is_error(major) || offered, "{what}: {major:x}");
    };
    for length in 0..first.len() {
        refuse(&first[..length], "cut");
    }
    for at in 0..first.len() {
        let mut altered = first.clone();
        altered[at] ^= 1 << (at % 8);
        refuse(&altered, "altered");
    }
    refuse(&[&first[..], &[0]].concat(), "longer");
    open(0);
}

#[test]
fn a_second_token_that_is_cut_or_altered_opens_nothing() {
    let (user, service) = (Credential::password(PASSWORD), Credential::service());
    let (_, first) = Side::new().initiate(&user, 0, null(), None);
    let (_, foreign) = Side::new().accept(&service, null(), &first);
    let refuse = |token: &[u8]| {
        let mut side = Side::new();
        side.initiate(&user, 0, null(), None);
        assert!(is_error(side.initiate(&user, 0, null(), Some(token)).0));
        assert!(is_error(side.initiate(&user, 0, null(), Some(&foreign)).0), "and it is over then");
    };
    for at in (0..foreign.len()).step_by(7) {
        let mut altered = foreign.clone();
        altered[at] ^= 0x10;
        refuse(&altered);
        refuse(&foreign[..at]);
    }
    refuse(&foreign);
}

#[test]
fn messages_that_are_cut_or_altered_are_refused_and_harm_nothing() {
    let (one, other) = open(0);
    let (wrapped, check) = (one.wrap(b"message").unwrap(), one.get_mic(b"message").unwrap());
    for length in 0..wrapped.len() {
        assert!(other.unwrap(&wrapped[..length]).is_err());
    }
    for length in 0..check.len() {
        assert!(is_error(other.verify_mic(b"message", &check[..length])));
    }
    for bit in 0..wrapped.len() * 8 {
        let mut altered = wrapped.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(other.unwrap(&altered).is_err());
    }
    for bit in 0..check.len() * 8 {
        let mut altered = check.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(is_error(other.verify_mic(b"message", &altered)));
    }
    assert!(one.unwrap(&wrapped).is_err(), "reflected");
    assert!(is_error(one.verify_mic(b"message", &check)), "reflected");
    assert_eq!(other.unwrap(&check), Err(status::BAD_MIC));
    assert_eq!(other.verify_mic(b"message", &wrapped), status::BAD_MIC);
    assert_eq!(other.unwrap(&wrapped).unwrap(), b"message");
    assert_eq!(other.verify_mic(b"message", &check), status::COMPLETE);
}

#[test]
fn an_exported_context_that_is_cut_or_altered_does_no_harm() {
    let (mut one, _other) = open(0);
    let state = one.export().unwrap();
    for length in 0..state.len() {
        assert!(Side::import(&state[..length]).is_err());
    }
    assert!(Side::import(&[&state[..], &[0]].concat()).is_err());
    for at in 0..state.len() {
        let mut altered = state.clone();
        altered[at] ^= 0x81;
        // Whoever can alter it has the keys; it must only not break us.
        if let Ok(side) = Side::import(&altered) {
            drop((side.wrap(b"m"), side.unwrap(&[0; 80]), side.get_mic(b"m")));
        }
    }
}
