//! What an administrator writes about password back ends, and what it means.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use symbolon_crypto::SecretBytes;
use symbolon_policy::GroupName;
use zeroize::Zeroize as _;

use crate::{
    Address, DnTemplate, FilterTemplate, GroupSource, Groups, LdapConfig, LdapDirectory, Pam, PamConfig,
    PamService, Protection, Searcher, UserSearch, Users,
};

/// Something that was written is not what it should be, or a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct SettingsError {
    what: String,
    why: String,
}

impl SettingsError {
    fn new(what: impl std::fmt::Display, why: impl std::fmt::Display) -> Self {
        Self { what: what.to_string(), why: why.to_string() }
    }
}

/// Passwords by LDAP. Users are found by `user_dn` or by `search`, one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LdapSettings {
    /// Servers with the same content, as `ldap.example.org:636`; the first that answers is asked.
    pub servers: Vec<String>,
    /// How they are talked to.
    #[serde(default)]
    pub protection: ProtectionKind,
    /// The file with the certificates to which the servers' chain (PEM); not with `unprotected`.
    #[serde(default)]
    pub authority_file: Option<PathBuf>,
    /// How long one check may take, in seconds.
    #[serde(default = "default_limit_secs")]
    pub limit_secs: u64,
    /// Checks at the same time.
    #[serde(default = "default_connections")]
    pub connections: usize,
    /// Where users are, as `uid={user},ou=people,dc=example,dc=org`.
    #[serde(default)]
    pub user_dn: Option<String>,
    /// How users are searched for.
    #[serde(default)]
    pub search: Option<SearchSettings>,
    /// Which groups have a name here.
    #[serde(default)]
    pub groups: Option<GroupSettings>,
}

/// How a directory is talked to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProtectionKind {
    /// TLS from the first byte.
    #[default]
    Tls,
    /// TLS after a request for it, which must be granted.
    StartTls,
    /// None: for a directory on the same machine.
    Unprotected,
}

/// A search for users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchSettings {
    /// Where to search.
    pub base: String,
    /// What to search for, as `(&(objectClass=person)(uid={user}))`.
    pub filter: String,
    /// The attribute that holds the user's name, as `uid`.
    pub name_attribute: String,
    /// The entry as which to search; nobody's if it is absent.
    #[serde(default)]
    pub searcher_dn: Option<String>,
    /// The file with its password.
    #[serde(default)]
    pub searcher_password_file: Option<PathBuf>,
}

/// Which groups of a directory are which of ours: by `attribute` of the user's entry, or by a search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSettings {
    /// The attribute of the user's entry with its groups, as `memberOf`.
    #[serde(default)]
    pub attribute: Option<String>,
    /// Where to search for groups.
    #[serde(default)]
    pub base: Option<String>,
    /// What to search for, as `(member={dn})`.
    #[serde(default)]
    pub filter: Option<String>,
    /// The attribute that holds a group's name.
    #[serde(default = "default_group_name")]
    pub name_attribute: String,
    /// What the directory calls a group, and what it is called here.
    pub names: BTreeMap<String, String>,
}

/// Passwords by PAM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PamSettings {
    /// The service.
    #[serde(default = "default_service")]
    pub service: String,
    /// The directory with its file.
    #[serde(default = "default_directory")]
    pub directory: PathBuf,
    /// How long one check may take, in seconds.
    #[serde(default = "default_limit_secs")]
    pub limit_secs: u64,
    /// Checks at the same time.
    #[serde(default = "default_threads")]
    pub threads: usize,
}

/// A back end answers within tens of milliseconds; after five seconds somebody who waits gives up.
const fn default_limit_secs() -> u64 {
    5
}

/// A directory takes hundreds of binds a second over that many.
const fn default_connections() -> usize {
    8
}

const fn default_threads() -> usize {
    4
}

fn default_group_name() -> String {
    "cn".to_owned()
}

fn default_service() -> String {
    "symbolon".to_owned()
}

fn default_directory() -> PathBuf {
    "/etc/pam.d".into()
}

impl LdapSettings {
    /// The directory that they describe. Nothing is asked yet; [`LdapDirectory::ready`] does.
    ///
    /// # Errors
    /// [`SettingsError`] naming what is wrong.
    pub fn directory(&self) -> Result<LdapDirectory, SettingsError> {
        let servers = self.servers.iter();
        let servers = servers.map(|s| Address::parse(s).map_err(|e| SettingsError::new(s, e)));
        let config = LdapConfig {
            servers: servers.collect::<Result<_, _>>()?,
            protection: self.protection()?,
            users: self.users()?,
            groups: self.groups.as_ref().map(GroupSettings::groups).transpose()?,
            limit: Duration::from_secs(self.limit_secs),
            connections: self.connections,
        };
        LdapDirectory::new(config).map_err(|e| SettingsError::new("ldap", e))
    }

