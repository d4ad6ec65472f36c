//! The border to the machine's Kerberos library: RFC 2744 calls behind owned handles.
//!
//! Nothing outside this module sees a pointer. Each handle is released where it is dropped, each
//! buffer of the library is copied and given back, and each call passes only memory that outlives it.

#![expect(unsafe_code, reason = "a C library is called here and nowhere else in this crate")]

mod abi;

use std::ffi::{CStr, CString, c_int};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use self::abi::{
    AcceptSecContext, AcquireCredFrom, Buffer, ChannelBindings, DeleteSecContext, DisplayName, DisplayStatus,
    Handle, ImportName, InitSecContext, InquireCred, Oid, OidSet, ReleaseBuffer, ReleaseHandle, Store,
    StoreElement,
};
use super::KerberosError;
use super::token::KRB5_OID;

/// What the library is called by its ABI (Debian: `libgssapi-krb5-2`).
const SONAME: &str = "libgssapi_krb5.so.2";

/// 1.2.840.113554.1.2.2.1, a principal in full (RFC 4121 §2; GSS_KRB5_NT_PRINCIPAL_NAME).
const NT_PRINCIPAL: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x01];

const INDEFINITE: u32 = u32::MAX;
const CONTINUE_NEEDED: u32 = 1;
/// Calling and routine errors (RFC 2744 §3.9.1).
const ERRORS: u32 = 0xffff_0000;

pub(super) const MUTUAL: u32 = 0x2;
pub(super) const ANONYMOUS: u32 = 0x40;
/// Both sides named the same channel bindings (MIT 1.19; as a request: do insist on it).
pub(super) const CHANNEL_BOUND: u32 = 0x800;

pub(super) const BAD_BINDINGS: u32 = 4;
pub(super) const NO_CREDENTIAL: u32 = 7;
pub(super) const DEFECTIVE_TOKEN: u32 = 9;
pub(super) const CREDENTIALS_EXPIRED: u32 = 11;

/// Why a call failed: status codes (RFC 2744 §3.9) and the library's words.
#[derive(Debug)]
pub(super) struct Failure {
    major: u32,
    /// The code of Kerberos itself, negative as `krb5.h` has them.
    pub(super) code: i32,
    pub(super) text: String,
}

impl Failure {
    /// The number of the routine error.
    pub(super) const fn routine_error(&self) -> u32 {
        (self.major >> 16) & 0xff
    }
}

/// What is done with a credential.
#[derive(Clone, Copy)]
pub(super) enum Usage {
    Initiate = 1,
    Accept = 2,
}

/// The calls that are used; the library stays loaded as long as the process lives.
pub(super) struct Library {
    import_name: ImportName,
    display_name: DisplayName,
    display_status: DisplayStatus,
    acquire_cred_from: AcquireCredFrom,
    inquire_cred: InquireCred,
    init_sec_context: InitSecContext,
    accept_sec_context: AcceptSecContext,
    release_buffer: ReleaseBuffer,
    release_name: ReleaseHandle,
    release_cred: ReleaseHandle,
    delete_sec_context: DeleteSecContext,
    _loaded: libloading::Library,
}

/// The library, loaded at the first call.
pub(super) fn library() -> Result<&'static Library, KerberosError> {
    static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
    LIBRARY
        .get_or_init(|| Library::load().map_err(|e| e.to_string()))
        .as_ref()
        .map_err(|e| KerberosError::NoLibrary(e.clone()))
}

impl Library {
    fn load() -> Result<Self, libloading::Error> {
        // SAFETY: the library of that name is MIT's, whose initialisers may run at any time; the
        // types of the calls are those of its headers, gssapi.h and gssapi_ext.h of 1.19 and later.
        // A function pointer is used only through `Self`, which keeps the library loaded.
        unsafe {
            let loaded = libloading::Library::new(SONAME)?;
            Ok(Self {
                import_name: *loaded.get::<ImportName>(b"gss_import_name\0")?,
                display_name: *loaded.get::<DisplayName>(b"gss_display_name\0")?,
                display_status: *loaded.get::<DisplayStatus>(b"gss_display_status\0")?,
                acquire_cred_from: *loaded.get::<AcquireCredFrom>(b"gss_acquire_cred_from\0")?,
                inquire_cred: *loaded.get::<InquireCred>(b"gss_inquire_cred\0")?,
                init_sec_context: *loaded.get::<InitSecContext>(b"gss_init_sec_context\0")?,
                accept_sec_context: *loaded.get::<AcceptSecContext>(b"gss_accept_sec_context\0")?,
                release_buffer: *loaded.get::<ReleaseBuffer>(b"gss_release_buffer\0")?,
                release_name: *loaded.get::<ReleaseHandle>(b"gss_release_name\0")?,
                release_cred: *loaded.get::<ReleaseHandle>(b"gss_release_cred\0")?,
                delete_sec_context: *loaded.get::<DeleteSecContext>(b"gss_delete_sec_context\0")?,
                _loaded: loaded,
            })
        }
    }

