#![forbid(unsafe_code)]
//! Room A: a secure context in two messages, whatever the credential is.
//!
//! ```text
//! initiator                                                        acceptor
//!     verifies the key set (A1)
//!     transport key tk, ephemeral KEM key e
//!     m1 = HPKE(context key){tk, e, authentication token, time}
//!        ───────────────────────── ContextFirst ──────────────────────────>
//!                                        cheap check, [retry cookie], open, time,
//!                                        replay, authentication token (A6)
//!                                        session key sk, encapsulation ct to e
//!     m2 = ct | AEAD(tk, ss(ct), token's contribution){sk, session id, …}
//!        <──────────────────────── ContextSecond ──────────────────────────
//!     both: secrets = HKDF(sk, ss(ct), tk, contribution, transcript)
//!        <───────── wrapped messages, both directions (A8) ──────────>
//! ```
//! Nothing acts before the acceptor has unwrapped one message: that is the last confirmation.
//!
//! One file a party: [`Initiator`], and [`Opened`] with what follows it on the acceptor's.
//! [`gss`] is the same in the shape of RFC 2743. Exact bytes: `docs/protocol/context.md`.

mod acceptor;
mod certificate;
mod error;
pub mod gss;
mod initiator;
mod messages;
mod password;
mod secrets;

pub use acceptor::{Authenticated, Fresh, Grant, Opened};
pub use certificate::{CertificateKey, CertificateProved, CertificateToken, ClaimedCertificate, MAX_CHAIN};
pub use error::{AcceptError, InitiateError};
pub use initiator::{AwaitSecond, Established, Initiator, InitiatorOptions};
pub use password::{
    MAX_PASSWORD, PasswordCheck, PasswordProved, PasswordToken, PasswordVerifier, VerifierError,
};
pub use secrets::ContextSecrets;
