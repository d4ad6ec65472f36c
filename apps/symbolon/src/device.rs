//! A PKCS#11 device or the machine's TPM on the command line.

use std::path::Path;

use clap::Args;
use symbolon_agent::Pkcs11Uri;

use crate::exit::{Complaint, Outcome};

/// Where new keys shall be, unless in a file.
#[derive(Args, Debug)]
pub(crate) struct DeviceArgs {
    /// Keep what is secret of it in this PKCS#11 device (RFC 7512): 'pkcs11:token=NAME'
    #[arg(long, value_name = "URI", conflicts_with = "tpm")]
    pkcs11: Option<String>,
    /// Keep it in this machine's TPM, in the tpm2-pkcs11 token of that label
    #[arg(long, value_name = "LABEL", num_args = 0..=1, require_equals = true, default_missing_value = "symbolon")]
    tpm: Option<String>,
}

impl DeviceArgs {
    /// The device that is meant.
    pub(crate) fn uri(self) -> Outcome<Option<Pkcs11Uri>> {
        match (self.pkcs11, self.tpm) {
            (Some(uri), _) => parse(&uri).map(Some),
            (None, Some(label)) => Ok(Some(Pkcs11Uri {
                token: Some(label),
                module_name: Some("tpm2_pkcs11".to_owned()),
                ..Pkcs11Uri::default()
            })),
            (None, None) => Ok(None),
        }
    }
}

/// The URI, if that is what stands in the place of a file's name (RFC 7512 §2.3).
pub(crate) fn in_place_of(file: &Path) -> Outcome<Option<Pkcs11Uri>> {
    file.to_str().filter(|text| text.starts_with("pkcs11:")).map(parse).transpose()
}

fn parse(uri: &str) -> Outcome<Pkcs11Uri> {
    Pkcs11Uri::parse(uri).map_err(|e| {
        Complaint::usage(e.to_string()).fix("for example 'pkcs11:token=my-token', in quotation marks")
    })
}
