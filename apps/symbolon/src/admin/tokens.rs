//! `admin tokens`: tokens, and the invitations to register them.

use std::path::PathBuf;

use base64::Engine as _;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};
use symbolon_policy::{AppName, CanonName, GroupName, TemplateName};

use super::listing::{Done, Listing, rows};
use super::{Desk, ca_files, path};
use crate::exit::{Complaint, Outcome};
use crate::output::{Page, Report, Table, seconds};
use crate::paste::quote;
use crate::private::{Audience, NewFile};
use crate::{duration, place};

const TOKENS: &str = "/v1/tokens";
const INVITATIONS: &str = "/v1/invitations";

/// What can be done about tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokensCommand {
    /// List registered tokens, and invitations that are still open
    List,
    /// Make an invitation: a link that registers one token
    Invite(InviteArgs),
    /// Make a token to hand out: it holds the issuer's public key and no secret
    Blank {
        /// The file to make
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// For this gateway alone: its certificate goes into the token too
        #[arg(long, value_name = "NAME")]
        gateway: Option<String>,
        /// The certificate of that gateway (identity.crt, PEM or DER), if it is not the one of this node
        #[arg(long, value_name = "FILE")]
        certificate: Option<PathBuf>,
    },
    /// Revoke a token, whose sessions end at once, or an open invitation
    Revoke {
        /// The id of a token or of an invitation, from the list
        id: String,
    },
}

/// An invitation that is to be.
#[derive(Args, Debug)]
pub(crate) struct InviteArgs {
    /// For this user alone; whoever has the link may use it when nobody is named
    user: Option<CanonName>,
    /// By this registration template [default: the node's]
    #[arg(long, value_name = "NAME")]
    template: Option<TemplateName>,
    /// For the sake of this application: by its own template, unless one is named
    #[arg(long, value_name = "NAME")]
    app: Option<AppName>,
    /// Into this group; may stand several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<GroupName>,
    /// How long it is good: 30m, 24h, 7d
    #[arg(long, default_value = "24h", value_name = "TIME", value_parser = duration::seconds)]
    expires: u64,
    /// Write the link to a file that only its owner may read
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) async fn run(desk: &Desk<'_>, command: TokensCommand) -> Outcome {
    match command {
        TokensCommand::List => list(desk).await,
        TokensCommand::Invite(args) => invite(desk, args).await,
        TokensCommand::Blank { out, gateway, certificate } => blank(desk, out, gateway, certificate).await,
        TokensCommand::Revoke { id } => revoke(desk, &id).await,
    }
}

#[derive(Serialize)]
struct Tokens {
    tokens: Vec<Value>,
    invitations: Vec<Value>,
    #[serde(skip)]
    none: String,
}

impl Report for Tokens {
    fn write(&self, page: &mut Page) {
        let tokens = Listing::new(
            "tokens",
            self.tokens.clone().into(),
            [
                ("TOKEN", "id"),
                ("USER", "user"),
                ("CLASS", "class"),
                ("LABEL", "label"),
                ("STATE", "state"),
                ("LAST USED", "last_used"),
            ],
            self.none.as_str(),
        );
        tokens.write(page);
        let open: Vec<&Value> = self.invitations.iter().filter(|i| i["state"] == "open").collect();
        if open.is_empty() {
            return;
        }
        page.gap();
        let mut table = Table::new(["OPEN INVITATION", "FOR", "TEMPLATE", "GROUPS", "EXPIRES"]);
        for invitation in open {
            let cell = |field: &str| super::listing::cell(&invitation[field]);
            let user = if invitation["user"].is_null() { "anybody".to_owned() } else { cell("user") };
            table.row([cell("hash"), user, cell("template"), cell("groups"), cell("expires")]);
        }
        page.table(&table, "");
    }
}

async fn list(desk: &Desk<'_>) -> Outcome {
    let tokens = rows("tokens", desk.node.get(TOKENS).await?);
    let invitations = rows("invitations", desk.node.get(INVITATIONS).await?);
    let none = format!(
        "No token is registered yet. Invite somebody:\n  {}",
        desk.paste.node(["admin", "tokens", "invite"])
    );
    desk.global.output().report(&Tokens { tokens, invitations, none });
    Ok(())
}

