//! By what to sign in.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use symbolon_agent::{CertificateFiles, Credential, DevicePin, Paths};
use symbolon_crypto::SecretBytes;
use symbolon_policy::CanonName;
use zeroize::Zeroizing;

use crate::device;
use crate::exit::{Complaint, Outcome};
use crate::pin::{self, PinArgs};

/// A kind of credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// The registered token and its PIN
    Token,
    /// A user name and a password, where the configuration file lets the gateway have it
    Password,
    /// A certificate and its key
    #[value(alias = "cert")]
    Certificate,
    /// The Kerberos ticket of kinit
    Kerberos,
    /// An ID token from the program that the configuration file names
    Oidc,
    /// The ticket that an earlier session left
    Ticket,
}

impl Method {
    /// As it is typed.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Password => "password",
            Self::Certificate => "certificate",
            Self::Kerberos => "kerberos",
            Self::Oidc => "oidc",
            Self::Ticket => "ticket",
        }
    }
}

/// With which credential to sign in.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct CredentialArgs {
    /// By what to sign in [default: token; password with --user, certificate with --certificate]
    #[arg(long, value_name = "METHOD")]
    with: Option<Method>,
    #[command(flatten)]
    pin: PinArgs,
    /// Sign in by this name and a password, where the configuration file lets the gateway have it
    #[arg(long, value_name = "NAME", required_if_eq("with", "password"))]
    user: Option<CanonName>,
    /// Read the password from a file that only its owner may read
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// Sign in by the certificate in this file, PEM or DER, those between it and its authority behind it
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with = "user")]
    certificate: Option<PathBuf>,
    /// Its private key: PKCS #8, a file that symbolon wrote, or a key in a device: 'pkcs11:token=NAME;object=NAME'
    #[arg(long, value_name = "FILE or URI", requires = "certificate")]
    key: Option<PathBuf>,
}

impl CredentialArgs {
    /// The method that was named, or that the other arguments imply.
    pub(crate) fn method(&self) -> Outcome<Method> {
        let implied = match (&self.user, &self.certificate) {
            (Some(_), _) => Some((Method::Password, "--user")),
            (None, Some(_)) => Some((Method::Certificate, "--certificate")),
            (None, None) => None,
        };
        match (self.with, implied) {
            (Some(with), Some((implied, flag))) if with != implied => {
                Err(Complaint::usage(format!("--with {} does not go with {flag}", with.as_str()))
                    .fix(format!("leave one of the two out; {flag} is for --with {}", implied.as_str())))
            }
            (Some(method), _) | (None, Some((method, _))) => Ok(method),
            (None, None) => Ok(Method::Token),
        }
    }

    /// Whether nothing was said about the credential, so that a person would be asked for the PIN.
    pub(crate) const fn is_left_open(&self) -> bool {
        self.with.is_none()
            && self.pin.pin_file.is_none()
            && self.user.is_none()
            && self.certificate.is_none()
    }

    /// By the ticket of the last session.
    pub(crate) fn ticket() -> Self {
        Self { with: Some(Method::Ticket), ..Self::default() }
    }

    /// Asks for the PIN or the password, where there is one.
    pub(crate) fn secret(&self, paths: &Paths) -> Outcome<Option<Zeroizing<String>>> {
        let secret = match (self.method()?, &self.user, &self.password_file) {
            (Method::Token, _, _) if in_device(paths) => self.pin.secret_of_device(),
            (Method::Token, _, _) => self.pin.secret(),
            (Method::Password, _, Some(file)) => pin::read_file(file),
            (Method::Password, Some(user), None) => pin::prompt(&format!("Password of {user}: ")),
            (Method::Certificate, _, _) => match self.key_in_device(paths)? {
                None => return Ok(None),
                Some(KeyInDevice { pin_source: Some(file) }) if self.pin.pin_file.is_none() => {
                    pin::read_file(&file)
                }
                Some(_) => self.pin.secret_of_device(),
            },
            _ => return Ok(None),
        };
        secret.map(Some)
    }

    /// Whether there is a secret, which another process is given.
    pub(crate) fn has_secret(&self, paths: &Paths) -> Outcome<bool> {
        Ok(match self.method()? {
            Method::Token | Method::Password => true,
            Method::Certificate => self.key_in_device(paths)?.is_some(),
            Method::Kerberos | Method::Oidc | Method::Ticket => false,
        })
    }

    /// Whether the key of the certificate is in a device, whose PIN is needed.
    fn key_in_device(&self, paths: &Paths) -> Outcome<Option<KeyInDevice>> {
        Ok(match &self.key {
            Some(key) => device::in_place_of(key)?.map(|uri| KeyInDevice { pin_source: uri.pin_source }),
            // what else is wrong with it shows when it is opened
            None => symbolon_agent::certificate_info(paths)
                .ok()
                .flatten()
                .and_then(|info| info.device)
                .map(|_| KeyInDevice { pin_source: None }),
        })
    }

