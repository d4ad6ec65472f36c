//! `admin apps`: under which name the gateway reaches what.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use symbolon_policy::{AppName, TemplateName};
use symbolon_server::MAX_ROOTS;

use super::listing::{Details, Done, Listing, rows};
use super::{Desk, path};
use crate::exit::{AtPath as _, Complaint, Outcome};

const APPS: &str = "/v1/apps";

/// What can be done about applications.
#[derive(Debug, Subcommand)]
pub(crate) enum AppsCommand {
    /// List all applications
    List,
    /// Show one application
    Show {
        /// The application's name
        name: AppName,
    },
    /// Publish an application, or change one
    Add(AddArgs),
    /// Let an application be opened again, as its entitlements say
    Enable {
        /// The application's name
        name: AppName,
    },
    /// Let nobody open an application, and end its streams, but keep its entitlements
    Disable {
        /// The application's name
        name: AppName,
    },
    /// Remove an application and the entitlements to it
    Remove {
        /// The application's name
        name: AppName,
    },
}

/// An application that is to be.
#[derive(Args, Debug)]
pub(crate) struct AddArgs {
    /// Under which name people open it: `db`, `db.office`
    name: AppName,
    /// Where the gateway dials: HOST:PORT, tcp:HOST:PORT, tls:HOST:PORT if it wants TLS, or unix:/PATH
    target: String,
    /// What it speaks, a hint for people and tools [default: by the target's port]
    #[arg(long)]
    protocol: Option<Protocol>,
    /// One line about it
    #[arg(long, default_value = "", value_name = "TEXT")]
    description: String,
    /// The registration template of those who come for it
    #[arg(long, value_name = "NAME")]
    template: Option<TemplateName>,
    /// Serve it to TLS clients that ask for this host's name (SNI), at the node's TLS port
    #[arg(long, value_name = "NAME")]
    tls_name: Option<String>,
    /// Which TLS clients: those with a certificate of somebody who is entitled to it, or anyone
    #[arg(long, value_name = "WHO", requires = "tls_name", value_parser = ["entitled", "anyone"])]
    tls_clients: Option<String>,
    /// What it speaks behind TLS, best first, for instance h2,http/1.1 (ALPN) [default: by its protocol]
    #[arg(long, value_name = "NAMES", requires = "tls_name")]
    tls_alpn: Option<String>,
    /// For whom the certificate of an application at tls:HOST:PORT is [default: HOST]
    #[arg(long, value_name = "NAME")]
    app_name: Option<String>,
    /// Certificates (PEM) to which that one must chain; they are stored [default: those that the system trusts]
    #[arg(long, value_name = "FILE")]
    app_ca: Option<PathBuf>,
    /// Publish it, but let nobody open it yet
    #[arg(long)]
    disabled: bool,
}

/// What an application speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Protocol {
    /// A web server
    Http,
    /// A PostgreSQL server
    Postgresql,
    /// An OpenSSH server
    Ssh,
    /// Anything else over TCP
    Tcp,
}

impl Protocol {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Postgresql => "postgresql",
            Self::Ssh => "ssh",
            Self::Tcp => "tcp",
        }
    }

    /// What listens on a port as a rule.
    fn of_target(target: &str) -> Self {
        match target.rsplit_once(':').map(|(_, port)| port) {
            Some("443" | "8443") if target.starts_with("tls:") => Self::Http,
            Some("22") => Self::Ssh,
            Some("80" | "3000" | "8000" | "8080") => Self::Http,
            Some("5432") => Self::Postgresql,
            _ => Self::Tcp,
        }
    }
}

pub(super) async fn run(desk: &Desk<'_>, command: AppsCommand) -> Outcome {
    let output = desk.global.output();
    match command {
        AppsCommand::List => {
            let columns = [
                ("NAME", "name"),
                ("TARGET", "target"),
                ("PROTOCOL", "protocol"),
                ("TLS NAME", "tls_name"),
                ("ENABLED", "enabled"),
                ("DESCRIPTION", "description"),
            ];
            let example = desk.paste.node(["admin", "apps", "add", "db", "127.0.0.1:5432"]);
            let none = format!("No applications yet. Publish one, for example:\n  {example}");
            output.report(&Listing::new("apps", desk.node.get(APPS).await?, columns, none));
        }
        AppsCommand::Show { name } => output.report(&Details(find(desk, &name).await?)),
        AppsCommand::Add(args) => add(desk, args).await?,
        AppsCommand::Enable { name } => switch(desk, &name, true, "can be opened again").await?,
        AppsCommand::Disable { name } => switch(desk, &name, false, "cannot be opened now").await?,
        AppsCommand::Remove { name } => {
            let answer = desk.node.delete(&path(APPS, [name.as_str()])).await?;
            output.report(&Done::new(answer, format!("{name} and the entitlements to it are removed.")));
        }
    }
    Ok(())
}

