//! Which of our groups a provider's groups are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use symbolon_policy::GroupName;

use super::json::Object;

/// The most groups of one token that are looked at.
const MAX_GROUPS: usize = 10_000;

/// Groups by a claim. One that is not listed means nothing here, so that nobody comes to a right by founding a
/// group of the right name.
#[derive(Clone, Debug)]
pub struct ClaimGroups {
    /// Which claim has them: a list of texts, or one text.
    pub claim: String,
    /// What the provider calls a group, spelt exactly, and what it is called here.
    pub names: BTreeMap<String, GroupName>,
}

impl ClaimGroups {
    pub(super) fn of(&self, claims: &Object) -> Vec<GroupName> {
        let named = match claims.get(&self.claim) {
            Some(Value::Array(list)) => list.as_slice(),
            Some(one @ Value::String(_)) => std::slice::from_ref(one),
            _ => &[],
        };
        let ours = named.iter().take(MAX_GROUPS).filter_map(|v| self.names.get(v.as_str()?));
        ours.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(claims: &str) -> Vec<String> {
        let name = |text| GroupName::parse(text).unwrap();
        let names = [("dba-team", "dba"), ("DBA", "dba"), ("7f3a", "ops")];
        let names = names.map(|(theirs, ours)| (theirs.to_owned(), name(ours))).into();
        let groups = ClaimGroups { claim: "groups".to_owned(), names };
        groups.of(&Object::parse(claims.as_bytes()).unwrap()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn listed_groups_are_ours_once_and_others_are_nothing() {
        assert_eq!(of(r#"{"groups":["7f3a","dba-team","DBA","dba","ops","Dba-Team"]}"#), ["dba", "ops"]);
        assert_eq!(of(r#"{"groups":"dba-team"}"#), ["dba"]);
    }

    #[test]
    fn a_claim_of_another_form_names_no_group() {
        for odd in
            [r#"{}"#, r#"{"groups":null}"#, r#"{"groups":{"dba-team":true}}"#, r#"{"groups":[["DBA"],7]}"#]
        {
            assert!(of(odd).is_empty(), "{odd}");
        }
        assert!(of(r#"{"groups":"dba-team 7f3a","Groups":["DBA"]}"#).is_empty());
    }
}
