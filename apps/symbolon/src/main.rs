#![forbid(unsafe_code)]
//! `symbolon`: node, agent and administration in one binary.
//!
//! ```text
//! cli.rs       what was typed ──► one module for each command ──► Outcome
//!                                      │ symbolon-server          │
//!                                      │ symbolon-agent           ▼
//!                                      │ admin/ (socket)     output.rs  a report, or a complaint with its fix
//!                                                            exit.rs    0 ok 1 failure 2 usage 3 denied 4 unreachable
//! ```
//! Nothing else prints, and nothing else decides an exit code.

mod admin;
mod answers;
mod certificate;
mod cli;
mod connect;
mod demo;
mod device;
mod doctor;
mod duration;
mod enrol;
mod exit;
mod interrupt;
mod login;
mod manual;
mod notify;
mod output;
mod paste;
mod pin;
mod place;
mod private;
mod progress;
mod quickstart;
mod runtime;
mod sample;
mod serve;
mod terminal;
mod token;
mod user;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::cli::{Cli, Command};
use crate::exit::{Complaint, Kind, Outcome};
use crate::output::Output;
use crate::paste::Paste;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(e) => return misunderstood(&e, &arguments),
    };
    let output = cli.global.output();
    let paste = Paste::new(&cli.global);
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(complaint) => {
            let complaint = complaint.complete(&paste);
            if !complaint.is_said() {
                output.complain(&complaint);
            }
            complaint.kind.into()
        }
    }
}

fn run(cli: Cli) -> Outcome {
    let global = &cli.global;
    match cli.command {
        Command::Quickstart(args) => quickstart::run(global, &args),
        Command::Demo(command) => demo::run(global, command),
        Command::Serve(args) => serve::run(global, &args),
        Command::Enrol(args) => enrol::run(global, args),
        Command::Login(args) => login::run(global, &args),
        Command::Agent(args) => login::agent(global, args),
        Command::Status => user::status(global),
        Command::Ls => user::ls(global),
        Command::Whoami => user::whoami(global),
        Command::Place(args) => user::place(global, args),
        Command::Connect(args) => connect::run(global, args),
        Command::Logout => user::logout(global),
        Command::Doctor(args) => doctor::run(global, &args),
        Command::Token(command) => token::run(global, command),
        Command::Certificate(command) => certificate::run(global, command),
        Command::Admin(command) => admin::run(global, command),
        Command::Completion { shell } => {
            manual::completion(global.output(), shell);
            Ok(())
        }
        Command::Man => manual::man(global),
        Command::Version => {
            manual::version(global.output());
            Ok(())
        }
    }
}

/// What was typed is no command: help is a success, anything else a complaint, in JSON where that was asked for.
fn misunderstood(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let json = arguments.iter().take_while(|a| *a != "--").any(|a| a == "--json");
    let output = Output { json: true, quiet: false };
    match error.kind() {
        ErrorKind::DisplayVersion if json => manual::version(output),
        ErrorKind::DisplayHelp if json => manual::help(output, &error.render().to_string()),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // clap knows which stream, and whether it has colours; one that is closed needs no help
            let _ = error.print();
        }
        _ => {
            if json {
                output.complain(&usage_complaint(&error.render().to_string()));
            } else {
                let _ = error.print();
            }
            return Kind::Usage.into();
        }
    }
    ExitCode::SUCCESS
}

/// clap's text without the summary of the usage, which is the fix.
fn usage_complaint(text: &str) -> Complaint {
    let (message, usage) = text.split_once("Usage:").unwrap_or((text, ""));
    let message = message.trim().trim_end_matches("For more information, try '--help'.");
    let message = message.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ");
    let message = if message.is_empty() { "a command is missing".to_owned() } else { message };
    let usage = usage.lines().next().unwrap_or_default().trim();
    Complaint::usage(message).fix(match usage {
        "" => "--help says what may be typed".to_owned(),
        usage => format!("usage: {usage}; --help says more"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_error_becomes_one_sentence_and_its_fix() {
        let error = Cli::try_parse_from(["symbolon", "connect", "--json"]).unwrap_err();
        let complaint = usage_complaint(&error.render().to_string());
        assert_eq!(complaint.kind, Kind::Usage);
        assert!(complaint.message.contains("<APP>"), "{}", complaint.message);
        assert!(complaint.fix.is_some_and(|fix| fix.starts_with("usage: symbolon connect")));
    }

    #[test]
    fn a_name_that_cannot_be_one_is_a_usage_error() {
        for wrong in [
            ["symbolon", "connect", "a b", "--stdio"].as_slice(),
            &["symbolon", "admin", "users", "lock", "a/b"],
            &["symbolon", "admin", "tokens", "invite", "--expires", "soon"],
            &["symbolon", "admin", "users", "groups", "alice"],
            &["symbolon", "ls", "--quiet", "--verbose"],
        ] {
            assert!(Cli::try_parse_from(wrong).is_err_and(|e| e.exit_code() == 2), "{wrong:?}");
        }
    }
}
