//! C's types, and the ways between them and ours.
//!
//! All that a caller frees comes from libc's malloc, since the mechanism layer above frees it with
//! libc's free. A text has a NUL behind its end, which its length does not count: programs print it.

use crate::status::{
    CALL_INACCESSIBLE_READ, CALL_INACCESSIBLE_WRITE, FAILURE, Failure, NO_CONTEXT, NO_CRED, Reason,
};
use crate::{Context, Credential, Name};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Longest buffer that is looked at, in bytes: what a 32-bit length can say in other mechanisms.
const MAX_BUFFER: usize = 1 << 30;

/// Most object identifiers in a set that is looked at, and longest of them in bytes.
const MAX_OIDS: usize = 1024;
const MAX_OID: usize = 256;

/// `gss_buffer_desc`.
#[repr(C)]
#[derive(Debug)]
pub struct Buffer {
    /// In bytes.
    pub length: usize,
    /// Null when there are none.
    pub value: *mut c_void,
}

/// `gss_OID_desc`.
#[repr(C)]
#[derive(Debug)]
pub struct Oid {
    /// In bytes.
    pub length: u32,
    /// The encoding of DER without tag and length.
    pub elements: *mut c_void,
}

// SAFETY: those of ours point to constants and are never written through.
unsafe impl Sync for Oid {}

/// `gss_OID_set_desc`.
#[repr(C)]
#[derive(Debug)]
pub struct OidSet {
    /// How many.
    pub count: usize,
    /// The first of them.
    pub elements: *mut Oid,
}

/// `struct gss_channel_bindings_struct`.
#[repr(C)]
#[derive(Debug)]
pub struct ChannelBindings {
    /// Type of the initiator's address.
    pub initiator_addrtype: u32,
    /// The initiator's address.
    pub initiator_address: Buffer,
    /// Type of the acceptor's address.
    pub acceptor_addrtype: u32,
    /// The acceptor's address.
    pub acceptor_address: Buffer,
    /// What the application knows of the channel (RFC 5056).
    pub application_data: Buffer,
}

/// Something that callers hold by a handle.
pub trait Held {
    /// What a handle of this kind has at its front.
    const MARK: u64;
    /// What a call returns for a handle that is none.
    const ABSENT: u32;
}

impl Held for Name {
    const MARK: u64 = u64::from_be_bytes(*b"sym name");
    const ABSENT: u32 = crate::status::BAD_NAME;
}

impl Held for Credential {
    const MARK: u64 = u64::from_be_bytes(*b"sym cred");
    const ABSENT: u32 = NO_CRED;
}

impl Held for Context {
    const MARK: u64 = u64::from_be_bytes(*b"sym cont");
    const ABSENT: u32 = NO_CONTEXT;
}

/// What a handle points to.
#[repr(C)]
#[derive(Debug)]
pub struct Handle<T> {
    mark: u64,
    value: Mutex<T>,
}

impl<T: Held> Handle<T> {
    /// Hands `value` over to the caller.
    pub(crate) fn give(value: T) -> *mut Self {
        Box::into_raw(Box::new(Self { mark: T::MARK, value: Mutex::new(value) }))
    }

    /// The value behind a handle, for this thread alone.
    ///
    /// # Safety
    /// The contract of the border.
    pub(crate) unsafe fn get<'a>(handle: *const Self) -> Result<MutexGuard<'a, T>, Failure> {
        // SAFETY: the contract of the border.
        unsafe { Self::look(handle) }.ok_or(Failure::plain(T::ABSENT))
    }

    /// The same where a null handle has a meaning.
    ///
    /// # Safety
    /// The contract of the border.
    pub(crate) unsafe fn get_if_any<'a>(handle: *const Self) -> Result<Option<MutexGuard<'a, T>>, Failure> {
        if handle.is_null() {
            return Ok(None);
        }
        // SAFETY: the contract of the border.
        unsafe { Self::get(handle) }.map(Some)
    }

