//! What a person reads when the tests run with their output shown.
#![expect(clippy::print_stdout, reason = "the transcript is the purpose")]

use std::process::Command;

use crate::Finished;

/// Longest output of a program that is shown in full, in lines.
const SHOWN: usize = 24;

/// Opens a scenario: what a person wants to do.
#[macro_export]
macro_rules! scenario {
    ($($text:tt)*) => { $crate::transcript::scenario(&format!($($text)*)) };
}

/// Says what happens next and why.
#[macro_export]
macro_rules! step {
    ($($text:tt)*) => { $crate::transcript::step(&format!($($text)*)) };
}

/// Prints the title of a scenario; see [`scenario!`].
pub fn scenario(text: &str) {
    println!("\n\n## {text}");
}

/// Prints a step; see [`step!`].
pub fn step(text: &str) {
    println!("\n * {text}");
}

/// Prints a command as a person would type it.
pub fn command(command: &Command) {
    let program = std::path::Path::new(command.get_program());
    let mut line = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for arg in command.get_args() {
        let arg = arg.to_string_lossy();
        let plain =
            !arg.is_empty() && !arg.contains(|c: char| c.is_whitespace() || "'\"#;&|<>*?$`\\".contains(c));
        line.push(' ');
        if plain {
            line.push_str(&arg);
        } else {
            line.push_str(&format!("'{}'", arg.replace('\'', r"'\''")));
        }
    }
    println!("   $ {line}");
}

/// Prints what a program answered.
pub fn answer(finished: &Finished) {
    output(&finished.text());
    output(&finished.complaint());
    match finished.code {
        Some(0) => {}
        Some(code) => println!("     (exit code {code})"),
        None => println!("     (ended by a signal)"),
    }
}

/// Prints a program's output, shortened when it is long.
pub fn output(text: &str) {
    let count = text.lines().count();
    for line in text.lines().take(SHOWN) {
        println!("     {line}");
    }
    if count > SHOWN {
        println!("     … {} more lines", count - SHOWN);
    }
}
