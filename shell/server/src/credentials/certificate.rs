//! With a certificate of our issuer, or of an authority that policy admits (A3, A7).

use super::{Admitted, CameBack, SignedIn, not_taken};
use crate::clock::now;
use crate::node::Shared;
use crate::refusal::Refused;
use std::sync::PoisonError;
use symbolon_context::{ClaimedCertificate, Fresh};
use symbolon_crypto::{CertificateNumber, LapsedSubject, SubjectError, SubjectName, VerifiedSubject};
use symbolon_issuer::RenewalTiming;
use symbolon_policy::{CanonName, TokenClass, UserCode};
use symbolon_store::{Actor, StoreError, User};
use symbolon_wire::RefusalCode;

/// What a certificate is worth.
enum LookedAt {
    Counts(VerifiedSubject),
    /// Its time is over, and policy lets it be renewed still.
    Lapsed(LapsedSubject),
}

impl Shared {
    pub(super) async fn by_certificate(&self, fresh: &Fresh) -> Result<Admitted, Refused> {
        if !self.config.credentials.certificates {
            return Err(not_taken(fresh.token_kind()));
        }
        let claimed = ClaimedCertificate::parse(fresh.token_kind(), fresh.token())
            .map_err(|e| Refused::malformed(format!("malformed certificate token: {e}")))?;
        let no_proof = |code: &str| Refused::denied(format!("no proof of the key of {code}"));
        let looked_at = match self.looked_at(&claimed, None) {
            // Not seen by this node yet; one of ours is in the register.
            Err(unknown) if unknown.code == RefusalCode::UnknownCertificate => {
                let hash = claimed.hash(self.gateway.crypto);
                let registered = self.store.certificate_of_hash(hash).await?.ok_or(unknown)?;
                self.looked_at(&claimed, Some(&registered))
            }
            other => other,
        };
        match looked_at? {
            LookedAt::Counts(subject) => {
                let proof = claimed
                    .prove(self.gateway.crypto, &subject, fresh.binding())
                    .map_err(|_| no_proof(subject.code()))?;
                let user = self.user_of(subject.name()).await?;
                let (_, until) = subject.validity();
                let signed_in = SignedIn {
                    until: Some(until),
                    rests_on: subject.path().to_vec(),
                    certificate: Some(subject),
                    ..SignedIn::just_now(user, TokenClass::Certificate)
                };
                Ok(Admitted::SignedIn(Box::new(proof), Box::new(signed_in)))
            }
            LookedAt::Lapsed(certificate) => {
                let proof = claimed
                    .prove_lapsed(self.gateway.crypto, &certificate, fresh.binding())
                    .map_err(|_| no_proof("a certificate that has lapsed"))?;
                let user = self.user_of(certificate.name()).await?;
                Ok(Admitted::CameBack(Box::new(proof), Box::new(CameBack { user, certificate })))
            }
        }
    }

    /// A certificate that is known costs no check of its path; one that is not must be there, as shown or as
    /// `registered`.
    fn looked_at(
        &self,
        claimed: &ClaimedCertificate,
        registered: Option<&[u8]>,
    ) -> Result<LookedAt, Refused> {
        let (crypto, now) = (self.gateway.crypto, now());
        let trust = self.credentials.trust.read().unwrap_or_else(PoisonError::into_inner);
        let known = {
            let mut verdicts = self.credentials.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
            verdicts.known(&trust, &claimed.hash(crypto), now)
        };
        if let Some(subject) = known {
            return Ok(LookedAt::Counts(subject));
        }
        let chain = claimed.chain().or_else(|| Some(vec![registered?])).ok_or_else(|| {
            Refused::new(
                RefusalCode::UnknownCertificate,
                "a certificate by its hash, which is not known here",
            )
        })?;
        let refused = |e: &dyn std::fmt::Display| Refused::denied(format!("certificate: {e}"));
        match trust.verify(crypto, &chain, now) {
            Ok(subject) => {
                let mut verdicts = self.credentials.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
                verdicts.remember(&trust, &subject);
                Ok(LookedAt::Counts(subject))
            }
            Err(SubjectError::OutsideValidity) if chain.len() == 1 => {
                let lapsed = trust.verify_for_renewal(crypto, chain[0], now).map_err(|e| refused(&e))?;
                match self.config.credentials.renewal().timing(lapsed.validity(), now) {
                    RenewalTiming::Grace => Ok(LookedAt::Lapsed(lapsed)),
                    _ => Err(refused(&SubjectError::OutsideValidity)),
                }
            }
            Err(e) => Err(refused(&e)),
        }
    }

    /// Notes that the key of `subject` was proved: its confirmation may have been lost, and this stands for it.
    /// Where another certificate took its place meanwhile, one of the two is a copy's.
    pub(crate) async fn certificate_in_use(
        &self,
        actor: &Actor,
        subject: &VerifiedSubject,
    ) -> Result<(), Refused> {
        self.store.certificate_used(actor, subject.serial(), now()).await.map_err(|e| match e {
            StoreError::NotFound { .. } => Refused::denied(format!(
                "another certificate of {} took the place of this one, which was never confirmed: \
                 somebody may have had a copy of the key before",
                subject.code()
            )),
            e => e.into(),
        })
    }

    /// That the certificate of a session that stands in the store by now was not revoked meanwhile: whoever
    /// revoked it later ends that session.
    pub(crate) fn still_counts(&self, subject: &VerifiedSubject) -> Result<(), Refused> {
        let trust = self.credentials.trust.read().unwrap_or_else(PoisonError::into_inner);
        if trust.blocks(subject) {
            return Err(Refused::denied(format!("the certificate of {} was just revoked", subject.code())));
        }
        Ok(())
    }

    /// The same for certificates that a list of another authority may name since.
    pub(crate) fn still_unlisted(&self, certificates: &[CertificateNumber]) -> Result<(), Refused> {
        let trust = self.credentials.trust.read().unwrap_or_else(PoisonError::into_inner);
        if trust.revokes(certificates) {
            return Err(Refused::denied("the certificate behind the session is on a revocation list"));
        }
        Ok(())
    }

    pub(crate) async fn user_of(&self, subject: &SubjectName) -> Result<User, Refused> {
        match subject {
            SubjectName::Ours(id) => {
                let nobody = || Refused::denied(format!("a certificate of {id}, who is no user here"));
                let code = UserCode::parse(id.code()).map_err(|_| nobody())?;
                match self.store.user_by_code(&code).await {
                    Ok(user) => Ok(user),
                    Err(StoreError::NotFound { .. }) => Err(nobody()),
                    Err(e) => Err(e.into()),
                }
            }
            SubjectName::Foreign { authority, name } => {
                let canonical = CanonName::parse(name).map_err(|e| {
                    Refused::denied(format!("a certificate of {authority} for {name:?}, which {e}"))
                })?;
                self.vouched_user(&canonical, authority).await
            }
        }
    }
}
