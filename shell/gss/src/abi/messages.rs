//! Calls that protect messages.

use super::contexts::ContextHandle;
use super::enter;
use super::memory::{Buffer, Handle, Out, message};
use crate::now;
use crate::status::{BAD_QOP, COMPLETE, FAILURE, Failure, NO_CONTEXT};
use std::ffi::{c_int, c_void};
use symbolon_record::WRAP_OVERHEAD;

/// There is one quality of protection, the default.
const fn only_quality(quality: u32) -> Result<(), Failure> {
    if quality == 0 { Ok(()) } else { Err(Failure::plain(BAD_QOP)) }
}

/// `gss_wrap`. Always encrypts, and says so: a caller that wants integrity alone gets both.
///
/// # Safety
/// The contract of the border, as for every function here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_wrap(
    minor: *mut u32,
    context: *mut ContextHandle,
    _confidential: c_int,
    quality: u32,
    plain: *const Buffer,
    is_confidential: *mut c_int,
    wrapped: *mut Buffer,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, told, wrapped) = unsafe { (Out::new(minor), Out::new(is_confidential), Out::new(wrapped)) };
    enter(minor, || {
        wrapped.needed()?.clear();
        // SAFETY: the contract of the border.
        let (mut context, plain) = unsafe { (Handle::get(context)?, message(plain)?) };
        only_quality(quality)?;
        wrapped.copy(&context.wrap(plain, now())?)?;
        told.set(1);
        Ok(COMPLETE)
    })
}

/// `gss_unwrap`.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_unwrap(
    minor: *mut u32,
    context: *mut ContextHandle,
    wrapped: *const Buffer,
    plain: *mut Buffer,
    was_confidential: *mut c_int,
    quality: *mut u32,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, plain) = unsafe { (Out::new(minor), Out::new(plain)) };
    // SAFETY: the contract of the border.
    let (told, quality) = unsafe { (Out::new(was_confidential), Out::new(quality)) };
    enter(minor, || {
        plain.needed()?.clear();
        // SAFETY: the contract of the border.
        let (mut context, wrapped) = unsafe { (Handle::get(context)?, message(wrapped)?) };
        plain.copy(context.unwrap(wrapped, now())?.expose())?;
        told.set(1);
        quality.set(0);
        Ok(COMPLETE)
    })
}

/// `gss_get_mic`.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_get_mic(
    minor: *mut u32,
    context: *mut ContextHandle,
    quality: u32,
    plain: *const Buffer,
    check: *mut Buffer,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, check) = unsafe { (Out::new(minor), Out::new(check)) };
    enter(minor, || {
        check.needed()?.clear();
        // SAFETY: the contract of the border.
        let (mut context, plain) = unsafe { (Handle::get(context)?, message(plain)?) };
        only_quality(quality)?;
        check.copy(&context.get_mic(plain, now())?)?;
        Ok(COMPLETE)
    })
}

/// `gss_verify_mic`.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_verify_mic(
    minor: *mut u32,
    context: *mut ContextHandle,
    plain: *const Buffer,
    check: *const Buffer,
    quality: *mut u32,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, quality) = unsafe { (Out::new(minor), Out::new(quality)) };
    enter(minor, || {
        // SAFETY: the contract of the border.
        let (mut context, plain, check) =
            unsafe { (Handle::get(context)?, message(plain)?, message(check)?) };
        context.verify_mic(plain, check, now())?;
        quality.set(0);
        Ok(COMPLETE)
    })
}

/// `gss_wrap_size_limit`.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_wrap_size_limit(
    minor: *mut u32,
    context: *mut ContextHandle,
    _confidential: c_int,
    quality: u32,
    wrapped_length: u32,
    plain_length: *mut u32,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, plain_length) = unsafe { (Out::new(minor), Out::new(plain_length)) };
    enter(minor, || {
        plain_length.needed()?.set(0);
        // SAFETY: the contract of the border.
        let context = unsafe { Handle::get(context) }?;
        only_quality(quality)?;
        if !context.is_open() {
            return Err(Failure::plain(NO_CONTEXT));
        }
        plain_length.set(wrapped_length.saturating_sub(WRAP_OVERHEAD as u32));
        Ok(COMPLETE)
    })
}

/// `gss_pseudo_random` (RFC 4401). `length` is C's `ssize_t`.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_pseudo_random(
    minor: *mut u32,
    context: *mut ContextHandle,
    key: c_int,
    input: *const Buffer,
    length: isize,
    output: *mut Buffer,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, output) = unsafe { (Out::new(minor), Out::new(output)) };
    enter(minor, || {
        output.needed()?.clear();
        // SAFETY: the contract of the border.
        let (mut context, input) = unsafe { (Handle::get(context)?, message(input)?) };
        let bad = Failure::plain(FAILURE);
        let length = usize::try_from(length).map_err(|_| bad)?;
        let key = u32::try_from(key).map_err(|_| bad)?;
        output.copy(context.pseudo_random(key, input, length)?.expose())?;
        Ok(COMPLETE)
    })
}

/// `gss_process_context_token`: there are no tokens of that kind.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_process_context_token(
    minor: *mut u32,
    context: *mut ContextHandle,
    _token: *const c_void,
) -> u32 {
    // SAFETY: the contract of the border.
    let minor = unsafe { Out::new(minor) };
    enter(minor, || {
        // SAFETY: the contract of the border.
        drop(unsafe { Handle::get(context) }?);
        Err(Failure::plain(crate::status::DEFECTIVE_TOKEN))
    })
}
