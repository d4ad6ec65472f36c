//! What is inside both messages; the first one's outside is `symbolon_crypto::Envelope`.

use symbolon_crypto::{KemPublicKey, PresentedToken, Secret, SecretBytes, TAG, TokenKind};
use symbolon_wire::{Decode, Encode, Reader, Time, WireError, Writer};

/// Largest authentication token: room for a Kerberos AP-REQ with a large authorisation field.
const MAX_TOKEN: usize = 8 * 1024;

/// A first message's plaintext is a multiple of this many bytes: its length then tells neither the
/// kind of the token nor how long a name or a password is.
const FIRST_STEP: usize = 256;

/// The same of a second message. Less is in it: with names of up to 37 characters all kinds of token that a first
/// message hides have one length, and what a longer step would hide besides, the first message tells anyway.
const SECOND_STEP: usize = 128;

/// What stands around the token's reply in a second message, padding and a subject of 255 bytes included, at most.
const MAX_AROUND_REPLY: usize = 512;

/// What stands around the token in a first message, padding included, at most.
const MAX_AROUND_TOKEN: usize = 3 * 1024;

/// What is inside a first message of a context.
pub(crate) struct FirstInner {
    pub(crate) transport_key: Secret<32>,
    pub(crate) ephemeral: KemPublicKey,
    pub(crate) time: Time,
    pub(crate) bindings: [u8; 32],
    pub(crate) kind: TokenKind,
    pub(crate) token: SecretBytes,
}

/// The part of the inner message that the token itself is bound to.
pub(crate) fn bound_part(ephemeral: &KemPublicKey, time: Time, bindings: &[u8; 32]) -> Vec<u8> {
    let mut w = Writer::with_capacity(ephemeral.as_bytes().len() + 64);
    ephemeral.encode(&mut w);
    time.encode(&mut w);
    w.fixed(bindings);
    w.into_bytes()
}

impl FirstInner {
    pub(crate) fn seal_bytes(
        transport_key: &Secret<32>,
        bound: &[u8],
        token: &PresentedToken,
    ) -> SecretBytes {
        SecretBytes::written(MAX_AROUND_TOKEN + token.body.expose().len(), |w| {
            w.fixed(transport_key.expose());
            w.fixed(bound);
            token.kind.encode(w);
            w.bytes16(token.body.expose());
            w.padding(FIRST_STEP);
        })
    }

    pub(crate) fn parse(plaintext: &SecretBytes) -> Result<Self, WireError> {
        let mut r = Reader::new(plaintext.expose());
        let transport_key = Secret::decode(&mut r)?;
        let ephemeral = KemPublicKey::decode(&mut r)?;
        let time = Time::decode(&mut r)?;
        let bindings = r.fixed()?;
        let kind = TokenKind::decode(&mut r)?;
        let token = r.bytes16()?;
        if token.len() > MAX_TOKEN {
            return Err(WireError::TooLong("authentication token"));
        }
        let token = SecretBytes::new(token.to_vec());
        r.padding()?;
        r.finish()?;
        Ok(Self { transport_key, ephemeral, time, bindings, kind, token })
    }
}

/// A second message: the encapsulation in clear, the rest sealed.
pub(crate) struct SecondMessage {
    pub(crate) enc: Vec<u8>,
    pub(crate) sealed: Vec<u8>,
}

impl Encode for SecondMessage {
    fn encode(&self, w: &mut Writer) {
        w.bytes16(&self.enc);
        w.bytes16(&self.sealed);
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(self.enc.len() + self.sealed.len() + 4);
        self.encode(&mut w);
        w.into_bytes()
    }
}

impl Decode for SecondMessage {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { enc: r.bytes16()?.to_vec(), sealed: r.bytes16()?.to_vec() })
    }
}

/// How the session key stands in a second message.
pub(crate) enum SentKey {
    /// As it is: the message opens only for who made the first one.
    Plain(Secret<32>),
    /// In an envelope to the key of the initiator's certificate (A7).
    Envelope { enc: Vec<u8>, sealed: [u8; 32 + TAG] },
}

impl Encode for SentKey {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Plain(key) => {
                w.bytes16(&[]);
                w.fixed(key.expose());
            }
            Self::Envelope { enc, sealed } => {
                w.bytes16(enc);
                w.fixed(sealed);
            }
        }
    }
}

impl Decode for SentKey {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        match r.bytes16()? {
            [] => Ok(Self::Plain(Secret::decode(r)?)),
            enc => Ok(Self::Envelope { enc: enc.to_vec(), sealed: r.fixed()? }),
        }
    }
}

/// What is inside a second message.
pub(crate) struct SecondInner {
    pub(crate) session_key: SentKey,
    pub(crate) session_id: [u8; 16],
    pub(crate) lifetime_secs: u32,
    pub(crate) subject: String,
    pub(crate) token_reply: Vec<u8>,
}

impl SecondInner {
    pub(crate) fn to_secret_bytes(&self) -> SecretBytes {
        let enc = match &self.session_key {
            SentKey::Plain(_) => 0,
            SentKey::Envelope { enc, .. } => enc.len(),
        };
        SecretBytes::written(MAX_AROUND_REPLY + self.token_reply.len() + enc, |w| {
            self.session_key.encode(w);
            w.fixed(&self.session_id);
            w.u32(self.lifetime_secs);
            w.text8(&self.subject);
            w.bytes16(&self.token_reply);
            w.padding(SECOND_STEP);
        })
    }

    pub(crate) fn parse(plaintext: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(plaintext);
        let inner = Self {
            session_key: SentKey::decode(&mut r)?,
            session_id: r.fixed()?,
            lifetime_secs: r.u32()?,
            subject: r.text8("subject")?.to_owned(),
            token_reply: r.bytes16()?.to_vec(),
        };
        r.padding()?;
        // Shown on terminals.
        if inner.subject.chars().any(char::is_control) {
            return Err(WireError::BadValue("subject"));
        }
        r.finish()?;
        Ok(inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner(subject: usize, reply: usize) -> SecondInner {
        SecondInner {
            session_key: SentKey::Plain(Secret::new([1; 32])),
            session_id: [2; 16],
            lifetime_secs: 3,
            subject: "x".repeat(subject),
            token_reply: vec![4; reply],
        }
    }

    #[test]
    fn a_second_message_has_one_length_for_usual_names_and_hidden_kinds_of_token() {
        // Nothing in reply to a password or a ticket, the second number to a challenge.
        for (subject, reply) in (1..=37).flat_map(|subject| [(subject, 0), (subject, 32)]) {
            assert_eq!(inner(subject, reply).to_secret_bytes().expose().len(), SECOND_STEP);
        }
    }

    #[test]
    fn the_longest_subject_beside_any_reply_fits_the_room_for_secrets() {
        for reply in 0..600 {
            let bytes = inner(255, reply).to_secret_bytes();
            assert_eq!(SecondInner::parse(bytes.expose()).unwrap().token_reply.len(), reply);
        }
    }
}
