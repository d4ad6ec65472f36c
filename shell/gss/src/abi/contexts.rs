//! Calls that open, ask about, hand on and end contexts.

use super::credentials::CredentialHandle;
use super::enter;
use super::mechanism::{means_us, mechanism};
use super::memory::{Buffer, ChannelBindings, Handle, Oid, Out, input, message};
use super::names::NameHandle;
use crate::status::{
    CALL_INACCESSIBLE_READ, CALL_INACCESSIBLE_WRITE, COMPLETE, CONTINUE_NEEDED, DEFECTIVE_TOKEN, Failure,
    NO_CONTEXT,
};
use crate::token::MAX_TOKEN;
use crate::{Channel, Context, Wanted, now};
use std::ffi::c_int;
use std::ptr;
use symbolon_provider::crypto;

/// A context as callers hold it.
pub type ContextHandle = Handle<Context>;

// RFC 2744 appendix A, and gssapi_ext.h for the last.
const MUTUAL: u32 = 2;
const REPLAY: u32 = 4;
const SEQUENCE: u32 = 8;
const CONFIDENTIAL: u32 = 16;
const INTEGRITY: u32 = 32;
const PROTECTION_READY: u32 = 128;
const TRANSFERABLE: u32 = 256;
const CHANNEL_BOUND: u32 = 2048;

/// What the hash of a channel begins with.
const CHANNEL: &[u8] = b"symbolon/1 gss channel\0";

/// Longest exported context, in bytes: names, keys and two windows.
const MAX_STATE: usize = 16 * 1024;

fn flags(context: &Context) -> u32 {
    let always = MUTUAL | REPLAY | CONFIDENTIAL | INTEGRITY | TRANSFERABLE;
    let if_so = |flag, so| if so { flag } else { 0 };
    always
        | if_so(SEQUENCE, context.in_order())
        | if_so(PROTECTION_READY, context.is_open())
        | if_so(CHANNEL_BOUND, context.channel_bound())
}

fn lifetime(context: &Context) -> u32 {
    context.lifetime_secs(now()).map_or(0, |secs| u32::try_from(secs).unwrap_or(u32::MAX))
}

/// Hashes what the caller knows of the channel.
unsafe fn channel(bindings: *const ChannelBindings) -> Result<Channel, Failure> {
    if bindings.is_null() {
        return Ok(None);
    }
    // SAFETY: not null, so it is one by the contract of the border.
    let bindings = unsafe { &*bindings };
    // SAFETY: as above.
    let (initiator, acceptor, application) = unsafe {
        (
            message(&raw const bindings.initiator_address)?,
            message(&raw const bindings.acceptor_address)?,
            message(&raw const bindings.application_data)?,
        )
    };
    let length = |bytes: &[u8]| (bytes.len() as u64).to_be_bytes();
    Ok(Some(crypto().sha256(&[
        CHANNEL,
        &bindings.initiator_addrtype.to_be_bytes(),
        &length(initiator),
        initiator,
        &bindings.acceptor_addrtype.to_be_bytes(),
        &length(acceptor),
        acceptor,
        &length(application),
        application,
    ])))
}

/// What both calls that exchange tokens tell.
struct Told<'a> {
    mechanism: Out<'a, *const Oid>,
    token: Out<'a, Buffer>,
    flags: Out<'a, u32>,
    lifetime: Out<'a, u32>,
}

impl Told<'_> {
    fn tell(&self, context: &Context, token: &[u8]) -> Result<u32, Failure> {
        self.token.copy_token(token)?;
        self.mechanism.set(mechanism());
        self.flags.set(flags(context));
        self.lifetime.set(lifetime(context));
        Ok(if context.is_open() { COMPLETE } else { CONTINUE_NEEDED })
    }
}

