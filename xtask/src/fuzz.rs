//! The fuzz targets of fuzz/, driven on the stable toolchain by its own small mutator.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::command::watch;
use crate::steps::Outcome;
use crate::tally::Tally;
use crate::workspace::{cargo, target_directory};

/// The manifest of the workspace that holds the targets.
pub(crate) const MANIFEST: &str = "fuzz/Cargo.toml";

/// Seconds for each target when somebody asks for more than a smoke run.
const SECONDS: u32 = 60;

/// Fuzzes as `flags` say; the last line printed is `N passed, N failed`, one for each target.
pub(crate) fn run(flags: &[&str]) -> Result<ExitCode> {
    let mut seconds = SECONDS;
    let mut rest = Vec::new();
    let mut flags = flags.iter();
    while let Some(flag) = flags.next() {
        let mut value = || flags.next().with_context(|| format!("{flag} needs a number"));
        match *flag {
            "--smoke" => seconds = 5,
            "--seconds" => seconds = value()?.parse()?,
            "--seed" => rest.extend(["--seed", value()?]),
            target if !target.starts_with('-') => rest.extend(["--target", target]),
            other => bail!("`{other}` is not a flag of fuzz"),
        }
    }
    let (tally, succeeded) = drive(seconds, &rest)?;
    println!("\n{tally}");
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every target for so many seconds, as a step.
pub(crate) fn smoke(seconds: u32) -> Result<Outcome> {
    let (tally, succeeded) = drive(seconds, &[])?;
    Ok(Outcome::of_tests(tally, succeeded))
}

/// A cargo command in the fuzz workspace.
pub(crate) fn cargo_there(subcommand: &str) -> Result<Command> {
    let mut command = cargo();
    // Of its own: a crate that is a C library too has one file name in a target directory, whichever workspace
    // builds it, and would be another crate to the other one.
    command
        .args([subcommand, "--manifest-path", MANIFEST, "--target-dir"])
        .arg(target_directory()?.join("fuzz"));
    Ok(command)
}

fn drive(seconds: u32, rest: &[&str]) -> Result<(Tally, bool)> {
    let mut command = cargo_there("run")?;
    command.args(["--bin", "fuzz-smoke", "--", "--seconds", &seconds.to_string()]).args(rest);
    let mut tally = Tally::default();
    let succeeded = watch(&mut command, &mut |line| {
        match line.split_whitespace().next() {
            Some("held") => tally.passed += 1,
            Some("FAILED") => tally.failed += 1,
            _ => {}
        }
        Some(line.to_owned())
    })?;
    if !succeeded {
        tally.failed = tally.failed.max(1);
    }
    Ok((tally, succeeded))
}
