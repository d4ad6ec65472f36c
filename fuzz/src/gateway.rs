//! The gateway that messages are made for.

use std::sync::OnceLock;

use symbolon_crypto::{
    CheapCheck, Crypto, Entropy, Envelope, EnvelopeContent, GatewayName, OpenEnvelope, Purpose,
    RevocationLists, SecretBytes, Suite, TrustedIssuer, VerifiedKeySet,
};
use symbolon_issuer::{ContextKeys, Issuer, Validity};
use symbolon_wire::Time;

use crate::Random;

/// When everything happens: 2026-11-21.
pub(crate) const NOW: Time = Time::from_secs(1_795_219_200);

const DAY: u64 = 24 * 60 * 60;

/// A gateway with its keys, as it sees itself and as a client sees it.
pub(crate) struct Gateway {
    pub(crate) name: GatewayName,
    pub(crate) issuer: TrustedIssuer,
    pub(crate) keys: ContextKeys,
    pub(crate) verified: VerifiedKeySet,
}

/// The same for all inputs of a process.
pub(crate) fn gateway() -> &'static Gateway {
    static GATEWAY: OnceLock<Gateway> = OnceLock::new();
    GATEWAY.get_or_init(Gateway::new)
}

/// The primitives.
pub(crate) fn crypto() -> Crypto {
    symbolon_provider::crypto()
}

/// Randomness that a fuzzing run can repeat, as far as the provider does not draw its own.
pub(crate) struct Seeded(Random);

impl Seeded {
    pub(crate) fn new() -> Self {
        Self(Random::from_seed(7))
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            *byte = self.0.next_u64() as u8;
        }
    }
}

impl Gateway {
    fn new() -> Self {
        let name = GatewayName::parse("gateway.example").expect("a DNS name");
        let issuer = Issuer::create("Fuzzing", NOW, 10).expect("a plain name");
        let identity = issuer
            .gateway_identity(&name, Validity::starting(NOW, 90 * DAY))
            .expect("the issuer lives longer");
        let keys = ContextKeys::new(identity, issuer.certificate().to_vec(), DAY, NOW)
            .expect("the identity lives longer");
        let issuer =
            TrustedIssuer::from_certificate(crypto(), issuer.certificate()).expect("its own certificate");
        let verified = keys
            .offer()
            .verify(crypto(), &issuer, &RevocationLists::none(), &name, NOW)
            .expect("its own offer");
        Self { name, issuer, keys, verified }
    }

    /// Seals `content` as a stranger would who has the offer.
    pub(crate) fn seal(&self, purpose: Purpose, content: &[u8]) -> Envelope {
        // The quicker suite: what is behind the seal is the same for both.
        let suites = [Suite::X25519];
        let envelope = OpenEnvelope::begin(crypto(), &mut Seeded::new(), &self.verified, &suites, purpose);
        envelope.expect("the gateway offers both suites").seal(&SecretBytes::new(content.to_vec())).0
    }

    /// Opens what travelled, as far as it opens.
    pub(crate) fn open(&self, purpose: Purpose, envelope: Envelope) -> Option<EnvelopeContent> {
        let (key, hash) = self.keys.key(&envelope.key())?;
        let checked = CheapCheck::new(crypto(), hash, purpose).check(crypto(), envelope).ok()?;
        checked.open(crypto(), key).ok()
    }
}
