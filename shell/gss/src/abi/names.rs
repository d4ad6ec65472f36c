//! Calls about names.

use super::enter;
use super::mechanism::name_type;
use super::memory::{Buffer, Handle, Oid, Out, input, oid};
use crate::status::{
    BAD_MECH, BAD_NAME, BAD_NAMETYPE, CALL_INACCESSIBLE_WRITE, COMPLETE, Failure, UNAUTHORIZED, UNAVAILABLE,
};
use crate::{Name, NameError};
use std::ffi::{c_int, c_void};
use std::ptr;

/// Longest name, in bytes: twice what a DNS name and a service are.
const MAX_NAME: usize = 1024;

/// A name as callers hold it.
pub type NameHandle = Handle<Name>;

/// `gss_import_name`.
///
/// # Safety
/// The contract of the border, as for every function here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_import_name(
    minor: *mut u32,
    text: *const Buffer,
    text_type: *const Oid,
    name: *mut *mut NameHandle,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, name) = unsafe { (Out::new(minor), Out::new(name)) };
    enter(minor, || {
        let name = name.needed()?;
        name.set(ptr::null_mut());
        // SAFETY: the contract of the border.
        let (text, text_type) = unsafe { (input(text, MAX_NAME), oid(text_type)) };
        let text = text.map_err(|f| Failure { major: f.major | BAD_NAME, ..f });
        let imported = Name::import(text?, text_type).map_err(|e| match e {
            NameError::BadName => Failure::plain(BAD_NAME),
            NameError::BadType => Failure::plain(BAD_NAMETYPE),
        })?;
        name.set(Handle::give(imported));
        Ok(COMPLETE)
    })
}

/// `gss_display_name`.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_display_name(
    minor: *mut u32,
    name: *mut NameHandle,
    text: *mut Buffer,
    text_type: *mut *const Oid,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, text, text_type) = unsafe { (Out::new(minor), Out::new(text), Out::new(text_type)) };
    enter(minor, || {
        text.needed()?.clear();
        // SAFETY: the contract of the border.
        let name = unsafe { Handle::get(name) }?;
        text.copy(name.display().as_bytes())?;
        text_type.set(name_type(&name));
        Ok(COMPLETE)
    })
}

/// `gss_release_name`.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_release_name(minor: *mut u32, name: *mut *mut NameHandle) -> u32 {
    // SAFETY: the contract of the border.
    let minor = unsafe { Out::new(minor) };
    enter(minor, || {
        // SAFETY: the contract of the border.
        drop(unsafe { Handle::take(name) }?);
        Ok(COMPLETE)
    })
}

/// `gss_duplicate_name`.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_duplicate_name(
    minor: *mut u32,
    name: *mut NameHandle,
    copy: *mut *mut NameHandle,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, copy) = unsafe { (Out::new(minor), Out::new(copy)) };
    enter(minor, || {
        copy.needed()?.set(ptr::null_mut());
        // SAFETY: the contract of the border.
        let name = unsafe { Handle::get(name) }?;
        copy.set(Handle::give(name.clone()));
        Ok(COMPLETE)
    })
}

/// `gss_compare_name`.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_compare_name(
    minor: *mut u32,
    one: *mut NameHandle,
    other: *mut NameHandle,
    equal: *mut c_int,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, equal) = unsafe { (Out::new(minor), Out::new(equal)) };
    enter(minor, || {
        equal.needed()?.set(0);
        // SAFETY: the contract of the border. One after the other, since both may be one handle.
        let one = unsafe { Handle::get(one) }?.clone();
        // SAFETY: as above.
        let other = unsafe { Handle::get(other) }?;
        equal.set(c_int::from(one == *other));
        Ok(COMPLETE)
    })
}

