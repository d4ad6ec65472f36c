//! `admin users`: who is known, and whether they may do anything.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;
use symbolon_policy::{AccessPath, CanonName, GroupName};

use super::listing::{Details, Done, Listing};
use super::{Desk, path};
use crate::exit::{Complaint, Outcome};
use crate::pin;

const USERS: &str = "/v1/users";

/// What can be done about users.
#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// List all users
    List,
    /// Show one user
    Show {
        /// The user's name
        name: CanonName,
    },
    /// Make a user, who then needs an invitation (`admin tokens invite NAME`) or a password
    Add {
        /// The user's name
        name: CanonName,
        /// How people call the user
        #[arg(long, value_name = "TEXT")]
        display: Option<String>,
        /// A group that the user is a member of; may stand several times
        #[arg(long = "group", value_name = "GROUP")]
        groups: Vec<GroupName>,
        /// The access control path [default: /people/NAME]
        #[arg(long, value_name = "PATH")]
        path: Option<AccessPath>,
    },
    /// Let a user in who registered without an invitation
    Approve {
        /// The user's name
        name: CanonName,
    },
    /// Shut a user out: sessions and streams end at once
    Lock {
        /// The user's name
        name: CanonName,
    },
    /// Let a locked user in again
    Unlock {
        /// The user's name
        name: CanonName,
    },
    /// Remove a user with tokens and password
    Remove {
        /// The user's name
        name: CanonName,
    },
    /// Set the groups that a user is a member of; those that are not named are left
    Groups {
        /// The user's name
        name: CanonName,
        /// All groups that the user shall be in
        #[arg(value_name = "GROUP", required_unless_present = "none")]
        groups: Vec<GroupName>,
        /// Take the user out of every group
        #[arg(long, conflicts_with = "groups")]
        none: bool,
    },
    /// Set a user's password: typed twice, or read from a file
    Password {
        /// The user's name
        name: CanonName,
        /// Read the password from a file that only its owner may read
        #[arg(long, value_name = "FILE", conflicts_with = "remove")]
        password_file: Option<PathBuf>,
        /// Take the password away
        #[arg(long)]
        remove: bool,
    },
}

pub(super) async fn run(desk: &Desk<'_>, command: UsersCommand) -> Outcome {
    match command {
        UsersCommand::List => list(desk).await,
        UsersCommand::Show { name } => {
            desk.global.output().report(&Details(desk.node.get(&of(&name, &[])).await?));
            Ok(())
        }
        UsersCommand::Add { name, display, groups, path } => {
            let body = json!({ "name": name, "display": display, "groups": groups, "path": path });
            let answer = desk.node.post(USERS, &body).await?;
            let next = desk.paste.node(["admin", "tokens", "invite", name.as_str()]);
            let done =
                Done::new(answer, format!("{name} is known now. Make an invitation for {name}:")).next(next);
            desk.global.output().report(&done);
            Ok(())
        }
        UsersCommand::Approve { name } => act(desk, &name, "approve", "may sign in now").await,
        UsersCommand::Lock { name } => {
            act(desk, &name, "lock", "is locked; sessions and streams have ended").await
        }
        UsersCommand::Unlock { name } => act(desk, &name, "unlock", "may sign in again").await,
        UsersCommand::Remove { name } => {
            let answer = desk.node.delete(&of(&name, &[])).await?;
            desk.global.output().report(&Done::new(answer, format!("{name} is removed.")));
            Ok(())
        }
        UsersCommand::Groups { name, groups, none: _ } => {
            let answer = desk.node.put(&of(&name, &["groups"]), &json!({ "groups": groups })).await?;
            let listed = groups.iter().map(GroupName::as_str).collect::<Vec<_>>().join(", ");
            let listed = if listed.is_empty() { "no group" } else { &listed };
            desk.global.output().report(&Done::new(answer, format!("{name} is in {listed}.")));
            Ok(())
        }
        UsersCommand::Password { name, password_file, remove } => {
            password(desk, &name, password_file, remove).await
        }
    }
}

async fn list(desk: &Desk<'_>) -> Outcome {
    let columns = [
        ("NAME", "name"),
        ("CALLED", "display"),
        ("STANDING", "standing"),
        ("GROUPS", "groups"),
        ("PATH", "path"),
        ("TOKENS", "tokens"),
        ("SESSIONS", "sessions"),
    ];
    let none = format!("Nobody yet. Invite somebody:\n  {}", desk.paste.node(["admin", "tokens", "invite"]));
    desk.global.output().report(&Listing::new("users", desk.node.get(USERS).await?, columns, none));
    Ok(())
}

async fn act(desk: &Desk<'_>, name: &CanonName, verb: &str, what: &str) -> Outcome {
    let answer = desk.node.post(&of(name, &[verb]), &json!({})).await?;
    desk.global.output().report(&Done::new(answer, format!("{name} {what}.")));
    Ok(())
}

async fn password(desk: &Desk<'_>, name: &CanonName, file: Option<PathBuf>, remove: bool) -> Outcome {
    let place = of(name, &["password"]);
    if remove {
        let answer = desk.node.delete(&place).await?;
        desk.global.output().report(&Done::new(answer, format!("{name} has no password any more.")));
        return Ok(());
    }
    let password = match file {
        Some(file) => pin::read_file(&file)?,
        None => pin::prompt_twice("Password").map_err(|complaint| match complaint.code.as_str() {
            "no-terminal" => {
                Complaint { fix: Some("name a file: --password-file FILE".to_owned()), ..complaint }
            }
            _ => complaint,
        })?,
    };
    let answer = desk.node.put(&place, &json!({ "password": password.as_str() })).await?;
    desk.global.output().report(&Done::new(answer, format!("{name} has a new password.")));
    Ok(())
}

fn of(name: &CanonName, more: &[&str]) -> String {
    path(USERS, std::iter::once(name.as_str()).chain(more.iter().copied()))
}