    unsafe fn look<'a>(handle: *const Self) -> Option<MutexGuard<'a, T>> {
        if handle.is_null() || !handle.is_aligned() {
            return None;
        }
        // SAFETY: not null, aligned, and by the contract of the border of some handle of ours, all of
        // which begin with their mark.
        let mark = unsafe { ptr::read(handle.cast::<u64>()) };
        if mark != T::MARK {
            return None;
        }
        // SAFETY: the mark says that it is one of these, and it lives as long as the call.
        let handle = unsafe { &*handle };
        Some(handle.value.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the value back, and the handle away from the caller. A null handle is no error.
    ///
    /// # Safety
    /// The contract of the border.
    pub(crate) unsafe fn take(handle: *mut *mut Self) -> Result<Option<T>, Failure> {
        if handle.is_null() {
            return Err(Failure::plain(CALL_INACCESSIBLE_WRITE | T::ABSENT));
        }
        // SAFETY: not null, so it points to a handle by the contract of the border.
        let held = unsafe { ptr::read(handle) };
        if held.is_null() {
            return Ok(None);
        }
        // SAFETY: the contract of the border. Waits for a thread that still uses it.
        drop(unsafe { Self::get(held) }?);
        // SAFETY: as it was read, it can be written.
        unsafe { ptr::write(handle, ptr::null_mut()) };
        // SAFETY: it is a handle of this kind, made by `give`, and nobody can reach it any more.
        let mut owned = unsafe { Box::from_raw(held) };
        owned.mark = 0;
        Ok(Some(owned.value.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// A place for an answer; where the caller wants none, it goes nowhere.
#[derive(Debug)]
pub(crate) struct Out<'a, T>(*mut T, PhantomData<&'a mut T>);

impl<T> Clone for Out<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Out<'_, T> {}

impl<T> Out<'_, T> {
    /// # Safety
    /// The contract of the border.
    pub(crate) const unsafe fn new(place: *mut T) -> Self {
        Self(place, PhantomData)
    }

    pub(crate) const fn is_wanted(self) -> bool {
        !self.0.is_null()
    }

    pub(crate) fn set(self, value: T) {
        if self.is_wanted() {
            // SAFETY: not null, so it can be written by the contract of the border. What stood there
            // was the caller's, or nothing.
            unsafe { ptr::write(self.0, value) };
        }
    }

    /// For answers that a call is made for.
    pub(crate) const fn needed(self) -> Result<Self, Failure> {
        if self.is_wanted() { Ok(self) } else { Err(Failure::plain(CALL_INACCESSIBLE_WRITE)) }
    }
}

impl Out<'_, Buffer> {
    /// No bytes.
    pub(crate) fn clear(self) {
        self.set(Buffer { length: 0, value: ptr::null_mut() });
    }

    /// A copy of `bytes` for the caller to free; nothing for none.
    pub(crate) fn copy(self, bytes: &[u8]) -> Result<(), Failure> {
        if !self.is_wanted() {
            return Ok(());
        }
        let value = allocate::<u8>(bytes.len() + 1)?;
        // SAFETY: there is room for the bytes and one more.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), value, bytes.len());
            value.add(bytes.len()).write(0);
        }
        self.set(Buffer { length: bytes.len(), value: value.cast() });
        Ok(())
    }

    /// The same for a token: none at all when it is empty, since a length of zero means that nothing is
    /// to be sent.
    pub(crate) fn copy_token(self, bytes: &[u8]) -> Result<(), Failure> {
        if bytes.is_empty() {
            self.clear();
            return Ok(());
        }
        self.copy(bytes)
    }
}

impl Out<'_, *mut OidSet> {
    /// A set of copies for the caller to free.
    pub(crate) fn copy(self, oids: &[&[u8]]) -> Result<(), Failure> {
        if !self.is_wanted() {
            return Ok(());
        }
        let set = allocate::<OidSet>(1)?;
        let elements = match allocate::<Oid>(oids.len().max(1)) {
            Ok(elements) => elements,
            Err(failure) => {
                // SAFETY: it was allocated just now, and nobody else knows of it.
                unsafe { libc::free(set.cast()) };
                return Err(failure);
            }
        };
        for (i, oid) in oids.iter().enumerate() {
            // Without memory an element is empty: valid for whoever frees it.
            let copy = allocate::<u8>(oid.len()).unwrap_or(ptr::null_mut());
            let length = if copy.is_null() { 0 } else { oid.len() };
            if !copy.is_null() {
                // SAFETY: the copy has room for its length.
                unsafe { ptr::copy_nonoverlapping(oid.as_ptr(), copy, length) };
            }
            // SAFETY: there are as many elements as oids.
            unsafe { elements.add(i).write(Oid { length: length as u32, elements: copy.cast() }) };
        }
        // SAFETY: it has room for one set.
        unsafe { set.write(OidSet { count: oids.len(), elements }) };
        self.set(set);
        Ok(())
    }
}

fn allocate<T>(count: usize) -> Result<*mut T, Failure> {
    let no_memory = Failure::new(FAILURE, Reason::TooLong);
    let bytes = count.checked_mul(size_of::<T>()).ok_or(no_memory)?;
    // SAFETY: malloc takes any size. Its alignment is enough for every type of C.
    let memory = unsafe { libc::malloc(bytes.max(1)) };
    if memory.is_null() { Err(no_memory) } else { Ok(memory.cast()) }
}

/// The bytes of a buffer that the caller filled; at most `longest`.
///
/// # Safety
/// The contract of the border.
pub(crate) unsafe fn input<'a>(buffer: *const Buffer, longest: usize) -> Result<&'a [u8], Failure> {
    if buffer.is_null() {
        return Err(Failure::plain(CALL_INACCESSIBLE_READ));
    }
    // SAFETY: not null, so it is a buffer by the contract of the border.
    let buffer = unsafe { &*buffer };
    if buffer.length == 0 {
        return Ok(&[]);
    }
    if buffer.value.is_null() {
        return Err(Failure::plain(CALL_INACCESSIBLE_READ));
    }
    if buffer.length > longest.min(MAX_BUFFER) {
        return Err(Failure::new(FAILURE, Reason::TooLong));
    }
    // SAFETY: by the contract of the border that many bytes are there; they are fewer than isize::MAX.
    Ok(unsafe { std::slice::from_raw_parts(buffer.value.cast(), buffer.length) })
}

/// A message of any length that is one.
///
/// # Safety
/// The contract of the border.
pub(crate) unsafe fn message<'a>(buffer: *const Buffer) -> Result<&'a [u8], Failure> {
    // SAFETY: the contract of the border.
    unsafe { input(buffer, MAX_BUFFER) }
}

/// An object identifier; nothing for none.
///
/// # Safety
/// The contract of the border.
pub(crate) unsafe fn oid<'a>(oid: *const Oid) -> Option<&'a [u8]> {
    if oid.is_null() {
        return None;
    }
    // SAFETY: not null, so it is one by the contract of the border.
    let oid = unsafe { &*oid };
    let length = oid.length as usize;
    if oid.elements.is_null() || length > MAX_OID {
        return Some(&[]);
    }
    // SAFETY: by the contract of the border that many bytes are there.
    Some(unsafe { std::slice::from_raw_parts(oid.elements.cast(), length) })
}

/// Whether a set that the caller gave names `wanted`; no set names everything.
///
/// # Safety
/// The contract of the border.
pub(crate) unsafe fn set_has(set: *const OidSet, wanted: &[u8]) -> bool {
    if set.is_null() {
        return true;
    }
    // SAFETY: not null, so it is a set by the contract of the border.
    let set = unsafe { &*set };
    if set.elements.is_null() {
        return set.count == 0;
    }
    // SAFETY: by the contract of the border there are as many elements as it says.
    set.count == 0
        || (0..set.count.min(MAX_OIDS)).any(|i| unsafe { oid(set.elements.add(i)) } == Some(wanted))
}

/// Whether the system gives the program more rights than its caller has: setuid, or capabilities of the
/// file.
pub(crate) fn is_privileged() -> bool {
    // SAFETY: it reads a number that the kernel left for the process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}
