//! The command line as a type: first what was typed, then (in each command's module) what it means.

use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand};

use crate::admin::AdminCommand;
use crate::certificate::CertificateCommand;
use crate::connect::ConnectArgs;
use crate::demo::DemoCommand;
use crate::doctor::DoctorArgs;
use crate::enrol::EnrolArgs;
use crate::login::{AgentArgs, LoginArgs};
use crate::output::Output;
use crate::quickstart::QuickstartArgs;
use crate::serve::ServeArgs;
use crate::token::TokenCommand;
use crate::user::PlaceArgs;

/// Access to private applications through a gateway, from a token with no secret in it.
#[derive(Debug, Parser)]
#[command(
    name = "symbolon",
    version,
    propagate_version = false,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 ok, 1 failure, 2 usage, 3 denied, 4 unreachable; 128+N ended by signal N before it was done \
                  (143: SIGTERM, 130: ^C).\nWhat runs until it is told to stop (serve, agent, connect with a port, \
                  quickstart) ends with 0 when it is told, and with 1 when it was not up yet."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Where a person's token and agent live [default: the XDG directories]
    #[arg(long, global = true, env = "SYMBOLON_HOME", value_name = "DIR", hide_env_values = true)]
    pub(crate) home: Option<PathBuf>,
    /// Where a node lives [env: SYMBOLON_DIR] [default: /var/lib/symbolon for root, else the XDG state directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// A node's configuration file [env: SYMBOLON_CONFIG] [default: /etc/symbolon/symbolon.toml where it exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print one JSON object, also for failures: {"schema":1,"ok":…}; connect with a port prints one a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log more; twice for still more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Log errors only and leave out remarks
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

impl Global {
    /// For whom the output is.
    pub(crate) const fn output(&self) -> Output {
        Output { json: self.json, quiet: self.quiet }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring up a whole system on this machine, use it once, and say what to try next
    Quickstart(QuickstartArgs),
    /// Watch what Symbolon does when something breaks, on this machine and in a directory that is gone afterwards
    #[command(subcommand, arg_required_else_help = true)]
    Demo(DemoCommand),
    /// Run a node; its first start makes issuer, certificates and store, and one invitation
    Serve(ServeArgs),
    /// Register with a gateway by an invitation link, and keep the token
    #[command(alias = "enroll")]
    Enrol(EnrolArgs),
    /// Unlock the token, start the agent in the background and sign in
    Login(LoginArgs),
    /// The agent in the foreground, as a service
    Agent(AgentArgs),
    /// Whether the agent is signed in, where, and for how long
    Status,
    /// What may be reached
    Ls,
    /// As whom the agent is signed in
    Whoami,
    /// Tell the gateway the place of this machine, after which it may entitle to other things
    Place(PlaceArgs),
    /// Reach an application by a local port, or by standard input and output
    #[command(
        after_help = "With --json and a port, it prints an object a line, each with an \"event\": ready (the port's \
                      address), withdrawn and granted (the right to the application), failed (a connection), ended."
    )]
    Connect(ConnectArgs),
    /// End the session and the agent
    Logout,
    /// Say what is wrong here, and how to mend it
    Doctor(DoctorArgs),
    /// Look at the token, move it, change its PIN
    #[command(subcommand, arg_required_else_help = true)]
    Token(TokenCommand),
    /// Get a certificate for this device, look at it, remove it
    #[command(subcommand, arg_required_else_help = true)]
    Certificate(CertificateCommand),
    /// Manage a node that runs on this machine
    #[command(subcommand, arg_required_else_help = true)]
    Admin(AdminCommand),
    /// Print the completion script of a shell
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write all of them into the directory of --dir
    Man,
    /// Print the version
    Version,
}

/// The whole command line, for completions, manual pages and tests.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_command_renders_its_help() {
        let mut command = command();
        command.build();
        let mut names = Vec::new();
        visit(&mut command, &mut names);
        for name in
            ["symbolon quickstart", "symbolon enrol", "symbolon admin tokens invite", "symbolon token export"]
        {
            assert!(names.iter().any(|n| n == name), "{name} is missing of {names:?}");
        }
    }

    fn visit(command: &mut clap::Command, names: &mut Vec<String>) {
        let name = command.get_bin_name().unwrap_or("symbolon").to_owned();
        let help = command.render_long_help().to_string();
        assert!(help.contains("Usage:"), "{name}: {help}");
        assert!(command.get_about().is_some(), "{name} does not say what it does");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{name}: {} is not explained", argument.get_id());
        }
        names.push(name);
        for sub in command.get_subcommands_mut() {
            visit(sub, names);
        }
    }

    #[test]
    fn a_pin_is_never_an_argument() {
        let mut command = command();
        command.build();
        refuse_secrets(&command);
    }

    fn refuse_secrets(command: &clap::Command) {
        for argument in command.get_arguments() {
            let name = argument.get_long().unwrap_or_default();
            let secret = ["pin", "password", "passphrase", "secret"].contains(&name);
            assert!(!secret, "--{name} would put a secret on the command line");
        }
        command.get_subcommands().for_each(refuse_secrets);
    }
}
