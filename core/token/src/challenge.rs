//! Challenge and response with the authentication key (B8): mutual, with no third party and no key
//! on the wire.
//!
//! ```text
//! challenger                                     responder
//!    ── N1 ────────────────────────────────────────>
//!       k = HMAC(SSK, names, roles, binding, N1, KEM key),  E = AEAD_k(N1)
//!    <──────────────────────────── E, N2, KEM key ──
//!    N1 is mine: the responder holds SSK
//!    session = HKDF(k, E, N2, KEM secret, transcript)
//!    ── ct, AEAD_session(N2) ──────────────────────>
//!                                  N2 is mine: so does the challenger
//! ```
//! Either party may start (patent claims 4, 17) or the server does (10, 23). As a context's
//! authentication token ([`ChallengeToken`]) the gateway is the challenger, its number comes with its
//! certificate or from the previous session, and the KEM is the context's own. Within a session
//! either side may be the [`Challenger`], to prove both sides anew and replace the session's keys.
//!
//! What the challenger gave cannot be reflected: the two names stand in `k` in the order of the
//! roles, and an exchange between two of the same name is refused.

use crate::AuthenticationKey;
use symbolon_crypto::{
    Crypto, CryptoError, Encapsulated, Entropy, InitiatorToken, KemPrivateKey, KemPublicKey, PresentedToken,
    Secret, SecretBytes, Suite, TAG, TokenKind, TokenProof, Transcript, TranscriptHash, constant_time_eq,
    label,
};
use symbolon_policy::UserCode;
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

/// A number of a challenge: 32 bytes.
pub type Number = [u8; 32];

/// How long a number that a gateway gave out may be answered, in seconds: a client that was away
/// for a long weekend still signs in with one round trip.
const GATEWAY_NUMBER_LIFETIME_SECS: u64 = 4 * 24 * 3600;

/// The suite of stand-alone exchanges; an answer with another is refused, so that nobody steps down.
const SUITE: Suite = Suite::XWing;

/// Who takes part in an exchange; both names and both roles go into every key.
#[derive(Clone, Copy, Debug)]
pub struct Parties<'a> {
    /// Name of the challenger.
    pub challenger: &'a str,
    /// Name of the responder.
    pub responder: &'a str,
}

/// E and N2.
#[derive(Clone, Debug)]
struct Response {
    sealed_number: [u8; 32 + TAG],
    number: Number,
}

/// What one side computes from SSK, the names and the binding.
#[derive(Debug)]
struct ExchangeKey(Secret<32>);

impl ExchangeKey {
    fn new(
        crypto: Crypto,
        key: &dyn AuthenticationKey,
        parties: Parties<'_>,
        binding: &TranscriptHash,
    ) -> Result<Self, CryptoError> {
        let mut w = Writer::new();
        w.bytes8(label::CHALLENGE_KEY);
        w.text16(parties.challenger);
        w.text16(parties.responder);
        w.fixed(binding.as_ref());
        key.hmac(crypto, &[&w.into_bytes()]).map(Self)
    }

    fn seal_number(&self, crypto: Crypto, number: &Number, own: &Number) -> [u8; 32 + TAG] {
        let key = crypto.derive(&self.0, label::CHALLENGE_NUMBER, &[own]);
        let mut out = [0; 32 + TAG];
        out[..32].copy_from_slice(number);
        let tag = crypto.aes256_gcm(&key).seal(&[0; 12], own, &mut out[..32]);
        out[32..].copy_from_slice(&tag);
        out
    }

    fn open_number(&self, crypto: Crypto, response: &Response) -> Result<Number, CryptoError> {
        let key = crypto.derive(&self.0, label::CHALLENGE_NUMBER, &[&response.number]);
        let mut buffer = response.sealed_number;
        crypto.aes256_gcm(&key).open(&[0; 12], &response.number, &mut buffer)?;
        let mut number = [0; 32];
        number.copy_from_slice(&buffer[..32]);
        Ok(number)
    }

    fn session(&self, crypto: Crypto, response: &Response, binding: &TranscriptHash) -> Secret<32> {
        let parts: [&[u8]; 3] = [&response.sealed_number, &response.number, binding.as_ref()];
        crypto.derive(&self.0, label::CHALLENGE_SESSION, &parts)
    }
}

// --- as the authentication token of a context -------------------------------------------------

