use std::collections::BTreeMap;
use std::time::Duration;

use symbolon_crypto::SecretBytes;
use symbolon_policy::{CanonName, GroupName};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::connection::Connection;
use super::filter::Values;
use super::message::{Entry, Outcome, Search, code};
use super::{Address, DnTemplate, FilterTemplate, LdapTextError, Protection};
use crate::{BackendError, Checked, Checking, PasswordBackend, is_impossible};

/// The most groups of one user that are looked at.
const MAX_GROUPS: u32 = 1000;

/// An entry that no directory has: whose password is asked for when there is no such user, so that
/// both cases take the same steps.
const NOBODY: &str = "cn=no such person";

/// A directory and how to use it.
#[derive(Debug)]
pub struct LdapConfig {
    /// Servers with the same content; the first that answers is asked.
    pub servers: Vec<Address>,
    /// How they are talked to.
    pub protection: Protection,
    /// How users are found.
    pub users: Users,
    /// Which groups of users have a name here, if any.
    pub groups: Option<Groups>,
    /// How long one check may take, waiting for a free connection included.
    pub limit: Duration,
    /// How many checks are under way at once; the others wait.
    pub connections: usize,
}

/// How a user's entry is found.
#[derive(Debug)]
pub enum Users {
    /// By a template: the directory is not asked.
    ByDn(DnTemplate),
    /// By a search, which must find exactly one entry.
    BySearch(UserSearch),
}

/// A search for users.
#[derive(Debug)]
pub struct UserSearch {
    /// As whom to search.
    pub searcher: Searcher,
    /// Where to search: the whole subtree.
    pub base: String,
    /// What to search for; it must contain `{user}`.
    pub filter: FilterTemplate,
    /// Which attribute holds the user's name, as `uid`: one of its values must be the very name that
    /// was asked for, lest a loose filter take one person for another.
    pub name_attribute: String,
}

/// As whom to search.
#[derive(Debug)]
pub enum Searcher {
    /// An account of ours.
    Account {
        /// Its entry.
        dn: String,
        /// Its password.
        password: SecretBytes,
    },
    /// As nobody, where the directory allows it.
    Anonymous,
}

/// Which groups of the directory are which of ours. A group that is not listed means nothing here, so
/// that nobody comes to a right by founding a group of the right name.
#[derive(Debug)]
pub struct Groups {
    /// Where the user's groups are written.
    pub source: GroupSource,
    /// What the directory calls a group, and what it is called here. Case is ignored (RFC 4517
    /// §4.2.11).
    pub names: BTreeMap<String, GroupName>,
}

/// Where a user's groups are written.
#[derive(Debug)]
pub enum GroupSource {
    /// In the user's entry: an attribute, as `memberOf`. Users must be found by search.
    Attribute(String),
    /// In the groups' entries.
    Search {
        /// Where to search: the whole subtree.
        base: String,
        /// What to search for; it contains `{dn}` or `{user}`, as in `(member={dn})`.
        filter: FilterTemplate,
        /// The attribute that holds a group's name, as `cn`.
        name_attribute: String,
    },
}

/// Passwords by LDAP.
#[derive(Debug)]
pub struct LdapDirectory {
    config: LdapConfig,
    free: Semaphore,
}

impl LdapDirectory {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// [`LdapTextError`] when parts of the configuration do not fit together.
    pub fn new(mut config: LdapConfig) -> Result<Self, LdapTextError> {
        let wrong = |why| Err(LdapTextError::new("directory", why));
        if config.servers.is_empty() || config.connections == 0 || config.limit.is_zero() {
            return wrong("it needs a server, a connection and some time");
        }
        if let Users::BySearch(search) = &config.users {
            let filter = &search.filter;
            if !filter.names_user() || filter.names_dn() || search.name_attribute.is_empty() {
                return wrong("the search for users needs {user} in its filter, and the name's attribute");
            }
            // Anything else would be an anonymous bind in disguise (RFC 4513 §5.1.2).
            if let Searcher::Account { dn, password } = &search.searcher
                && (dn.is_empty() || password.expose().is_empty())
            {
                return wrong("the searcher's name or password is empty");
            }
        }
        if let Some(groups) = &mut config.groups {
            match (&groups.source, &config.users) {
                (GroupSource::Attribute(_), Users::ByDn(_)) => {
                    return wrong("groups in the user's entry need a search for users");
                }
                (GroupSource::Search { filter, .. }, _) if !filter.names_dn() && !filter.names_user() => {
                    return wrong("the search for groups needs {dn} or {user} in its filter");
                }
                _ => {}
            }
            let names = std::mem::take(&mut groups.names);
            groups.names = names.into_iter().map(|(name, ours)| (name.to_lowercase(), ours)).collect();
        }
        let free = Semaphore::new(config.connections.min(Semaphore::MAX_PERMITS));
        Ok(Self { config, free })
    }

