//! Certificates over a session: a device asks for one and renews it without an administrator.
//!
//! ```text
//! client                                                     gateway
//!   ── 1 | PKCS #10 ───────────────────────────────────────────>   of a registered token only
//!   <─────────── 1 | certificate, or 2 | SealedCertificate ──────
//!   ── confirmation (32), where it came in an envelope ─────────>
//!
//!   ── 2 | certificate ────────────────────────────────────────>   in the second half of its life, or in grace
//!   <───────────────────────────────── 3 | RenewalChallenge ─────
//!   ── 3 | RenewalAnswer, with the next PKCS #10 ──────────────>   proved by the old key
//!   <─────────── as above
//! ```
//! A certificate alone gets no other one for another device: whoever stole its key would have some left when
//! it is revoked. Nor does a session ticket.

use super::at;
use super::ca_office::{self as office, Office};
use super::error::ApiError;
use crate::carry::Carried;
use crate::connection::Connection;
use crate::refusal::Ended;
use std::sync::PoisonError;
use symbolon_crypto::{SubjectId, SubjectName, TokenKind};
use symbolon_issuer::{
    CertificateRequest, Confirmation, DEFAULT_SUBJECT_SECS, Delivery, PendingRenewal, RenewalAnswer,
    RenewalPolicy, RequestedName,
};
use symbolon_provider::SystemEntropy;
use symbolon_session::{CertificateBytes, ControlMessage, Line};
use symbolon_store::{Actor, CertificateState, RegistrationId, User, UserId};
use symbolon_wire::{Decode as _, Encode as _};

/// For how many of its lives after its end a certificate is still renewed. Who asks has signed in already, and proves
/// the old key besides.
const POLICY: RenewalPolicy = RenewalPolicy { grace_lives: 10 };
/// Certificates of one user at the same time: a client gone wild fills no register.
const MOST_OF_A_USER: u64 = 64;

const FIRST: u8 = 1;
const RENEW: u8 = 2;
const ANSWER: u8 = 3;

const OPEN: u8 = 1;
const SEALED: u8 = 2;
const CHALLENGE: u8 = 3;

/// What is under way about a certificate on one connection.
#[derive(Debug, Default)]
pub(crate) struct Certifying {
    renewal: Option<PendingRenewal>,
    /// The number of the one whose envelope was not opened yet.
    unconfirmed: Option<Vec<u8>>,
}

