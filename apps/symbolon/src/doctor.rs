//! `symbolon doctor`: what is wrong here, and how to mend it; a person's side, and that of a node where there is one.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::Args;
use serde::Serialize;
use symbolon_agent::{Check, Finding, Paths};
use symbolon_crypto::GatewayName;

use crate::admin::AdminClient;
use crate::cli::Global;
use crate::enrol::gateway_name;
use crate::exit::{Complaint, Outcome};
use crate::output::{Page, Report, printable, seconds};
use crate::paste::{Paste, quote};
use crate::{place, runtime};

/// Where to look.
#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// HOST:PORT of a gateway to look at, when no agent is running
    #[arg(long, value_name = "HOST:PORT", requires = "gateway")]
    address: Option<String>,
    /// Its name
    #[arg(long, value_name = "NAME", requires = "address", value_parser = gateway_name)]
    gateway: Option<GatewayName>,
}

/// All checks, in the order in which to mend them.
#[derive(Serialize)]
struct Diagnosis {
    healthy: bool,
    checks: Vec<Check>,
}

impl Report for Diagnosis {
    fn write(&self, page: &mut Page) {
        let widest = self.checks.iter().map(|c| c.name.chars().count()).max().unwrap_or(0);
        for check in &self.checks {
            let text = format!("{:<widest$}  {}", check.name, printable(&check.detail));
            match check.finding {
                Finding::Warn => page.warning(&text),
                finding => page.finding(finding == Finding::Ok, &text),
            }
            if let Some(fix) = &check.fix {
                page.line(format!("     {:<widest$}  → {}", "", printable(fix)));
            }
        }
        page.gap();
        let look = self.checks.iter().any(|c| c.finding == Finding::Warn);
        page.line(match (self.healthy, look) {
            (false, _) => "Mend what is BAD, from the top.",
            (true, true) => "Nothing is broken; look at what is marked.",
            (true, false) => "Nothing is wrong.",
        });
    }
}

/// Looks at everything.
pub(crate) fn run(global: &Global, args: &DoctorArgs) -> Outcome {
    let paths = Paths::new(global.home.clone())?;
    let dir = place::node_dir(global)?;
    let paste = Paste::new(global).about(&dir);
    let node_here = symbolon_server::is_node_dir(&dir);
    let at = args.address.clone().zip(args.gateway.clone());
    let node_meant = node_here || global.dir.is_some();
    let mut checks = Vec::new();
    runtime::small()?.block_on(async {
        // a machine that only runs a node needs no token
        if !node_meant || paths.token.exists() || global.home.is_some() {
            checks.extend(symbolon_agent::doctor(&paths, at).await.checks);
        }
        if node_meant {
            look_at_node(&dir, &paste, &mut checks).await;
        }
    });
    for check in &mut checks {
        check.fix = check.fix.take().map(|fix| paste.complete(&fix));
    }
    let bad = checks.iter().filter(|c| c.finding == Finding::Fail).count();
    let diagnosis = Diagnosis { healthy: bad == 0, checks };
    if bad == 0 {
        global.output().report(&diagnosis);
        return Ok(());
    }
    let complaint = Complaint::failure(format!("{bad} of {} checks failed", diagnosis.checks.len()))
        .code("unhealthy")
        .fix("mend what failed, from the top");
    global.output().report_failed(&diagnosis, &complaint);
    Err(complaint.said())
}

async fn look_at_node(dir: &Path, paste: &Paste, checks: &mut Vec<Check>) {
    let mut add = |name: &str, finding, detail: String, fix: Option<String>| {
        checks.push(Check { name: name.to_owned(), finding, detail, fix });
    };
    match std::fs::metadata(dir) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            let fix = format!("chmod 700 {}", quote(&dir.display().to_string()));
            add("node", Finding::Fail, format!("{} can be entered by others", dir.display()), Some(fix));
        }
        Ok(_) => add("node", Finding::Ok, format!("{} is for its owner alone", dir.display()), None),
        Err(e) => {
            let fix = format!("start a node there: {}", paste.node(["serve"]));
            let complaint = Complaint::file(dir, &e);
            return add("node", Finding::Fail, complaint.message, Some(fix));
        }
    }
    let node = AdminClient::new(dir.to_owned(), paste.clone());
    let status = match node.get("/v1/status").await {
        Ok(status) => status,
        Err(complaint) => return add("node", Finding::Fail, complaint.message, complaint.fix),
    };
    let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
    let detail = format!(
        "gateway {} at {}, version {}; its certificate holds until {}",
        text("gateway"),
        text("address"),
        text("version"),
        seconds(&text("identity_until"))
    );
    add("node", Finding::Ok, detail, None);
    if text("version") != env!("CARGO_PKG_VERSION") {
        let detail = format!(
            "the node runs version {}, this program is {}",
            text("version"),
            env!("CARGO_PKG_VERSION")
        );
        add("version", Finding::Warn, detail, Some("restart the node to take in the new program".to_owned()));
    }
    match node.get("/v1/audit/verify").await {
        Ok(answer) if answer["ok"] == true => {
            add("audit", Finding::Ok, format!("{} rows, whole", answer["rows"]), None)
        }
        Ok(answer) => {
            let fault = answer["fault"].as_str().unwrap_or_default().to_owned();
            let fix = "somebody changed the store behind the node's back: keep a copy, and compare with your last export";
            add("audit", Finding::Fail, format!("the chain is broken: {fault}"), Some(fix.to_owned()));
        }
        Err(complaint) => add("audit", Finding::Fail, complaint.message, complaint.fix),
    }
}
