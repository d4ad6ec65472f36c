//! Certificates over a session: a device asks for one and renews it without an administrator. With a
//! certificate that has lapsed it comes back, and renews that one alone (`lapsed.rs`).
//!
//! ```text
//! client                                                     gateway
//!   ── 1 | PKCS #10 ───────────────────────────────────────────>   of a registered token only
//!   <─────────── 1 | certificate, or 2 | SealedCertificate ──────
//!   ── confirmation (32) ───────────────────────────────────────>   it is kept
//!
//!   ── 2 | certificate ────────────────────────────────────────>   in the second half of its life, or in grace
//!   <───────────────────────────────── 3 | RenewalChallenge ─────
//!   ── 3 | RenewalAnswer, with the next PKCS #10 ──────────────>   proved by the old key
//!   <─────────── as above
//! ```
//! The confirmation is the hash of a certificate that came open (as in RFC 4210 §5.3.18), or what the
//! envelope gave. Until it comes the certificate is pending, and the old one is renewed once more: an
//! answer that was lost costs nothing. One that was followed is renewed by nobody.
//!
//! A certificate alone gets no other one for another device: whoever stole its key would have some left when
//! it is revoked. Nor does a session ticket.

use super::at;
use super::ca_office::{self as office, Office};
use super::error::ApiError;
use crate::carry::Carried;
use crate::connection::Connection;
use crate::node::Shared;
use crate::refusal::Ended;
use std::sync::PoisonError;
use symbolon_crypto::{SubjectId, SubjectName, TokenKind};
use symbolon_issuer::{
    CertificateRequest, Confirmation, Delivery, PendingRenewal, RenewalAnswer, RequestedName,
};
use symbolon_provider::SystemEntropy;
use symbolon_session::{CertificateBytes, ControlMessage, Line};
use symbolon_store::{Actor, CertificateState, RegistrationId, StoreError, User, UserId};
use symbolon_wire::{Decode as _, Encode as _};

/// Certificates of one user at the same time: a client gone wild fills no register.
const MOST_OF_A_USER: u64 = 64;

const FIRST: u8 = 1;
const RENEW: u8 = 2;
const ANSWER: u8 = 3;

const OPEN: u8 = 1;
const SEALED: u8 = 2;
const CHALLENGE: u8 = 3;

/// What its credential lets a client ask for.
pub(crate) enum Entitled {
    /// A certificate for another device of its user, and any renewal: it signed in with this registered token.
    Devices(Option<RegistrationId>),
    /// Renewals of its user's certificates.
    Renewals,
    /// The renewal of the one certificate that it came back with, by its number.
    This(Vec<u8>),
}

/// Who asks.
pub(crate) struct Applicant {
    pub(crate) user: UserId,
    pub(crate) by: Actor,
    pub(crate) entitled: Entitled,
}

/// What is under way about certificates on one connection.
#[derive(Debug, Default)]
pub(crate) struct Certifying {
    renewal: Option<PendingRenewal>,
    /// The number of the one whose confirmation did not come yet.
    unconfirmed: Option<Vec<u8>>,
}

impl Carried<'_> {
    fn applicant(&self) -> Applicant {
        let (method, registration) = self.session.with_state(|state| (state.method, state.registration));
        // A ticket does not do for more: what is stolen for an hour must not be worth a certificate.
        let entitled = match method {
            TokenKind::Challenge => Entitled::Devices(registration.map(|r| RegistrationId(r.0))),
            _ => Entitled::Renewals,
        };
        let by = Actor::user(self.session.user_name().as_str());
        Applicant { user: UserId(self.session.user.0), by, entitled }
    }

    /// Answers what a client asks about a certificate.
    pub(crate) async fn certificate_asked(
        &mut self,
        connection: &mut Connection,
        bytes: &[u8],
    ) -> Result<(), Ended> {
        let applicant = self.applicant();
        let answer = self.certifying.answer(self.shared, &applicant, bytes).await;
        self.send(connection, &answer).await
    }

    /// Puts a certificate into force whose subject has it.
    pub(crate) async fn certificate_confirmed(
        &mut self,
        connection: &mut Connection,
        bytes: &[u8],
    ) -> Result<(), Ended> {
        let applicant = self.applicant();
        match self.certifying.confirm(self.shared, &applicant, bytes).await {
            Ok(()) => Ok(()),
            Err(refused) => self.send(connection, &refused).await,
        }
    }
}

impl Certifying {
    /// The answer to what a client asks.
    pub(crate) async fn answer(
        &mut self,
        shared: &Shared,
        applicant: &Applicant,
        bytes: &[u8],
    ) -> ControlMessage {
        let answer = match self.decide(shared, applicant, bytes).await {
            Ok((tag, rest)) => CertificateBytes::new([&[tag], &rest[..]].concat())
                .map(ControlMessage::Certificate)
                .map_err(|e| ApiError::internal(e.to_string())),
            Err(e) => Err(e),
        };
        answer.unwrap_or_else(|e| refusal(&e))
    }

    /// Puts the certificate into force that was given last.
    ///
    /// # Errors
    /// What the client is to be told.
    pub(crate) async fn confirm(
        &mut self,
        shared: &Shared,
        applicant: &Applicant,
        bytes: &[u8],
    ) -> Result<(), ControlMessage> {
        let mut confirmed = async || {
            let unknown = || ApiError::invalid("that confirms no certificate", "");
            let serial = self.unconfirmed.take().ok_or_else(unknown)?;
            let confirmation = Confirmation::from_bytes(bytes).ok_or_else(unknown)?;
            let hash = shared.gateway.crypto.sha256(&[confirmation.as_bytes()]);
            Ok::<_, ApiError>(shared.store.confirm_certificate(&applicant.by, &serial, hash, at()).await?)
        };
        confirmed().await.map_err(|e| refusal(&e))
    }

