#![allow(clippy::print_stdout, clippy::panic, reason = "a seed that fails shows its trace")]
//! Thousands of worlds hold, the same seed is the same world, and planted bugs are found.

mod planted;
mod seeds;