/// The credential of a registered token in the initiator's hands.
pub struct ChallengeToken<'a> {
    crypto: Crypto,
    key: &'a dyn AuthenticationKey,
    claimed: Claimant<'a>,
    gateway: &'a str,
    gateway_number: Number,
    own_number: Number,
}

/// Who a token says it is.
#[derive(Clone, Copy, Debug)]
pub struct Claimant<'a> {
    /// The registration at the gateway: a user may have several tokens.
    pub registration_id: [u8; 16],
    /// The user identification code (B6).
    pub user: &'a UserCode,
}

impl<'a> ChallengeToken<'a> {
    /// Answers `gateway_number` in the name of `claimed`, at the gateway whose verified name is
    /// given.
    pub fn new(
        crypto: Crypto,
        entropy: &mut dyn Entropy,
        key: &'a dyn AuthenticationKey,
        claimed: Claimant<'a>,
        gateway: &'a str,
        gateway_number: Number,
    ) -> Self {
        Self { crypto, key, claimed, gateway, gateway_number, own_number: entropy.number() }
    }
}

impl std::fmt::Debug for ChallengeToken<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChallengeToken({})", self.claimed.user.as_str())
    }
}

impl InitiatorToken for ChallengeToken<'_> {
    fn present(&mut self, binding: &TranscriptHash) -> Result<PresentedToken, CryptoError> {
        let parties = Parties { challenger: self.gateway, responder: self.claimed.user.as_str() };
        let key = ExchangeKey::new(self.crypto, self.key, parties, binding)?;
        let sealed_number = key.seal_number(self.crypto, &self.gateway_number, &self.own_number);
        let response = Response { sealed_number, number: self.own_number };
        let body = SecretBytes::written(512, |w| {
            w.fixed(&self.claimed.registration_id);
            w.text8(self.claimed.user.as_str());
            w.fixed(&response.sealed_number);
            w.fixed(&response.number);
        });
        Ok(PresentedToken {
            kind: TokenKind::Challenge,
            body,
            contribution: Some(key.session(self.crypto, &response, binding)),
        })
    }

    fn confirm(&mut self, reply: &[u8]) -> Result<(), CryptoError> {
        if constant_time_eq(reply, &self.own_number) { Ok(()) } else { Err(CryptoError::Forged) }
    }
}

/// A response as a gateway receives it: it claims to be somebody's.
pub struct ClaimedResponse {
    registration_id: [u8; 16],
    user: UserCode,
    response: Response,
}

impl std::fmt::Debug for ClaimedResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClaimedResponse({})", self.user.as_str())
    }
}

impl ClaimedResponse {
    /// Parses the body of a token of kind [`TokenKind::Challenge`].
    ///
    /// # Errors
    /// [`WireError`].
    pub fn parse(token: &SecretBytes) -> Result<Self, WireError> {
        let mut r = Reader::new(token.expose());
        let registration_id = r.fixed()?;
        let user = UserCode::parse(r.text8("user code")?).map_err(|_| WireError::BadValue("user code"))?;
        let response = Response { sealed_number: r.fixed()?, number: r.fixed()? };
        r.finish()?;
        Ok(Self { registration_id, user, response })
    }

    /// Which registration it claims to be.
    #[must_use]
    pub const fn registration_id(&self) -> &[u8; 16] {
        &self.registration_id
    }

    /// Whose it claims to be.
    #[must_use]
    pub const fn user(&self) -> &UserCode {
        &self.user
    }

    /// Checks it against the key of that user. For a user that does not exist pass a random key: the
    /// cost and the error are the same.
    ///
    /// # Errors
    /// [`CryptoError::Forged`] for a wrong key as for a number that is not (or no longer) ours.
    pub fn verify(
        &self,
        crypto: Crypto,
        key: &dyn AuthenticationKey,
        gateway: &str,
        numbers: &GatewayNumbers,
        binding: &TranscriptHash,
        now: Time,
    ) -> Result<ChallengeProved, CryptoError> {
        let parties = Parties { challenger: gateway, responder: self.user.as_str() };
        let key = ExchangeKey::new(crypto, key, parties, binding)?;
        let number = key.open_number(crypto, &self.response)?;
        if !numbers.is_ours(crypto, &number, now) {
            return Err(CryptoError::Forged);
        }
        Ok(ChallengeProved {
            binding: *binding,
            contribution: key.session(crypto, &self.response, binding),
            reply: self.response.number,
        })
    }
}

