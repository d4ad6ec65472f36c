//! Calls about credentials.

use super::enter;
use super::mechanism::means_us;
use super::memory::{Buffer, Handle, Oid, OidSet, Out, input, set_has};
use super::names::NameHandle;
use crate::status::{BAD_MECH, COMPLETE, FAILURE, Failure, NO_CRED};
use crate::{Credential, Usage, oid};
use std::ffi::c_int;
use std::ptr;

/// A credential as callers hold it.
pub type CredentialHandle = Handle<Credential>;

/// `GSS_C_INDEFINITE`: a password does not expire by itself.
const INDEFINITE: u32 = u32::MAX;

const fn usage(code: c_int) -> Result<Usage, Failure> {
    match code {
        0 => Ok(Usage::Both),
        1 => Ok(Usage::Initiate),
        2 => Ok(Usage::Accept),
        _ => Err(Failure::plain(FAILURE)),
    }
}

const fn usage_code(usage: Usage) -> c_int {
    match usage {
        Usage::Both => 0,
        Usage::Initiate => 1,
        Usage::Accept => 2,
    }
}

/// Where an acquired credential and what is told about it go.
struct Answer<'a> {
    credential: Out<'a, *mut CredentialHandle>,
    mechanisms: Out<'a, *mut OidSet>,
    lifetime: Out<'a, u32>,
}

impl Answer<'_> {
    unsafe fn fill(
        self,
        name: *mut NameHandle,
        password: Option<&[u8]>,
        usage_asked: c_int,
    ) -> Result<u32, Failure> {
        self.credential.needed()?.set(ptr::null_mut());
        self.mechanisms.set(ptr::null_mut());
        // SAFETY: the contract of the border.
        let name = unsafe { Handle::get_if_any(name) }?;
        let credential = Credential::acquire(name.as_deref(), password, usage(usage_asked)?)?;
        self.mechanisms.copy(&[oid::MECHANISM])?;
        self.lifetime.set(INDEFINITE);
        self.credential.set(Handle::give(credential));
        Ok(COMPLETE)
    }
}

/// `gss_acquire_cred`.
///
/// # Safety
/// The contract of the border, as for every function here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_acquire_cred(
    minor: *mut u32,
    name: *mut NameHandle,
    _lifetime_asked: u32,
    mechanisms_asked: *const OidSet,
    usage_asked: c_int,
    credential: *mut *mut CredentialHandle,
    mechanisms: *mut *mut OidSet,
    lifetime: *mut u32,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, credential) = unsafe { (Out::new(minor), Out::new(credential)) };
    // SAFETY: the contract of the border.
    let (mechanisms, lifetime) = unsafe { (Out::new(mechanisms), Out::new(lifetime)) };
    enter(minor, || {
        let answer = Answer { credential, mechanisms, lifetime };
        // SAFETY: the contract of the border.
        if !unsafe { set_has(mechanisms_asked, oid::MECHANISM) } {
            credential.needed()?.set(ptr::null_mut());
            return Err(Failure::plain(BAD_MECH));
        }
        // SAFETY: the contract of the border.
        unsafe { answer.fill(name, None, usage_asked) }
    })
}

/// `gssspi_acquire_cred_with_password`.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gssspi_acquire_cred_with_password(
    minor: *mut u32,
    name: *mut NameHandle,
    password: *const Buffer,
    _lifetime_asked: u32,
    mechanisms_asked: *const OidSet,
    usage_asked: c_int,
    credential: *mut *mut CredentialHandle,
    mechanisms: *mut *mut OidSet,
    lifetime: *mut u32,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, credential) = unsafe { (Out::new(minor), Out::new(credential)) };
    // SAFETY: the contract of the border.
    let (mechanisms, lifetime) = unsafe { (Out::new(mechanisms), Out::new(lifetime)) };
    enter(minor, || {
        let answer = Answer { credential, mechanisms, lifetime };
        credential.needed()?.set(ptr::null_mut());
        // SAFETY: the contract of the border.
        let (password, ours) = unsafe {
            (input(password, symbolon_context::MAX_PASSWORD), set_has(mechanisms_asked, oid::MECHANISM))
        };
        if !ours {
            return Err(Failure::plain(BAD_MECH));
        }
        // SAFETY: the contract of the border.
        unsafe { answer.fill(name, Some(password?), usage_asked) }
    })
}

