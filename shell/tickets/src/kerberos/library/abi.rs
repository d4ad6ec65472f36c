//! The types of gssapi.h and gssapi_ext.h (RFC 2744 appendix A; MIT 1.19 and later), as C lays them out.

use std::ffi::{c_char, c_int, c_void};
use std::ptr::null_mut;

/// The address type "none" of channel bindings (RFC 2744 §3.11). MIT's headers call it unspecified.
const AF_UNSPEC: u32 = 0;

pub(super) type Handle = *mut c_void;

#[repr(C)]
pub(super) struct Buffer {
    pub(super) length: usize,
    pub(super) value: *mut c_void,
}

#[repr(C)]
pub(super) struct Oid {
    pub(super) length: u32,
    pub(super) elements: *mut c_void,
}

#[repr(C)]
pub(super) struct OidSet {
    pub(super) count: usize,
    pub(super) elements: *mut Oid,
}

#[repr(C)]
pub(super) struct ChannelBindings {
    pub(super) initiator_address_type: u32,
    pub(super) initiator_address: Buffer,
    pub(super) acceptor_address_type: u32,
    pub(super) acceptor_address: Buffer,
    pub(super) application_data: Buffer,
}

#[repr(C)]
pub(super) struct StoreElement {
    pub(super) key: *const c_char,
    pub(super) value: *const c_char,
}

#[repr(C)]
pub(super) struct Store {
    pub(super) count: u32,
    pub(super) elements: *mut StoreElement,
}

impl Buffer {
    pub(super) const EMPTY: Self = Self { length: 0, value: null_mut() };

    /// A view for a call that does not write to it, though its C type would allow it.
    pub(super) const fn of(bytes: &[u8]) -> Self {
        Self { length: bytes.len(), value: bytes.as_ptr().cast_mut().cast() }
    }
}

impl Oid {
    pub(super) const fn of(bytes: &'static [u8]) -> Self {
        Self { length: bytes.len() as u32, elements: bytes.as_ptr().cast_mut().cast() }
    }
}

pub(super) type ImportName = unsafe extern "C" fn(*mut u32, *const Buffer, *const Oid, *mut Handle) -> u32;
pub(super) type DisplayName = unsafe extern "C" fn(*mut u32, Handle, *mut Buffer, *mut *mut Oid) -> u32;
pub(super) type DisplayStatus =
    unsafe extern "C" fn(*mut u32, u32, c_int, *const Oid, *mut u32, *mut Buffer) -> u32;
pub(super) type AcquireCredFrom = unsafe extern "C" fn(
    *mut u32,
    Handle,
    u32,
    *const OidSet,
    c_int,
    *const Store,
    *mut Handle,
    *mut *mut OidSet,
    *mut u32,
) -> u32;
pub(super) type InquireCred =
    unsafe extern "C" fn(*mut u32, Handle, *mut Handle, *mut u32, *mut c_int, *mut *mut OidSet) -> u32;
pub(super) type InitSecContext = unsafe extern "C" fn(
    *mut u32,
    Handle,
    *mut Handle,
    Handle,
    *const Oid,
    u32,
    u32,
    *const ChannelBindings,
    *const Buffer,
    *mut *mut Oid,
    *mut Buffer,
    *mut u32,
    *mut u32,
) -> u32;
pub(super) type AcceptSecContext = unsafe extern "C" fn(
    *mut u32,
    *mut Handle,
    Handle,
    *const Buffer,
    *const ChannelBindings,
    *mut Handle,
    *mut *mut Oid,
    *mut Buffer,
    *mut u32,
    *mut u32,
    *mut Handle,
) -> u32;
pub(super) type ReleaseBuffer = unsafe extern "C" fn(*mut u32, *mut Buffer) -> u32;
pub(super) type ReleaseHandle = unsafe extern "C" fn(*mut u32, *mut Handle) -> u32;
pub(super) type DeleteSecContext = unsafe extern "C" fn(*mut u32, *mut Handle, *mut Buffer) -> u32;

impl ChannelBindings {
    /// With data of the application alone, which lives as long as these do.
    pub(super) const fn of(data: &[u8]) -> Self {
        Self {
            initiator_address_type: AF_UNSPEC,
            initiator_address: Buffer::EMPTY,
            acceptor_address_type: AF_UNSPEC,
            acceptor_address: Buffer::EMPTY,
            application_data: Buffer::of(data),
        }
    }
}
