//! The parts of the Rust toolchain that the checks need besides cargo.

use std::process::Command;

use anyhow::Result;

use crate::command::{run, succeeds};
use crate::question::{Answer, may_we};
use crate::workspace::cargo;

/// Provides rustfmt, clippy and nextest.
///
/// # Errors
/// When rustfmt or clippy is missing and cannot be had. A missing nextest is no error:
/// [`has_nextest`] tells, and `cargo test` takes its place.
pub(crate) fn provide(answer: Answer) -> Result<()> {
    let components: Vec<&str> = [("fmt", "rustfmt"), ("clippy", "clippy")]
        .into_iter()
        .filter(|(c, _)| !has(c))
        .map(|(_, name)| name)
        .collect();
    if !components.is_empty()
        && may_we(&format!("Add {} to the toolchain", components.join(" and ")), answer)?
    {
        run(Command::new("rustup").args(["component", "add"]).args(&components))?;
    }
    if has_nextest() {
        println!("cargo-nextest is installed.");
    } else if may_we("Install cargo-nextest with cargo (some minutes)", answer)?
        && let Err(e) = run(cargo().args(["install", "--locked", "cargo-nextest"]))
    {
        println!("{e:#}\nGoing on with `cargo test` in place of nextest.");
    }
    Ok(())
}

/// Whether `cargo nextest` can be called.
pub(crate) fn has_nextest() -> bool {
    has("nextest")
}

/// Whether `cargo deny` can be called.
pub(crate) fn has_deny() -> bool {
    has("deny")
}

fn has(subcommand: &str) -> bool {
    succeeds(cargo().args([subcommand, "--version"]))
}
