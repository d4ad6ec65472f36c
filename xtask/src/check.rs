//! What is checked, in the order that finds cheap mistakes first.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::command::{colour, run, watch};
use crate::question::Answer;
use crate::steps::{Outcome, Steps};
use crate::tally::Tally;
use crate::workspace::{cargo, release_binary};
use crate::{formal, fuzz, layers, packages, seeds, toolchain};

/// Seconds of fuzzing for each target in a run of all checks: twelve targets cost a minute.
const SMOKE_SECONDS: u32 = 5;

/// Crates that the lock file may hold: a stranger builds them all before the first command runs.
const MOST_CRATES: usize = 450;

/// Everything, installing what it needs.
pub(crate) fn test(answer: Answer) -> Result<ExitCode> {
    let mut steps = Steps::new();
    add_setup(&mut steps, answer);
    add_lint(&mut steps);
    steps.check("the matrix of docs/seeds.md", || seeds::check().map(drop));
    steps.check("release binary for the acceptance tests", build_release);
    steps.step("unit, property and acceptance tests", tests);
    steps.step("examples in the documentation", doc_tests);
    steps.check("documentation", build_docs);
    formal::add_steps(&mut steps);
    steps.step("fuzzing, a smoke run", || fuzz::smoke(SMOKE_SECONDS));
    Ok(steps.run())
}

/// Only what [`test()`] installs.
pub(crate) fn setup(answer: Answer) -> Result<ExitCode> {
    let mut steps = Steps::new();
    add_setup(&mut steps, answer);
    Ok(steps.run())
}

/// Format, lints, layers, licences.
pub(crate) fn lint() -> Result<ExitCode> {
    let mut steps = Steps::new();
    add_lint(&mut steps);
    Ok(steps.run())
}

/// The documentation alone.
pub(crate) fn docs() -> Result<ExitCode> {
    let mut steps = Steps::new();
    steps.check("documentation", build_docs);
    Ok(steps.run())
}

/// Builds the binary that acceptance tests run.
pub(crate) fn build_release() -> Result<()> {
    run(cargo().args(["build", "--release", "--package", "symbolon", "--package", "symbolon-gss"]))
}

fn add_setup(steps: &mut Steps<'_>, answer: Answer) {
    steps.check("Debian packages", move || packages::provide(answer));
    steps.check("Rust tools", move || toolchain::provide(answer));
    steps.check("Verifpal", move || formal::provide(answer));
}

fn add_lint(steps: &mut Steps<'_>) {
    steps.check("format", || {
        run(cargo().args(["fmt", "--all", "--check"]))?;
        run(cargo().args(["fmt", "--check", "--manifest-path", fuzz::MANIFEST]))?;
        run(cargo().args(["fmt", "--check", "--manifest-path", formal::MANIFEST]))
    });
    steps.check("layers", layers::check);
    steps.check("size of the lock file", lock_file_is_small);
    steps.check("clippy", || {
        run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
        run(fuzz::cargo_there("clippy")?.args(["--all-targets", "--", "-D", "warnings"]))?;
        run(formal::cargo_there("clippy")?.args(["--all-targets", "--", "-D", "warnings"]))
    });
    steps.step("licences, bans and sources", || {
        if !toolchain::has_deny() {
            return Ok(Outcome::Skipped("cargo-deny is not installed"));
        }
        run(cargo().args(["deny", "check"]))?;
        Ok(Outcome::Held(Tally::HELD))
    });
}

fn lock_file_is_small() -> Result<()> {
    let lock = std::fs::read_to_string(crate::workspace::root().join("Cargo.lock"))?;
    let crates = lock.lines().filter(|l| *l == "[[package]]").count();
    println!("{crates} of at most {MOST_CRATES} crates");
    if crates > MOST_CRATES {
        bail!("Cargo.lock holds {crates} crates: find what the newest ones are for, and do without");
    }
    Ok(())
}

fn tests() -> Result<Outcome> {
    let mut command = cargo();
    if toolchain::has_nextest() {
        let profile = if std::env::var_os("CI").is_some() { "ci" } else { "default" };
        command.args(["nextest", "run", "--workspace", "--profile", profile, "--color", colour()]);
    } else {
        command.args([
            "test",
            "--workspace",
            "--lib",
            "--bins",
            "--tests",
            "--no-fail-fast",
            "--color",
            colour(),
        ]);
    }
    command.env("SYMBOLON_BIN", release_binary()?);
    counted(&mut command)
}

fn doc_tests() -> Result<Outcome> {
    counted(cargo().args(["test", "--workspace", "--doc", "--no-fail-fast", "--color", colour()]))
}

fn build_docs() -> Result<()> {
    run(cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

fn counted(command: &mut std::process::Command) -> Result<Outcome> {
    let mut tally = Tally::default();
    let succeeded = watch(command, &mut |line| {
        if let Some(more) = Tally::of_line(line) {
            tally += more;
        }
        Some(line.to_owned())
    })?;
    Ok(Outcome::of_tests(tally, succeeded))
}
