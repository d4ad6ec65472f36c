//! Acceptance files with a transcript that a person can read.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::check::build_release;
use crate::command::watch;
use crate::tally::Tally;
use crate::workspace::{cargo, release_binary, root};

/// The names that a person types, and the test targets they stand for.
const FILES: &[(&str, &[&str])] = &[
    ("story", &["story"]),
    ("a", &["a_context", "a_credentials", "a_gateway", "a_gss"]),
    ("b", &["b_token", "b_hardware"]),
    ("c", &["c_front", "c_kills", "c_demo", "c_browser", "c_hot_store", "c_stores"]),
    ("signals", &["signals"]),
    ("service", &["service"]),
];

/// Crates whose tests of classes of faults (`cve_…`) need real parts too: a KDC, a slapd, a provider, PAM, C callers.
/// They run with file `a`.
const WITH_REAL_PARTS: &[&str] = &["symbolon-tickets", "symbolon-directory", "symbolon-gss"];

/// Runs the files of `name`, or all; the last line printed is `N passed, N failed`.
pub(crate) fn run(name: Option<&str>) -> Result<ExitCode> {
    let chosen: Vec<_> = FILES.iter().filter(|(short, _)| name.is_none_or(|n| n == *short)).collect();
    if chosen.is_empty() {
        let names: Vec<_> = FILES.iter().map(|(short, _)| *short).collect();
        bail!("there is no acceptance file `{}`; there are {}", name.unwrap_or_default(), names.join(", "));
    }
    build_release()?;
    let mut total = Tally::default();
    let with_a = chosen.iter().any(|(short, _)| *short == "a");
    for target in chosen.into_iter().flat_map(|(_, targets)| *targets) {
        println!("\n# {target}: testing/acceptance/{target}.rs");
        total += tallied(&mut command(target)?, readable)?;
    }
    if with_a {
        println!("\n# classes of faults, with real parts: `cve_` in {}", WITH_REAL_PARTS.join(", "));
        total += tallied(&mut classes_of_faults(), |line| Some(line.to_owned()))?;
    }
    println!("\n{total}");
    Ok(if total.failed == 0 && total.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs tests, shows of each line what `shown` makes of it, and counts.
fn tallied(command: &mut Command, shown: fn(&str) -> Option<String>) -> Result<Tally> {
    let mut tally = Tally::default();
    let succeeded = watch(command, &mut |line| match Tally::of_line(line) {
        Some(more) => {
            tally += more;
            None
        }
        None => shown(line),
    })?;
    if !succeeded {
        tally.failed = tally.failed.max(1);
    }
    Ok(tally)
}

fn classes_of_faults() -> Command {
    let mut command = cargo();
    command.arg("test").args(WITH_REAL_PARTS.iter().flat_map(|name| ["--package", name]));
    command.args(["--test", "it", "--", "cve_"]);
    command
}

fn command(target: &str) -> Result<Command> {
    anyhow::ensure!(
        root().join("testing/acceptance").join(format!("{target}.rs")).is_file(),
        "testing/acceptance/{target}.rs is missing"
    );
    let mut command = cargo();
    command
        .args(["test", "--quiet", "--package", "symbolon-acceptance", "--test", target])
        .args(["--", "--test-threads=1", "--nocapture", "--format=pretty"])
        .env("SYMBOLON_BIN", release_binary()?);
    Ok(command)
}

/// What a person sees of a line: the frame that libtest puts around a transcript is left out.
fn readable(line: &str) -> Option<String> {
    if line == "ok" || line.starts_with("running ") && line.trim_end_matches('s').ends_with(" test") {
        return None;
    }
    match line.strip_prefix("test ").and_then(|l| l.split_once(" ... ")) {
        Some((_, "" | "ok")) => None,
        Some((_, transcript)) if transcript != "FAILED" => Some(transcript.to_owned()),
        _ => Some(line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn the_frame_of_the_test_program_is_left_out() {
        for line in ["running 1 test", "running 12 tests", "test a_person_enrols ... ", "test b ... ok", "ok"]
        {
            assert_eq!(readable(line), None, "{line}");
        }
        assert_eq!(readable("test c ...    $ symbolon ls").as_deref(), Some("   $ symbolon ls"));
    }

    #[test]
    fn what_a_test_says_stays() {
        for line in ["  $ symbolon ls", "", "FAILED", "test b ... FAILED"] {
            assert_eq!(readable(line).as_deref(), Some(line));
        }
    }
}