    /// The name of a principal that is written in full.
    pub(super) fn principal(&'static self, text: &str) -> Result<Name, Failure> {
        let (buffer, name_type) = (Buffer::of(text.as_bytes()), Oid::of(NT_PRINCIPAL));
        let mut name = Name { library: self, handle: null_mut() };
        let mut minor = 0;
        // SAFETY: the buffer and the OID live through the call, which copies them.
        let major = unsafe {
            (self.import_name)(&raw mut minor, &raw const buffer, &raw const name_type, &raw mut name.handle)
        };
        self.checked(major, minor)?;
        Ok(name)
    }

    /// A credential for Kerberos alone, from the places of `store` (`keytab`, `ccache`, `rcache`).
    pub(super) fn credential(
        &'static self,
        usage: Usage,
        name: Option<&Name>,
        store: &[(&CStr, CString)],
    ) -> Result<Credential, Failure> {
        let mut mechanism = Oid::of(KRB5_OID);
        let mechanisms = OidSet { count: 1, elements: &raw mut mechanism };
        let mut elements: Vec<_> = store
            .iter()
            .map(|(key, value)| StoreElement { key: key.as_ptr(), value: value.as_ptr() })
            .collect();
        let places = Store { count: elements.len() as u32, elements: elements.as_mut_ptr() };
        let places = if elements.is_empty() { null() } else { &raw const places };
        let mut credential = Credential { library: self, handle: null_mut() };
        let mut minor = 0;
        // SAFETY: all that is pointed to lives through the call, which copies it; the two results
        // that are not wanted may be null (RFC 2744 §5.2).
        let major = unsafe {
            (self.acquire_cred_from)(
                &raw mut minor,
                name.map_or(null_mut(), |n| n.handle),
                INDEFINITE,
                &raw const mechanisms,
                usage as c_int,
                places,
                &raw mut credential.handle,
                null_mut(),
                null_mut(),
            )
        };
        self.checked(major, minor)?;
        Ok(credential)
    }

    /// A context that nothing was said in.
    pub(super) const fn context(&'static self) -> Context {
        Context { library: self, handle: null_mut() }
    }

    /// The acceptor's one step.
    pub(super) fn accept(
        &'static self,
        credential: &Credential,
        token: &[u8],
        binding: &[u8],
    ) -> Result<Accepted, Failure> {
        let (input, bindings) = (Buffer::of(token), ChannelBindings::of(binding));
        let mut output = Output { library: self, buffer: Buffer::EMPTY };
        let mut context = self.context();
        let mut source = Name { library: self, handle: null_mut() };
        let mut mechanism: *mut Oid = null_mut();
        let (mut minor, mut flags, mut lifetime) = (0, 0, 0);
        // SAFETY: the inputs live through the call; the outputs are owned by values that release
        // them; the mechanism's OID is static memory of the library; no delegated credential is
        // taken (RFC 2744 §5.1).
        let major = unsafe {
            (self.accept_sec_context)(
                &raw mut minor,
                &raw mut context.handle,
                credential.handle,
                &raw const input,
                &raw const bindings,
                &raw mut source.handle,
                &raw mut mechanism,
                &raw mut output.buffer,
                &raw mut flags,
                &raw mut lifetime,
                null_mut(),
            )
        };
        self.checked(major, minor)?;
        let complete = major & CONTINUE_NEEDED == 0;
        Ok(Accepted {
            by_kerberos: is_kerberos(mechanism),
            principal: if complete { source.display()? } else { String::new() },
            token: output.to_vec(),
            complete,
            flags,
            lifetime_secs: lifetime,
        })
    }

    fn checked(&self, major: u32, minor: u32) -> Result<(), Failure> {
        if major & ERRORS == 0 {
            return Ok(());
        }
        let mut text = self.words(minor, 2);
        if text.is_empty() {
            text = self.words(major, 1);
        }
        Err(Failure { major, code: minor.cast_signed(), text })
    }

    /// What a status means: of the library (`kind` 1) or of Kerberos (2).
    fn words(&self, status: u32, kind: c_int) -> String {
        let mechanism = Oid::of(KRB5_OID);
        let mut output = Output { library: self, buffer: Buffer::EMPTY };
        let (mut minor, mut more) = (0, 0);
        // SAFETY: the OID lives through the call, and the output is owned by a value that releases it.
        let major = unsafe {
            (self.display_status)(
                &raw mut minor,
                status,
                kind,
                &raw const mechanism,
                &raw mut more,
                &raw mut output.buffer,
            )
        };
        if major & ERRORS != 0 {
            return String::new();
        }
        String::from_utf8_lossy(output.bytes()).into_owned()
    }
}

/// What an acceptor learnt.
pub(super) struct Accepted {
    pub(super) by_kerberos: bool,
    pub(super) principal: String,
    pub(super) token: Vec<u8>,
    pub(super) complete: bool,
    pub(super) flags: u32,
    pub(super) lifetime_secs: u32,
}

