//! `admin entitlements`: who may reach which application, and under what conditions.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use symbolon_policy::{AccessPath, AppName, CanonName, Conditions, EntitlementId, Grantee, NameError};

use super::listing::{Done, Listing, rows};
use super::{Desk, path};
use crate::exit::{Complaint, Outcome};

const ENTITLEMENTS: &str = "/v1/entitlements";

/// What can be done about entitlements.
#[derive(Debug, Subcommand)]
pub(crate) enum EntitlementsCommand {
    /// List all entitlements
    List,
    /// Let somebody reach an application; it works at once, also for agents that are connected
    Grant(Box<GrantArgs>),
    /// Take an entitlement back: it vanishes from connected agents, and its live streams end
    Withdraw {
        /// The entitlement's id, from the list
        id: EntitlementId,
    },
}

/// An entitlement that is to be. All conditions that are named must hold.
#[derive(Args, Debug)]
pub(crate) struct GrantArgs {
    /// To whom: NAME or user:NAME, group:NAME, or /PATH for everybody below an access control path
    #[arg(value_parser = grantee)]
    grantee: Grantee,
    /// To which application
    app: AppName,
    /// On these days and hours, in UTC: 'mon-fri 08:00-18:00'
    #[arg(long, value_name = "DAYS HH:MM-HH:MM")]
    hours: Option<String>,
    /// From this instant on (RFC 3339): 2027-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Until this instant (RFC 3339)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// From an address in this network: 10.0.0.0/8; may stand several times, and one must fit
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<String>,
    /// By a credential of this class: password, oidc, kerberos, software, certificate or hardware; may stand several
    /// times
    #[arg(long = "class", value_name = "CLASS")]
    classes: Vec<String>,
    /// By a sign-in of at least this assurance: low, substantial or high
    #[arg(long, value_name = "LEVEL")]
    assurance: Option<String>,
    /// From a machine that reports this label (it guides honest clients only); may stand several times
    #[arg(long = "machine", value_name = "LABEL")]
    machines: Vec<String>,
    /// From a place that the client reports by this label (it guides honest clients only); may stand several times
    #[arg(long = "place", value_name = "LABEL")]
    places: Vec<String>,
}

impl GrantArgs {
    fn conditions(&self) -> Outcome<Conditions> {
        let one = |name: &'static str, value: &Option<String>| {
            value.iter().map(|v| format!("{name}={v}")).collect()
        };
        let many =
            |name: &'static str, values: &[String]| values.iter().map(|v| format!("{name}={v}")).collect();
        let pieces: [Vec<String>; 8] = [
            one("hours", &self.hours),
            one("from", &self.from),
            one("until", &self.until),
            many("network", &self.networks),
            many("token", &self.classes),
            one("assurance", &self.assurance),
            many("machine", &self.machines),
            many("place", &self.places),
        ];
        Conditions::from_pieces(pieces.iter().flatten().map(String::as_str))
            .map_err(|e| Complaint::usage(e.to_string()).code("conditions"))
    }
}

/// A grantee as people type it: a bare name is a user's, and a path says itself what it is.
fn grantee(text: &str) -> Result<Grantee, NameError> {
    match text {
        path if path.starts_with('/') => AccessPath::parse(path).map(Grantee::Path),
        typed if typed.contains(':') => typed.parse(),
        name => CanonName::parse(name).map(Grantee::User),
    }
}

