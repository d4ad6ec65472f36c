//! To which gateways a client may send a password (A4).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The gateways to which a client may send a password: none unless named here, because a gateway
/// that receives a password can use it elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordGateways(BTreeSet<String>);

/// Proof that policy lets a password go to one gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordPermitted(String);

impl PasswordGateways {
    /// The gateways of these names. Names are DNS names and compare without case.
    pub fn new(names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self(names.into_iter().map(|n| n.as_ref().to_owned()).collect())
    }

    /// Whether a password may go to the gateway whose certificate shows `name`.
    #[must_use]
    pub fn permit(&self, name: &str) -> Option<PasswordPermitted> {
        let named = self.0.iter().any(|n| n.eq_ignore_ascii_case(name));
        named.then(|| PasswordPermitted(name.to_ascii_lowercase()))
    }
}

impl PasswordPermitted {
    /// The gateway's name, in lower case.
    #[must_use]
    pub fn gateway(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_to_no_gateway_that_policy_does_not_name() {
        assert_eq!(PasswordGateways::default().permit("gw.example"), None);
        let policy = PasswordGateways::new(["GW.example"]);
        assert_eq!(policy.permit("gw.EXAMPLE").unwrap().gateway(), "gw.example");
        assert_eq!(policy.permit("gw.example.evil"), None);
        assert_eq!(policy.permit(""), None);
    }
}