    /// Whether a server answers and lets us search, for a node's start.
    ///
    /// # Errors
    /// [`BackendError`], by whose fault.
    pub async fn ready(&self) -> Result<(), BackendError> {
        timeout(self.config.limit, async {
            let mut connection = self.connect().await?;
            if let Users::BySearch(search) = &self.config.users {
                search.log_in(&mut connection).await?;
            }
            connection.close().await;
            Ok(())
        })
        .await
        .map_err(|_| too_late())?
    }

    async fn check_in_time(&self, user: &CanonName, password: &SecretBytes) -> Result<Checked, BackendError> {
        if is_impossible(password) {
            return Ok(Checked::Wrong);
        }
        timeout(self.config.limit, self.check_at_leisure(user, password)).await.map_err(|_| too_late())?
    }

    async fn check_at_leisure(
        &self,
        user: &CanonName,
        password: &SecretBytes,
    ) -> Result<Checked, BackendError> {
        let _permit = self.free.acquire().await.map_err(|e| BackendError::Unavailable(e.to_string()))?;
        let mut connection = self.connect().await?;
        let checked = match &self.config.users {
            Users::ByDn(template) => {
                let dn = template.with(user.as_str());
                let right = right(&connection.bind(&dn, password.expose()).await?)?;
                // The groups are what the user may see of them.
                if right {
                    self.groups_of(&mut connection, user, &dn, None).await?.into()
                } else {
                    Checked::Wrong
                }
            }
            Users::BySearch(search) => {
                search.log_in(&mut connection).await?;
                let found = self.find(&mut connection, search, user).await?;
                let (dn, groups) = match &found {
                    Some(entry) => {
                        let groups = self.groups_of(&mut connection, user, &entry.dn, Some(entry)).await?;
                        (entry.dn.clone(), Some(groups))
                    }
                    None => (format!("{NOBODY},{}", search.base), None),
                };
                let outcome = connection.bind(&dn, password.expose()).await?;
                match groups {
                    Some(groups) if right(&outcome)? => groups.into(),
                    _ => Checked::Wrong,
                }
            }
        };
        connection.close().await;
        Ok(checked)
    }

    /// The first server that can be reached; each has its share of half the time.
    async fn connect(&self) -> Result<Connection, BackendError> {
        let share = self.config.limit / 2 / self.config.servers.len() as u32;
        let mut last = too_late();
        for server in &self.config.servers {
            match timeout(share, Connection::open(server, &self.config.protection)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => last = error,
                Err(_) => last = BackendError::Unavailable(format!("{server}: no answer in time")),
            }
            tracing::warn!(%server, error = %last, "a directory server was not reached");
        }
        Err(last)
    }

    /// The user's entry, if there is one.
    async fn find(
        &self,
        connection: &mut Connection,
        search: &UserSearch,
        user: &CanonName,
    ) -> Result<Option<Entry>, BackendError> {
        let filter = search.filter.with(&Values { user: user.as_str(), dn: "" });
        let mut attributes = vec![search.name_attribute.as_str()];
        if let Some(Groups { source: GroupSource::Attribute(name), .. }) = &self.config.groups {
            attributes.push(name);
        }
        let question = Search {
            base: &search.base,
            filter: &filter,
            attributes: &attributes,
            most: 2,
            limit_secs: self.limit_secs(),
        };
        let (mut entries, outcome) = connection.search(&question).await?;
        if entries.len() > 1 || outcome.code == code::SIZE_LIMIT_EXCEEDED {
            return Err(BackendError::Denied("the search finds several entries for one name".to_owned()));
        }
        searched(&outcome)?;
        let Some(entry) = entries.pop() else { return Ok(None) };
        let is_user = |v: &str| CanonName::parse(v).is_ok_and(|name| name == *user);
        if entry.dn.is_empty() || !entry.values(&search.name_attribute).any(is_user) {
            return Err(BackendError::Denied("the entry that was found has another name".to_owned()));
        }
        Ok(Some(entry))
    }

