//! The user's configuration file: everything in it is optional, and there need not be one.
//!
//! ```toml
//! gateway = "gw.example"                # which registration to use when the token has several
//! address = "gw.example:7843"           # where it is, if not where it was registered
//! place = "office"                      # told to the gateway (B9)
//! issuer = "0f1e 2d3c …"                # a token of another issuer is not used
//! issuer_certificate = "issuer.crt"     # whom to trust when signing in without a token (DER)
//! password_gateways = ["gw.example"]    # who may be sent a password; nobody unless named (A4)
//! kerberos_service = "symbolon/gw.example@EXAMPLE.ORG"  # the gateway's principal (A5)
//! id_token_command = ["get-id-token"]   # finds a nonce in SYMBOLON_NONCE and prints an ID token (A5)
//! oidc = { provider = "https://id.example", client = "symbolon", authorities = "ca.pem" }  # by the browser
//! key_sets = "/srv/keysets"             # a folder or https:// address with the keys of gateways (A1)
//! key_sets_authorities = "ca.pem"       # the certificates that vouch for that server
//! suites = ["x-wing"]                   # acceptable suites, best first
//! pkcs11_module = "/opt/token.so"       # the module of the device that holds the token's keys
//! ```

use crate::files::read_bounded;
use crate::{AgentError, Paths};
use serde::Deserialize;
use std::ffi::OsString;
use std::path::PathBuf;
use symbolon_crypto::{GatewayName, IssuerFingerprint, Suite, TrustedIssuer};
use symbolon_policy::PasswordGateways;
use symbolon_provider::crypto;

/// A configuration file has a few lines.
const MAX_CONFIG: usize = 64 * 1024;

/// A certificate is about a kilobyte.
const MAX_CERTIFICATE: usize = 16 * 1024;

/// What the user's configuration file says.
#[derive(Clone, Debug, Default)]
pub struct UserConfig {
    /// Which of the token's registrations to use.
    pub gateway: Option<GatewayName>,
    /// Where the gateway is: `host:port`.
    pub address: Option<String>,
    /// Where the machine is, for the gateway.
    pub place: Option<String>,
    /// Which issuer the token must have.
    pub issuer: Option<IssuerFingerprint>,
    /// Whom to trust without a token: a file with the issuer's certificate.
    pub issuer_certificate: Option<PathBuf>,
    /// Who may be sent a password.
    pub password_gateways: PasswordGateways,
    /// The gateway's Kerberos principal, `service/host@REALM`.
    pub kerberos_service: Option<String>,
    /// The program that gets ID tokens of an OpenID provider, and its arguments; none when empty.
    pub id_token_command: Vec<OsString>,
    /// The provider where the user signs in by the browser, where no program gets ID tokens.
    pub oidc: Option<OpenId>,
    /// A directory where the keys of gateways are found without asking them: a folder, or the address of
    /// a place on a web server, by HTTPS or on this machine.
    pub key_sets: Option<String>,
    /// File with the certificates, PEM, that vouch for that server.
    pub key_sets_authorities: Option<PathBuf>,
    /// Acceptable suites, best first.
    pub suites: Vec<Suite>,
    /// The PKCS#11 module of the device that holds the token's keys, if not the one that is found by itself.
    pub pkcs11_module: Option<PathBuf>,
}

/// An OpenID provider, as a client knows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenId {
    /// What it calls itself, `https://id.example.org`.
    pub provider: String,
    /// What it calls the gateway, whose public client the user's agent is.
    pub client: String,
    /// File with the certificates, PEM, that vouch for its server; beside the configuration file
    /// unless the path is absolute. Without one only a provider on this machine is asked.
    pub authorities: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    gateway: Option<String>,
    address: Option<String>,
    place: Option<String>,
    issuer: Option<String>,
    issuer_certificate: Option<PathBuf>,
    #[serde(default)]
    password_gateways: PasswordGateways,
    kerberos_service: Option<String>,
    #[serde(default)]
    id_token_command: Vec<String>,
    oidc: Option<OpenId>,
    key_sets: Option<String>,
    key_sets_authorities: Option<PathBuf>,
    suites: Option<Vec<WrittenSuite>>,
    pkcs11_module: Option<PathBuf>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WrittenSuite {
    XWing,
    X25519,
}

