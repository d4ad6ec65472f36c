//! `admin ca requests` and `take`: an issuer whose key is on another machine, from the node's side.

use std::path::PathBuf;

use serde_json::json;

use super::Desk;
use super::ca_files::{self, from_base64, to_base64};
use super::listing::Done;
use crate::exit::{Complaint, Outcome};
use crate::place;
use crate::private::NewFile;

pub(super) async fn requests(desk: &Desk<'_>, out: PathBuf) -> Outcome {
    let out = place::absolute(&out)?;
    let mut file = NewFile::create(&out)?;
    let answer = desk.node.post("/v1/ca/requests", &json!({})).await?;
    file.write(&from_base64(answer["file"].as_str().unwrap_or_default())?)?;
    file.finish()?;
    let count = answer["subjects"].as_array().map_or(0, Vec::len);
    let sentence = format!(
        "{} and the order for a list are in {}. Sign them with",
        counted(count, "request"),
        out.display()
    );
    let sign = format!("symbolon admin ca sign-requests {} --issuer DIR --out signed.bin", out.display());
    let body = json!({ "file": out, "subjects": answer["subjects"] });
    desk.global.output().report(&Done::new(body, sentence).next(sign));
    Ok(())
}

pub(super) async fn take(desk: &Desk<'_>, file: PathBuf, out: PathBuf) -> Outcome {
    let signed = std::fs::read(&file).map_err(|e| Complaint::file(&file, &e))?;
    let out = place::absolute(&out)?;
    std::fs::create_dir_all(&out).map_err(|e| Complaint::file(&out, &e))?;
    let answer = desk.node.post("/v1/ca/signed", &json!({ "file": to_base64(&signed) })).await?;
    let issued = answer["issued"].as_array().cloned().unwrap_or_default();
    for item in &issued {
        let serial = item["serial"].as_str().unwrap_or_default();
        let (name, bytes) = match (item["certificate"].as_str(), item["envelope"].as_str()) {
            (Some(der), _) => {
                (format!("{serial}.crt"), ca_files::pem("CERTIFICATE", &from_base64(der)?).into_bytes())
            }
            (None, envelope) => (format!("{serial}.envelope"), from_base64(envelope.unwrap_or_default())?),
        };
        let mut file = NewFile::create(&out.join(name))?;
        file.write(&bytes)?;
        file.finish()?;
    }
    let refused = answer["refused"].as_array().map_or(0, Vec::len);
    let sentence = format!(
        "Taken in: {}, into {}; refused: {refused}.",
        counted(issued.len(), "certificate"),
        out.display()
    );
    desk.global.output().report(&Done::new(answer, sentence));
    Ok(())
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
