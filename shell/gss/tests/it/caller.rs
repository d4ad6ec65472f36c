//! What a C program does around each call.

use crate::world::{PASSWORD, SERVICE, USER, world};
use std::ffi::c_void;
use std::ptr;
use symbolon_gss::abi::*;
use symbolon_gss::{oid, status};

/// Whether a major status is an error (`GSS_ERROR`).
pub(crate) const fn is_error(major: u32) -> bool {
    major & 0xffff_0000 != 0
}

/// A buffer around bytes that outlive it.
pub(crate) fn buffer(bytes: &[u8]) -> Buffer {
    Buffer { length: bytes.len(), value: bytes.as_ptr().cast_mut().cast::<c_void>() }
}

/// An identifier around bytes that outlive it.
pub(crate) fn identifier(bytes: &[u8]) -> Oid {
    Oid { length: bytes.len() as u32, elements: bytes.as_ptr().cast_mut().cast::<c_void>() }
}

/// An empty place for an answer.
pub(crate) const fn place() -> Buffer {
    Buffer { length: 0, value: ptr::null_mut() }
}

/// Copies an answer and frees it as the layer above does.
pub(crate) fn taken(answer: &mut Buffer) -> Vec<u8> {
    if answer.value.is_null() {
        assert_eq!(answer.length, 0);
        return Vec::new();
    }
    // SAFETY: it was given out with this length, and a NUL behind it, by malloc.
    let bytes = unsafe {
        assert_eq!(*answer.value.cast::<u8>().add(answer.length), 0, "texts are printed");
        let bytes = std::slice::from_raw_parts(answer.value.cast::<u8>(), answer.length).to_vec();
        libc::free(answer.value);
        bytes
    };
    *answer = place();
    bytes
}

/// Frees a set as the layer above does, and tells what was in it.
pub(crate) fn taken_set(set: *mut OidSet) -> Vec<Vec<u8>> {
    assert!(!set.is_null());
    let mut all = Vec::new();
    // SAFETY: it was given out by malloc in all its parts.
    unsafe {
        for i in 0..(*set).count {
            let element = &*(*set).elements.add(i);
            let length = element.length as usize;
            all.push(std::slice::from_raw_parts(element.elements.cast::<u8>(), length).to_vec());
            libc::free(element.elements);
        }
        libc::free((*set).elements.cast());
        libc::free(set.cast());
    }
    all
}

/// A name, released at the end.
pub(crate) struct Named(pub(crate) *mut NameHandle);

impl Named {
    pub(crate) fn import(text: &str, name_type: &[u8]) -> Result<Self, u32> {
        let (text, name_type) = (buffer(text.as_bytes()), identifier(name_type));
        let (mut minor, mut name) = (0, ptr::null_mut());
        // SAFETY: all of it lives.
        let major = unsafe { gss_import_name(&mut minor, &text, &name_type, &mut name) };
        if is_error(major) { Err(major) } else { Ok(Self(name)) }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        // SAFETY: it was given out and not released.
        unsafe { gss_release_name(&mut 0, &mut self.0) };
        assert!(self.0.is_null());
    }
}

/// A credential, released at the end.
pub(crate) struct Credential(pub(crate) *mut CredentialHandle);

impl Credential {
    pub(crate) fn password(password: &str) -> Self {
        world();
        let name = Named::import(USER, oid::USER_NAME).unwrap();
        let (password, mut mechanisms) = (buffer(password.as_bytes()), ptr::null_mut());
        let (mut minor, mut credential, mut lifetime) = (0, ptr::null_mut(), 0);
        // SAFETY: all of it lives.
        let major = unsafe {
            gssspi_acquire_cred_with_password(
                &mut minor,
                name.0,
                &password,
                0,
                ptr::null(),
                1,
                &mut credential,
                &mut mechanisms,
                &mut lifetime,
            )
        };
        assert_eq!((major, minor), (0, 0));
        assert_eq!(taken_set(mechanisms), [oid::MECHANISM]);
        Self(credential)
    }

