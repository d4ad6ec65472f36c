//! The models of formal/: protocols under Verifpal, and state machines explored to their last state.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::{run, watch};
use crate::question::{Answer, may_we};
use crate::steps::{Outcome, Steps};
use crate::tally::Tally;
use crate::workspace::{cargo, root, target_directory};

/// The manifest of the workspace that holds the state machines.
pub(crate) const MANIFEST: &str = "formal/states/Cargo.toml";

/// The version whose results are pinned: another one may search further, or write another language. It is a
/// program that we run, under its own licence, and no part of what we build.
const VERIFPAL: &str = "1.6.7";

/// What is expected of the models, in [`models`]'s own small part of TOML.
const EXPECTED: &str = "formal/expected.toml";

/// Everything about formal/.
pub(crate) fn check(answer: Answer) -> Result<ExitCode> {
    let mut steps = Steps::new();
    steps.check("Verifpal", move || provide(answer));
    add_steps(&mut steps);
    Ok(steps.run())
}

/// What is checked once Verifpal is there.
pub(crate) fn add_steps(steps: &mut Steps<'_>) {
    steps.step("models of the protocols", models);
    steps.step("state machines of two nodes", states);
}

/// Installs Verifpal among the tools of the target directory, unless it is there.
pub(crate) fn provide(answer: Answer) -> Result<()> {
    if is_there()? {
        println!("Verifpal {VERIFPAL} is installed.");
        return Ok(());
    }
    if !may_we(&format!("Install Verifpal {VERIFPAL} with cargo (five minutes)"), answer)? {
        println!("The models will not be checked.");
        return Ok(());
    }
    // It asks for a newer Rust than it needs.
    let package = format!("verifpal@{VERIFPAL}");
    run(cargo()
        .args(["install", "--locked", "--ignore-rust-version", &package, "--root"])
        .arg(target_directory()?.join("tools")))
}

fn verifpal() -> Result<PathBuf> {
    Ok(target_directory()?.join("tools").join("bin").join("verifpal"))
}

fn is_there() -> Result<bool> {
    let program = verifpal()?;
    let version = Command::new(&program).arg("--version").output();
    Ok(version.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).trim() == format!("verifpal {VERIFPAL}")))
}

/// A model, how far it is searched, and what must be found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Model {
    name: String,
    sessions: u8,
    expected: String,
}

/// What came of a model.
struct Found {
    model: Model,
    code: String,
    took: Duration,
}

/// Every model against its line in the table.
fn models() -> Result<Outcome> {
    if !is_there()? {
        return Ok(Outcome::Skipped("Verifpal is not installed"));
    }
    let table = std::fs::read_to_string(root().join(EXPECTED)).context(EXPECTED)?;
    let models = parse(&table)?;
    every_model_has_its_line(&models)?;
    println!(
        "sessions, time, what was found (c confidentiality, a authentication, f freshness; 1 an attack)"
    );
    let program = verifpal()?;
    let queue = Mutex::new(VecDeque::from(models));
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            let (sender, queue, program) = (sender.clone(), &queue, &program);
            scope.spawn(move || {
                let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                while let Some(model) = next() {
                    if sender.send(verify(program, model)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for found in results {
            print(&found?, &mut tally);
        }
        Ok(Outcome::of_tests(tally, true))
    })
}

fn verify(program: &std::path::Path, model: Model) -> Result<Found> {
    let start = Instant::now();
    let out = Command::new(program)
        .current_dir(root().join("formal"))
        .args(["verify", "--result-code", "--quiet", "--sessions", &model.sessions.to_string()])
        .arg(format!("{}.vp", model.name))
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let text = String::from_utf8_lossy(if out.status.success() { &out.stdout } else { &out.stderr });
    let code = text.trim().lines().next_back().unwrap_or("nothing").to_owned();
    Ok(Found { model, code, took: start.elapsed() })
}

fn print(found: &Found, tally: &mut Tally) {
    let Found { model, code, took } = found;
    let as_expected = *code == model.expected;
    *tally += if as_expected { Tally::HELD } else { Tally { passed: 0, failed: 1 } };
    let word = if as_expected { "held" } else { "FAILED" };
    println!("{word:<7}{} {:>6.1} s  {:<32}{code}", model.sessions, took.as_secs_f64(), model.name);
    if !as_expected {
        println!("{:>18}{:<32}{}", "", "expected", model.expected);
    }
}

fn every_model_has_its_line(models: &[Model]) -> Result<()> {
    for file in std::fs::read_dir(root().join("formal"))? {
        let path = file?.path();
        if path.extension().is_some_and(|e| e == "vp") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            if !models.iter().any(|m| m.name == name) {
                bail!("{EXPECTED} has no line for {name}.vp");
            }
        }
    }
    for model in models {
        if !root().join("formal").join(format!("{}.vp", model.name)).is_file() {
            bail!("{EXPECTED} has a line for {}.vp, which is not there", model.name);
        }
    }
    Ok(())
}

/// Reads the table: comments, two headings, and `name = "code"` under them.
fn parse(table: &str) -> Result<Vec<Model>> {
    let mut models = Vec::new();
    let mut sessions = None;
    for (number, line) in table.lines().enumerate() {
        let fault = || format!("{EXPECTED}:{}: `{line}` is not understood", number + 1);
        match line.trim() {
            "" => {}
            comment if comment.starts_with('#') => {}
            "[one-session]" => sessions = Some(1),
            "[two-sessions]" => sessions = Some(2),
            entry => {
                let (name, code) = entry.split_once(" = ").with_context(fault)?;
                let code = code.strip_prefix('"').and_then(|c| c.strip_suffix('"')).with_context(fault)?;
                let sessions = sessions.with_context(fault)?;
                models.push(Model { name: name.to_owned(), sessions, expected: code.to_owned() });
            }
        }
    }
    Ok(models)
}

/// A cargo command in the workspace of the state machines. Nothing that it builds serves elsewhere, so it has a
/// target directory of its own and waits for nobody.
pub(crate) fn cargo_there(subcommand: &str) -> Result<Command> {
    let mut command = cargo();
    command.args([subcommand, "--manifest-path", MANIFEST, "--target-dir"]);
    command.arg(target_directory()?.join("formal"));
    Ok(command)
}

fn states() -> Result<Outcome> {
    let mut tally = Tally::default();
    let succeeded = watch(cargo_there("run")?.args(["--locked", "--quiet"]), &mut |line| {
        match line.split_whitespace().next() {
            Some("held") => tally.passed += 1,
            Some("FAILED") => tally.failed += 1,
            _ => {}
        }
        Some(line.to_owned())
    })?;
    if tally.passed == 0 {
        tally.failed += 1;
    }
    Ok(Outcome::of_tests(tally, succeeded))
}

#[cfg(test)]
mod tests {
    use super::{Model, parse};

    #[test]
    fn the_table_is_read() {
        let table = "# why\n[two-sessions]\na = \"c0a1\"\n\n[one-session]\nb = \"c1\"\n";
        let model = |name: &str, sessions, expected: &str| Model {
            name: name.to_owned(),
            sessions,
            expected: expected.to_owned(),
        };
        assert_eq!(parse(table).unwrap(), [model("a", 2, "c0a1"), model("b", 1, "c1")]);
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for table in ["a = \"c0\"", "[two-sessions]\na = c0", "[two-sessions]\na", "[three-sessions]\n"] {
            assert!(parse(table).is_err(), "{table}");
        }
    }
}