impl UserConfig {
    /// Reads the file; the defaults when there is none.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] with the line at fault.
    pub fn load(paths: &Paths) -> Result<Self, AgentError> {
        let Some(bytes) = read_bounded(&paths.config, MAX_CONFIG)? else {
            return Ok(Self { suites: vec![Suite::XWing], ..Self::default() });
        };
        let wrong = |what: String| {
            AgentError::usage(format!("{}: {what}", paths.config.display())).fix("correct that file")
        };
        let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8 text".into()))?;
        let written: Written = toml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        let gateway = written.gateway.as_deref().map(GatewayName::parse).transpose();
        let issuer = written.issuer.as_deref().map(parse_fingerprint);
        Ok(Self {
            gateway: gateway.map_err(|_| wrong("gateway is not a DNS name".into()))?,
            address: written.address,
            place: written.place,
            issuer: match issuer {
                Some(None) => return Err(wrong("issuer is not 64 hexadecimal digits".into())),
                Some(fingerprint) => fingerprint,
                None => None,
            },
            // Beside the configuration file unless the path is absolute.
            issuer_certificate: written.issuer_certificate.map(|p| paths.config.with_file_name(p)),
            password_gateways: written.password_gateways,
            pkcs11_module: written.pkcs11_module.map(|p| paths.config.with_file_name(p)),
            kerberos_service: written.kerberos_service,
            id_token_command: written.id_token_command.into_iter().map(OsString::from).collect(),
            oidc: written.oidc.map(|oidc| OpenId {
                authorities: oidc.authorities.map(|p| paths.config.with_file_name(p)),
                ..oidc
            }),
            key_sets: written.key_sets.map(|place| match place.contains("://") {
                true => place,
                false => paths.config.with_file_name(place).display().to_string(),
            }),
            key_sets_authorities: written.key_sets_authorities.map(|p| paths.config.with_file_name(p)),
            suites: match written.suites {
                None => vec![Suite::XWing],
                Some(suites) if suites.is_empty() => return Err(wrong("suites must name one".into())),
                Some(suites) => suites
                    .into_iter()
                    .map(|s| match s {
                        WrittenSuite::XWing => Suite::XWing,
                        WrittenSuite::X25519 => Suite::X25519,
                    })
                    .collect(),
            },
        })
    }

    /// The issuer that the file names for signing in without a token.
    ///
    /// # Errors
    /// When the certificate cannot be read or is none.
    pub fn trusted_issuer(&self) -> Result<Option<TrustedIssuer>, AgentError> {
        let Some(path) = &self.issuer_certificate else { return Ok(None) };
        let bytes = read_bounded(path, MAX_CERTIFICATE)?.ok_or_else(|| {
            AgentError::usage(format!("there is no certificate {}", path.display()))
                .fix("correct issuer_certificate in the configuration file")
        })?;
        Ok(Some(TrustedIssuer::from_certificate(crypto(), &bytes)?))
    }

    /// Refuses an issuer that the file does not expect.
    pub(crate) fn check_issuer(&self, issuer: IssuerFingerprint) -> Result<(), AgentError> {
        match self.issuer {
            Some(expected) if expected != issuer => Err(AgentError::denied(format!(
                "the token is from another issuer ({issuer}) than the configuration file expects ({expected})"
            ))
            .fix("somebody may have put another token in place of yours: import yours again, or correct issuer in \
                  the configuration file")),
            _ => Ok(()),
        }
    }
}

/// 64 hexadecimal digits; spaces and colons between them are left out.
fn parse_fingerprint(text: &str) -> Option<IssuerFingerprint> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !matches!(c, ' ' | ':'))
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks(2).filter_map(|p| Some(p.first()? << 4 | p.get(1)?)).collect();
    (digits.len() == 64).then(|| bytes.try_into().ok().map(IssuerFingerprint))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<UserConfig, AgentError> {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(Some(dir.path().to_owned())).unwrap();
        std::fs::write(&paths.config, text).unwrap();
        UserConfig::load(&paths)
    }

    #[test]
    fn no_file_is_the_default() {
        let dir = tempfile::tempdir().unwrap();
        let config = UserConfig::load(&Paths::new(Some(dir.path().to_owned())).unwrap()).unwrap();
        assert_eq!(config.suites, [Suite::XWing]);
        assert!(config.password_gateways.permit("gw.example").is_none());
    }

    #[test]
    fn a_file_is_read_and_its_mistakes_are_named() {
        let print = IssuerFingerprint([0xab; 32]);
        let config =
            load(&format!("gateway = \"GW.example\"\nissuer = \"{print}\"\nsuites = [\"x25519\"]")).unwrap();
        assert_eq!(config.gateway.unwrap().as_str(), "gw.example");
        assert_eq!((config.issuer, config.suites.as_slice()), (Some(print), [Suite::X25519].as_slice()));
        assert!(load("gatewy = \"x\"").unwrap_err().message.contains("gatewy"));
        assert!(load("issuer = \"abc\"").unwrap_err().message.contains("issuer"));
        assert!(load("suites = []").is_err());
    }
}
