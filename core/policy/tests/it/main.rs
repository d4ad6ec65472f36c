//! Names and decisions, against models that share no code with them.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its facts has failed")]

mod decisions;
mod model;
mod names;
