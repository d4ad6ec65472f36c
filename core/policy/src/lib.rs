#![forbid(unsafe_code)]
//! Who is who, what they may reach, and why: the vocabulary that all five rooms share.
//!
//! ```text
//! Subject (name, path, groups, standing) ─┐
//! AppName ────────────────────────────────┼─► Policy::decide ─► PathPermitted (proof) or Denial
//! time, network, token, machine, place ───┘         ▲
//! Entitlements (grantee, application, conditions) ──┘
//! ```
//!
//! Names are parsed once and cannot be wrong afterwards: [`CanonName`] is the one spelling under
//! which a user is known, and its [skeleton](CanonName::skeleton) is the same for all names that
//! look alike. An [`Entitlement`] gives one application to a [`Grantee`] under [`Conditions`].
//! [`Policy`] compiles entitlements to Cedar policies and decides; only [`Policy::decide`] makes
//! the proof [`PathPermitted`] that whoever dials an application has to show.
//! [`Policy::explain`] says the same in words.

mod assurance;
mod cedar;
mod conditions;
mod decide;
mod entitlement;
mod explain;
mod name;
mod network;
mod password;
mod path;
mod text;
mod time_text;
mod window;

pub use assurance::{Assurance, TokenClass};
pub use conditions::{Conditions, ConditionsError, MAX_LABEL, reported_label};
pub use decide::{Decision, Denial, PathPermitted, Policy, PolicyError, SubjectView};
pub use entitlement::{AccessRequest, Entitlement, EntitlementId, Grantee, Standing, Subject};
pub use explain::{ExplainedEntitlement, Explanation, Finding};
pub use name::{AppName, CanonName, GroupName, TemplateName, UserCode};
pub use network::Network;
pub use password::{PasswordGateways, PasswordPermitted};
pub use path::{AccessPath, Ancestors};
pub use text::{NameError, TextError, free_text};
pub use time_text::{format_time, parse_time};
pub use window::{DailyWindow, Weekday};
