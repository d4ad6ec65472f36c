//! Hostile bytes for every parser that a stranger reaches.
//!
//! A [`Target`] is a plain function that must neither panic nor break a promise that it asserts, whatever it is fed.
//! Two drivers feed them: `cargo xtask fuzz` with the small [`Mutator`] of this crate, on the stable toolchain and
//! repeatable from a printed seed; and cargo-fuzz, guided by coverage, through the wrappers in `cargo-fuzz/`.
//!
//! An input that once made a target fail belongs into `corpus/TARGET/`: every run begins with those.

mod context_first_message;
mod mutator;

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
pub const TARGETS: &[Target] = &[context_first_message::TARGET];

/// Feeds `data` to the target called `name`; for the wrappers of cargo-fuzz.
///
/// # Panics
/// When no target has that name, or on a finding.
pub fn feed(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|t| t.name == name).expect("the wrapper names a target of this crate");
    (target.feed)(data);
}