/// Proof that the initiator of one exchange holds the authentication key.
#[derive(Debug)]
pub struct ChallengeProved {
    binding: TranscriptHash,
    contribution: Secret<32>,
    reply: Number,
}

impl TokenProof for ChallengeProved {
    fn binding(&self) -> &TranscriptHash {
        &self.binding
    }

    fn contribution(&self) -> Option<&Secret<32>> {
        Some(&self.contribution)
    }

    fn reply(&self) -> &[u8] {
        &self.reply
    }
}

/// The gateway's numbers: `expiry (8) | random (8) | MAC (16)`, so that no list of them need be kept
/// and every node of a domain knows its own. A number may be answered more than once until it
/// expires; that no *answer* serves twice is seen to by the replay cache of first messages, to which
/// each answer is bound.
#[derive(Debug)]
pub struct GatewayNumbers {
    key: Secret<32>,
}

impl GatewayNumbers {
    /// Under a key of the domain.
    #[must_use]
    pub fn new(crypto: Crypto, domain_key: &Secret<32>) -> Self {
        Self { key: crypto.derive(domain_key, label::GATEWAY_NUMBER, &[]) }
    }

    /// A fresh number.
    #[must_use]
    pub fn issue(&self, crypto: Crypto, entropy: &mut dyn Entropy, now: Time) -> Number {
        let mut number = [0; 32];
        number[..8].copy_from_slice(&now.plus_secs(GATEWAY_NUMBER_LIFETIME_SECS).0.to_be_bytes());
        entropy.fill(&mut number[8..16]);
        let mac = self.mac(crypto, &number);
        number[16..].copy_from_slice(&mac);
        number
    }

    fn mac(&self, crypto: Crypto, number: &Number) -> [u8; 16] {
        let mut mac = [0; 16];
        mac.copy_from_slice(&crypto.hmac_sha256(self.key.expose(), &[&number[..16]])[..16]);
        mac
    }

    fn is_ours(&self, crypto: Crypto, number: &Number, now: Time) -> bool {
        let mut expiry = [0; 8];
        expiry.copy_from_slice(&number[..8]);
        constant_time_eq(&self.mac(crypto, number), &number[16..]) && now.0 <= u64::from_be_bytes(expiry)
    }
}

// --- on its own, within a session -------------------------------------------------------------

/// Second message of a stand-alone exchange.
struct Answer {
    response: Response,
    kem: KemPublicKey,
}

impl Encode for Answer {
    fn encode(&self, w: &mut Writer) {
        w.fixed(&self.response.sealed_number);
        w.fixed(&self.response.number);
        self.kem.encode(w);
    }
}

impl Decode for Answer {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let response = Response { sealed_number: r.fixed()?, number: r.fixed()? };
        Ok(Self { response, kem: KemPublicKey::decode(r)? })
    }
}

/// What the answer is bound to: both sides' part so far, the KEM key among it, so that nobody can put
/// another key in its place and read along once the authentication key has become known.
fn answered(
    crypto: Crypto,
    parties: Parties<'_>,
    binding: &TranscriptHash,
    challenge: &Number,
    kem: &KemPublicKey,
) -> Result<Transcript, CryptoError> {
    if parties.challenger == parties.responder || kem.suite() != SUITE {
        return Err(CryptoError::BadKey);
    }
    let start = Transcript::new(crypto, label::CHALLENGE_KEY).with(binding.as_ref());
    Ok(start.with(challenge).with(kem.as_bytes()))
}

/// The session key, and the key under which the second number is returned.
fn session_keys(
    crypto: Crypto,
    key: &ExchangeKey,
    response: &Response,
    kem: &Encapsulated,
    answered: Transcript,
) -> (Secret<32>, Secret<32>) {
    let seed = key.session(crypto, response, &answered.hash());
    let whole = answered.with(&response.sealed_number).with(&response.number).with(&kem.bytes).hash();
    let root = crypto.extract(whole.as_ref(), &[seed.expose(), kem.secret.expose()]);
    (
        crypto.derive(&root, label::CHALLENGE_SESSION, &[whole.as_ref()]),
        crypto.derive(&root, label::CHALLENGE_RETURN, &[whole.as_ref()]),
    )
}

/// The side that gives the first number.
#[derive(Debug)]
pub struct Challenger {
    crypto: Crypto,
    number: Number,
    binding: TranscriptHash,
}