/// `gss_export_name`.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_export_name(
    minor: *mut u32,
    name: *mut NameHandle,
    exported: *mut Buffer,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, exported) = unsafe { (Out::new(minor), Out::new(exported)) };
    enter(minor, || {
        exported.needed()?.clear();
        // SAFETY: the contract of the border.
        let name = unsafe { Handle::get(name) }?;
        exported.copy(&name.export())?;
        Ok(COMPLETE)
    })
}

/// `gss_canonicalize_name`: every name of ours is canonical.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_canonicalize_name(
    minor: *mut u32,
    name: *mut NameHandle,
    mechanism: *const Oid,
    canonical: *mut *mut NameHandle,
) -> u32 {
    // SAFETY: the contract of the border.
    let asked = unsafe { oid(mechanism) };
    if asked.is_some_and(|m| m != crate::oid::MECHANISM) {
        // SAFETY: the contract of the border.
        let minor = unsafe { Out::new(minor) };
        return enter(minor, || Err(Failure::plain(BAD_MECH)));
    }
    // SAFETY: handed on as they came.
    unsafe { duplicate(minor, name, canonical) }
}

/// What two calls do. Not by the exported name: it would lead to the library above.
unsafe fn duplicate(minor: *mut u32, name: *mut NameHandle, copy: *mut *mut NameHandle) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, copy) = unsafe { (Out::new(minor), Out::new(copy)) };
    enter(minor, || {
        copy.needed()?.set(ptr::null_mut());
        // SAFETY: the contract of the border.
        let name = unsafe { Handle::get(name) }?;
        copy.set(Handle::give(name.clone()));
        Ok(COMPLETE)
    })
}

/// `gss_localname`: a user's name is the local one, a service has none.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_localname(
    minor: *mut u32,
    name: *mut NameHandle,
    _mechanism: *const Oid,
    local: *mut Buffer,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, local) = unsafe { (Out::new(minor), Out::new(local)) };
    enter(minor, || {
        local.needed()?.clear();
        // SAFETY: the contract of the border.
        let name = unsafe { Handle::get(name) }?;
        let Name::User(user) = &*name else { return Err(Failure::plain(UNAVAILABLE)) };
        local.copy(user.as_str().as_bytes())?;
        Ok(COMPLETE)
    })
}

/// `gssspi_authorize_localname`: a user may be the local account of the same name.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gssspi_authorize_localname(
    minor: *mut u32,
    name: *mut NameHandle,
    account: *const Buffer,
    account_type: *const Oid,
) -> u32 {
    // SAFETY: the contract of the border.
    let minor = unsafe { Out::new(minor) };
    enter(minor, || {
        // SAFETY: the contract of the border.
        let (name, account, account_type) =
            unsafe { (Handle::get(name)?, input(account, MAX_NAME)?, oid(account_type)) };
        if account_type.is_some_and(|t| t != crate::oid::USER_NAME) {
            return Err(Failure::plain(UNAUTHORIZED));
        }
        match &*name {
            Name::User(user) if user.as_str().as_bytes() == account => Ok(COMPLETE),
            _ => Err(Failure::plain(UNAUTHORIZED)),
        }
    })
}

/// `gss_inquire_name`: ours are mechanism names without attributes.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_inquire_name(
    minor: *mut u32,
    name: *mut NameHandle,
    is_mechanism_name: *mut c_int,
    mechanism: *mut *const Oid,
    attributes: *mut *mut c_void,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, is_ours) = unsafe { (Out::new(minor), Out::new(is_mechanism_name)) };
    // SAFETY: the contract of the border.
    let (mechanism, attributes) = unsafe { (Out::new(mechanism), Out::new(attributes)) };
    enter(minor, || {
        attributes.set(ptr::null_mut());
        // SAFETY: the contract of the border.
        drop(unsafe { Handle::get(name) }?);
        is_ours.set(1);
        mechanism.set(super::mechanism::mechanism());
        if !is_ours.is_wanted() && !mechanism.is_wanted() && !attributes.is_wanted() {
            return Err(Failure::plain(CALL_INACCESSIBLE_WRITE));
        }
        Ok(COMPLETE)
    })
}
