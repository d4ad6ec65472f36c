//! `admin ca revoke-gateway`: a gateway whose certificate counts no more.

use clap::Args;
use serde_json::json;

use super::Desk;
use super::ca_files::{self, to_base64};
use super::listing::Done;
use crate::exit::Outcome;

/// A gateway that is to be revoked.
#[derive(Args, Debug)]
pub(crate) struct RevokeGatewayArgs {
    /// Its certificate (identity.crt, PEM or DER), or the number of that
    #[arg(value_name = "FILE|NUMBER")]
    gateway: String,
    /// key-compromise, affiliation-changed, superseded or cessation-of-operation
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
}

pub(super) async fn gateway(desk: &Desk<'_>, args: RevokeGatewayArgs) -> Outcome {
    let RevokeGatewayArgs { gateway, reason } = args;
    // A number has no dot and no slash, and nobody calls a file so.
    let number = gateway.len() >= 16 && gateway.bytes().all(|b| b.is_ascii_hexdigit());
    let body = if number {
        json!({ "serial": gateway.to_ascii_lowercase(), "reason": reason })
    } else {
        let certificate = ca_files::read_certificate(gateway.as_ref())?;
        json!({ "certificate": to_base64(&certificate), "reason": reason })
    };
    let answer = desk.node.post("/v1/ca/gateways/revoke", &body).await?;
    let serial = answer["serial"].as_str().unwrap_or_default();
    let whose = answer["gateway"].as_str().map_or_else(String::new, |name| format!(" of {name}"));
    let mut sentence = format!("The certificate {serial}{whose} is revoked.");
    if answer["replaced"] == true {
        sentence += " This gateway has another one, with another key.";
    } else if answer["own"] == true {
        sentence +=
            " It was this gateway's own: take in another with admin ca gateway-request and gateway-take.";
    }
    if answer["list"].is_null() {
        sentence += " The list for others is to be signed where the issuer's key is.";
        let next = desk.paste.node(["admin", "ca", "requests", "--out", "requests.bin"]);
        desk.global.output().report(&Done::new(answer, sentence).next(next));
    } else {
        desk.global.output().report(&Done::new(answer, sentence));
    }
    Ok(())
}
