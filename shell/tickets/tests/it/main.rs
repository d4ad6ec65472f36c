//! Tickets of real issuers: a private MIT KDC, and an OpenID provider of our own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot set up its facts has failed")]

mod context;
mod kerberos;
mod kerberos_faults;
mod oidc;
mod oidc_browser;
mod oidc_faults;
mod oidc_keys;
mod oidc_source;
mod provider;
mod realm;
mod signing;
