//! Passwords that a real slapd and real PAM modules keep, and servers that misbehave.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its facts has failed")]

mod ldap;
mod ldap_faults;
mod ldap_hostile;
mod ldap_outage;
mod ldap_tls;
mod pam;
mod pam_faults;
mod proof;
mod slapd;
