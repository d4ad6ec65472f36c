//! `admin explain`: why a user may or may not reach an application.

use std::net::IpAddr;

use clap::Args;
use serde::Serialize;
use serde_json::Value;
use symbolon_policy::{AppName, CanonName, TokenClass};

use super::Desk;
use super::client::query;
use super::listing::cell;
use crate::exit::Outcome;
use crate::output::{Page, Report, printable};

/// Which decision to explain; circumstances that are not named are those of a sign-in here and now.
#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// The user's name
    user: CanonName,
    /// The application's name
    app: AppName,
    /// As if the client were at this address
    #[arg(long, value_name = "ADDRESS")]
    source: Option<IpAddr>,
    /// As if the sign-in used this class of token: password, software or hardware
    #[arg(long, value_name = "CLASS")]
    class: Option<TokenClass>,
    /// As if it were this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    time: Option<String>,
    /// As if the client reported this machine
    #[arg(long, value_name = "LABEL")]
    machine: Option<String>,
    /// As if the client reported this place
    #[arg(long, value_name = "LABEL")]
    place: Option<String>,
}

struct Explained(Value);

impl Serialize for Explained {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Report for Explained {
    fn write(&self, page: &mut Page) {
        let text = |value: &Value| printable(&cell(value));
        let permitted = self.0["permitted"] == true;
        let head =
            format!("{} → {}: {}", text(&self.0["subject"]), text(&self.0["app"]), text(&self.0["verdict"]));
        page.finding(permitted, &head);
        if self.0["standing"] != "active" {
            page.finding(false, &format!("the user is {}", text(&self.0["standing"])));
        }
        let entitlements = self.0["entitlements"].as_array().map(Vec::as_slice).unwrap_or_default();
        if entitlements.is_empty() {
            page.line(format!("     nobody is entitled to {}", text(&self.0["app"])));
        }
        for entitlement in entitlements {
            page.line(format!("     entitlement {}", text(&entitlement["id"])));
            let conditions = entitlement["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
            for finding in std::iter::once(&entitlement["grantee"]).chain(conditions) {
                page.finding(finding["holds"] == true, &format!("  {}", text(&finding["text"])));
            }
        }
    }
}

pub(super) async fn run(desk: &Desk<'_>, args: ExplainArgs) -> Outcome {
    let pairs = [
        ("user", Some(args.user.to_string())),
        ("app", Some(args.app.to_string())),
        ("source", args.source.map(|s| s.to_string())),
        ("class", args.class.map(|c| c.to_string())),
        ("time", args.time),
        ("machine", args.machine),
        ("place", args.place),
    ];
    let explained = desk.node.get(&query("/v1/explain", pairs)).await?;
    desk.global.output().report(&Explained(explained));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_explanation_shows_what_holds_and_what_does_not() {
        let explained = Explained(json!({
            "subject": "alice", "app": "db", "standing": "active", "permitted": false, "verdict": "denied: no",
            "entitlements": [{
                "id": "e1", "permits": false, "grantee": { "holds": true, "text": "given to user:alice" },
                "conditions": [{ "holds": false, "text": "hours" }],
            }],
        }));
        let mut page = Page::new(false);
        explained.write(&mut page);
        let expected =
            "BAD  alice → db: denied: no\n     entitlement e1\nok     given to user:alice\nBAD    hours\n";
        assert_eq!(page.text(), expected);
    }
}
