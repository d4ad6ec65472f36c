//! Which of our groups those of a directory or a provider are: their members have in a session what was given
//! to the group, as if they were in it here.

use crate::error::NodeError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use symbolon_directory::{FilterTemplate, GroupSource, Groups};
use symbolon_policy::GroupName;
use symbolon_session::MAX_GROUPS;
use symbolon_tickets::oidc::ClaimGroups;

/// Groups of an LDAP directory, by an attribute of users' entries or by a search among the groups'.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LdapGroups {
    /// The attribute of a user's entry that has them, `memberOf`. Users must be found by search.
    #[serde(default)]
    pub attribute: Option<String>,
    /// Where to search for groups.
    #[serde(default)]
    pub base: Option<String>,
    /// What to search for, with the user's entry or name in it: `(member={dn})`.
    #[serde(default)]
    pub filter: Option<String>,
    /// Which attribute has a group's name.
    #[serde(default = "default_name_attribute")]
    pub name_attribute: String,
    /// What the directory calls a group, without regard to case, and what it is called here.
    pub names: BTreeMap<String, String>,
}

fn default_name_attribute() -> String {
    "cn".to_owned()
}

/// Groups of an OpenID provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcGroups {
    /// The claim that has them.
    pub claim: String,
    /// What the provider calls a group, spelt exactly, and what it is called here.
    pub names: BTreeMap<String, String>,
}

impl LdapGroups {
    pub(super) fn groups(&self) -> Result<Groups, NodeError> {
        let wrong = |e: &dyn std::fmt::Display| NodeError::Config(format!("credentials.ldap.groups: {e}"));
        let source = match (&self.attribute, &self.base, &self.filter) {
            (Some(attribute), None, None) => GroupSource::Attribute(attribute.clone()),
            (None, Some(base), Some(filter)) => GroupSource::Search {
                base: base.clone(),
                filter: FilterTemplate::parse(filter).map_err(|e| wrong(&e))?,
                name_attribute: self.name_attribute.clone(),
            },
            _ => return Err(wrong(&"name `attribute`, or `base` and `filter`")),
        };
        Ok(Groups { source, names: ours(&self.names).map_err(|e| wrong(&e))? })
    }
}

impl OidcGroups {
    pub(super) fn groups(&self) -> Result<ClaimGroups, NodeError> {
        let wrong = |e: String| NodeError::Config(format!("credentials.oidc groups: {e}"));
        Ok(ClaimGroups { claim: self.claim.clone(), names: ours(&self.names).map_err(wrong)? })
    }
}

fn ours(names: &BTreeMap<String, String>) -> Result<BTreeMap<String, GroupName>, String> {
    if names.len() > MAX_GROUPS {
        return Err(format!("more than {MAX_GROUPS} groups"));
    }
    let name = |(theirs, ours): (&String, &String)| match GroupName::parse(ours) {
        Ok(ours) => Ok((theirs.clone(), ours)),
        Err(e) => Err(format!("{ours:?}: {e}")),
    };
    names.iter().map(name).collect()
}
