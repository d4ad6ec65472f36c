//! What each way to sign in needs beside the token: only what is set up here is looked at.

use super::{Diagnosis, Finding};
use crate::id_tokens::IdTokens;
use crate::{AgentError, Paths, UserConfig, certificate_info, device, kept_ticket, kerberos};
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use symbolon_crypto::GatewayName;
use symbolon_hardware::Pkcs11Uri;

pub(super) async fn look(paths: &Paths, config: Option<&UserConfig>, found: &mut Diagnosis) {
    if let Some(config) = config {
        look_at_kerberos(config, found).await;
        look_at_oidc(config, found);
    }
    look_at_certificate(paths, config, found);
    look_at_ticket(paths, found);
}

/// With a principal in the configuration, or a ticket cache where `kinit` was told to put it.
async fn look_at_kerberos(config: &UserConfig, found: &mut Diagnosis) {
    let cache = std::env::var_os("KRB5CCNAME").is_some_and(|name| !name.is_empty());
    let gateway = match (&config.kerberos_service, &config.gateway) {
        (None, Some(gateway)) if cache => gateway.clone(),
        (None, _) => return,
        // Only the principal counts then.
        (Some(_), gateway) => match gateway.clone().map_or_else(|| GatewayName::parse("gateway"), Ok) {
            Ok(gateway) => gateway,
            Err(_) => return,
        },
    };
    let service = match kerberos::service(config, &gateway) {
        Ok(service) => service,
        Err(e) => return found.error("kerberos", Finding::Fail, &e),
    };
    let named = service.as_str().to_owned();
    let obtained = tokio::task::spawn_blocking(move || kerberos::obtain(&service).map(drop)).await;
    match obtained.unwrap_or_else(|_| Err(AgentError::failure("asking for a Kerberos ticket broke off"))) {
        Ok(()) => found.ok("kerberos", format!("there is a ticket for {named}")),
        Err(e) => found.error("kerberos", Finding::Warn, &e),
    }
}

fn look_at_oidc(config: &UserConfig, found: &mut Diagnosis) {
    let Some(program) = config.id_token_command.first() else {
        match (&config.oidc, IdTokens::of(config)) {
            (None, _) => {}
            (Some(oidc), Ok(_)) => {
                found.ok("oidc", format!("{} gives ID tokens, by the browser", oidc.provider))
            }
            (Some(_), Err(e)) => found.error("oidc", Finding::Fail, &e),
        }
        return;
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    match program_file(program, &path) {
        Some(file) => found.ok("oidc", format!("{} gets ID tokens", file.display())),
        None => {
            let detail = format!("{} is not a program that can be run", Path::new(program).display());
            let fix = Some("correct id_token_command in the configuration file");
            found.add("oidc", Finding::Fail, detail, fix);
        }
    }
}

/// Where a program is, as the system would look for it.
fn program_file(program: &OsStr, path: &OsStr) -> Option<PathBuf> {
    let runs = |file: &PathBuf| {
        std::fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    if program.as_encoded_bytes().contains(&b'/') {
        return Some(PathBuf::from(program)).filter(runs);
    }
    std::env::split_paths(path).map(|dir| dir.join(program)).find(runs)
}

fn look_at_certificate(paths: &Paths, config: Option<&UserConfig>, found: &mut Diagnosis) {
    match certificate_info(paths) {
        Ok(None) => {}
        Ok(Some(certificate)) if certificate.over => {
            let fix = Some("sign in with --with token, and request another: symbolon certificate request");
            let detail = format!("the certificate {} ended at {}", certificate.subject, certificate.until);
            found.add("certificate", Finding::Fail, detail, fix);
        }
        Ok(Some(certificate)) => {
            found.ok("certificate", format!("{} holds until {}", certificate.subject, certificate.until));
            look_at_its_device(certificate.device.as_deref(), config, found);
        }
        Err(e) => found.error("certificate", Finding::Fail, &e),
    }
}

/// The key of the certificate may be in a device.
fn look_at_its_device(key: Option<&str>, config: Option<&UserConfig>, found: &mut Diagnosis) {
    if let (Some(Ok(key)), Some(config)) = (key.map(Pkcs11Uri::parse), config) {
        super::look_at_device(device::of_certificate(&key, config), "the certificate's key", found);
    }
}

fn look_at_ticket(paths: &Paths, found: &mut Diagnosis) {
    match kept_ticket(paths) {
        Ok(None) => {}
        Ok(Some(ticket)) if ticket.over => {
            let fix = Some("none is needed: the next sign-in asks for the credential itself");
            found.add("ticket", Finding::Warn, "the ticket of the last session has ended", fix);
        }
        Ok(Some(ticket)) => {
            found.ok("ticket", format!("a session at {} can go on until {}", ticket.gateway, ticket.expires));
        }
        Err(e) => found.error("ticket", Finding::Warn, &e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_as_the_system_finds_it() {
        let path = OsStr::new("/nonexistent:/bin:/usr/bin");
        assert!(program_file(OsStr::new("sh"), path).is_some());
        assert!(program_file(OsStr::new("/bin/sh"), OsStr::new("")).is_some());
        assert!(program_file(OsStr::new("no-such-program"), path).is_none());
        assert!(program_file(OsStr::new("/etc/passwd"), path).is_none());
    }
}
