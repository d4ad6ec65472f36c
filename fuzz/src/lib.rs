//! Hostile bytes for every parser that a stranger reaches.
//!
//! A [`Target`] is a plain function that must neither panic nor break a promise that it asserts, whatever it is fed.
//! Two drivers feed them: `cargo xtask fuzz` with the small [`Mutator`] of this crate, on the stable toolchain and
//! repeatable from a printed seed; and cargo-fuzz, guided by coverage, through the wrappers in `cargo-fuzz/`.
//!
//! What stands behind encryption would never be reached by changed bytes, since they open nothing. So the first byte of
//! an input chooses a *way*: the rest is the message as it travels, or the content that a stranger who plays by the
//! rules would seal.
//!
//! An input that once made a target fail belongs into `corpus/TARGET/`: every run begins with those.

mod ap_req;
mod certificate_tokens;
mod certificates;
mod context_first_message;
mod encoding;
mod gateway;
mod gss_tokens;
mod jwt;
mod kerberos;
mod ledgers;
mod mutator;
mod record_and_wrapped;
mod registration_messages;
mod session_messages;
mod session_tickets;
mod template_and_policy;
mod tls_records;
mod token_container;

pub use mutator::{Mutator, Random};

/// Something that takes bytes from a stranger.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line, and of its directory in `corpus/`.
    pub name: &'static str,
    /// Feeds it; a panic is a finding.
    pub feed: fn(&[u8]),
    /// Inputs that it accepts, from which others are made.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    context_first_message::TARGET,
    registration_messages::TARGET,
    record_and_wrapped::TARGET,
    token_container::TARGET,
    template_and_policy::TARGET,
    gss_tokens::TARGET,
    certificates::TARGET,
    certificate_tokens::TARGET,
    session_tickets::TARGET,
    jwt::TARGET,
    kerberos::TARGET,
    tls_records::TARGET,
    ledgers::TARGET,
];

/// Feeds `data` to the target called `name`; for the wrappers of cargo-fuzz.
///
/// # Panics
/// When no target has that name, or on a finding.
pub fn feed(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|t| t.name == name).expect("the wrapper names a target of this crate");
    (target.feed)(data);
}

/// An input that goes the given way.
fn by(way: u8, rest: &[u8]) -> Vec<u8> {
    [&[way], rest].concat()
}