    fn protection(&self) -> Result<Protection, SettingsError> {
        let wrong = |e: &dyn std::fmt::Display| SettingsError::new("authority_file", e);
        let pem = || match &self.authority_file {
            Some(file) => std::fs::read(file).map_err(|e| wrong(&format!("{}: {e}", file.display()))),
            None => Err(wrong(&"it is not named, but TLS is asked for")),
        };
        match self.protection {
            ProtectionKind::Tls => Protection::tls(&pem()?).map_err(|e| wrong(&e)),
            ProtectionKind::StartTls => Protection::start_tls(&pem()?).map_err(|e| wrong(&e)),
            ProtectionKind::Unprotected if self.authority_file.is_some() => {
                Err(wrong(&"it is named, but no TLS is asked for"))
            }
            ProtectionKind::Unprotected => Ok(Protection::unprotected()),
        }
    }

    fn users(&self) -> Result<Users, SettingsError> {
        match (&self.user_dn, &self.search) {
            (Some(template), None) => {
                DnTemplate::parse(template).map(Users::ByDn).map_err(|e| SettingsError::new("user_dn", e))
            }
            (None, Some(search)) => search.search().map(Users::BySearch),
            _ => Err(SettingsError::new("ldap", "write user_dn or search, one of the two")),
        }
    }
}

impl SearchSettings {
    fn search(&self) -> Result<UserSearch, SettingsError> {
        let filter = FilterTemplate::parse(&self.filter).map_err(|e| SettingsError::new("filter", e))?;
        let searcher = match (&self.searcher_dn, &self.searcher_password_file) {
            (Some(dn), Some(file)) => Searcher::Account { dn: dn.clone(), password: password_in(file)? },
            (None, None) => Searcher::Anonymous,
            _ => {
                let both = "write searcher_dn and searcher_password_file, or neither";
                return Err(SettingsError::new("search", both));
            }
        };
        let (base, name_attribute) = (self.base.clone(), self.name_attribute.clone());
        Ok(UserSearch { searcher, base, filter, name_attribute })
    }
}

impl GroupSettings {
    fn groups(&self) -> Result<Groups, SettingsError> {
        let source = match (&self.attribute, &self.base, &self.filter) {
            (Some(attribute), None, None) => GroupSource::Attribute(attribute.clone()),
            (None, Some(base), Some(filter)) => GroupSource::Search {
                base: base.clone(),
                filter: FilterTemplate::parse(filter).map_err(|e| SettingsError::new("filter", e))?,
                name_attribute: self.name_attribute.clone(),
            },
            _ => return Err(SettingsError::new("groups", "write attribute, or base and filter")),
        };
        let ours = |(theirs, ours): (&String, &String)| {
            let name = GroupName::parse(ours).map_err(|e| SettingsError::new(ours, e))?;
            Ok((theirs.clone(), name))
        };
        Ok(Groups { source, names: self.names.iter().map(ours).collect::<Result<_, _>>()? })
    }
}

impl PamSettings {
    /// The back end that they describe. Whether the service is there, [`Pam::ready`] says.
    ///
    /// # Errors
    /// [`SettingsError`] naming what is wrong.
    pub fn pam(&self) -> Result<Pam, SettingsError> {
        let service =
            PamService::new(&self.service, &self.directory).map_err(|e| SettingsError::new("pam", e))?;
        if self.limit_secs == 0 || self.threads == 0 {
            return Err(SettingsError::new("pam", "it needs some time and a thread"));
        }
        Ok(Pam::new(PamConfig {
            service,
            limit: Duration::from_secs(self.limit_secs),
            threads: self.threads,
        }))
    }
}

/// The first line of a file that not everybody may read.
fn password_in(file: &Path) -> Result<SecretBytes, SettingsError> {
    let wrong = |e: &dyn std::fmt::Display| SettingsError::new(file.display(), e);
    let mode = std::fs::metadata(file).map_err(|e| wrong(&e))?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(wrong(&"everybody may read this password: chmod o= it"));
    }
    let mut bytes = std::fs::read(file).map_err(|e| wrong(&e))?;
    let line = bytes.split(|b| matches!(b, b'\n' | b'\r')).next().unwrap_or_default();
    let password = SecretBytes::new(line.to_vec());
    bytes.zeroize();
    if password.expose().is_empty() { Err(wrong(&"its first line is empty")) } else { Ok(password) }
}
