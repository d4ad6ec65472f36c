//! `symbolon admin …`: noun, then verb, over the socket of the node on this machine.

mod apps;
mod audit;
mod ca;
mod ca_elsewhere;
mod ca_files;
mod ca_gateway;
mod ca_issue;
mod ca_offline;
mod ca_revoke;
mod client;
mod connections;
mod copies;
mod entitlements;
mod explain;
mod listing;
mod office;
mod sessions;
mod status;
mod templates;
mod tokens;
mod upgrade;
mod users;

use clap::Subcommand;

use crate::cli::Global;
use crate::exit::Outcome;
use crate::paste::Paste;
use crate::{place, runtime};

pub(crate) use ca_files::pem;
pub(crate) use client::{AdminClient, path};
pub(crate) use listing::rows;

/// What can be managed.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// People and devices: who is known, approved, locked
    #[command(subcommand, arg_required_else_help = true)]
    Users(users::UsersCommand),
    /// Applications: under which name the gateway reaches what
    #[command(subcommand, arg_required_else_help = true)]
    Apps(apps::AppsCommand),
    /// Entitlements: who may reach which application, and under what conditions
    #[command(subcommand, arg_required_else_help = true)]
    Entitlements(entitlements::EntitlementsCommand),
    /// Registration templates: what the gateway asks of whoever registers
    #[command(subcommand, arg_required_else_help = true)]
    Templates(templates::TemplatesCommand),
    /// Tokens and the invitations to register them
    #[command(subcommand, arg_required_else_help = true)]
    Tokens(tokens::TokensCommand),
    /// Live sessions
    #[command(subcommand, arg_required_else_help = true)]
    Sessions(sessions::SessionsCommand),
    /// TLS clients that know nothing of ours, at the node's TLS port
    #[command(subcommand, arg_required_else_help = true)]
    Connections(connections::ConnectionsCommand),
    /// Certificates of persons and devices, and the issuer
    #[command(subcommand, arg_required_else_help = true)]
    Ca(ca::CaCommand),
    /// The chain of everything that was changed
    #[command(subcommand, arg_required_else_help = true)]
    Audit(audit::AuditCommand),
    /// Why a user may or may not reach an application
    Explain(explain::ExplainArgs),
    /// How the node is
    Status,
    /// Move the records of a node that does not run into a PostgreSQL database
    Migrate(copies::MigrateArgs),
    /// Keep a copy of keys and records for bad days; the node may run
    Backup(copies::BackupArgs),
    /// Make a node of a backup, where none is
    Restore(copies::RestoreArgs),
    /// Put the program that stands in the node's place now in charge; connections go on
    Upgrade,
}

/// What a command of administration has at hand.
pub(crate) struct Desk<'a> {
    pub(crate) node: AdminClient,
    pub(crate) global: &'a Global,
    pub(crate) paste: Paste,
}

/// Runs a command of administration.
pub(crate) fn run(global: &Global, command: AdminCommand) -> Outcome {
    let dir = place::node_dir(global)?;
    let paste = Paste::new(global).about(&dir);
    let node = AdminClient::new(dir, paste.clone());
    let desk = Desk { node, global, paste };
    runtime::small()?.block_on(async {
        match command {
            AdminCommand::Users(command) => users::run(&desk, command).await,
            AdminCommand::Apps(command) => apps::run(&desk, command).await,
            AdminCommand::Entitlements(command) => entitlements::run(&desk, command).await,
            AdminCommand::Templates(command) => templates::run(&desk, command).await,
            AdminCommand::Tokens(command) => tokens::run(&desk, command).await,
            AdminCommand::Sessions(command) => sessions::run(&desk, command).await,
            AdminCommand::Connections(command) => connections::run(&desk, command).await,
            AdminCommand::Ca(command) => ca::run(&desk, command).await,
            AdminCommand::Audit(command) => audit::run(&desk, command).await,
            AdminCommand::Explain(args) => explain::run(&desk, args).await,
            AdminCommand::Status => status::run(&desk).await,
            AdminCommand::Migrate(args) => copies::migrate(&desk, &args).await,
            AdminCommand::Backup(args) => copies::backup(&desk, &args).await,
            AdminCommand::Restore(args) => copies::restore(&desk, &args).await,
            AdminCommand::Upgrade => upgrade::run(&desk).await,
        }
    })
}