impl Challenger {
    /// Draws N1, which is the first message.
    pub fn begin(crypto: Crypto, entropy: &mut dyn Entropy, binding: TranscriptHash) -> (Self, Vec<u8>) {
        let number: Number = entropy.number();
        (Self { crypto, number, binding }, number.to_vec())
    }

    /// Checks the answer; gives the new session key and the last message.
    ///
    /// # Errors
    /// [`CryptoError::Forged`] when the responder does not hold the key, or the bytes are no answer;
    /// [`CryptoError::BadKey`] when both parties have one name, or the answer is of another suite.
    pub fn conclude(
        self,
        entropy: &mut dyn Entropy,
        key: &dyn AuthenticationKey,
        parties: Parties<'_>,
        answer: &[u8],
    ) -> Result<(Secret<32>, Vec<u8>), CryptoError> {
        let Answer { response, kem } = Answer::from_bytes(answer).map_err(|_| CryptoError::Forged)?;
        let answered = answered(self.crypto, parties, &self.binding, &self.number, &kem)?;
        let key = ExchangeKey::new(self.crypto, key, parties, &answered.hash())?;
        let number = key.open_number(self.crypto, &response)?;
        if !constant_time_eq(&number, &self.number) {
            return Err(CryptoError::Forged);
        }
        let kem = kem.encapsulate(self.crypto, entropy)?;
        let (session, back) = session_keys(self.crypto, &key, &response, &kem, answered);
        let mut returned = response.number;
        let tag = self.crypto.aes256_gcm(&back).seal(&[0; 12], label::CHALLENGE_RETURN, &mut returned);
        let mut w = Writer::new();
        w.bytes16(&kem.bytes);
        w.fixed(&returned);
        w.fixed(&tag);
        Ok((session, w.into_bytes()))
    }
}

/// The side that answers.
#[derive(Debug)]
pub struct Responder {
    crypto: Crypto,
    response: Response,
    kem: KemPrivateKey,
    key: ExchangeKey,
    answered: Transcript,
}

impl Responder {
    /// Answers N1.
    ///
    /// # Errors
    /// [`CryptoError::Forged`] when the bytes are no number; [`CryptoError::BadKey`] when both
    /// parties have one name; what the device with the key gives.
    pub fn answer(
        crypto: Crypto,
        entropy: &mut dyn Entropy,
        key: &dyn AuthenticationKey,
        parties: Parties<'_>,
        first: &[u8],
        binding: TranscriptHash,
    ) -> Result<(Self, Vec<u8>), CryptoError> {
        let challenge: Number = first.try_into().map_err(|_| CryptoError::Forged)?;
        let kem = KemPrivateKey::generate(SUITE, crypto, entropy);
        let answered = answered(crypto, parties, &binding, &challenge, kem.public())?;
        let key = ExchangeKey::new(crypto, key, parties, &answered.hash())?;
        let number: Number = entropy.number();
        let response = Response { sealed_number: key.seal_number(crypto, &challenge, &number), number };
        let answer = Answer { response: response.clone(), kem: kem.public().clone() }.to_bytes();
        Ok((Self { crypto, response, kem, key, answered }, answer))
    }

    /// Checks that the second number came back under the session key, and gives that key.
    ///
    /// # Errors
    /// [`CryptoError::Forged`].
    pub fn finish(self, last: &[u8]) -> Result<Secret<32>, CryptoError> {
        let mut r = Reader::new(last);
        let mut read = || -> Result<(Vec<u8>, [u8; 32 + TAG]), WireError> {
            let parts = (r.bytes16()?.to_vec(), r.fixed()?);
            Ok(parts)
        };
        let (bytes, mut returned) = read().map_err(|_| CryptoError::Forged)?;
        r.finish().map_err(|_| CryptoError::Forged)?;
        let secret = self.kem.decapsulate(self.crypto, &bytes).map_err(|_| CryptoError::Forged)?;
        let kem = Encapsulated { bytes, secret };
        let (session, back) = session_keys(self.crypto, &self.key, &self.response, &kem, self.answered);
        self.crypto.aes256_gcm(&back).open(&[0; 12], label::CHALLENGE_RETURN, &mut returned)?;
        if constant_time_eq(&returned[..32], &self.response.number) {
            Ok(session)
        } else {
            Err(CryptoError::Forged)
        }
    }
}
