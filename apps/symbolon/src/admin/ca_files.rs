//! Certificates and requests as files: PEM (RFC 7468) out, PEM or DER in.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::exit::{Complaint, Outcome};

/// The longest request or certificate that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;

pub(super) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn from_base64(text: &str) -> Outcome<Vec<u8>> {
    STANDARD
        .decode(text)
        .map_err(|_| Complaint::failure("the node's answer is not the base64 that it should be"))
}

/// RFC 7468 §2: lines of 64.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    pem + &format!("-----END {label}-----\n")
}

/// A request from a file, DER.
pub(super) fn read_request(path: &Path) -> Outcome<Vec<u8>> {
    read(path, &["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"])?.ok_or_else(|| {
        Complaint::usage(format!("{} is no request in PEM or DER", path.display()))
            .fix("make one: openssl req -new -key KEY -addext subjectAltName=URI:symbolon:device:CODE:LABEL")
    })
}

/// A certificate from a file, DER.
pub(super) fn read_certificate(path: &Path) -> Outcome<Vec<u8>> {
    read(path, &["CERTIFICATE"])?
        .ok_or_else(|| Complaint::usage(format!("{} is no certificate in PEM or DER", path.display())))
}

/// What is in a file, in DER or under one of these labels in PEM.
fn read(path: &Path, labels: &[&str]) -> Outcome<Option<Vec<u8>>> {
    let length = std::fs::metadata(path).map_err(|e| Complaint::file(path, &e))?.len();
    if length > MAX_FILE {
        return Err(Complaint::usage(format!("{} is too long", path.display())));
    }
    let bytes = std::fs::read(path).map_err(|e| Complaint::file(path, &e))?;
    if bytes.first() == Some(&0x30) {
        return Ok(Some(bytes));
    }
    Ok(std::str::from_utf8(&bytes).ok().and_then(|text| unarmoured(text, labels)))
}

fn unarmoured(text: &str, labels: &[&str]) -> Option<Vec<u8>> {
    labels.iter().find_map(|label| {
        let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
        let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
        STANDARD.decode(body.split_ascii_whitespace().collect::<String>()).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_in_either_form() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("request");
        let der = [&[0x30, 0x81, 0x90][..], &[7; 144]].concat();
        for text in [pem("CERTIFICATE REQUEST", &der), pem("NEW CERTIFICATE REQUEST", &der)] {
            assert!(text.lines().all(|line| line.len() <= 64));
            std::fs::write(&path, format!("some words\n{text}")).unwrap();
            assert_eq!(read_request(&path).unwrap(), der);
        }
        std::fs::write(&path, &der).unwrap();
        assert_eq!(read_request(&path).unwrap(), der);
        for wrong in
            ["", "nonsense", "-----BEGIN CERTIFICATE REQUEST-----\n!\n-----END CERTIFICATE REQUEST-----"]
        {
            std::fs::write(&path, wrong).unwrap();
            assert!(read_request(&path).unwrap_err().fix.is_some(), "{wrong:?}");
        }
    }
}