pub(super) async fn run(desk: &Desk<'_>, command: EntitlementsCommand) -> Outcome {
    let output = desk.global.output();
    match command {
        EntitlementsCommand::List => {
            let entitlements = rows("entitlements", desk.node.get(ENTITLEMENTS).await?);
            let columns =
                [("ID", "id"), ("GRANTEE", "grantee"), ("APPLICATION", "app"), ("CONDITIONS", "text")];
            let example = desk.paste.node(["admin", "entitlements", "grant", "--help"]);
            let none = format!("Nobody is entitled to anything yet. To grant something:\n  {example}");
            let answer = entitlements.into_iter().map(with_text).collect();
            output.report(&Listing::new("entitlements", answer, columns, none));
        }
        EntitlementsCommand::Grant(args) => {
            let body = json!({ "grantee": args.grantee, "app": args.app, "conditions": args.conditions()? });
            let mut answer = desk.node.post(ENTITLEMENTS, &body).await?;
            let id = answer["id"].as_str().unwrap_or_default().to_owned();
            let remark = remark(desk, &args.grantee).await;
            let next = desk.paste.node(["admin", "entitlements", "withdraw", &id]);
            let sentence =
                format!("{} may reach {} (entitlement {id}). To take it back:", args.grantee, args.app);
            if let Some(remark) = &remark {
                answer["remark"] = remark.as_str().into();
            }
            output.report(&Done::new(answer, sentence).next(next));
            if let Some(remark) = remark {
                output.note(&format!("note: {remark}"));
            }
        }
        EntitlementsCommand::Withdraw { id } => {
            let answer = desk.node.delete(&path(ENTITLEMENTS, [id.to_string().as_str()])).await?;
            output.report(&Done::new(
                answer,
                format!("Entitlement {id} is withdrawn; its streams have ended."),
            ));
        }
    }
    Ok(())
}

/// Says that nobody is meant yet. That is no mistake by itself: people are entitled before they come, and it is how a
/// name that was mistyped would go unnoticed.
async fn remark(desk: &Desk<'_>, grantee: &Grantee) -> Option<String> {
    let users = match grantee {
        Grantee::User(name) => match desk.node.get(&path("/v1/users", [name.as_str()])).await {
            Err(complaint) if complaint.code == "not_found" => Vec::new(),
            found => vec![found.ok()?],
        },
        // the grant is in force whether we know that or not
        _ => rows("users", desk.node.get("/v1/users").await.ok()?),
    };
    nobody(grantee, &users)
}

fn nobody(grantee: &Grantee, users: &[Value]) -> Option<String> {
    let meant = |user: &Value| match grantee {
        Grantee::User(name) => user["name"] == name.as_str(),
        Grantee::Group(group) => {
            user["groups"].as_array().is_some_and(|all| all.iter().any(|g| g == group.as_str()))
        }
        Grantee::Path(path) => {
            user["path"].as_str().and_then(|p| AccessPath::parse(p).ok()).is_some_and(|p| p.starts_with(path))
        }
    };
    let waits = "whoever comes later gets it; if the name is wrong, take it back";
    match grantee {
        _ if users.iter().any(meant) => None,
        Grantee::User(name) => Some(format!("there is no user {name} yet: {waits}")),
        Grantee::Group(group) => Some(format!("nobody is in the group {group} yet: {waits}")),
        Grantee::Path(path) => Some(format!("nobody is below {path} yet: {waits}")),
    }
}

/// The conditions once more, in words.
fn with_text(mut entitlement: Value) -> Value {
    let conditions: Conditions =
        serde_json::from_value(entitlement["conditions"].clone()).unwrap_or_default();
    if let Some(fields) = entitlement.as_object_mut() {
        fields.insert("text".to_owned(), conditions.to_pieces().join(", ").into());
    }
    entitlement
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grantee_is_typed_in_several_ways() {
        for (typed, meant) in [
            ("alice", "user:alice"),
            ("user:Alice", "user:alice"),
            ("group:staff", "group:staff"),
            ("/people", "path:/people"),
            ("path:/people", "path:/people"),
        ] {
            assert_eq!(grantee(typed).unwrap().to_string(), meant);
        }
        assert!(grantee("role:x").is_err() && grantee("").is_err());
    }

    #[test]
    fn a_grant_to_nobody_is_remarked_upon() {
        let users = [json!({ "name": "alice", "groups": ["staff"], "path": "/people/alice" })];
        for meant in ["alice", "group:staff", "/people", "/people/alice", "/"] {
            assert_eq!(nobody(&grantee(meant).unwrap(), &users), None, "{meant}");
        }
        for ghost in ["alicia", "group:ghost", "/devices", "/people/alicia"] {
            assert!(nobody(&grantee(ghost).unwrap(), &users).is_some_and(|r| r.contains("yet")), "{ghost}");
        }
    }

    #[test]
    fn conditions_are_shown_in_words() {
        let entitlement = with_text(json!({ "conditions": { "networks": ["10.0.0.0/8"] } }));
        assert_eq!(entitlement["text"], "network=10.0.0.0/8");
        assert_eq!(with_text(json!({}))["text"], "");
    }
}
