//! On its own, within a session.

use super::{ExchangeKey, Number, Parties, Response};
use crate::AuthenticationKey;
use symbolon_crypto::{
    Crypto, CryptoError, Encapsulated, Entropy, KemPrivateKey, KemPublicKey, Secret, Suite, TAG, Transcript,
    TranscriptHash, constant_time_eq, label,
};
use symbolon_wire::{Decode, Encode, Reader, WireError, Writer};

/// The suite of stand-alone exchanges; an answer with another is refused, so that nobody steps down.
const SUITE: Suite = Suite::XWing;

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
