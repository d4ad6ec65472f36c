//! Who knows passwords that are not kept here: an LDAP directory or PAM.

use super::{ANSWER_SECS, Credentials, is_local, read};
use crate::credentials::LdapGroups;
use crate::error::NodeError;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use symbolon_crypto::SecretBytes;
use symbolon_directory::{
    Address, DnTemplate, FilterTemplate, LdapConfig, LdapDirectory, Pam, PamConfig, PamService,
    PasswordBackend, Protection, Searcher, UserSearch, Users,
};

/// Passwords that PAM is asked for at the same time: not every module bears many threads.
const PAM_THREADS: usize = 4;
/// Passwords that a directory is asked for at the same time.
const ASKED_AT_ONCE: usize = 16;

/// An LDAP directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LdapSettings {
    /// Servers with the same content, `host:port`; the first that answers is asked.
    pub servers: Vec<String>,
    /// File with the certificates, PEM, that vouch for them; without one only a directory on this
    /// machine may be asked.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// Whether TLS begins after a request for it, as on port 389.
    #[serde(default)]
    pub start_tls: bool,
    /// A user's entry, `uid={user},ou=people,dc=example,dc=org`; or else they are searched for.
    #[serde(default)]
    pub dn: Option<String>,
    /// Where to search.
    #[serde(default)]
    pub base: Option<String>,
    /// What to search for, `(&(objectClass=person)(uid={user}))`.
    #[serde(default)]
    pub filter: Option<String>,
    /// Which attribute has the name.
    #[serde(default = "default_name_attribute")]
    pub name_attribute: String,
    /// As whom to search; as nobody when absent.
    #[serde(default)]
    pub searcher: Option<String>,
    /// File with the searcher's password.
    #[serde(default)]
    pub searcher_password_file: Option<PathBuf>,
    /// Which of our groups those of the directory are.
    #[serde(default)]
    pub groups: Option<LdapGroups>,
}

fn default_name_attribute() -> String {
    "uid".to_owned()
}

/// A PAM service.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PamSettings {
    /// Its name: the file in the directory.
    pub service: String,
    /// Where service files are.
    #[serde(default = "default_pam_directory")]
    pub directory: PathBuf,
}

fn default_pam_directory() -> PathBuf {
    PathBuf::from("/etc/pam.d")
}

impl Credentials {
    pub(in crate::credentials) fn backend(&self) -> Result<Option<Box<dyn PasswordBackend>>, NodeError> {
        match (&self.ldap, &self.pam) {
            (None, None) => Ok(None),
            (Some(ldap), None) => Ok(Some(Box::new(ldap.directory()?))),
            (None, Some(pam)) => Ok(Some(Box::new(pam.open()?))),
            (Some(_), Some(_)) => {
                Err(NodeError::Config("credentials: name ldap or pam, not both".to_owned()))
            }
        }
    }
}

impl LdapSettings {
    fn directory(&self) -> Result<LdapDirectory, NodeError> {
        let wrong = |e: &dyn std::fmt::Display| NodeError::Config(format!("credentials.ldap: {e}"));
        let servers: Vec<Address> = self
            .servers
            .iter()
            .map(|s| Address::parse(s))
            .collect::<Result<_, _>>()
            .map_err(|e| wrong(&e))?;
        let protection = match &self.authorities {
            Some(path) if self.start_tls => Protection::start_tls(&read(path)?),
            Some(path) => Protection::tls(&read(path)?),
            None if self.servers.iter().all(|s| is_local(s)) => Ok(Protection::unprotected()),
            None => return Err(wrong(&"name the `authorities` that vouch for the servers")),
        };
        let users = match (&self.dn, &self.base, &self.filter) {
            (Some(dn), None, None) => Users::ByDn(DnTemplate::parse(dn).map_err(|e| wrong(&e))?),
            (None, Some(base), Some(filter)) => Users::BySearch(UserSearch {
                searcher: self.searcher()?,
                base: base.clone(),
                filter: FilterTemplate::parse(filter).map_err(|e| wrong(&e))?,
                name_attribute: self.name_attribute.clone(),
            }),
            _ => return Err(wrong(&"name `dn`, or `base` and `filter`")),
        };
        LdapDirectory::new(LdapConfig {
            servers,
            protection: protection.map_err(|e| wrong(&e))?,
            users,
            groups: self.groups.as_ref().map(LdapGroups::groups).transpose()?,
            limit: Duration::from_secs(ANSWER_SECS),
            connections: ASKED_AT_ONCE,
        })
        .map_err(|e| wrong(&e))
    }

    fn searcher(&self) -> Result<Searcher, NodeError> {
        match (&self.searcher, &self.searcher_password_file) {
            (None, None) => Ok(Searcher::Anonymous),
            (Some(dn), Some(path)) => {
                let mut password = read(path)?;
                while password.last().is_some_and(|b| matches!(b, b'\r' | b'\n')) {
                    password.pop();
                }
                Ok(Searcher::Account { dn: dn.clone(), password: SecretBytes::new(password) })
            }
            _ => Err(NodeError::Config(
                "credentials.ldap: `searcher` and `searcher_password_file` go together".to_owned(),
            )),
        }
    }
}

impl PamSettings {
    fn open(&self) -> Result<Pam, NodeError> {
        let wrong = |e: &dyn std::fmt::Display| NodeError::Config(format!("credentials.pam: {e}"));
        let service = PamService::new(&self.service, &self.directory).map_err(|e| wrong(&e))?;
        let config = PamConfig { service, limit: Duration::from_secs(ANSWER_SECS), threads: PAM_THREADS };
        let pam = Pam::new(config);
        pam.ready().map_err(|e| wrong(&e))?;
        Ok(pam)
    }
}
