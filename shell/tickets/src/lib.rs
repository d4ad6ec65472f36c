#![deny(unsafe_code)]
//! Tickets that somebody else issued, as authentication tokens of a context (A5).
//!
//! ```text
//!   KDC ── ticket ──> KerberosToken ── AP-REQ, channel bindings = binding ──> KerberosAcceptor
//!                                   <─ AP-REP ─────────────────────────────── KerberosProved
//!   OpenID provider ── ID token, nonce = binding ──> JwtToken ──> OidcVerifier ── JwtProved
//! ```
//! Either ticket answers for one exchange only: it contains the hash of that exchange's first
//! message, so neither a replay nor another gateway to which it was shown can use it again.
//!
//! No clock is read here but for time limits: what a token's times are compared with is an argument.
//! The one module with `unsafe` is the border to the machine's Kerberos library.

mod complaint;
pub mod kerberos;
pub mod oidc;
mod spelling;

pub use complaint::Complaint;
pub use spelling::Spelling;
