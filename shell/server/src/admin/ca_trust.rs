//! Whose certificates of ours count here as of now: of the issuer, of the one that follows and the one before,
//! and none with a revoked key. Whom the configuration admits besides is not looked at here.

use crate::clock::now;
use crate::error::NodeError;
use crate::files;
use crate::node::Shared;
use std::sync::PoisonError;
use symbolon_crypto::{IssuerChange, IssuerFingerprint, SecretBytes, TrustedIssuer, X509Error};
use symbolon_session::{CertificateBytes, ControlMessage, RevocationListBytes};
use symbolon_wire::{Decode as _, Encode as _, Time};

/// The statement that another issuer follows, as of the last look.
#[derive(Default)]
pub(crate) struct TheChange {
    to_show: Option<(IssuerFingerprint, Vec<u8>)>,
    to_tell: Option<CertificateBytes>,
    /// Until when the old issuer counts, while it does.
    old_until: Option<Time>,
}

/// The issuer's revocation list, as of the last look.
#[derive(Default)]
pub(crate) struct TheList {
    /// DER.
    pub(crate) to_publish: Option<Vec<u8>>,
    to_tell: Option<RevocationListBytes>,
}

impl Shared {
    /// Brings trust in certificates up to date with the store. A revocation is in force with it: keys
    /// are blocked from the register itself, not from the list, which is for others.
    ///
    /// # Errors
    /// When the register cannot be read, or a file of the node's directory is damaged.
    pub(crate) async fn review_trust(&self) -> Result<(), NodeError> {
        let crypto = self.gateway.crypto;
        let present = self.issuer();
        let mut issuers = vec![present.clone()];
        let change = self.issuer_change().await?;
        if let Some(change) = &change {
            // before the change is finished this node's issuer is the old one, afterwards the new one
            let next = TrustedIssuer::from_certificate(crypto, &change.new_certificate)?;
            let counts = |old: &TrustedIssuer| old.fingerprint() == change.old && now() <= change.old_until;
            let others = [Some(next), self.old_issuer()?.filter(counts)].into_iter().flatten();
            issuers.extend(others.filter(|i| i.fingerprint() != present.fingerprint()));
        }
        let revoked = self.store.revoked_certificates(Time(0)).await?;
        self.tell_of(change.as_ref());
        self.tell_of_list().await?;
        let mut trust = self.credentials.trust.write().unwrap_or_else(PoisonError::into_inner);
        trust.set_issuers(crypto, &issuers).map_err(|e| X509Error::Malformed(e.to_string()))?;
        trust.block_keys(crypto, revoked.into_iter().map(|c| c.made.key_hash));
        Ok(())
    }

    /// Every client is told that another issuer follows, at once and when it comes, as long as the old one
    /// counts: the statement proves itself, and who has it already changes nothing.
    fn tell_of(&self, change: Option<&IssuerChange>) {
        let stands = change.filter(|c| now() <= c.old_until);
        let bytes = stands.and_then(|c| CertificateBytes::new(c.to_bytes()).ok());
        let mut told = self.issuer_change.write().unwrap_or_else(PoisonError::into_inner);
        if told.to_tell != bytes
            && let Some(bytes) = &bytes
        {
            for session in self.live.all() {
                session.post(ControlMessage::IssuerChange(bytes.clone()));
            }
        }
        let old_until = stands.map(|c| c.old_until);
        *told = TheChange { to_show: change.map(|c| (c.old, c.to_bytes())), to_tell: bytes, old_until };
    }

    /// Whether the old issuer counted at the last look, and does no more.
    pub(crate) fn old_issuer_is_over(&self) -> bool {
        let told = self.issuer_change.read().unwrap_or_else(PoisonError::into_inner);
        told.old_until.is_some_and(|until| until < now())
    }

    /// The statement for whoever says hello, and for directories, with the issuer that it is for; as long as
    /// there is one, since somebody may come after years.
    pub(crate) fn issuer_change_to_publish(&self) -> Option<(IssuerFingerprint, Vec<u8>)> {
        self.issuer_change.read().unwrap_or_else(PoisonError::into_inner).to_show.clone()
    }

    /// The same without the issuer; empty when there is none.
    pub(crate) fn issuer_change_to_show(&self) -> Vec<u8> {
        self.issuer_change_to_publish().map(|(_, change)| change).unwrap_or_default()
    }

    /// Every client is told which gateways count no more, as soon as one does: with the issuer's whole list,
    /// which proves itself. As long as none does, it would learn nothing from it.
    async fn tell_of_list(&self) -> Result<(), NodeError> {
        let list = self.store.revocation_list().await?;
        let any = !self.store.revoked_gateways(Time(0)).await?.is_empty();
        let bytes = match list.as_ref().filter(|_| any).map(|l| RevocationListBytes::new(l.clone())) {
            Some(Err(_)) => {
                tracing::warn!(
                    "the revocation list is too long for sessions: let clients look into a directory"
                );
                None
            }
            Some(Ok(bytes)) => Some(bytes),
            None => None,
        };
        {
            let mut told = self.revocation_list.write().unwrap_or_else(PoisonError::into_inner);
            if told.to_tell != bytes
                && let Some(bytes) = &bytes
            {
                for session in self.live.all() {
                    session.post(ControlMessage::RevocationList(bytes.clone()));
                }
            }
            *told = TheList { to_publish: list, to_tell: bytes };
        }
        self.publish_what_changed();
        Ok(())
    }

    /// The list that a client is to be told of when it comes.
    pub(crate) fn revocation_list_to_tell(&self) -> Option<ControlMessage> {
        let list = self.revocation_list.read().unwrap_or_else(PoisonError::into_inner);
        list.to_tell.clone().map(ControlMessage::RevocationList)
    }

    /// What a client is to be told of when it comes.
    pub(crate) fn issuer_change_to_tell(&self) -> Option<ControlMessage> {
        let told = self.issuer_change.read().unwrap_or_else(PoisonError::into_inner);
        told.to_tell.clone().map(ControlMessage::IssuerChange)
    }

    /// The statement that another issuer follows.
    async fn issuer_change(&self) -> Result<Option<IssuerChange>, NodeError> {
        let Some(bytes) = self.store.issuer_change().await? else { return Ok(None) };
        match IssuerChange::from_bytes(&bytes) {
            Ok(change) => Ok(Some(change)),
            Err(e) => Err(X509Error::Malformed(format!("the change of issuers in the store: {e}")).into()),
        }
    }

    fn old_issuer(&self) -> Result<Option<TrustedIssuer>, NodeError> {
        let certificate = files::read(&self.config.home().join("issuer-old.crt"))?;
        let trusted = |c: SecretBytes| TrustedIssuer::from_certificate(self.gateway.crypto, c.expose());
        Ok(certificate.map(trusted).transpose()?)
    }
}
