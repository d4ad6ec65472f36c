//! Who may reach what: the facts from which a decision is made.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

use crate::text::text_form;
use crate::{AccessPath, AppName, CanonName, Conditions, GroupName, NameError, TokenClass};

/// The right of a grantee to reach one application under conditions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entitlement {
    /// Names it for withdrawal, audit and explanation.
    pub id: EntitlementId,
    /// To whom.
    pub grantee: Grantee,
    /// What.
    pub app: AppName,
    /// When, from where, with what.
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    pub conditions: Conditions,
}

/// Names an entitlement; drawn at random when it is granted. As text 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntitlementId(pub [u8; 16]);

/// To whom an entitlement is given: `user:alice`, `group:staff`, or everybody below `path:/people`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grantee {
    /// One subject.
    User(CanonName),
    /// The members of a group.
    Group(GroupName),
    /// All subjects whose access control path is this one or hangs below it.
    Path(AccessPath),
}
text_form!(Grantee, "grantee");

/// Whether a subject may do anything at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Registered and approved.
    Active,
    /// Registered without an invitation, and nobody has approved it yet.
    Pending,
    /// Shut out by an administrator.
    Locked,
}

/// A user or device as the directory knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Its one spelling.
    pub name: CanonName,
    /// Where it hangs.
    pub path: AccessPath,
    /// What it is a member of.
    pub groups: Vec<GroupName>,
    /// Whether it may do anything.
    pub standing: Standing,
}

/// All that a decision depends on beside the entitlements.
#[derive(Clone, Copy, Debug)]
pub struct AccessRequest<'a> {
    /// Who asks.
    pub subject: &'a Subject,
    /// For what.
    pub app: &'a AppName,
    /// When.
    pub now: Time,
    /// The client's address as the node sees it.
    pub source: IpAddr,
    /// What proved the identity.
    pub token_class: TokenClass,
    /// The machine that the client reports; empty when it reports none.
    pub machine: &'a str,
    /// The place that the client reports; empty when it reports none.
    pub place: &'a str,
}

impl fmt::Display for EntitlementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl FromStr for EntitlementId {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let malformed = NameError::Form("32 hexadecimal digits");
        if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(malformed);
        }
        let bits = u128::from_str_radix(text, 16).map_err(|_| malformed)?;
        Ok(Self(bits.to_be_bytes()))
    }
}

impl Serialize for EntitlementId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EntitlementId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Encode for EntitlementId {
    fn encode(&self, w: &mut Writer) {
        w.fixed(&self.0);
    }
}

impl Decode for EntitlementId {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.fixed().map(Self)
    }
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user:{name}"),
            Self::Group(name) => write!(f, "group:{name}"),
            Self::Path(path) => write!(f, "path:{path}"),
        }
    }
}

impl FromStr for Grantee {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once(':') {
            Some(("user", name)) => CanonName::parse(name).map(Self::User),
            Some(("group", name)) => GroupName::parse(name).map(Self::Group),
            Some(("path", path)) => AccessPath::parse(path).map(Self::Path),
            _ => Err(NameError::Form("user:alice, group:staff or path:/people")),
        }
    }
}

impl Standing {
    /// `active`, `pending` or `locked`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Locked => "locked",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Standing {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        match text {
            "active" => Ok(Self::Active),
            "pending" => Ok(Self::Pending),
            "locked" => Ok(Self::Locked),
            _ => Err(NameError::Form("active, pending or locked")),
        }
    }
}