/// What an initiator's step gave.
pub(super) struct Step {
    pub(super) token: Vec<u8>,
    pub(super) complete: bool,
    pub(super) flags: u32,
}

/// An imported name.
pub(super) struct Name {
    library: &'static Library,
    handle: Handle,
}

impl Name {
    fn display(&self) -> Result<String, Failure> {
        let mut output = Output { library: self.library, buffer: Buffer::EMPTY };
        let mut minor = 0;
        // SAFETY: the handle is a name that the library made; the name's type may be left out.
        let major = unsafe {
            (self.library.display_name)(&raw mut minor, self.handle, &raw mut output.buffer, null_mut())
        };
        self.library.checked(major, minor)?;
        Ok(String::from_utf8(output.to_vec()).unwrap_or_default())
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the handle is a name of the library or null, and is not used again.
        unsafe { (self.library.release_name)(&raw mut minor, &raw mut self.handle) };
    }
}

/// An acquired credential.
pub(super) struct Credential {
    library: &'static Library,
    handle: Handle,
}

impl Credential {
    /// Whose it is; of the default cache the principal that it is for now.
    pub(super) fn holder(&self) -> Result<String, Failure> {
        let mut name = Name { library: self.library, handle: null_mut() };
        let mut minor = 0;
        // SAFETY: the handle is a credential of the library; the name is owned by a value that releases it;
        // results that are not wanted may be null (RFC 2744 §5.21).
        let major = unsafe {
            (self.library.inquire_cred)(
                &raw mut minor,
                self.handle,
                &raw mut name.handle,
                null_mut(),
                null_mut(),
                null_mut(),
            )
        };
        self.library.checked(major, minor)?;
        if name.handle.is_null() { Ok(String::new()) } else { name.display() }
    }
}

impl Drop for Credential {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the handle is a credential of the library or null, and is not used again.
        unsafe { (self.library.release_cred)(&raw mut minor, &raw mut self.handle) };
    }
}

/// A security context, at any stage.
pub(super) struct Context {
    library: &'static Library,
    handle: Handle,
}

// SAFETY: MIT's library keeps no thread's own state in these handles; one that is owned may be used
// by any thread, one at a time.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Send for Credential {}
// SAFETY: as above.
unsafe impl Send for Name {}

impl Context {
    /// One step of the initiator.
    pub(super) fn step(
        &mut self,
        credential: &Credential,
        target: &Name,
        flags: u32,
        binding: Option<&[u8]>,
        reply: Option<&[u8]>,
    ) -> Result<Step, Failure> {
        let mechanism = Oid::of(KRB5_OID);
        let bindings = binding.map(ChannelBindings::of);
        let input = reply.map(Buffer::of);
        let mut output = Output { library: self.library, buffer: Buffer::EMPTY };
        let (mut minor, mut granted) = (0, 0);
        // SAFETY: the inputs live through the call; null stands for "no bindings" and "no token"
        // (RFC 2744 §5.19); the context's handle is written back and released when it is dropped.
        let major = unsafe {
            (self.library.init_sec_context)(
                &raw mut minor,
                credential.handle,
                &raw mut self.handle,
                target.handle,
                &raw const mechanism,
                flags,
                0,
                bindings.as_ref().map_or(null(), std::ptr::from_ref),
                input.as_ref().map_or(null(), std::ptr::from_ref),
                null_mut(),
                &raw mut output.buffer,
                &raw mut granted,
                null_mut(),
            )
        };
        self.library.checked(major, minor)?;
        Ok(Step { token: output.to_vec(), complete: major & CONTINUE_NEEDED == 0, flags: granted })
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the handle is a context of the library or null, and is not used again; no farewell
        // token is wanted.
        unsafe { (self.library.delete_sec_context)(&raw mut minor, &raw mut self.handle, null_mut()) };
    }
}

/// A buffer that the library allocated.
struct Output<'a> {
    library: &'a Library,
    buffer: Buffer,
}

impl Output<'_> {
    fn bytes(&self) -> &[u8] {
        if self.buffer.value.is_null() {
            return &[];
        }
        // SAFETY: the library wrote pointer and length of memory that is its own until released.
        unsafe { std::slice::from_raw_parts(self.buffer.value.cast(), self.buffer.length) }
    }

    fn to_vec(&self) -> Vec<u8> {
        self.bytes().to_vec()
    }
}

impl Drop for Output<'_> {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the buffer is the library's or empty, and is not used again.
        unsafe { (self.library.release_buffer)(&raw mut minor, &raw mut self.buffer) };
    }
}

fn is_kerberos(oid: *const Oid) -> bool {
    if oid.is_null() {
        return false;
    }
    // SAFETY: the library pointed to an OID of its own, which lives as long as it is loaded.
    let bytes = unsafe { std::slice::from_raw_parts((*oid).elements.cast::<u8>(), (*oid).length as usize) };
    bytes == KRB5_OID
}
