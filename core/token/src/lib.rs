#![forbid(unsafe_code)]
//! Room B: a token that is handed out without any secret, registered once at each gateway, and used
//! from then on to sign in.
//!
//! ```text
//! token (issuer's public key)                                     gateway (certificate, template)
//!    ── Hello ────────────────────────────────────────────────────────────>
//!    <──────────────────────── Offer: key set, number N1, template (B3) ──
//!    key set verified against the issuer's key, or the end
//!    answers checked, SSK1 drawn (B4, B5)
//!    ── envelope{SSK1, ephemeral KEM key, answers, invitation} ───────────>
//!                              SSK2, user identification code, access control path (B6)
//!    <──────────────────────── ct | AEAD(SSK1, ss(ct)){SSK2, code, path} ──
//!    SSK = HKDF(SSK1, SSK2, ss(ct), transcript) into the token, behind its PIN (B7)
//!    ── MAC(SSK) ─────────────────────────────────────────────────────────>
//!    <───────────────────────────────────────────────────────── MAC(SSK) ──
//! ```
//! Signing in (B8) is [`challenge`]; what a client receives then (B9) is [`Configuration`]; the file
//! that a person keeps is [`container`]; templates are data, see [`RegistrationTemplate`].
//! Exact bytes: `docs/protocol/token.md`.

pub mod challenge;
mod configuration;
pub mod container;
mod hello;
mod invitation;
mod key;
mod registration;
mod template;

pub use configuration::{Configuration, ConfigurationError, Destination};
pub use hello::{Hello, MAX_CHANGE, Offer};
pub use invitation::{InvitationCode, InvitationLink, LinkError};
pub use key::{AuthenticationKey, SoftwareKey};
pub use registration::{
    AwaitConfirm, AwaitDone, AwaitReply, FreshRequest, Registered, RegistrationError, RegistrationGrant,
    RegistrationOpened, RegistrationRequest,
};
pub use template::{
    AnswerError, AnswerProblem, Answers, Charset, Field, FieldKind, MAX_ANSWER, MAX_ANSWERS, MAX_FIELDS,
    RegistrationTemplate, TemplateError, ValidAnswers,
};