    async fn groups_of(
        &self,
        connection: &mut Connection,
        user: &CanonName,
        dn: &str,
        entry: Option<&Entry>,
    ) -> Result<Found, BackendError> {
        let Some(groups) = &self.config.groups else { return Ok(Found(Vec::new())) };
        match &groups.source {
            GroupSource::Attribute(name) => Ok(groups.ours(entry.iter().flat_map(|e| e.values(name)))),
            GroupSource::Search { base, filter, name_attribute } => {
                let filter = filter.with(&Values { user: user.as_str(), dn });
                let question = Search {
                    base,
                    filter: &filter,
                    attributes: &[name_attribute],
                    most: MAX_GROUPS,
                    limit_secs: self.limit_secs(),
                };
                let (entries, outcome) = connection.search(&question).await?;
                searched(&outcome)?;
                Ok(groups.ours(entries.iter().flat_map(|e| e.values(name_attribute))))
            }
        }
    }

    fn limit_secs(&self) -> u32 {
        u32::try_from(self.config.limit.as_secs()).unwrap_or(u32::MAX).clamp(1, i32::MAX as u32)
    }
}

impl PasswordBackend for LdapDirectory {
    fn check<'a>(&'a self, user: &'a CanonName, password: &'a SecretBytes) -> Checking<'a> {
        Box::pin(self.check_in_time(user, password))
    }
}

impl UserSearch {
    async fn log_in(&self, connection: &mut Connection) -> Result<(), BackendError> {
        let Searcher::Account { dn, password } = &self.searcher else { return Ok(()) };
        let outcome = connection.bind(dn, password.expose()).await?;
        match outcome.code {
            code::SUCCESS => Ok(()),
            code::BUSY | code::UNAVAILABLE => Err(BackendError::Unavailable(said(&outcome))),
            _ => Err(BackendError::Misconfigured(format!("searcher: {}", said(&outcome)))),
        }
    }
}

/// Groups that have a name here.
struct Found(Vec<GroupName>);

impl From<Found> for Checked {
    fn from(found: Found) -> Self {
        Self::Right { groups: found.0 }
    }
}

impl Groups {
    fn ours<'a>(&self, theirs: impl Iterator<Item = &'a str>) -> Found {
        let mut ours: Vec<_> =
            theirs.filter_map(|name| self.names.get(&name.to_lowercase()).cloned()).collect();
        ours.sort();
        ours.dedup();
        Found(ours)
    }
}

/// What a bind as the user says of the password.
fn right(outcome: &Outcome) -> Result<bool, BackendError> {
    match outcome.code {
        code::SUCCESS => Ok(true),
        code::INVALID_CREDENTIALS | code::NO_SUCH_OBJECT | code::INAPPROPRIATE_AUTHENTICATION => Ok(false),
        code::BUSY | code::UNAVAILABLE => Err(BackendError::Unavailable(said(outcome))),
        code::STRONGER_AUTH_REQUIRED | code::CONFIDENTIALITY_REQUIRED | code::INVALID_DN_SYNTAX => {
            Err(BackendError::Misconfigured(said(outcome)))
        }
        code::REFERRAL => {
            Err(BackendError::Denied("the user is on another server, where nobody goes".to_owned()))
        }
        _ => Err(BackendError::Denied(said(outcome))),
    }
}

fn searched(outcome: &Outcome) -> Result<(), BackendError> {
    match outcome.code {
        code::SUCCESS => Ok(()),
        code::BUSY | code::UNAVAILABLE => Err(BackendError::Unavailable(said(outcome))),
        _ => Err(BackendError::Misconfigured(format!("search: {}", said(outcome)))),
    }
}

fn said(outcome: &Outcome) -> String {
    format!("the directory says {} ({})", outcome.code, outcome.words)
}

fn too_late() -> BackendError {
    BackendError::Unavailable("no answer in time".to_owned())
}
