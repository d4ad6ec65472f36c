//! `admin ca revoke`, `revoke-gateway`, `crl`: certificates that count no more, and the list of them.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::ca::CERTIFICATES;
use super::ca_files::{self, from_base64, to_base64};
use super::listing::Done;
use super::{Desk, path};
use crate::exit::Outcome;
use crate::place;
use crate::private::NewFile;

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
    let mut sentence = if answer["before"] == true {
        format!("The certificate {serial}{whose} was revoked before.")
    } else {
        format!("The certificate {serial}{whose} is revoked.")
    };
    if answer["before"] == true && !answer["list"].is_null() {
        sentence += " Another list names it.";
    }
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

pub(super) async fn revoke(desk: &Desk<'_>, serial: &str, reason: Option<String>) -> Outcome {
    let body = json!({ "reason": reason });
    let answer = desk.node.post(&(path(CERTIFICATES, [serial]) + "/revoke"), &body).await?;
    let count = answer["revoked"].as_array().map_or(0, Vec::len);
    let mut sentence = match count {
        0 | 1 => format!("Certificate {serial} is revoked."),
        n => format!("Certificate {serial} and {} more of its key are revoked.", n - 1),
    };
    if answer["list"].is_null() {
        sentence += " The list for others is to be signed where the issuer's key is.";
        let next = desk.paste.node(["admin", "ca", "requests", "--out", "requests.bin"]);
        desk.global.output().report(&Done::new(answer, sentence).next(next));
    } else {
        desk.global.output().report(&Done::new(answer, sentence));
    }
    Ok(())
}

pub(super) async fn list(desk: &Desk<'_>, out: PathBuf, new: bool) -> Outcome {
    let out = place::absolute(&out)?;
    let mut file = NewFile::create(&out)?;
    let answer = match new {
        true => desk.node.post("/v1/ca/crl", &json!({})).await?,
        false => desk.node.get("/v1/ca/crl").await?,
    };
    let list = from_base64(answer["list"].as_str().unwrap_or_default())?;
    file.write(ca_files::pem("X509 CRL", &list).as_bytes())?;
    file.finish()?;
    let sentence = format!("The list is in {}.", out.display());
    desk.global.output().report(&Done::new(json!({ "file": out }), sentence));
    Ok(())
}
