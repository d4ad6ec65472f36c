//! What a person asks the running agent: `status`, `ls`, `whoami`, `place`, `logout`.

use clap::Args;
use serde::Serialize;
use symbolon_agent::{AgentError, Client, DestinationInfo, Destinations, Link, Paths, Status, WhoAmI};

use crate::cli::Global;
use crate::exit::{Kind, Outcome};
use crate::output::{Page, Report, Table, seconds};
use crate::paste::{Paste, quote};
use crate::runtime;

/// Where this machine is.
#[derive(Args, Debug)]
pub(crate) struct PlaceArgs {
    /// A line about where this machine is: office, home; nothing takes it back
    #[arg(default_value = "")]
    place: String,
}

/// A reply of the agent, and what its page says beside it.
#[derive(Serialize)]
struct Told<T> {
    #[serde(flatten)]
    reply: T,
    #[serde(skip)]
    paste: Paste,
}

/// Whether the agent is signed in.
pub(crate) fn status(global: &Global) -> Outcome {
    told(global, async |mut client| client.status().await)
}

/// What may be reached.
pub(crate) fn ls(global: &Global) -> Outcome {
    told(global, async |mut client| client.ls().await)
}

/// As whom the agent is signed in.
pub(crate) fn whoami(global: &Global) -> Outcome {
    told(global, async |mut client| client.whoami().await)
}

/// Tells the gateway where this machine is.
pub(crate) fn place(global: &Global, args: PlaceArgs) -> Outcome {
    told(global, async |mut client| {
        client.place(&args.place).await?;
        Ok(Placed { place: args.place })
    })
}

/// Ends the session and the agent. Where none runs, the ticket that one left is given up.
pub(crate) fn logout(global: &Global) -> Outcome {
    let done = told(global, async |client| client.logout().await.map(|()| SignedOut { signed_out: true }));
    let forgotten = symbolon_agent::forget_ticket(&Paths::new(global.home.clone())?)?;
    match done {
        Err(e) if e.kind == Kind::Unreachable && forgotten => {
            global
                .output()
                .report(&Told { reply: TicketGone { signed_out: true }, paste: Paste::new(global) });
            Ok(())
        }
        done => done,
    }
}

fn told<T: Serialize>(global: &Global, ask: impl AsyncFnOnce(Client) -> Result<T, AgentError>) -> Outcome
where
    Told<T>: Report,
{
    let paths = Paths::new(global.home.clone())?;
    let reply = runtime::small()?.block_on(async {
        let client = Client::connect(&paths).await.map_err(|e| with_log(e, &paths))?;
        ask(client).await
    })?;
    global.output().report(&Told { reply, paste: Paste::new(global) });
    Ok(())
}

/// Where an agent that has ended said why.
fn with_log(error: AgentError, paths: &Paths) -> AgentError {
    match &error.fix {
        // one that said why it ended needs no log
        Some(fix) if error.code.is_none() && paths.log.exists() => {
            let log = quote(&paths.log.display().to_string());
            let fix = format!("{fix}   (how the last one ended: tail {log})");
            error.fix(fix)
        }
        _ => error,
    }
}

impl Report for Told<Status> {
    fn write(&self, page: &mut Page) {
        let Status { link, gateway, address, user, place, session, streams, listeners, problems, .. } =
            &self.reply;
        let link = match link {
            Link::Connecting => "signing in",
            Link::Connected => "signed in",
            Link::Reconnecting => "connection lost, being made again; streams go on",
            Link::Stopping => "stopping",
        };
        let latency = session.as_ref().and_then(|s| s.latency_us);
        page.pairs([
            ("state", link.to_owned()),
            ("gateway", format!("{gateway} ({address})")),
            ("user", user.clone()),
            ("place", place.clone()),
            ("session", session.as_ref().map(|s| s.id.clone()).unwrap_or_default()),
            ("since", session.as_ref().map(|s| seconds(&s.since).into_owned()).unwrap_or_default()),
            (
                "until",
                session
                    .as_ref()
                    .map(|s| format!("{} (renewed before)", seconds(&s.expires)))
                    .unwrap_or_default(),
            ),
            ("suite", session.as_ref().map(|s| s.suite.clone()).unwrap_or_default()),
            ("key in", session.as_ref().and_then(|s| s.device.clone()).unwrap_or_default()),
            ("keys", session.as_ref().and_then(|s| s.keys_from).map(|k| k.to_string()).unwrap_or_default()),
            ("latency", latency.map(|us| format!("{}.{} ms", us / 1000, us / 100 % 10)).unwrap_or_default()),
        ]);
        if !streams.is_empty() {
            page.gap();
            let mut table = Table::new(["STREAM", "APPLICATION", "SINCE", "SENT", "RECEIVED"]);
            for s in streams {
                table.row([
                    s.number.to_string(),
                    s.app.clone(),
                    seconds(&s.since).into_owned(),
                    bytes(s.sent),
                    bytes(s.received),
                ]);
            }
            page.table(&table, "");
        }
        if !listeners.is_empty() {
            page.gap();
            let mut table = Table::new(["LOCAL PORT", "APPLICATION"]);
            listeners.iter().for_each(|l| table.row([l.address.to_string(), l.app.clone()]));
            page.table(&table, "");
        }
        if !problems.is_empty() {
            page.gap();
            let mut table = Table::new(["WHEN", "WHAT WENT WRONG"]);
            problems.iter().for_each(|p| table.row([seconds(&p.time).into_owned(), p.text.clone()]));
            page.table(&table, "");
        }
    }
}