/// `gss_init_sec_context`.
///
/// # Safety
/// The contract of the border, as for every function here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_init_sec_context(
    minor: *mut u32,
    credential: *mut CredentialHandle,
    context: *mut *mut ContextHandle,
    target: *mut NameHandle,
    mechanism_asked: *const Oid,
    flags_asked: u32,
    _lifetime_asked: u32,
    bindings: *const ChannelBindings,
    token: *const Buffer,
    mechanism_told: *mut *const Oid,
    answer: *mut Buffer,
    flags_told: *mut u32,
    lifetime_told: *mut u32,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, place) = unsafe { (Out::new(minor), Out::new(context)) };
    // SAFETY: the contract of the border.
    let told = unsafe {
        Told {
            mechanism: Out::new(mechanism_told),
            token: Out::new(answer),
            flags: Out::new(flags_told),
            lifetime: Out::new(lifetime_told),
        }
    };
    enter(minor, || {
        told.token.needed()?.clear();
        place.needed()?;
        // SAFETY: the contract of the border.
        unsafe { means_us(mechanism_asked) }?;
        // SAFETY: `needed` says that it is not null.
        let held = unsafe { ptr::read(context) };
        if held.is_null() {
            // SAFETY: the contract of the border. A credential is looked at for this call alone.
            let (target, credential, channel) =
                unsafe { (Handle::get(target), Handle::get_if_any(credential)?, channel(bindings)?) };
            let target = target.map_err(|f| Failure { major: f.major | CALL_INACCESSIBLE_READ, ..f })?;
            let wanted = Wanted { in_order: flags_asked & SEQUENCE != 0 };
            let (begun, token) = Context::initiate(credential.as_deref(), &target, wanted, channel, now())?;
            let major = told.tell(&begun, &token)?;
            place.set(Handle::give(begun));
            return Ok(major);
        }
        // SAFETY: the contract of the border.
        let mut context = unsafe { Handle::get(held) }?;
        if !context.is_initiator() || context.is_open() {
            return Err(Failure::plain(NO_CONTEXT));
        }
        // SAFETY: the contract of the border.
        let token =
            unsafe { input(token, MAX_TOKEN) }.map_err(|f| Failure { major: DEFECTIVE_TOKEN, ..f })?;
        let answer = context.step(token, now())?;
        told.tell(&context, &answer)
    })
}

/// `gss_accept_sec_context`.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_accept_sec_context(
    minor: *mut u32,
    context: *mut *mut ContextHandle,
    credential: *mut CredentialHandle,
    token: *const Buffer,
    bindings: *const ChannelBindings,
    source: *mut *mut NameHandle,
    mechanism_told: *mut *const Oid,
    answer: *mut Buffer,
    flags_told: *mut u32,
    lifetime_told: *mut u32,
    delegated: *mut *mut CredentialHandle,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, place) = unsafe { (Out::new(minor), Out::new(context)) };
    // SAFETY: the contract of the border.
    let (source, delegated) = unsafe { (Out::new(source), Out::new(delegated)) };
    // SAFETY: the contract of the border.
    let told = unsafe {
        Told {
            mechanism: Out::new(mechanism_told),
            token: Out::new(answer),
            flags: Out::new(flags_told),
            lifetime: Out::new(lifetime_told),
        }
    };
    enter(minor, || {
        source.set(ptr::null_mut());
        delegated.set(ptr::null_mut());
        told.token.needed()?.clear();
        place.needed()?;
        // SAFETY: the contract of the border.
        let (token, credential, channel) = unsafe {
            let token = input(token, MAX_TOKEN).map_err(|f| match f.major {
                CALL_INACCESSIBLE_READ => f,
                _ => Failure { major: DEFECTIVE_TOKEN, ..f },
            });
            (token?, Handle::get_if_any(credential)?, channel(bindings)?)
        };
        let tell_source = |context: &Context| {
            if let Some(name) = context.source().filter(|_| source.is_wanted()) {
                source.set(Handle::give(name.clone()));
            }
        };
        // SAFETY: `needed` says that it is not null.
        let held = unsafe { ptr::read(context) };
        if held.is_null() {
            let (begun, answer) = Context::accept(credential.as_deref(), token, channel, now())?;
            let major = told.tell(&begun, &answer)?;
            tell_source(&begun);
            place.set(Handle::give(begun));
            return Ok(major);
        }
        // SAFETY: the contract of the border.
        let mut context = unsafe { Handle::get(held) }?;
        if context.is_initiator() || context.is_open() {
            return Err(Failure::plain(NO_CONTEXT));
        }
        let answer = context.accept_next(credential.as_deref(), token, channel, now())?;
        let major = told.tell(&context, &answer)?;
        tell_source(&context);
        Ok(major)
    })
}

