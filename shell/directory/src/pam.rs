//! Passwords by PAM, the machine's own way of checking them (Linux-PAM 1.4 or later).
//!
//! The library `libpam.so.0` is loaded when it is first needed. A check asks one service, which the
//! administrator writes for Symbolon: `auth` (is the password right?) and `account` (may the user come
//! in?). No session is opened and no password is changed.
//!
//! Modules are other people's C and may take their time: each check has a thread of its own, of which
//! there are a few at most, and is waited for no longer than a limit. A module that never returns
//! keeps its thread; the others go on until no thread is left, and then say so at once.

mod backend;
mod library;
mod service;

pub use backend::{Pam, PamConfig};
pub use service::{PamService, PamServiceError};