impl Report for Told<Destinations> {
    fn write(&self, page: &mut Page) {
        let destinations = &self.reply.destinations;
        if self.reply.configuration.is_none() {
            page.line("The agent is not signed in yet, so nothing is known. It says why with");
            return page.command(&self.paste.user(["status"]));
        }
        page.table(&destinations_table(destinations), NOTHING);
        if let Some(first) = destinations.first() {
            page.gap();
            page.line("Reach one of them with");
            page.command(&self.paste.user(["connect", &first.app]));
        }
    }
}

/// Said instead of an empty table.
pub(crate) const NOTHING: &str = "Nothing may be reached yet: an administrator grants it.";

/// What may be reached, as a table.
pub(crate) fn destinations_table(destinations: &[DestinationInfo]) -> Table {
    let mut table = Table::new(["NAME", "PROTOCOL", "CLASS", "UNTIL", "DESCRIPTION"]);
    for d in destinations {
        let until = d.until.as_deref().map(|u| seconds(u).into_owned()).unwrap_or_default();
        table.row([d.app.clone(), d.protocol.clone(), d.class.clone(), until, d.description.clone()]);
    }
    table
}

impl Report for Told<WhoAmI> {
    fn write(&self, page: &mut Page) {
        let who = &self.reply;
        let reported = &who.reported;
        page.pairs([
            ("user", who.user.clone()),
            ("code", who.user_code.clone().unwrap_or_default()),
            ("path", who.access_path.clone().unwrap_or_default()),
            ("signed in by", signed_in_by(who)),
            ("by the key in", who.device.clone().unwrap_or_default()),
            ("assurance", who.assurance.clone()),
            ("gateway", who.gateway.clone()),
            ("issuer", who.issuer.clone()),
            ("suite", who.suite.clone()),
            ("keys", who.keys_from.map(|k| k.to_string()).unwrap_or_default()),
            ("told: account", reported.user.clone()),
            ("told: machine", reported.machine.clone()),
            ("told: system", reported.system.clone()),
            ("told: place", reported.place.clone()),
        ]);
    }
}

/// How, and with what of its kind; a ticket says what came before it.
fn signed_in_by(who: &WhoAmI) -> String {
    let WhoAmI { signed_in_by, token_class, .. } = who;
    match signed_in_by.as_str() {
        "ticket" => format!("ticket of a session ({token_class})"),
        by if by == token_class => by.to_owned(),
        by => format!("{by} ({token_class})"),
    }
}

#[derive(Serialize)]
struct Placed {
    place: String,
}

impl Report for Told<Placed> {
    fn write(&self, page: &mut Page) {
        match self.reply.place.as_str() {
            "" => page.line("The gateway knows no place of this machine now."),
            place => page.line(format!("The gateway knows that this machine is at: {place}")),
        }
        page.line("What may be reached may have changed:");
        page.command(&self.paste.user(["ls"]));
    }
}

#[derive(Serialize)]
struct SignedOut {
    signed_out: bool,
}

impl Report for Told<SignedOut> {
    fn write(&self, page: &mut Page) {
        page.line("You are signed out; the agent has ended.");
    }
}

#[derive(Serialize)]
struct TicketGone {
    signed_out: bool,
}

impl Report for Told<TicketGone> {
    fn write(&self, page: &mut Page) {
        page.line("No agent was running; the ticket that the last one left is given up.");
    }
}

/// A number of bytes as people read it.
fn bytes(count: u64) -> String {
    let (mut whole, mut tenths, mut unit) = (count, 0, "B");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if whole < 1024 {
            break;
        }
        (whole, tenths, unit) = (whole / 1024, whole % 1024 * 10 / 1024, next);
    }
    if unit == "B" { format!("{whole} B") } else { format!("{whole}.{tenths} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_in_units_that_people_read() {
        let read = [0, 1023, 1024, 1536, 5 << 20, u64::MAX].map(bytes);
        assert_eq!(read, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 MiB", "16777215.9 TiB"]);
    }
}