/// `gss_delete_sec_context`. There is nothing to tell the peer.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_delete_sec_context(
    minor: *mut u32,
    context: *mut *mut ContextHandle,
    token: *mut Buffer,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, token) = unsafe { (Out::new(minor), Out::new(token)) };
    enter(minor, || {
        token.clear();
        // SAFETY: the contract of the border.
        drop(unsafe { Handle::take(context) }?);
        Ok(COMPLETE)
    })
}

/// `gss_inquire_context`.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_inquire_context(
    minor: *mut u32,
    context: *mut ContextHandle,
    source: *mut *mut NameHandle,
    target: *mut *mut NameHandle,
    lifetime_told: *mut u32,
    mechanism_told: *mut *const Oid,
    flags_told: *mut u32,
    locally_initiated: *mut c_int,
    open: *mut c_int,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, source, target) = unsafe { (Out::new(minor), Out::new(source), Out::new(target)) };
    // SAFETY: the contract of the border.
    let (lifetime_told, mechanism_told) = unsafe { (Out::new(lifetime_told), Out::new(mechanism_told)) };
    // SAFETY: the contract of the border.
    let (flags_told, ours, open) =
        unsafe { (Out::new(flags_told), Out::new(locally_initiated), Out::new(open)) };
    enter(minor, || {
        source.set(ptr::null_mut());
        target.set(ptr::null_mut());
        // SAFETY: the contract of the border.
        let context = unsafe { Handle::get(context) }?;
        for (place, name) in [(source, context.source()), (target, context.target())] {
            if let Some(name) = name.filter(|_| place.is_wanted()) {
                place.set(Handle::give(name.clone()));
            }
        }
        lifetime_told.set(lifetime(&context));
        mechanism_told.set(mechanism());
        flags_told.set(flags(&context));
        ours.set(c_int::from(context.is_initiator()));
        open.set(c_int::from(context.is_open()));
        Ok(COMPLETE)
    })
}

/// `gss_context_time`.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_context_time(
    minor: *mut u32,
    context: *mut ContextHandle,
    left: *mut u32,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, left) = unsafe { (Out::new(minor), Out::new(left)) };
    enter(minor, || {
        left.needed()?.set(0);
        // SAFETY: the contract of the border.
        let context = unsafe { Handle::get(context) }?;
        match context.lifetime_secs(now())? {
            0 => Err(Failure::plain(crate::status::CONTEXT_EXPIRED)),
            secs => {
                left.set(u32::try_from(secs).unwrap_or(u32::MAX));
                Ok(COMPLETE)
            }
        }
    })
}

/// `gss_export_sec_context`. What comes out holds keys: whoever has it is this side of the context.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_export_sec_context(
    minor: *mut u32,
    context: *mut *mut ContextHandle,
    state: *mut Buffer,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, state) = unsafe { (Out::new(minor), Out::new(state)) };
    enter(minor, || {
        state.needed()?.clear();
        if context.is_null() {
            return Err(Failure::plain(CALL_INACCESSIBLE_READ | CALL_INACCESSIBLE_WRITE | NO_CONTEXT));
        }
        // SAFETY: not null, so it can be read by the contract of the border.
        let held = unsafe { ptr::read(context) };
        // SAFETY: the contract of the border.
        let exported = unsafe { Handle::get(held) }?.export()?;
        state.copy(exported.expose())?;
        // SAFETY: the contract of the border.
        drop(unsafe { Handle::take(context) }?);
        Ok(COMPLETE)
    })
}

/// `gss_import_sec_context`.
///
/// # Safety
/// The contract of the border.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gss_import_sec_context(
    minor: *mut u32,
    state: *const Buffer,
    context: *mut *mut ContextHandle,
) -> u32 {
    // SAFETY: the contract of the border.
    let (minor, place) = unsafe { (Out::new(minor), Out::new(context)) };
    enter(minor, || {
        place.needed()?.set(ptr::null_mut());
        // SAFETY: the contract of the border.
        let state = unsafe { input(state, MAX_STATE) }.map_err(|f| match f.major {
            CALL_INACCESSIBLE_READ => f,
            _ => Failure { major: DEFECTIVE_TOKEN, ..f },
        })?;
        place.set(Handle::give(Context::import(state, now())?));
        Ok(COMPLETE)
    })
}
