//! What outlives a process, with real sockets, real processes and real kills.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot set up its facts has failed")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "processes of the tests tell them where they are"
)]

mod carrying;
mod counting;
mod gateway;
mod holding;
mod hosts;
mod layer;
mod leading;
mod memory;
mod moving;
mod offering;
mod passing;
mod relaying;
mod repairing;
mod roles;
mod succeeding;
mod toy;
