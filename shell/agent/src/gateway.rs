//! Meeting a gateway: what it shows, checked against the one root of trust before anything secret
//! is sent (A1, B3).

use crate::connection::Connection;
use crate::directory::Directory;
use crate::issuers::Issuers;
use crate::{AgentError, Paths, clock};
use std::sync::Arc;
use symbolon_crypto::{
    CLOCK_TOLERANCE_SECS, GatewayName, IssuerFingerprint, KeySetError, TrustedIssuer, VerifiedKeySet,
};
use symbolon_provider::crypto;
use symbolon_token::{Hello, Offer};
use symbolon_wire::{Decode, Encode, FrameKind, RefusalCode};

/// What a gateway is checked against.
#[derive(Clone, Debug)]
pub(crate) enum Trust {
    /// The issuer of a token or of the configuration, and those that followed it.
    Issuers(Arc<Issuers>),
    /// The same, and what is published about them was looked for just now.
    Learned(Arc<Issuers>),
    /// The hash in an invitation link, and what is published and kept about the issuer of that key.
    Fingerprint(IssuerFingerprint, Paths, Option<Directory>),
}

impl Trust {
    /// The issuer that was named in the beginning.
    pub(crate) fn named(&self) -> IssuerFingerprint {
        match self {
            Self::Issuers(issuers) | Self::Learned(issuers) => issuers.root().fingerprint(),
            Self::Fingerprint(fingerprint, ..) => *fingerprint,
        }
    }

    /// A link must name an issuer that is trusted. It is looked at when the gateway was met: its issuer may be
    /// one that was followed just then.
    ///
    /// # Errors
    /// It is another one.
    pub(crate) fn check_link(&self, link: IssuerFingerprint) -> Result<(), AgentError> {
        let (Self::Issuers(issuers) | Self::Learned(issuers)) = self else { return Ok(()) };
        let root = issuers.root().fingerprint();
        if root == link || issuers.now().iter().any(|i| i.fingerprint() == link) {
            return Ok(());
        }
        let message = format!("the invitation is from another issuer ({link}) than your token ({root})");
        Err(AgentError::denied(message).fix(
            "a token serves the gateways of one issuer: use another --home for this one, or give your token up with \
             --replace",
        ))
    }

    /// The issuers, of one of which a gateway that was met showed the certificate.
    fn issuers(&self, shown: &[u8]) -> Result<Arc<Issuers>, AgentError> {
        match self {
            Self::Issuers(issuers) | Self::Learned(issuers) => Ok(Arc::clone(issuers)),
            Self::Fingerprint(expected, paths, directory) => {
                let issuer = TrustedIssuer::from_fingerprint(crypto(), shown, *expected)?;
                Ok(Arc::new(Issuers::load(paths, issuer).looking_in(directory.clone())))
            }
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

/// Why a gateway is not the one that was looked for, or not fit to be talked to.
#[derive(Debug)]
pub(crate) enum Misfit {
    /// It does not answer, or not like a gateway.
    Answer(AgentError),
    /// Its clock and this machine's are too far apart.
    Clock(AgentError),
    /// Its certificates are not in order.
    Certificates(AgentError),
}

impl From<AgentError> for Misfit {
    fn from(e: AgentError) -> Self {
        Self::Answer(e)
    }
}

impl From<Misfit> for AgentError {
    fn from(misfit: Misfit) -> Self {
        match misfit {
            Misfit::Answer(e) | Misfit::Clock(e) | Misfit::Certificates(e) => e,
        }
    }
}

/// Says hello on a fresh connection and checks what comes back.
pub(crate) async fn meet(
    connection: &mut Connection,
    hello: &Hello,
    trust: &Trust,
    name: &GatewayName,
) -> Result<Met, Misfit> {
    connection.send(FrameKind::Hello, hello.to_bytes()).await?;
    let offer = match connection.receive(&[FrameKind::Offer]).await? {
        Ok(frame) => Offer::from_bytes(&frame.body).map_err(AgentError::from)?,
        Err(refusal) if refusal.code == RefusalCode::Answers => return Err(no_template(hello).into()),
        Err(refusal) => return Err(AgentError::refused(&refusal, clock::now()).into()),
    };
    let now = clock::now();
    let shown = &offer.key_set.issuer;
    let issuers = trust.issuers(shown).map_err(Misfit::Certificates)?;
    if !matches!(trust, Trust::Learned(_)) {
        issuers.learn(Directory::deadline()).await.map_err(Misfit::Certificates)?;
    }
    issuers.follow_to(shown, &offer.issuer_change).map_err(Misfit::Certificates)?;
    let verified = issuers.verify_key_set(&offer.key_set, name);
    // The time is the gateway's word, but a false one gains nobody more than a refusal would. A
    // wrong clock explains certificates that seem to be out of time, so it is told first.
    let clock_is_off = offer.time.distance_secs(now) > CLOCK_TOLERANCE_SECS;
    match verified {
        Ok(_) | Err(KeySetError::OutsideValidity) if clock_is_off => {
            Err(Misfit::Clock(AgentError::clock(offer.time, now)))
        }
        Ok(verified) => Ok(Met { issuer: issuers.shown(shown), verified, offer }),
        Err(e) => Err(Misfit::Certificates(AgentError::key_set(&e))),
    }
}

fn no_template(hello: &Hello) -> AgentError {
    let which = hello.template.as_ref().map_or_else(String::new, |t| format!(" {t}"));
    AgentError::usage(format!("the gateway has no registration template{which}"))
        .fix("leave --template out, or ask an administrator for its name (symbolon admin templates list)")
}
