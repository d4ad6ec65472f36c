//! The figures of docs/benchmarks.md.

use std::process::ExitCode;

use anyhow::Result;

use crate::command::run as run_command;
use crate::workspace::cargo;

/// Measures `name` in a release build; `flags` are passed on.
pub(crate) fn run(name: &str, flags: &[&str]) -> Result<ExitCode> {
    if name == "gateway" {
        // it measures the program itself
        run_command(cargo().args(["build", "--release", "--package", "symbolon"]))?;
    }
    run_command(cargo().args(["run", "--release", "--package", "symbolon-bench", "--", name]).args(flags))?;
    Ok(ExitCode::SUCCESS)
}