    pub(crate) fn service() -> Self {
        world();
        let (mut minor, mut credential) = (0, ptr::null_mut());
        let name = Named::import(SERVICE, oid::HOST_BASED_SERVICE).unwrap();
        // SAFETY: all of it lives.
        let major = unsafe {
            gss_acquire_cred(
                &mut minor,
                name.0,
                0,
                ptr::null(),
                2,
                &mut credential,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        assert_eq!((major, minor), (0, 0));
        Self(credential)
    }
}

impl Drop for Credential {
    fn drop(&mut self) {
        // SAFETY: it was given out and not released.
        unsafe { gss_release_cred(&mut 0, &mut self.0) };
    }
}

/// One side of a context, deleted at the end.
pub(crate) struct Side {
    pub(crate) context: *mut ContextHandle,
    pub(crate) flags: u32,
    pub(crate) minor: u32,
}

/// `GSS_C_SEQUENCE_FLAG`.
pub(crate) const SEQUENCE: u32 = 8;

impl Side {
    pub(crate) const fn new() -> Self {
        Self { context: ptr::null_mut(), flags: 0, minor: 0 }
    }

    /// `gss_init_sec_context` with this token, if any.
    pub(crate) fn initiate(
        &mut self,
        credential: &Credential,
        flags: u32,
        bindings: *const ChannelBindings,
        token: Option<&[u8]>,
    ) -> (u32, Vec<u8>) {
        let target = Named::import(SERVICE, oid::HOST_BASED_SERVICE).unwrap();
        let token = token.map(buffer);
        let token = token.as_ref().map_or(ptr::null(), ptr::from_ref);
        let mut answer = place();
        // SAFETY: all of it lives.
        let major = unsafe {
            gss_init_sec_context(
                &mut self.minor,
                credential.0,
                &mut self.context,
                target.0,
                &identifier(oid::MECHANISM),
                flags,
                0,
                bindings,
                token,
                ptr::null_mut(),
                &mut answer,
                &mut self.flags,
                ptr::null_mut(),
            )
        };
        (major, taken(&mut answer))
    }

    /// `gss_accept_sec_context` with this token; also who asked.
    pub(crate) fn accept(
        &mut self,
        credential: &Credential,
        bindings: *const ChannelBindings,
        token: &[u8],
    ) -> (u32, Vec<u8>) {
        let (token, mut answer, mut source) = (buffer(token), place(), ptr::null_mut());
        // SAFETY: all of it lives.
        let major = unsafe {
            gss_accept_sec_context(
                &mut self.minor,
                &mut self.context,
                credential.0,
                &token,
                bindings,
                &mut source,
                ptr::null_mut(),
                &mut answer,
                &mut self.flags,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        assert_eq!(source.is_null(), major != status::COMPLETE);
        drop(Named(source));
        (major, taken(&mut answer))
    }

    pub(crate) fn wrap(&self, message: &[u8]) -> Result<Vec<u8>, u32> {
        let (message, mut answer, mut confidential) = (buffer(message), place(), 0);
        // SAFETY: all of it lives.
        let major = unsafe { gss_wrap(&mut 0, self.context, 0, 0, &message, &mut confidential, &mut answer) };
        if is_error(major) {
            return Err(major);
        }
        assert_eq!(confidential, 1);
        Ok(taken(&mut answer))
    }

    pub(crate) fn unwrap(&self, message: &[u8]) -> Result<Vec<u8>, u32> {
        let (message, mut answer) = (buffer(message), place());
        let (mut confidential, mut quality) = (0, 9);
        // SAFETY: all of it lives.
        let major = unsafe {
            gss_unwrap(&mut 0, self.context, &message, &mut answer, &mut confidential, &mut quality)
        };
        let bytes = taken(&mut answer);
        if is_error(major) {
            assert!(bytes.is_empty());
            return Err(major);
        }
        assert_eq!((confidential, quality), (1, 0));
        Ok(bytes)
    }

    pub(crate) fn get_mic(&self, message: &[u8]) -> Result<Vec<u8>, u32> {
        let (message, mut answer) = (buffer(message), place());
        // SAFETY: all of it lives.
        let major = unsafe { gss_get_mic(&mut 0, self.context, 0, &message, &mut answer) };
        if is_error(major) { Err(major) } else { Ok(taken(&mut answer)) }
    }

    pub(crate) fn verify_mic(&self, message: &[u8], check: &[u8]) -> u32 {
        let (message, check) = (buffer(message), buffer(check));
        // SAFETY: all of it lives.
        unsafe { gss_verify_mic(&mut 0, self.context, &message, &check, ptr::null_mut()) }
    }

    pub(crate) fn export(&mut self) -> Result<Vec<u8>, u32> {
        let mut answer = place();
        // SAFETY: all of it lives.
        let major = unsafe { gss_export_sec_context(&mut 0, &mut self.context, &mut answer) };
        if is_error(major) { Err(major) } else { Ok(taken(&mut answer)) }
    }

    pub(crate) fn import(state: &[u8]) -> Result<Self, u32> {
        let mut side = Self::new();
        let state = buffer(state);
        // SAFETY: all of it lives.
        let major = unsafe { gss_import_sec_context(&mut 0, &state, &mut side.context) };
        if is_error(major) { Err(major) } else { Ok(side) }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // SAFETY: it was given out and not deleted.
        unsafe { gss_delete_sec_context(&mut 0, &mut self.context, ptr::null_mut()) };
        assert!(self.context.is_null());
    }
}

/// An open context, initiator first.
pub(crate) fn open(flags: u32) -> (Side, Side) {
    let (user, service) = (Credential::password(PASSWORD), Credential::service());
    let (mut one, mut other) = (Side::new(), Side::new());
    let (major, first) = one.initiate(&user, flags, ptr::null(), None);
    assert_eq!((major, one.minor), (status::CONTINUE_NEEDED, 0));
    let (major, second) = other.accept(&service, ptr::null(), &first);
    assert_eq!((major, other.minor), (status::COMPLETE, 0));
    let (major, third) = one.initiate(&user, flags, ptr::null(), Some(&second));
    assert_eq!((major, one.minor), (status::COMPLETE, 0));
    assert!(third.is_empty());
    (one, other)
}
