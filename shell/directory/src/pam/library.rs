//! The border to the machine's PAM library.
//!
//! Nothing outside this module sees a pointer. A conversation lives on the stack of the one call that
//! uses it; what it answers is allocated by C, as PAM asks for, and wiped by PAM.

#![expect(unsafe_code, reason = "a C library is called here and nowhere else in this crate")]

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use symbolon_crypto::SecretBytes;
use zeroize::Zeroize as _;

/// What the library is called by its ABI (Debian: `libpam0g`).
const SONAME: &str = "libpam.so.0";

pub(super) const SUCCESS: c_int = 0;
const BUFFER_ERROR: c_int = 5;
const CONVERSATION_ERROR: c_int = 19;

/// The most messages of one call, by PAM's own limit.
const MAX_MESSAGES: c_int = 32;
/// How often the password is given in one check: stacks ask once or twice.
const MAX_ANSWERS: u32 = 4;

const PROMPT_ECHO_OFF: c_int = 1;
const ERROR_MESSAGE: c_int = 3;
const TEXT: c_int = 4;

/// Say nothing to a terminal; an empty password is none.
const FLAGS: c_int = 0x8000 | 0x1;

const ITEM_USER: c_int = 2;
const ITEM_TERMINAL: c_int = 3;
const ITEM_FAIL_DELAY: c_int = 10;

type Handle = *mut c_void;

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    unused: c_int,
}

type Converse = unsafe extern "C" fn(c_int, *mut *const Message, *mut *mut Response, *mut c_void) -> c_int;

#[repr(C)]
struct Conversation {
    converse: Converse,
    data: *mut c_void,
}

type StartConfdir = unsafe extern "C" fn(
    *const c_char,
    *const c_char,
    *const Conversation,
    *const c_char,
    *mut Handle,
) -> c_int;
type Step = unsafe extern "C" fn(Handle, c_int) -> c_int;
type GetItem = unsafe extern "C" fn(Handle, c_int, *mut *const c_void) -> c_int;
type SetItem = unsafe extern "C" fn(Handle, c_int, *const c_void) -> c_int;
type Words = unsafe extern "C" fn(Handle, c_int) -> *const c_char;

unsafe extern "C" {
    // Of the C library that every program here is linked to; PAM frees with its `free`.
    fn calloc(count: usize, size: usize) -> *mut c_void;
    fn free(memory: *mut c_void);
}

/// The calls that are used; the library stays loaded as long as the process lives.
pub(super) struct Library {
    start: StartConfdir,
    authenticate: Step,
    account: Step,
    end: Step,
    get_item: GetItem,
    set_item: SetItem,
    words: Words,
    _loaded: libloading::Library,
}

/// The library, loaded at the first call; or why it cannot be.
pub(super) fn library() -> Result<&'static Library, String> {
    static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
    LIBRARY.get_or_init(|| Library::load().map_err(|e| e.to_string())).as_ref().map_err(Clone::clone)
}

/// What PAM said of a name and a password.
pub(super) struct Answer {
    /// The code of `pam_authenticate`, or of an earlier failure.
    pub(super) authentication: c_int,
    /// The code of `pam_acct_mgmt`, which is asked when the first is a success.
    pub(super) account: Option<c_int>,
    /// Whether the user is still the one that was asked about: modules may put another in its place.
    pub(super) same_user: bool,
    /// Whether something else than a password was asked for.
    pub(super) asked_otherwise: bool,
    /// PAM's words for the last code.
    pub(super) words: String,
}

impl Library {
    fn load() -> Result<Self, libloading::Error> {
        // SAFETY: the library of that name is Linux-PAM, whose loading runs nothing of consequence;
        // the types of the calls are those of its header pam_appl.h. A function pointer is used only
        // through `Self`, which keeps the library loaded.
        unsafe {
            let loaded = libloading::Library::new(SONAME)?;
            Ok(Self {
                start: *loaded.get::<StartConfdir>(b"pam_start_confdir\0")?,
                authenticate: *loaded.get::<Step>(b"pam_authenticate\0")?,
                account: *loaded.get::<Step>(b"pam_acct_mgmt\0")?,
                end: *loaded.get::<Step>(b"pam_end\0")?,
                get_item: *loaded.get::<GetItem>(b"pam_get_item\0")?,
                set_item: *loaded.get::<SetItem>(b"pam_set_item\0")?,
                words: *loaded.get::<Words>(b"pam_strerror\0")?,
                _loaded: loaded,
            })
        }
    }

    /// One check from beginning to end. Takes as long as the modules do.
    pub(super) fn check(
        &self,
        service: &CStr,
        directory: &CStr,
        user: &CString,
        password: &SecretBytes,
    ) -> Answer {
        let mut talk = Talk { password: password.expose(), answers: 0, asked_otherwise: false };
        let conversation = Conversation { converse, data: (&raw mut talk).cast() };
        let mut handle: Handle = null_mut();
        // SAFETY: all four inputs outlive the handle, which is ended below; PAM copies the texts and
        // the structure, and hands `talk` to `converse` only while a call below is under way.
        let started = unsafe {
            (self.start)(
                service.as_ptr(),
                user.as_ptr(),
                &raw const conversation,
                directory.as_ptr(),
                &raw mut handle,
            )
        };
        let mut transaction = Transaction { library: self, handle, last: started };
        if started == SUCCESS {
            transaction.set_surroundings();
            transaction.step(self.authenticate);
        }
        let authentication = transaction.last;
        let account = (authentication == SUCCESS).then(|| transaction.step(self.account));
        let same_user = transaction.user().as_deref() == Some(user.as_c_str());
        let words = transaction.words();
        drop(transaction);
        Answer { authentication, account, same_user, asked_otherwise: talk.asked_otherwise, words }
    }
}

