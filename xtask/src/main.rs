#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool that talks to the person who called it"
)]
//! `cargo xtask`: everything that is done with the repository besides building it.
//!
//! Each command is a list of steps, and each step is an ordinary command that a person could type.
//! [`check`] holds the lists, [`steps`] runs them and prints the closing table.

mod acceptance;
mod bench;
mod check;
mod command;
mod formal;
mod fuzz;
mod layers;
mod packages;
mod question;
mod seeds;
mod steps;
mod tally;
mod toolchain;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::question::Answer;

const USAGE: &str = "\
cargo xtask COMMAND

  test [--yes]             install what the tests need (asks first), then run every check there is
  ci                       the same, with the question answered
  setup [--yes]            only install what the tests need
  lint                     format, clippy, layers, licences
  docs                     build the documentation, warnings are errors
  acceptance [NAME]        story, a, b or signals with a transcript; without a name all
  bench NAME [--json]      measure: context, credentials, stream, gateway,
                           session-memory, timing
  formal [--yes]           the models of formal/ against what is expected of them; installs Verifpal
  fuzz [--smoke] [--seconds N] [--seed N] [TARGET]
                           feed hostile bytes to the parsers: 60 s a target, or 5 s with --smoke
  seeds                    the matrix of docs/seeds.md, checked, and how many rows work";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("xtask: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[&str]) -> Result<ExitCode> {
    match words {
        [] | ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        ["test", flags @ ..] => check::test(answer(flags)?),
        ["ci"] => check::test(Answer::Yes),
        ["setup", flags @ ..] => check::setup(answer(flags)?),
        ["lint"] => check::lint(),
        ["docs"] => check::docs(),
        ["acceptance"] => acceptance::run(None),
        ["acceptance", name] => acceptance::run(Some(name)),
        ["bench", name, flags @ ..] => bench::run(name, flags),
        ["formal", flags @ ..] => formal::check(answer(flags)?),
        ["fuzz", flags @ ..] => fuzz::run(flags),
        ["seeds"] => seeds::print_and_check(),
        other => bail!("`{}` is not a command\n\n{USAGE}", other.join(" ")),
    }
}

fn answer(flags: &[&str]) -> Result<Answer> {
    match flags {
        [] if std::env::var_os("CI").is_some() => Ok(Answer::Yes),
        [] => Ok(Answer::Ask),
        ["--yes" | "-y"] => Ok(Answer::Yes),
        other => bail!("`{}` is not a flag of this command", other.join(" ")),
    }
}
