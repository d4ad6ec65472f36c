//! As what a gateway is known to Kerberos, and what the library's complaints mean to a person.

use crate::files::read_bounded;
use crate::{AgentError, UserConfig};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use symbolon_crypto::GatewayName;
use symbolon_tickets::kerberos::{CredentialCache, KerberosError, KerberosToken, ServicePrincipal};

/// A configuration of Kerberos is a few kilobytes.
const MAX_CONFIG: usize = 256 * 1024;

/// How long a KDC may take: the library asks the next one after a second or so.
const KDC: Duration = Duration::from_secs(10);

/// The gateway's principal: what the configuration file says, otherwise `symbolon/GATEWAY@REALM` in the
/// realm of this machine.
pub(crate) fn service(config: &UserConfig, gateway: &GatewayName) -> Result<ServicePrincipal, AgentError> {
    let text = match &config.kerberos_service {
        Some(text) => text.clone(),
        None => {
            let realm = default_realm(std::env::var_os("KRB5_CONFIG")).ok_or_else(|| {
                AgentError::usage("the Kerberos realm of this machine is not known").fix(format!(
                    "name the gateway in the configuration file: kerberos_service = \"symbolon/{gateway}@REALM\""
                ))
            })?;
            format!("symbolon/{gateway}@{realm}")
        }
    };
    ServicePrincipal::parse(&text).map_err(|e| {
        AgentError::usage(format!("kerberos_service {text:?}: {e}")).fix("correct the configuration file")
    })
}

/// `default_realm` of krb5.conf(5), of the first file that has it. Files that it includes are not read.
fn default_realm(variable: Option<OsString>) -> Option<String> {
    let files = variable.filter(|v| !v.is_empty()).unwrap_or_else(|| "/etc/krb5.conf".into());
    std::env::split_paths(&files).find_map(|file: PathBuf| {
        let text = String::from_utf8(read_bounded(&file, MAX_CONFIG).ok()??).ok()?;
        realm_in(&text)
    })
}

fn realm_in(text: &str) -> Option<String> {
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[libdefaults]";
        } else if let Some((name, value)) = line.split_once('=')
            && inside
            && name.trim() == "default_realm"
        {
            return Some(value.trim().trim_matches('"').to_owned());
        }
    }
    None
}

/// A ticket for the gateway, from the cache or from the KDC; blocks.
pub(crate) fn obtain(service: &ServicePrincipal) -> Result<KerberosToken, AgentError> {
    KerberosToken::obtain(service, &CredentialCache::Default, KDC).map_err(|e| told(&e, service))
}

/// What went wrong on this side, and what to do about it.
pub(crate) fn told(e: &KerberosError, service: &ServicePrincipal) -> AgentError {
    let text = e.to_string();
    match e {
        KerberosError::NoTicket(_) => AgentError::usage("there is no valid Kerberos ticket")
            .fix("get one with kinit, then sign in again"),
        KerberosError::Unreachable(_) | KerberosError::TimedOut => {
            AgentError::unreachable(text).fix("check the network and the KDC of the realm")
        }
        KerberosError::OtherService => AgentError::failure(format!(
            "Kerberos does not know the gateway as {}",
            service.as_str()
        ))
        .fix(
            "ask the realm's administrator for that principal, or name the right one in the configuration \
                 file: kerberos_service = \"…\"",
        ),
        KerberosError::NoLibrary(_) => {
            AgentError::failure(text).fix("install MIT Kerberos (Debian: libgssapi-krb5-2)")
        }
        _ => AgentError::failure(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_realm_is_the_one_of_libdefaults() {
        let text = "[realms]\n default_realm = NO\n[libdefaults]\n\tdefault_realm = EXAMPLE.ORG\n";
        assert_eq!(realm_in(text).as_deref(), Some("EXAMPLE.ORG"));
        assert_eq!(realm_in("[libdefaults]\n#default_realm\n"), None);
        assert_eq!(default_realm(Some("/nonexistent/krb5.conf".into())), None);
    }

    #[test]
    fn a_principal_of_the_configuration_comes_first_and_must_be_one() {
        let gateway = GatewayName::parse("gw.example").unwrap();
        let config = |service: &str| UserConfig {
            kerberos_service: Some(service.to_owned()),
            ..UserConfig::default()
        };
        assert_eq!(service(&config("host/a@B"), &gateway).unwrap().as_str(), "host/a@B");
        assert!(service(&config("host"), &gateway).unwrap_err().message.contains("kerberos_service"));
    }
}