impl Carried<'_> {
    /// Answers what a client asks about a certificate.
    pub(crate) async fn certificate_asked(
        &mut self,
        connection: &mut Connection,
        bytes: &[u8],
    ) -> Result<(), Ended> {
        let answer = match self.answer_about_certificate(bytes).await {
            Ok((tag, rest)) => CertificateBytes::new([&[tag], &rest[..]].concat())
                .map(ControlMessage::Certificate)
                .map_err(|e| ApiError::internal(e.to_string())),
            Err(e) => Err(e),
        };
        match answer {
            Ok(message) => self.send(connection, &message).await,
            Err(e) => self.refuse_certificate(connection, &e).await,
        }
    }

    /// Puts a certificate into force whose envelope was opened.
    pub(crate) async fn certificate_confirmed(
        &mut self,
        connection: &mut Connection,
        bytes: &[u8],
    ) -> Result<(), Ended> {
        let mut confirmed = async || {
            let unknown = || ApiError::invalid("that confirms no certificate", "");
            let serial = self.certifying.unconfirmed.take().ok_or_else(unknown)?;
            let confirmation = Confirmation::from_bytes(bytes).ok_or_else(unknown)?;
            let hash = self.shared.gateway.crypto.sha256(&[confirmation.as_bytes()]);
            let by = Actor::user(self.session.user_name().as_str());
            Ok::<_, ApiError>(self.shared.store.confirm_certificate(&by, &serial, hash, at()).await?)
        };
        match confirmed().await {
            Ok(()) => Ok(()),
            Err(e) => self.refuse_certificate(connection, &e).await,
        }
    }

    async fn refuse_certificate(&mut self, connection: &mut Connection, e: &ApiError) -> Result<(), Ended> {
        let why = e.refusal().unwrap_or("the gateway cannot do it now; its log says why");
        if e.refusal().is_none() {
            tracing::error!(session = %self.session.id, "certificate: {e:?}");
        }
        let detail = Line::lossy(why);
        self.send(connection, &ControlMessage::CertificateRefused { detail }).await
    }

    async fn answer_about_certificate(&mut self, bytes: &[u8]) -> Result<(u8, Vec<u8>), ApiError> {
        let malformed = || ApiError::invalid("that is no request for a certificate", "");
        let shared = self.shared;
        if !shared.config.credentials.certificates {
            return Err(ApiError::invalid("certificates are not taken here", ""));
        }
        let user = shared.store.user(UserId(self.session.user.0)).await?;
        let (tag, rest) = bytes.split_first().ok_or_else(malformed)?;
        match *tag {
            FIRST => {
                // A ticket does not do either: what is stolen for an hour must not be worth a certificate.
                if self.session.with_state(|state| state.method) != TokenKind::Challenge {
                    return Err(ApiError::invalid(
                        "sign in with a registered token to get a certificate",
                        "",
                    ));
                }
                let request = CertificateRequest::read(shared.gateway.crypto, rest).map_err(|e| wrong(&e))?;
                let registration = self.session.with_state(|state| state.registration);
                let line = office::Lineage {
                    replaces: None,
                    registration: registration.map(|r| RegistrationId(r.0)),
                };
                self.certify(&user, &request, line).await
            }
            RENEW => {
                let renewal = {
                    let trust = shared.credentials.trust.read().unwrap_or_else(PoisonError::into_inner);
                    let crypto = shared.gateway.crypto;
                    PendingRenewal::begin(crypto, &mut SystemEntropy, &trust, POLICY, rest, at())
                        .map_err(|e| wrong(&e))?
                };
                match renewal.old().name() {
                    SubjectName::Ours(subject) if subject.code() == user.code.as_str() => {}
                    _ => return Err(ApiError::invalid("that is not a certificate of yours", "")),
                }
                let challenge = renewal.challenge().to_bytes();
                self.certifying.renewal = Some(renewal);
                Ok((CHALLENGE, challenge))
            }
            ANSWER => {
                let renewal = self.certifying.renewal.take().ok_or_else(malformed)?;
                let answer = RenewalAnswer::from_bytes(rest).map_err(|_| malformed())?;
                let proven = renewal.finish(shared.gateway.crypto, &answer).map_err(|e| wrong(&e))?;
                // The answer to an earlier renewal may have been lost: then the old one was followed already, and
                // this begins a new line.
                let old = shared.store.certificate(proven.old().serial()).await?;
                let last = old.state == CertificateState::Active;
                let registration = old.made.registration;
                let line = office::Lineage { replaces: last.then_some(old.made.serial), registration };
                self.certify(&user, proven.request(), line).await
            }
            _ => Err(malformed()),
        }
    }

    /// For the user's own devices, and for nobody else.
    async fn certify(
        &mut self,
        user: &User,
        request: &CertificateRequest,
        line: office::Lineage,
    ) -> Result<(u8, Vec<u8>), ApiError> {
        let shared = self.shared;
        let subject: SubjectId = match request.name() {
            RequestedName::Subject(s) if s.code() == user.code.as_str() && s.label().is_some() => s.clone(),
            _ => return Err(ApiError::invalid("a certificate is given for a device of yours only", "")),
        };
        let office = Office::by(shared, Actor::user(user.subject.name.as_str()))?;
        office.user_of(&subject).await?;
        office.refuse_revoked_key(request).await?;
        if shared.store.count_certificates_of(&user.code, at()).await? >= MOST_OF_A_USER {
            return Err(ApiError::invalid("you have as many certificates as one may have", ""));
        }
        let made = office.certify(request, subject, user.display.clone(), DEFAULT_SUBJECT_SECS)?;
        let delivery = made
            .deliver(shared.gateway.crypto, &mut SystemEntropy)
            .map_err(|e| ApiError::internal(e.to_string()))?;
        match delivery {
            Delivery::Open(der) => {
                office.register(&made, &user.code, line, None).await?;
                Ok((OPEN, der))
            }
            Delivery::Sealed { envelope, expected } => {
                let expected = shared.gateway.crypto.sha256(&[expected.as_bytes()]);
                office.register(&made, &user.code, line, Some(expected)).await?;
                self.certifying.unconfirmed = Some(made.serial().to_vec());
                Ok((SEALED, envelope.to_bytes()))
            }
        }
    }
}

fn wrong(e: &dyn std::fmt::Display) -> ApiError {
    ApiError::invalid(e.to_string(), "")
}
