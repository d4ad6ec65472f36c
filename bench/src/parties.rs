//! A gateway and a registered user, with nothing between them: the cores alone.

use anyhow::{Result, anyhow};
use symbolon_context::{AwaitSecond, ContextSecrets, Fresh, Grant, Initiator, InitiatorOptions, Opened};
use symbolon_crypto::{
    CheapCheck, Crypto, Entropy, Envelope, EnvelopeContent, GatewayName, InitiatorToken, Purpose, Secret,
    Suite, TokenProof, TrustedIssuer, VerifiedKeySet,
};
use symbolon_issuer::{ContextKeys, Issuer, Validity};
use symbolon_policy::UserCode;
use symbolon_provider::{SystemEntropy, crypto};
use symbolon_token::SoftwareKey;
use symbolon_token::challenge::{ChallengeToken, Claimant, ClaimedResponse, GatewayNumbers, Number};
use symbolon_wire::{Decode as _, Time};

/// The gateway's name.
pub(crate) const GATEWAY: &str = "gw.example";
const DAY_SECS: u64 = 86_400;

/// Now, as every bench has it.
pub(crate) fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// What a gateway keeps ready.
pub(crate) struct Gateway {
    pub(crate) crypto: Crypto,
    pub(crate) issuer: Issuer,
    keys: ContextKeys,
    numbers: GatewayNumbers,
    /// What a client makes of the gateway's offer.
    pub(crate) verified: VerifiedKeySet,
    ssk: SoftwareKey,
}

/// What a user's token holds.
pub(crate) struct Token {
    key: SoftwareKey,
    code: UserCode,
    number: Number,
}

impl Gateway {
    pub(crate) fn new() -> Result<Self> {
        let crypto = crypto();
        let name = GatewayName::parse(GATEWAY)?;
        let issuer = Issuer::create("Bench", now(), 1)?;
        let identity = issuer.gateway_identity(&name, Validity::starting(now(), 30 * DAY_SECS))?;
        let keys = ContextKeys::new(identity, issuer.certificate().to_vec(), DAY_SECS, now())?;
        let trusted = TrustedIssuer::from_certificate(crypto, issuer.certificate())?;
        let verified =
            keys.offer().verify(crypto, &trusted, &symbolon_crypto::RevocationLists::none(), &name, now())?;
        let entropy: &mut dyn Entropy = &mut SystemEntropy;
        let numbers = GatewayNumbers::new(crypto, &entropy.secret());
        let ssk = SoftwareKey::new(entropy.secret());
        Ok(Self { crypto, issuer, keys, numbers, verified, ssk })
    }

    /// A token that is registered here.
    pub(crate) fn token(&self) -> Result<Token> {
        Ok(Token {
            key: self.ssk.duplicate(),
            code: UserCode::parse("alice")?,
            number: self.numbers.issue(self.crypto, &mut SystemEntropy, now()),
        })
    }

    /// Keeps ready what a gateway computes once for each key set.
    pub(crate) fn cheap_check(&self, purpose: Purpose) -> CheapCheck {
        CheapCheck::new(self.crypto, self.verified.hash(), purpose)
    }

    /// Parses, checks and opens an envelope, as a node that is not under load does.
    pub(crate) fn open(&self, check: &CheapCheck, bytes: &[u8]) -> Result<EnvelopeContent> {
        let envelope = Envelope::from_bytes(bytes)?;
        let (key, _) = self.keys.key(&envelope.key()).ok_or_else(|| anyhow!("no such context key"))?;
        let checked = check.check(self.crypto, envelope)?;
        Ok(checked.open(self.crypto, key)?)
    }

    /// The first message up to its authentication token.
    pub(crate) fn receive(&self, check: &CheapCheck, first: &[u8], now: Time) -> Result<Fresh> {
        let content = self.open(check, first)?;
        Ok(Opened::read(self.crypto, content, now)?.first_time(true, now)?)
    }

    /// Checks a response to our number.
    pub(crate) fn check_response(&self, fresh: &Fresh, now: Time) -> Result<impl TokenProof + use<>> {
        let claimed = ClaimedResponse::parse(fresh.token())?;
        Ok(claimed.verify(self.crypto, &self.ssk, GATEWAY, &self.numbers, fresh.binding(), now)?)
    }
}

/// Answers a first message whose token was checked.
pub(crate) fn answer(fresh: Fresh, proof: impl TokenProof + 'static) -> Result<(ContextSecrets, Vec<u8>)> {
    let grant = Grant { session_id: [5; 16], lifetime_secs: 3600, subject: "alice".to_owned() };
    Ok(fresh.authenticate(Box::new(proof), ())?.accept(&mut SystemEntropy, &grant)?)
}

impl Token {
    /// The credential of one sign-in.
    pub(crate) fn challenge(&self) -> ChallengeToken<'_> {
        let claimant = Claimant { registration_id: [3; 16], user: &self.code };
        ChallengeToken::new(crypto(), &mut SystemEntropy, &self.key, claimant, GATEWAY, self.number)
    }
}

/// Makes a first message.
pub(crate) fn first<T: InitiatorToken>(
    gateway: &Gateway,
    suite: Suite,
    token: T,
    now: Time,
) -> Result<(AwaitSecond<T>, Vec<u8>)> {
    let options = InitiatorOptions { suites: vec![suite], ..InitiatorOptions::default() };
    Ok(Initiator::begin(gateway.crypto, &mut SystemEntropy, &gateway.verified, &options, token, now)?)
}

/// A key for what is only measured.
pub(crate) fn any_key() -> Secret<32> {
    let entropy: &mut dyn Entropy = &mut SystemEntropy;
    entropy.secret()
}
