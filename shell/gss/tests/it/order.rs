//! Calls in the wrong order, and handles of the wrong kind.

use crate::caller::{Credential, Named, Side, buffer, is_error, open, place};
use crate::world::{PASSWORD, USER};
use std::ptr;
use symbolon_gss::abi::*;
use symbolon_gss::{oid, status};

#[test]
fn cve_garbage_wrong_order_of_gss_calls() {
    let user = Credential::password(PASSWORD);
    let mut half = Side::new();
    half.initiate(&user, 0, ptr::null(), None);
    for side in [&half, &Side::new()] {
        assert_eq!(side.wrap(b"m"), Err(status::NO_CONTEXT));
        assert_eq!(side.unwrap(&[0; 64]), Err(status::NO_CONTEXT));
        assert_eq!(side.get_mic(b"m"), Err(status::NO_CONTEXT));
        assert_eq!(side.verify_mic(b"m", &[0; 60]), status::NO_CONTEXT);
        let (mut number, mut out) = (0, place());
        // SAFETY: all of it lives.
        unsafe {
            let limit = gss_wrap_size_limit(&mut 0, side.context, 0, 0, 100, &mut number);
            assert_eq!(limit, status::NO_CONTEXT);
            assert_eq!(gss_context_time(&mut 0, side.context, &mut number), status::NO_CONTEXT);
            let random = gss_pseudo_random(&mut 0, side.context, 0, &buffer(b"x"), 8, &mut out);
            assert_eq!(random, status::NO_CONTEXT);
        }
    }
    assert_eq!(half.export(), Err(status::NO_CONTEXT));
    assert!(!half.context.is_null(), "it can still go on");
}

#[test]
fn cve_garbage_wrong_order_of_gss_tokens() {
    let (user, service) = (Credential::password(PASSWORD), Credential::service());
    let (mut one, mut other) = (Side::new(), Side::new());
    let (_, first) = one.initiate(&user, 0, ptr::null(), None);
    assert!(is_error(other.accept(&service, ptr::null(), &[]).0));
    let (_, second) = other.accept(&service, ptr::null(), &first);
    // Reflected, and sides exchanged.
    assert!(is_error(Side::new().accept(&service, ptr::null(), &second).0));
    assert!(is_error(one.accept(&service, ptr::null(), &first).0), "an initiator accepts nothing");
    assert!(is_error(other.initiate(&user, 0, ptr::null(), Some(&second)).0));
    assert!(is_error(other.accept(&service, ptr::null(), &first).0), "it is open already");
    assert_eq!(one.initiate(&user, 0, ptr::null(), Some(&second)).0, status::COMPLETE);
    assert!(is_error(one.initiate(&user, 0, ptr::null(), Some(&second)).0), "and so is this");
    let mut reflected = Side::new();
    let (_, first) = reflected.initiate(&user, 0, ptr::null(), None);
    assert!(is_error(reflected.initiate(&user, 0, ptr::null(), Some(&first)).0));
    assert!(is_error(reflected.initiate(&user, 0, ptr::null(), Some(&second)).0), "it failed before");
    let mut silent = Side::new();
    silent.initiate(&user, 0, ptr::null(), None);
    assert!(is_error(silent.initiate(&user, 0, ptr::null(), None).0), "no token came");
}

#[test]
fn cve_garbage_handles_of_another_kind() {
    let (mut one, _other) = open(0);
    let user = Credential::password(PASSWORD);
    let name = Named::import(USER, oid::USER_NAME).unwrap();
    let mut text = place();
    // SAFETY: handles of the other kinds are what is tried; they live.
    unsafe {
        let shown = gss_display_name(&mut 0, user.0.cast(), &mut text, ptr::null_mut());
        assert_eq!(shown, status::BAD_NAME);
        let wrapped = gss_wrap(&mut 0, name.0.cast(), 1, 0, &buffer(b"m"), ptr::null_mut(), &mut text);
        assert_eq!(wrapped, status::NO_CONTEXT);
        let mut wrong = one.context.cast::<CredentialHandle>();
        assert_eq!(gss_release_cred(&mut 0, &mut wrong), status::NO_CRED);
        let mut odd = name.0.cast::<u8>().add(1).cast::<NameHandle>();
        assert_eq!(gss_release_name(&mut 0, &mut odd), status::BAD_NAME);
        assert_eq!(gss_process_context_token(&mut 0, one.context, ptr::null()), status::DEFECTIVE_TOKEN);
        let mut nothing = ptr::null_mut();
        assert_eq!(gss_delete_sec_context(&mut 0, &mut nothing, &mut text), status::COMPLETE);
    }
    assert!(one.export().is_ok(), "nothing was harmed");
}

#[test]
fn credentials_that_are_not_there_are_told_with_a_reason() {
    crate::world::world();
    let somebody = Named::import("somebody", oid::USER_NAME).unwrap();
    let other = Named::import("http@localhost", oid::HOST_BASED_SERVICE).unwrap();
    let (mut minor, mut credential) = (0, ptr::null_mut());
    let none = ptr::null_mut();
    let mut acquire = |name: &Named, usage| {
        // SAFETY: all of it lives.
        let major = unsafe {
            gss_acquire_cred(&mut minor, name.0, 0, ptr::null(), usage, &mut credential, none, none.cast())
        };
        assert!(credential.is_null());
        (major, minor)
    };
    assert_eq!(acquire(&somebody, 1), (status::NO_CRED, status::Reason::PasswordFile as u32));
    assert_eq!(acquire(&other, 2), (status::NO_CRED, status::Reason::NoServiceKeys as u32));
    assert_eq!(acquire(&other, 1).0, status::BAD_NAME);
    assert_eq!(acquire(&somebody, 7).0, status::FAILURE);
}
