//! Names across the border.

use crate::caller::{Named, buffer, identifier, is_error, place, taken};
use std::ptr;
use symbolon_gss::abi::*;
use symbolon_gss::{oid, status};

fn compare(one: &Named, other: &Named) -> i32 {
    let mut equal = 9;
    // SAFETY: all of it lives.
    assert_eq!(unsafe { gss_compare_name(&mut 0, one.0, other.0, &mut equal) }, 0);
    equal
}

#[test]
fn names_are_compared_exported_copied_and_mapped() {
    let alice = Named::import("Alice", oid::USER_NAME).unwrap();
    let service = Named::import("LDAP@DB.example", oid::HOST_BASED_SERVICE_X).unwrap();
    assert_eq!((compare(&alice, &alice), compare(&alice, &service)), (1, 0));
    for name in [&alice, &service] {
        let mut exported = place();
        // SAFETY: all of it lives.
        assert_eq!(unsafe { gss_export_name(&mut 0, name.0, &mut exported) }, 0);
        let exported = taken(&mut exported);
        let (text, name_type, mut again) = (buffer(&exported), identifier(oid::EXPORT_NAME), ptr::null_mut());
        // SAFETY: all of it lives.
        assert_eq!(unsafe { gss_import_name(&mut 0, &text, &name_type, &mut again) }, 0);
        assert_eq!(compare(name, &Named(again)), 1);
        let (mut copy, mut canonical) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: all of it lives.
        unsafe {
            assert_eq!(gss_duplicate_name(&mut 0, name.0, &mut copy), 0);
            assert_eq!(gss_canonicalize_name(&mut 0, name.0, ptr::null(), &mut canonical), 0);
        }
        assert_eq!((compare(name, &Named(copy)), compare(name, &Named(canonical))), (1, 1));
    }
    let mut local = place();
    // SAFETY: all of it lives.
    unsafe {
        assert_eq!(gss_localname(&mut 0, alice.0, ptr::null(), &mut local), 0);
        assert_eq!(taken(&mut local), b"alice");
        assert_eq!(gss_localname(&mut 0, service.0, ptr::null(), &mut local), status::UNAVAILABLE);
        let allowed = |account: &[u8], name: &Named| {
            gssspi_authorize_localname(&mut 0, name.0, &buffer(account), ptr::null())
        };
        assert_eq!(allowed(b"alice", &alice), status::COMPLETE);
        assert_eq!(allowed(b"root", &alice), status::UNAUTHORIZED);
        assert_eq!(allowed(b"ldap", &service), status::UNAUTHORIZED);
    }
}

#[test]
fn what_is_no_name_or_of_no_known_type_is_refused() {
    for (text, name_type, expected) in [
        ("al ice", oid::USER_NAME, status::BAD_NAME),
        ("", oid::USER_NAME, status::BAD_NAME),
        ("ldap@", oid::HOST_BASED_SERVICE, status::BAD_NAME),
        ("../../etc@x", oid::HOST_BASED_SERVICE, status::BAD_NAME),
        ("ldap@../../etc", oid::HOST_BASED_SERVICE, status::BAD_NAME),
        ("alice", oid::EXPORT_NAME, status::BAD_NAME),
        ("1000", &[1, 2, 3], status::BAD_NAMETYPE),
        ("alice", &[], status::BAD_NAMETYPE),
    ] {
        let refused = Named::import(text, name_type).err().unwrap();
        assert!(is_error(refused));
        assert_eq!(refused, expected, "{text}");
    }
}