async fn add(desk: &Desk<'_>, args: AddArgs) -> Outcome {
    let target = full_target(&args.target);
    let protocol = args.protocol.unwrap_or_else(|| Protocol::of_target(&target)).as_str();
    let roots = args.app_ca.as_deref().map(read_roots).transpose()?;
    let body = json!({
        "target": target, "protocol": protocol, "description": args.description,
        "template": args.template, "enabled": !args.disabled,
        "tls_name": args.tls_name, "tls_clients": args.tls_clients, "tls_alpn": args.tls_alpn,
        "app_name": args.app_name, "app_ca": roots,
    });
    let answer = desk.node.put(&path(APPS, [args.name.as_str()]), &body).await?;
    let next = desk.paste.node(["admin", "entitlements", "grant", "/people", args.name.as_str()]);
    let sentence = format!(
        "{} is published ({protocol}, {target}). To let everybody below /people reach it:",
        args.name
    );
    desk.global.output().report(&Done::new(answer, sentence).next(next));
    Ok(())
}

/// Certificates of a file, of which there may be some dozens.
fn read_roots(from: &Path) -> Outcome<String> {
    let mut text = String::new();
    let file = File::open(from).at(from)?;
    let length = file.take(MAX_ROOTS as u64 + 1).read_to_string(&mut text).at(from)?;
    if length > MAX_ROOTS {
        let complaint = format!("{} has more than {MAX_ROOTS} bytes", from.display());
        return Err(Complaint::failure(complaint).fix("give the authority of this application alone"));
    }
    Ok(text)
}

async fn switch(desk: &Desk<'_>, name: &AppName, enabled: bool, what: &str) -> Outcome {
    let mut app = find(desk, name).await?;
    if let Some(fields) = app.as_object_mut() {
        fields.remove("name");
        fields.insert("enabled".to_owned(), enabled.into());
    }
    let answer = desk.node.put(&path(APPS, [name.as_str()]), &app).await?;
    desk.global.output().report(&Done::new(answer, format!("{name} {what}.")));
    Ok(())
}

async fn find(desk: &Desk<'_>, name: &AppName) -> Outcome<Value> {
    let apps = rows("apps", desk.node.get(APPS).await?);
    apps.into_iter().find(|app| app["name"] == name.as_str()).ok_or_else(|| {
        Complaint::failure(format!("there is no application {name}"))
            .code("not_found")
            .fix(format!("see those there are: {}", desk.paste.node(["admin", "apps", "list"])))
    })
}

/// `HOST:PORT` is short for `tcp:HOST:PORT`.
fn full_target(target: &str) -> String {
    if ["tcp:", "tls:", "unix:"].iter().any(|form| target.starts_with(form)) {
        target.to_owned()
    } else {
        format!("tcp:{target}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_port_is_short_for_a_target() {
        for (typed, meant) in [
            ("127.0.0.1:5432", "tcp:127.0.0.1:5432"),
            ("tcp:db:22", "tcp:db:22"),
            ("[::1]:80", "tcp:[::1]:80"),
            ("tls:wiki:443", "tls:wiki:443"),
            ("unix:/run/app.sock", "unix:/run/app.sock"),
        ] {
            assert_eq!(full_target(typed), meant);
        }
    }

    #[test]
    fn no_more_is_read_of_a_file_than_authorities_take() {
        assert!(read_roots(Path::new("/dev/zero")).unwrap_err().message.contains("more than"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "-----BEGIN").unwrap();
        assert_eq!(read_roots(file.path()).unwrap(), "-----BEGIN");
    }

    #[test]
    fn the_protocol_is_guessed_from_well_known_ports_alone() {
        assert_eq!(Protocol::of_target("tcp:db:5432"), Protocol::Postgresql);
        assert_eq!(Protocol::of_target("tcp:[::1]:22"), Protocol::Ssh);
        assert_eq!(Protocol::of_target("tls:wiki:443"), Protocol::Http);
        assert_eq!(Protocol::of_target("tcp:wiki:443"), Protocol::Tcp);
        assert_eq!(Protocol::of_target("unix:/run/app.sock"), Protocol::Tcp);
    }
}