/// `gss_add_cred`: a credential of ours has one element, so a new one comes out, and there is nothing to
/// add to an old one.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_add_cred(
    minor: *mut u32,
    input_credential: *mut CredentialHandle,
    name: *mut NameHandle,
    mechanism: *const Oid,
    usage_asked: c_int,
    _initiator_lifetime_asked: u32,
    _acceptor_lifetime_asked: u32,
    credential: *mut *mut CredentialHandle,
    mechanisms: *mut *mut OidSet,
    initiator_lifetime: *mut u32,
    acceptor_lifetime: *mut u32,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, credential) = unsafe { (Out::new(minor), Out::new(credential)) };
    // SAFETY: the contract of the border.
    let (mechanisms, lifetime) = unsafe { (Out::new(mechanisms), Out::new(initiator_lifetime)) };
    // SAFETY: the contract of the border.
    let accepting = unsafe { Out::new(acceptor_lifetime) };
    enter(minor, || {
        credential.needed()?.set(ptr::null_mut());
        // SAFETY: the contract of the border.
        unsafe { means_us(mechanism) }?;
        if !input_credential.is_null() {
            // GSS_S_DUPLICATE_ELEMENT
            return Err(Failure::plain(17 << 16));
        }
        accepting.set(INDEFINITE);
        // SAFETY: the contract of the border.
        unsafe { Answer { credential, mechanisms, lifetime }.fill(name, None, usage_asked) }
    })
}

/// `gss_release_cred`.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_release_cred(minor: *mut u32, credential: *mut *mut CredentialHandle) -> u32 {
    // SAFETY: the contract of the border.
    let minor = unsafe { Out::new(minor) };
    enter(minor, || {
        // SAFETY: the contract of the border.
        drop(unsafe { Handle::take(credential) }?);
        Ok(COMPLETE)
    })
}

/// What can be told of a credential; of the default one when there is none.
unsafe fn about(
    credential: *mut CredentialHandle,
    name: Out<'_, *mut NameHandle>,
    usage_told: Out<'_, c_int>,
) -> Result<Usage, Failure> {
    name.set(ptr::null_mut());
    // SAFETY: the contract of the border.
    let given = unsafe { Handle::get_if_any(credential) }?;
    let default;
    let credential = match &given {
        Some(given) => &**given,
        None => {
            default = Credential::acquire(None, None, Usage::Initiate)
                .or_else(|_| Credential::acquire(None, None, Usage::Accept))?;
            &default
        }
    };
    if name.is_wanted() {
        let known = credential.name().ok_or(Failure::plain(NO_CRED))?;
        name.set(Handle::give(known));
    }
    usage_told.set(usage_code(credential.usage()));
    Ok(credential.usage())
}

/// `gss_inquire_cred`.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_inquire_cred(
    minor: *mut u32,
    credential: *mut CredentialHandle,
    name: *mut *mut NameHandle,
    lifetime: *mut u32,
    usage_told: *mut c_int,
    mechanisms: *mut *mut OidSet,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, name, lifetime) = unsafe { (Out::new(minor), Out::new(name), Out::new(lifetime)) };
    // SAFETY: the contract of the border.
    let (usage_told, mechanisms) = unsafe { (Out::new(usage_told), Out::new(mechanisms)) };
    enter(minor, || {
        mechanisms.set(ptr::null_mut());
        // SAFETY: the contract of the border.
        unsafe { about(credential, name, usage_told) }?;
        lifetime.set(INDEFINITE);
        mechanisms.copy(&[oid::MECHANISM])?;
        Ok(COMPLETE)
    })
}

/// `gss_inquire_cred_by_mech`.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_inquire_cred_by_mech(
    minor: *mut u32,
    credential: *mut CredentialHandle,
    mechanism: *const Oid,
    name: *mut *mut NameHandle,
    initiator_lifetime: *mut u32,
    acceptor_lifetime: *mut u32,
    usage_told: *mut c_int,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, name, usage_told) = unsafe { (Out::new(minor), Out::new(name), Out::new(usage_told)) };
    // SAFETY: the contract of the border.
    let (initiating, accepting) = unsafe { (Out::new(initiator_lifetime), Out::new(acceptor_lifetime)) };
    enter(minor, || {
        // SAFETY: the contract of the border.
        unsafe { means_us(mechanism) }?;
        // SAFETY: the contract of the border.
        let usage = unsafe { about(credential, name, usage_told) }?;
        initiating.set(if usage == Usage::Accept { 0 } else { INDEFINITE });
        accepting.set(if usage == Usage::Initiate { 0 } else { INDEFINITE });
        Ok(COMPLETE)
    })
}