/// A PAM handle, ended when it is dropped. It may be null, when nothing could be started.
struct Transaction<'a> {
    library: &'a Library,
    handle: Handle,
    last: c_int,
}

impl Transaction<'_> {
    /// What modules may look for: some demand a terminal, and some would let the thread wait after a
    /// wrong password, which is the gateway's business and done without a thread.
    fn set_surroundings(&self) {
        let no_delay: unsafe extern "C" fn(c_int, c_uint, *mut c_void) = no_delay;
        // SAFETY: the handle was started; PAM copies the text and keeps the function's address.
        unsafe {
            (self.library.set_item)(self.handle, ITEM_TERMINAL, c"symbolon".as_ptr().cast());
            (self.library.set_item)(self.handle, ITEM_FAIL_DELAY, no_delay as *const c_void);
        }
    }

    fn step(&mut self, step: Step) -> c_int {
        // SAFETY: the handle was started and is not ended yet.
        self.last = unsafe { step(self.handle, FLAGS) };
        self.last
    }

    fn user(&self) -> Option<CString> {
        if self.handle.is_null() {
            return None;
        }
        let mut item: *const c_void = null();
        // SAFETY: the handle was started; the item is PAM's own text until the handle ends, and is
        // copied at once.
        unsafe {
            let got = (self.library.get_item)(self.handle, ITEM_USER, &raw mut item);
            (got == SUCCESS && !item.is_null()).then(|| CStr::from_ptr(item.cast()).to_owned())
        }
    }

    fn words(&self) -> String {
        // SAFETY: PAM gives static text for any code, whatever the handle is.
        let text = unsafe { (self.library.words)(self.handle, self.last) };
        if text.is_null() {
            return String::new();
        }
        // SAFETY: as above.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            // SAFETY: the handle was started, and is not used again.
            unsafe { (self.library.end)(self.handle, self.last) };
        }
    }
}

/// What the conversation needs, on the stack of [`Library::check`].
struct Talk<'a> {
    password: &'a [u8],
    answers: u32,
    asked_otherwise: bool,
}

unsafe extern "C" fn no_delay(_code: c_int, _microseconds: c_uint, _data: *mut c_void) {}

/// Answers questions for a password, takes note of texts, and refuses everything else.
///
/// # Safety
/// PAM calls it with `count` pointers to messages, a place for the answers, and the data that the
/// conversation was started with.
unsafe extern "C" fn converse(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    if !(1..=MAX_MESSAGES).contains(&count) || messages.is_null() || responses.is_null() || data.is_null() {
        return CONVERSATION_ERROR;
    }
    let count = count.cast_unsigned() as usize;
    // SAFETY: by the contract of this function; `data` is the `Talk` of the call under way, which
    // nobody else looks at meanwhile. `calloc` gives zeroed memory for `count` responses, in which
    // null means "no answer".
    unsafe {
        let talk = &mut *data.cast::<Talk<'_>>();
        let answers = calloc(count, size_of::<Response>()).cast::<Response>();
        if answers.is_null() {
            return BUFFER_ERROR;
        }
        for i in 0..count {
            let message = *messages.add(i);
            match if message.is_null() { 0 } else { (*message).style } {
                ERROR_MESSAGE | TEXT => {}
                PROMPT_ECHO_OFF if talk.answers < MAX_ANSWERS => {
                    talk.answers += 1;
                    (*answers.add(i)).text = c_copy(talk.password);
                }
                _ => {
                    talk.asked_otherwise = true;
                    give_back(answers, i);
                    return CONVERSATION_ERROR;
                }
            }
        }
        *responses = answers;
    }
    SUCCESS
}

/// A copy that C frees; null when there is no memory.
///
/// # Safety
/// The caller gives it to whoever frees it.
unsafe fn c_copy(bytes: &[u8]) -> *mut c_char {
    // SAFETY: there is room for the bytes and the zero at their end, which `calloc` has written.
    unsafe {
        let copy = calloc(bytes.len() + 1, 1).cast::<u8>();
        if !copy.is_null() {
            copy.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
        copy.cast()
    }
}

/// Wipes and frees the first `count` answers, which nobody has been given.
///
/// # Safety
/// `answers` is what `converse` allocated, and is not used again.
unsafe fn give_back(answers: *mut Response, count: usize) {
    // SAFETY: each text is null or a copy that ends with a zero byte.
    unsafe {
        for i in 0..count {
            let text = (*answers.add(i)).text;
            if !text.is_null() {
                let length = CStr::from_ptr(text).count_bytes();
                std::slice::from_raw_parts_mut(text.cast::<u8>(), length).zeroize();
                free(text.cast());
            }
        }
        free(answers.cast());
    }
}