#[derive(Serialize)]
struct Invitation {
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    user: Option<CanonName>,
    expires: String,
    #[serde(skip)]
    enrol: String,
}

impl Report for Invitation {
    fn write(&self, page: &mut Page) {
        let whom = self.user.as_ref().map_or("whoever has it first", CanonName::as_str);
        match (&self.file, &self.link) {
            (Some(file), _) => page.line(format!("The invitation for {whom} is in {}.", file.display())),
            (None, Some(link)) => {
                page.line(format!("The invitation for {whom}, to be shown to nobody else:"));
                page.gap();
                page.command(link);
                page.gap();
            }
            (None, None) => {}
        }
        page.line(format!("It is good once, until {}. It is used with", seconds(&self.expires)));
        page.command(&self.enrol);
    }
}

async fn invite(desk: &Desk<'_>, args: InviteArgs) -> Outcome {
    // a path from the root, for the command that is printed
    let out = args.out.as_deref().map(place::absolute).transpose()?;
    // before the invitation exists: one that nobody can see would be left open
    let audience = match &out {
        Some(_) => Audience::Owner,
        None => Audience::of_stdout(),
    };
    if audience == Audience::Others {
        return Err(Complaint::usage(
            "an invitation is a secret, and others can read where this output goes",
        )
        .code("not-private")
        .fix("name a file that only you will read: --out FILE"));
    }
    let file = out.as_ref().map(|path| NewFile::create(path)).transpose()?;
    let body = json!({
        "user": args.user, "template": args.template, "app": args.app, "groups": args.groups,
        "expires_secs": args.expires,
    });
    let answer = desk.node.post(INVITATIONS, &body).await?;
    let link = answer["link"].as_str().unwrap_or_default().to_owned();
    let expires = answer["expires"].as_str().unwrap_or_default().to_owned();
    let enrol = match (&out, file) {
        (Some(path), Some(mut file)) => {
            file.write(format!("{link}\n").as_bytes())?;
            file.finish()?;
            let file = quote(&path.display().to_string());
            format!("{} \"$(cat {file})\"", desk.paste.user(["enrol"]))
        }
        _ => desk.paste.user(["enrol", &link]),
    };
    let link = out.is_none().then_some(link);
    desk.global.output().report(&Invitation { link, file: out, user: args.user, expires, enrol });
    Ok(())
}

async fn blank(
    desk: &Desk<'_>,
    out: PathBuf,
    gateway: Option<String>,
    certificate: Option<PathBuf>,
) -> Outcome {
    let out = place::absolute(&out)?;
    let certificate = certificate.map(|path| ca_files::read_certificate(&path)).transpose()?;
    let certificate = certificate.map(|der| ca_files::to_base64(&der));
    let body = json!({ "gateway": gateway, "certificate": certificate });
    let answer = desk.node.post("/v1/tokens/blank", &body).await?;
    let text = answer["token"].as_str().unwrap_or_default();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|_| Complaint::failure("the node's answer holds no token"))?;
    let mut file = NewFile::create(&out)?;
    file.write(&bytes)?;
    file.finish()?;
    let next = desk.paste.user(["token", "import", &out.display().to_string()]);
    let sentence = format!("{} is a token without any secret. Its owner takes it in with", out.display());
    desk.global.output().report(&Done::new(json!({ "file": out }), sentence).next(next));
    Ok(())
}

async fn revoke(desk: &Desk<'_>, id: &str) -> Outcome {
    // an invitation is named by a hash of 32 bytes, a token by 16 bytes
    let (noun, what) = if id.len() == 64 { (INVITATIONS, "Invitation") } else { (TOKENS, "Token") };
    let answer = desk.node.delete(&path(noun, [id])).await?;
    desk.global.output().report(&Done::new(answer, format!("{what} {id} is revoked.")));
    Ok(())
}