    /// The same arguments for another process with another current directory, which is given the secret.
    pub(crate) fn words(&self) -> Outcome<Vec<String>> {
        let mut words = vec![format!("--with={}", self.method()?.as_str())];
        words.extend(self.user.as_ref().map(|user| format!("--user={user}")));
        for (flag, file) in [("--certificate", &self.certificate), ("--key", &self.key)] {
            let Some(file) = file else { continue };
            if let Some(uri) = device::in_place_of(file)? {
                words.push(format!("{flag}={uri}"));
                continue;
            }
            let file = std::path::absolute(file).map_err(|e| Complaint::file(file, &e))?;
            let file = file.to_str().ok_or_else(|| {
                Complaint::usage(format!("{} is not UTF-8 text", file.display())).fix("rename it")
            })?;
            words.push(format!("{flag}={file}"));
        }
        Ok(words)
    }

    /// The credential, whose secret was asked for.
    pub(crate) fn credential(self, paths: &Paths, secret: Option<Zeroizing<String>>) -> Outcome<Credential> {
        let method = self.method()?;
        let needed = || Complaint::usage(format!("--with {} needs a secret", method.as_str()));
        Ok(match (method, self.user) {
            (Method::Token, _) if in_device(paths) => {
                let mut secret = secret.ok_or_else(needed)?;
                Credential::Device(DevicePin::new(std::mem::take(&mut *secret)))
            }
            (Method::Token, _) => Credential::Token(pin::pin(secret.ok_or_else(needed)?)?),
            (Method::Password, user) => {
                let secret = secret.ok_or_else(needed)?;
                let user =
                    user.ok_or_else(|| Complaint::usage("whose password is it?").fix("--user NAME"))?;
                Credential::Password { user, password: SecretBytes::new(secret.as_bytes().to_vec()) }
            }
            (Method::Certificate, _) => Credential::Certificate {
                files: match (self.certificate, self.key) {
                    (Some(certificate), Some(key)) => match device::in_place_of(&key)? {
                        Some(uri) => CertificateFiles::InDevice { certificate, key: Box::new(uri) },
                        None => CertificateFiles::At { certificate, key },
                    },
                    _ => CertificateFiles::Kept,
                },
                pin: secret.map(|mut pin| DevicePin::new(std::mem::take(&mut *pin))),
            },
            (Method::Kerberos, _) => Credential::Kerberos,
            (Method::Oidc, _) => Credential::Oidc,
            (Method::Ticket, _) => Credential::Ticket,
        })
    }
}

/// A certificate's key that is in a device.
struct KeyInDevice {
    /// Where its PIN comes from if nobody is asked.
    pin_source: Option<PathBuf>,
}

/// Whether a device holds the token's keys; what else is wrong with the token shows when it is opened.
fn in_device(paths: &Paths) -> bool {
    symbolon_agent::token::info(paths).is_ok_and(|info| info.device.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        credential: CredentialArgs,
    }

    fn line(words: &[&str]) -> CredentialArgs {
        Line::try_parse_from([&["symbolon"], words].concat()).unwrap().credential
    }

    #[test]
    fn the_method_follows_from_what_is_named() {
        assert_eq!(line(&[]).method(), Ok(Method::Token));
        assert_eq!(line(&["--user", "paul"]).method(), Ok(Method::Password));
        assert_eq!(line(&["--certificate", "c", "--key", "k"]).method(), Ok(Method::Certificate));
        assert_eq!(line(&["--with", "cert"]).method(), Ok(Method::Certificate));
        assert!(line(&["--with", "kerberos", "--user", "paul"]).method().is_err());
        assert!(Line::try_parse_from(["symbolon", "--certificate", "c"]).is_err());
        assert!(Line::try_parse_from(["symbolon", "--with", "password"]).is_err());
    }

    #[test]
    fn a_key_in_a_device_stands_in_the_place_of_a_file() {
        let key = "pkcs11:token=work;object=laptop?pin-source=file:/etc/pin";
        let credential = line(&["--certificate", "/c", "--key", key]);
        let nowhere = Paths::new(Some("/nowhere".into())).unwrap();
        assert_eq!(credential.has_secret(&nowhere), Ok(true));
        assert_eq!(credential.words().unwrap()[2], format!("--key={key}"));
        let pin = Some(Zeroizing::new("4321".to_owned()));
        let opened = credential.credential(&nowhere, pin).unwrap();
        let Credential::Certificate { files: CertificateFiles::InDevice { key, .. }, pin: Some(_) } = opened
        else {
            panic!("{opened:?}");
        };
        assert_eq!(key.object.as_deref(), Some("laptop"));
        assert!(line(&["--certificate", "/c", "--key", "pkcs11:nonsense"]).has_secret(&nowhere).is_err());
        assert_eq!(line(&["--certificate", "/c", "--key", "/k"]).has_secret(&nowhere), Ok(false));
    }

    #[test]
    fn another_process_gets_the_same_arguments_with_absolute_paths() {
        let words = line(&["--certificate", "c", "--key", "/k"]).words().unwrap();
        assert_eq!((&*words[0], &*words[2]), ("--with=certificate", "--key=/k"));
        assert!(words[1].starts_with("--certificate=/") && words[1].ends_with("/c"));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_eq!(line(&words).words().unwrap(), words);
    }
}
