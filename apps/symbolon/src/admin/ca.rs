//! `admin ca`: certificates of persons and devices, the list of those that count no more, and the issuer.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::ca_gateway::{self, GatewayRequestArgs};
use super::ca_issue::{self, IssueArgs};
use super::ca_offline::{self, OpenArgs, RequestArgs, SignArgs};
use super::ca_revoke::{self, RevokeGatewayArgs};
use super::listing::{Done, Listing};
use super::office::Office;
use super::{Desk, ca_elsewhere};
use crate::duration;
use crate::exit::Outcome;

pub(super) const OFFICE: &str = "/v1/ca";
pub(super) const CERTIFICATES: &str = "/v1/ca/certificates";

/// What can be done about certificates.
#[derive(Debug, Subcommand)]
pub(crate) enum CaCommand {
    /// The issuer: whether its key is here, what waits for it
    Status,
    /// List certificates of persons and devices
    List,
    /// Make a certificate: from a request, or with a new key for a user
    Issue(IssueArgs),
    /// Make a key and a request for its certificate; needs no node
    Request(RequestArgs),
    /// Open the envelope of a certificate whose key cannot sign; needs no node
    Open(OpenArgs),
    /// Make the next certificate in place of one that is in force
    Renew {
        /// The certificate's number, from the list
        serial: String,
        /// The request for the next one (PKCS #10, PEM or DER)
        #[arg(long, value_name = "FILE")]
        request: PathBuf,
        /// Where the certificate goes, PEM
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// How long it lives: 12h, 7d
        #[arg(long, default_value = "24h", value_name = "TIME", value_parser = duration::seconds)]
        lifetime: u64,
    },
    /// Put a certificate into force whose key cannot sign, with what opening its envelope gave
    Confirm {
        /// The certificate's number, from the list
        serial: String,
        /// What opening the envelope gave
        confirmation: String,
    },
    /// Revoke a certificate, and all others of its key; its user's sessions end at once
    Revoke {
        /// The certificate's number, from the list
        serial: String,
        /// key-compromise, affiliation-changed, superseded or cessation-of-operation
        #[arg(long, value_name = "REASON")]
        reason: Option<String>,
    },
    /// Revoke a gateway's certificate: clients talk to it no more as soon as they learn of the list
    RevokeGateway(RevokeGatewayArgs),
    /// The list of revoked certificates (RFC 5280)
    Crl {
        /// Where it goes, PEM
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Make a new one first
        #[arg(long)]
        new: bool,
    },
    /// Everything that waits for an issuer whose key is elsewhere, in one file
    Requests {
        /// Where it goes
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign such a file, on the machine where the issuer's key is; needs no node and no network
    SignRequests(SignArgs),
    /// Take in what was signed there: all of it, or nothing
    Take {
        /// The signed file
        file: PathBuf,
        /// The directory where certificates and envelopes go
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Make a gateway's key and a request for its identity; needs no node
    GatewayRequest(GatewayRequestArgs),
    /// Take in the identity that was signed for it; the gateway is not running meanwhile
    GatewayTake {
        /// The signed file
        file: PathBuf,
    },
    /// Let another issuer follow: both count until it is finished
    Rotate {
        /// How long the old issuer counts beside the new one
        #[arg(long, default_value = "30d", value_name = "TIME", value_parser = duration::seconds)]
        overlap: u64,
        /// Put the new issuer in the old one's place; nobody is cut off
        #[arg(long)]
        finish: bool,
    },
}

pub(super) async fn run(desk: &Desk<'_>, command: CaCommand) -> Outcome {
    match command {
        CaCommand::Status => status(desk).await,
        CaCommand::List => list(desk).await,
        CaCommand::Issue(args) => ca_issue::issue(desk, args).await,
        CaCommand::Request(args) => ca_offline::request(desk, &args),
        CaCommand::Open(args) => ca_offline::open(desk, &args),
        CaCommand::Renew { serial, request, out, lifetime } => {
            ca_issue::renew(desk, &serial, &request, &out, lifetime).await
        }
        CaCommand::Confirm { serial, confirmation } => ca_issue::confirm(desk, &serial, &confirmation).await,
        CaCommand::Revoke { serial, reason } => ca_revoke::revoke(desk, &serial, reason).await,
        CaCommand::RevokeGateway(args) => ca_revoke::gateway(desk, args).await,
        CaCommand::Crl { out, new } => ca_revoke::list(desk, out, new).await,
        CaCommand::Requests { out } => ca_elsewhere::requests(desk, out).await,
        CaCommand::SignRequests(args) => ca_offline::sign(desk.global, &args),
        CaCommand::Take { file, out } => ca_elsewhere::take(desk, file, out).await,
        CaCommand::GatewayRequest(args) => ca_gateway::request(desk, &args),
        CaCommand::GatewayTake { file } => ca_gateway::take(desk, &file),
        CaCommand::Rotate { overlap, finish } => rotate(desk, overlap, finish).await,
    }
}

async fn status(desk: &Desk<'_>) -> Outcome {
    desk.global.output().report(&Office(desk.node.get(OFFICE).await?));
    Ok(())
}

async fn list(desk: &Desk<'_>) -> Outcome {
    let none = format!(
        "No certificate was made yet. Make one:\n  {}",
        desk.paste.node(["admin", "ca", "issue", "NAME", "--device", "phone", "--out", "phone.crt"])
    );
    let columns = [
        ("NUMBER", "serial"),
        ("SUBJECT", "subject"),
        ("STATE", "state"),
        ("UNTIL", "until"),
        ("REASON", "reason"),
    ];
    let answer = desk.node.get(CERTIFICATES).await?;
    desk.global.output().report(&Listing::new("certificates", answer, columns, none));
    Ok(())
}

async fn rotate(desk: &Desk<'_>, overlap: u64, finish: bool) -> Outcome {
    let body = json!({ "overlap_secs": overlap, "finish": finish });
    let answer = desk.node.post("/v1/ca/rotate", &body).await?;
    let new = answer["new"].as_str().unwrap_or_default();
    let done = if finish {
        let sentence = format!("The issuer is now {new}. Nobody was cut off.");
        Done::new(answer, sentence)
    } else {
        let sentence = format!(
            "{new} follows. Certificates of both issuers count. When the clients have learned of it, finish with"
        );
        Done::new(answer, sentence).next(desk.paste.node(["admin", "ca", "rotate", "--finish"]))
    };
    desk.global.output().report(&done);
    Ok(())
}