    async fn decide(
        &mut self,
        shared: &Shared,
        applicant: &Applicant,
        bytes: &[u8],
    ) -> Result<(u8, Vec<u8>), ApiError> {
        let malformed = || ApiError::invalid("that is no request for a certificate", "");
        let crypto = shared.gateway.crypto;
        if !shared.config.credentials.certificates {
            return Err(ApiError::invalid("certificates are not taken here", ""));
        }
        let user = shared.store.user(applicant.user).await?;
        let (tag, rest) = bytes.split_first().ok_or_else(malformed)?;
        match *tag {
            FIRST => {
                let Entitled::Devices(registration) = applicant.entitled else {
                    return Err(ApiError::invalid(
                        "sign in with a registered token to get a certificate",
                        "",
                    ));
                };
                let request = CertificateRequest::read(crypto, rest).map_err(|e| wrong(&e))?;
                let line = office::Lineage { replaces: None, registration };
                self.certify(shared, applicant, &user, &request, line).await
            }
            RENEW => {
                let policy = shared.config.credentials.renewal();
                let renewal = {
                    let trust = shared.credentials.trust.read().unwrap_or_else(PoisonError::into_inner);
                    PendingRenewal::begin(crypto, &mut SystemEntropy, &trust, policy, rest, at())
                        .map_err(|e| wrong(&e))?
                };
                let yours = match renewal.old().name() {
                    SubjectName::Ours(subject) => subject.code() == user.code.as_str(),
                    SubjectName::Foreign { .. } => false,
                };
                match &applicant.entitled {
                    Entitled::This(serial) if renewal.old().serial() != serial => {
                        return Err(ApiError::invalid("that is not the certificate that was shown", ""));
                    }
                    _ if !yours => return Err(ApiError::invalid("that is not a certificate of yours", "")),
                    _ => {}
                }
                let challenge = renewal.challenge().to_bytes();
                self.renewal = Some(renewal);
                Ok((CHALLENGE, challenge))
            }
            ANSWER => {
                let renewal = self.renewal.take().ok_or_else(malformed)?;
                let answer = RenewalAnswer::from_bytes(rest).map_err(|_| malformed())?;
                let proven = renewal.finish(crypto, &answer).map_err(|e| wrong(&e))?;
                // Its confirmation may have been lost; one that was followed may be in two hands by now.
                let renewed = || ApiError::invalid("that certificate was renewed already", "");
                let used = shared.store.certificate_used(&applicant.by, proven.old().serial(), at()).await;
                used.map_err(|e| match e {
                    StoreError::NotFound { .. } => renewed(),
                    e => e.into(),
                })?;
                let old = shared.store.certificate(proven.old().serial()).await?;
                if old.state != CertificateState::Active {
                    return Err(renewed());
                }
                let line =
                    office::Lineage { replaces: Some(old.made.serial), registration: old.made.registration };
                self.certify(shared, applicant, &user, proven.request(), line).await
            }
            _ => Err(malformed()),
        }
    }

    /// For the user's own devices, and for nobody else.
    async fn certify(
        &mut self,
        shared: &Shared,
        applicant: &Applicant,
        user: &User,
        request: &CertificateRequest,
        line: office::Lineage,
    ) -> Result<(u8, Vec<u8>), ApiError> {
        let crypto = shared.gateway.crypto;
        let subject: SubjectId = match request.name() {
            RequestedName::Subject(s) if s.code() == user.code.as_str() && s.label().is_some() => s.clone(),
            _ => return Err(ApiError::invalid("a certificate is given for a device of yours only", "")),
        };
        let office = Office::by(shared, applicant.by.clone())?;
        office.user_of(&subject).await?;
        office.refuse_revoked_key(request).await?;
        if shared.store.count_certificates_of(&user.code, at()).await? >= MOST_OF_A_USER {
            return Err(ApiError::invalid("you have as many certificates as one may have", ""));
        }
        let lifetime = shared.config.credentials.certificate_secs;
        let made = office.certify(request, subject, user.display.clone(), lifetime)?;
        let delivery =
            made.deliver(crypto, &mut SystemEntropy).map_err(|e| ApiError::internal(e.to_string()))?;
        let (tag, bytes, expected) = match delivery {
            Delivery::Open(der) => {
                let hash = crypto.sha256(&[&der]);
                (OPEN, der, crypto.sha256(&[&hash]))
            }
            Delivery::Sealed { envelope, expected } => {
                (SEALED, envelope.to_bytes(), crypto.sha256(&[expected.as_bytes()]))
            }
        };
        office.register(&made, &user.code, line, Some(expected)).await?;
        self.unconfirmed = Some(made.serial().to_vec());
        Ok((tag, bytes))
    }
}

fn refusal(e: &ApiError) -> ControlMessage {
    if e.refusal().is_none() {
        tracing::error!("certificate: {e:?}");
    }
    let why = e.refusal().unwrap_or("the gateway cannot do it now; its log says why");
    ControlMessage::CertificateRefused { detail: Line::lossy(why) }
}

fn wrong(e: &dyn std::fmt::Display) -> ApiError {
    ApiError::invalid(e.to_string(), "")
}
