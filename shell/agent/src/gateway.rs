//! Meeting a gateway: what it shows, checked against the one root of trust before anything secret
//! is sent (A1, B3).

use crate::connection::Connection;
use crate::{AgentError, clock};
use symbolon_crypto::{
    CLOCK_TOLERANCE_SECS, GatewayName, IssuerFingerprint, KeySetError, TrustedIssuer, VerifiedKeySet,
};
use symbolon_provider::crypto;
use symbolon_token::{Hello, Offer};
use symbolon_wire::{Decode, Encode, FrameKind};

/// What a gateway is checked against.
#[derive(Clone, Debug)]
pub(crate) enum Trust {
    /// The issuer of a token, or of the configuration.
    Issuer(TrustedIssuer),
    /// The hash in an invitation link.
    Fingerprint(IssuerFingerprint),
}

impl Trust {
    pub(crate) fn fingerprint(&self) -> IssuerFingerprint {
        match self {
            Self::Issuer(issuer) => issuer.fingerprint(),
            Self::Fingerprint(fingerprint) => *fingerprint,
        }
    }

    /// The issuer itself, of which a gateway that was met showed the certificate.
    fn issuer(&self, shown: &[u8]) -> Result<TrustedIssuer, AgentError> {
        match self {
            Self::Issuer(issuer) => Ok(issuer.clone()),
            Self::Fingerprint(expected) => Ok(TrustedIssuer::from_fingerprint(crypto(), shown, *expected)?),
        }
    }
}

/// A gateway whose certificates were checked.
#[derive(Debug)]
pub(crate) struct Met {
    pub(crate) issuer: TrustedIssuer,
    pub(crate) verified: VerifiedKeySet,
    pub(crate) offer: Offer,
}

/// Says hello on a fresh connection and checks what comes back.
pub(crate) async fn meet(
    connection: &mut Connection,
    hello: &Hello,
    trust: &Trust,
    name: &GatewayName,
) -> Result<Met, AgentError> {
    connection.send(FrameKind::Hello, hello.to_bytes()).await?;
    let offer = Offer::from_bytes(&connection.expect(FrameKind::Offer).await?)?;
    let now = clock::now();
    let issuer = trust.issuer(&offer.key_set.issuer)?;
    let verified = offer
        .key_set
        .verify(crypto(), &issuer, name, now)
        .map_err(|e| AgentError::key_set(&e, offer.time, now))?;
    // Told before the first message rather than after its refusal. The time is the gateway's word,
    // but a false one gains nobody more than the refusal would.
    if offer.time.distance_secs(now) > CLOCK_TOLERANCE_SECS {
        return Err(AgentError::key_set(&KeySetError::OutsideValidity, offer.time, now));
    }
    Ok(Met { issuer, verified, offer })
}
