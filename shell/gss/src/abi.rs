//! The C border (RFC 2744, and the service-provider calls of MIT krb5's `gssapi_ext.h`).
//!
//! Every function here may be called by any program with anything. What it can be sure of is what C
//! gives: a pointer is null, or it points to what its type says for the time of the call, and to nothing
//! that another thread writes; a handle is null, or one that this library gave out and that was not
//! released. All that can be checked is checked beyond that: nulls, lengths, the mark at the front of a
//! handle, the order of calls. A handle may be used by several threads, one waits for the other.
//!
//! The unsafe part is small and lies in `memory.rs`; the functions themselves turn pointers into safe
//! values in their first lines, under the contract above ("the contract of the border").

mod contexts;
mod credentials;
mod mechanism;
pub(crate) mod memory;
mod messages;
mod names;

pub use contexts::*;
pub use credentials::*;
pub use mechanism::*;
pub use memory::{Buffer, ChannelBindings, Handle, Oid, OidSet};
pub use messages::*;
pub use names::*;

use crate::status::{FAILURE, Failure, Reason};
use memory::Out;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs the body of a call: tells its reason as the minor status, and lets no panic out, not even its
/// message.
fn enter(minor: Out<'_, u32>, body: impl FnOnce() -> Result<u32, Failure>) -> u32 {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !INSIDE.get() {
                before(panic);
            }
        }));
    });
    let outside = !INSIDE.replace(true);
    let result = catch_unwind(AssertUnwindSafe(body))
        .unwrap_or(Err(Failure { major: FAILURE, reason: Reason::Internal }));
    INSIDE.set(!outside);
    match result {
        Ok(major) => {
            minor.set(Reason::None as u32);
            major
        }
        Err(failure) => {
            minor.set(failure.reason as u32);
            failure.major
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_stays_inside_and_says_nothing() {
        let mut minor = 7;
        // SAFETY: it is a place for a number.
        let place = unsafe { Out::new(&raw mut minor) };
        assert_eq!(enter(place, || panic!("a fault of ours")), FAILURE);
        assert_eq!(minor, Reason::Internal as u32);
        // SAFETY: null is allowed.
        assert_eq!(enter(unsafe { Out::new(std::ptr::null_mut()) }, || Ok(1)), 1);
        assert!(!INSIDE.get());
    }
}
