//! JSON objects whose members are named once: two readers of a doubled member may differ about what
//! was signed (RFC 7519 §4, RFC 8725 §2.4).

use std::collections::BTreeMap;
use std::fmt::{Formatter, Result as FmtResult};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

/// An object; members inside of members are not looked at.
pub(super) struct Object(BTreeMap<String, Value>);

impl Object {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A member that must be a text if it is there.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, NotText> {
        self.0.get(name).map(|v| v.as_str().ok_or(NotText)).transpose()
    }
}

/// A member is of another type.
pub(super) struct NotText;

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut Formatter<'_>) -> FmtResult {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member is named twice"));
                    }
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_is_named_twice_is_refused() {
        assert!(Object::parse(br#"{"a":1,"b":2}"#).is_some());
        assert!(Object::parse(br#"{"a":1,"a":1}"#).is_none());
        assert!(Object::parse(br#"["a"]"#).is_none());
        assert!(Object::parse(br#"{"a":1} x"#).is_none());
    }
}
