//! What came of it.

use std::time::Instant;

use serde::Serialize;

use super::clients::{Direction, Transferred};
use super::flow::Flow;
use super::stage::Stage;
use crate::exit::{Complaint, Outcome};
use crate::output::{self, Output, Page, Table, printable};
use crate::progress::StepTime;
use crate::sample::bulk::TOTAL;

/// A transfer.
#[derive(Serialize)]
pub(super) struct Row {
    direction: Direction,
    bytes: u64,
    /// Connections that curl opened, with one TLS handshake each.
    handshakes: u64,
    /// How often another worker took the connection over, as the node counts it.
    carried_on: u64,
    sha256_sent: String,
    sha256_received: String,
    equal: bool,
    /// The longest time in which nothing arrived.
    longest_stall_ms: u128,
    /// What curl complained of.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Row {
    pub(super) fn new(direction: Direction, transferred: Transferred, flow: &Flow, carried_on: u64) -> Self {
        Self {
            direction,
            bytes: transferred.bytes,
            handshakes: transferred.handshakes,
            carried_on,
            equal: transferred.sent == transferred.received && transferred.bytes == TOTAL,
            sha256_sent: transferred.sent,
            sha256_received: transferred.received,
            longest_stall_ms: flow.stalls(Instant::now()).1.as_micros().div_ceil(1000),
            error: transferred.error,
        }
    }

    fn is_whole(&self) -> bool {
        self.equal && self.error.is_none()
    }
}

/// All of it.
#[derive(Serialize)]
pub(super) struct Report {
    steps: Vec<StepTime>,
    /// Workers that were killed.
    kills: usize,
    /// How long the transfers took, milliseconds.
    ms: u128,
    transfers: Vec<Row>,
    /// What the node's log complains of, when a transfer is not whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    node_complains: Vec<String>,
}

impl Report {
    pub(super) const fn new(steps: Vec<StepTime>, kills: usize, ms: u128, transfers: Vec<Row>) -> Self {
        Self { steps, kills, ms, transfers, node_complains: Vec::new() }
    }

    /// Says it; it is a failure unless both transfers are whole, which the node's log may explain.
    pub(super) fn tell(mut self, output: Output, stage: &Stage) -> Outcome {
        let Some(broken) = self.transfers.iter().find(|row| !row.is_whole()) else {
            output.report(&self);
            return Ok(());
        };
        self.node_complains = stage.complaints();
        let why = match &broken.error {
            Some(error) => format!("the {} failed: {}", broken.direction.as_str(), printable(error)),
            None => format!("the {} is not what was sent", broken.direction.as_str()),
        };
        let complaint = Complaint::failure(why).code("broken");
        output.report_failed(&self, &complaint);
        // for people the report does not say it
        Err(if output.json { complaint.said() } else { complaint })
    }
}

impl output::Report for Report {
    fn write(&self, page: &mut Page) {
        page.gap();
        let whole = if self.transfers.iter().all(Row::is_whole) { "; both transfers are whole" } else { "" };
        let seconds = self.ms as f64 / 1000.0;
        page.title(&format!("{} workers were killed in {seconds:.1} s{whole}", self.kills));
        let mut table = Table::new(["", "BYTES", "HANDSHAKES", "CARRIED ON", "LONGEST STALL"]);
        for row in &self.transfers {
            table.row([
                row.direction.as_str().to_owned(),
                row.bytes.to_string(),
                row.handshakes.to_string(),
                format!("{} times", row.carried_on),
                format!("{} ms", row.longest_stall_ms),
            ]);
        }
        page.table(&table, "");
        for row in &self.transfers {
            page.gap();
            let equal = if row.equal { "equal" } else { "NOT equal" };
            page.line(format!("SHA-256 of the {}: {equal}", row.direction.as_str()));
            page.aside(&format!("  sent      {}", row.sha256_sent));
            page.aside(&format!("  received  {}", printable(&row.sha256_received)));
        }
        if !self.node_complains.is_empty() {
            page.gap();
            page.line("The node's log complains:");
            self.node_complains.iter().for_each(|line| page.aside(&format!("  {}", printable(line))));
        }
    }
}
