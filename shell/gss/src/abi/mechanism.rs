//! Calls about the mechanism itself.

use super::enter;
use super::memory::{Buffer, Oid, OidSet, Out, input, oid};
use crate::status::{
    BAD_MECH, BAD_STATUS, CALL_INACCESSIBLE_WRITE, COMPLETE, CONTINUE_NEEDED, Failure, Reason, UNAVAILABLE,
};
use crate::{Name, oid};
use std::ffi::{c_int, c_void};
use std::ptr;

/// What SASL calls the mechanism (RFC 5801 §3).
const SASL_NAME: &str = "SYMBOLON";
/// What people call it.
const NAME: &str = "symbolon";
/// In a line.
const DESCRIPTION: &str = "Symbolon: a secure context in one round trip";
/// `GSS_C_MECH_CODE`.
const MECHANISM_CODE: c_int = 2;

const fn constant(bytes: &'static [u8]) -> Oid {
    Oid { length: bytes.len() as u32, elements: bytes.as_ptr().cast_mut().cast::<c_void>() }
}

static MECHANISM: Oid = constant(oid::MECHANISM);
static USER_NAME: Oid = constant(oid::USER_NAME);
static HOST_BASED_SERVICE: Oid = constant(oid::HOST_BASED_SERVICE);

/// Our mechanism's identifier, which callers do not free.
pub(super) fn mechanism() -> *const Oid {
    &raw const MECHANISM
}

/// A name's type, which callers do not free.
pub(super) fn name_type(name: &Name) -> *const Oid {
    match name {
        Name::User(_) => &raw const USER_NAME,
        Name::Service { .. } => &raw const HOST_BASED_SERVICE,
    }
}

/// Whether a caller means this mechanism: by its identifier, or by none.
///
/// # Safety
/// The contract of the border.
pub(super) unsafe fn means_us(mechanism: *const Oid) -> Result<(), Failure> {
    // SAFETY: the contract of the border.
    match unsafe { oid(mechanism) } {
        None | Some(oid::MECHANISM) => Ok(()),
        Some(_) => Err(Failure::plain(BAD_MECH)),
    }
}

/// `gss_indicate_mechs`.
///
/// # Safety
/// The contract of the border, as for every function here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_indicate_mechs(minor: *mut u32, mechanisms: *mut *mut OidSet) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, mechanisms) = unsafe { (Out::new(minor), Out::new(mechanisms)) };
    enter(minor, || {
        mechanisms.needed()?.set(ptr::null_mut());
        mechanisms.copy(&[oid::MECHANISM])?;
        Ok(COMPLETE)
    })
}

/// `gss_inquire_names_for_mech`.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_inquire_names_for_mech(
    minor: *mut u32,
    mechanism: *const Oid,
    types: *mut *mut OidSet,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, types) = unsafe { (Out::new(minor), Out::new(types)) };
    enter(minor, || {
        types.needed()?.set(ptr::null_mut());
        // SAFETY: the contract of the border.
        unsafe { means_us(mechanism) }?;
        types.copy(&[oid::USER_NAME, oid::HOST_BASED_SERVICE, oid::EXPORT_NAME])?;
        Ok(COMPLETE)
    })
}

/// `gss_inquire_attrs_for_mech` (RFC 5587).
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_inquire_attrs_for_mech(
    minor: *mut u32,
    mechanism: *const Oid,
    attributes: *mut *mut OidSet,
    known: *mut *mut OidSet,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, attributes, known) = unsafe { (Out::new(minor), Out::new(attributes), Out::new(known)) };
    enter(minor, || {
        attributes.set(ptr::null_mut());
        known.set(ptr::null_mut());
        // SAFETY: the contract of the border.
        unsafe { means_us(mechanism) }?;
        let all = oid::attributes();
        let all: Vec<&[u8]> = all.iter().map(|a| &a[..]).collect();
        attributes.copy(&all)?;
        known.copy(&all)?;
        Ok(COMPLETE)
    })
}

/// `gss_inquire_saslname_for_mech` (RFC 5801 §10).
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_inquire_saslname_for_mech(
    minor: *mut u32,
    mechanism: *const Oid,
    sasl_name: *mut Buffer,
    name: *mut Buffer,
    description: *mut Buffer,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, sasl_name) = unsafe { (Out::new(minor), Out::new(sasl_name)) };
    // SAFETY: the contract of the border.
    let (name, description) = unsafe { (Out::new(name), Out::new(description)) };
    enter(minor, || {
        let places = [(sasl_name, SASL_NAME), (name, NAME), (description, DESCRIPTION)];
        places.iter().for_each(|(place, _)| place.clear());
        // SAFETY: the contract of the border.
        unsafe { means_us(mechanism) }?;
        places.iter().try_for_each(|(place, text)| place.copy(text.as_bytes()))?;
        Ok(COMPLETE)
    })
}

/// `gss_inquire_mech_for_saslname` (RFC 5801 §11).
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_inquire_mech_for_saslname(
    minor: *mut u32,
    sasl_name: *const Buffer,
    found: *mut *const Oid,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, found) = unsafe { (Out::new(minor), Out::new(found)) };
    enter(minor, || {
        found.set(ptr::null());
        // SAFETY: the contract of the border.
        if unsafe { input(sasl_name, 64) }? != SASL_NAME.as_bytes() {
            return Err(Failure::plain(BAD_MECH));
        }
        found.set(mechanism());
        Ok(COMPLETE)
    })
}

/// `gss_display_status`: our reasons; the layer above knows RFC 2744's own.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_display_status(
    minor: *mut u32,
    status: u32,
    status_type: c_int,
    mechanism: *const Oid,
    message_context: *mut u32,
    text: *mut Buffer,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, more, text) = unsafe { (Out::new(minor), Out::new(message_context), Out::new(text)) };
    enter(minor, || {
        text.needed()?.clear();
        more.set(0);
        // SAFETY: the contract of the border.
        unsafe { means_us(mechanism) }?;
        if status_type != MECHANISM_CODE {
            return Err(Failure::plain(BAD_STATUS));
        }
        let reason = Reason::from_minor(status).ok_or(Failure::plain(BAD_STATUS))?;
        text.copy(reason.text().as_bytes())?;
        Ok(COMPLETE)
    })
}

/// `gss_internal_release_oid`: the layer above asks before it frees an identifier, and those of ours are
/// not to be freed.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_internal_release_oid(minor: *mut u32, identifier: *mut *const Oid) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, place) = unsafe { (Out::new(minor), Out::new(identifier)) };
    enter(minor, || {
        if !place.is_wanted() {
            return Err(Failure::plain(CALL_INACCESSIBLE_WRITE));
        }
        // SAFETY: not null, so it can be read by the contract of the border.
        let held = unsafe { ptr::read(identifier) };
        let ours = [&raw const MECHANISM, &raw const USER_NAME, &raw const HOST_BASED_SERVICE];
        if !ours.contains(&held) {
            return Ok(CONTINUE_NEEDED);
        }
        place.set(ptr::null());
        Ok(COMPLETE)
    })
}

/// `gss_inquire_sec_context_by_oid`: nothing beyond `gss_inquire_context`.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_inquire_sec_context_by_oid(
    minor: *mut u32,
    _context: *mut c_void,
    _asked: *const Oid,
    data: *mut *mut c_void,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, data) = unsafe { (Out::new(minor), Out::new(data)) };
    enter(minor, || {
        data.set(ptr::null_mut());
        Err(Failure::plain(UNAVAILABLE))
    })
}
