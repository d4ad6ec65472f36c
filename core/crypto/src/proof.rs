//! What a room that checks credentials and the room that opens contexts say to each other.
//!
//! Rooms never import each other: a credential answers for a [`TranscriptHash`] on the initiator's
//! side ([`InitiatorToken`]) and a check on the acceptor's side gives a [`TokenProof`] for the same
//! hash. A proof that was made for another exchange fits no transcript, so it opens nothing.

use crate::{Crypto, CryptoError, KemPublicKey, Secret, SecretBytes, TranscriptHash};
use symbolon_wire::{Decode, Encode, Reader, WireError, Writer};

/// What kind of authentication token a first message carries (A3–A5, B8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum TokenKind {
    /// User name and password (A4).
    Password = 1,
    /// Response with the authentication key of a registered token (B8).
    Challenge = 2,
    /// Certificate whose key signs the exchange (A3).
    Certificate = 3,
    /// Certificate whose key opens the envelope that the session key comes in (A3, A7).
    KemCertificate = 4,
    /// Kerberos ticket (A5).
    Kerberos = 5,
    /// Ticket of an OpenID provider, a signed JWT (A5).
    Jwt = 6,
    /// Ticket of an earlier session of our own (A5).
    SessionTicket = 7,
}

impl TokenKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Password,
        Self::Challenge,
        Self::Certificate,
        Self::KemCertificate,
        Self::Kerberos,
        Self::Jwt,
        Self::SessionTicket,
    ];
}

impl std::fmt::Display for TokenKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Password => "password",
            Self::Challenge => "token",
            Self::Certificate | Self::KemCertificate => "certificate",
            Self::Kerberos => "kerberos",
            Self::Jwt => "oidc",
            Self::SessionTicket => "ticket",
        })
    }
}

impl Encode for TokenKind {
    fn encode(&self, w: &mut Writer) {
        w.u8(*self as u8);
    }
}

impl Decode for TokenKind {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let number = r.u8()?;
        Self::ALL.into_iter().find(|k| *k as u8 == number).ok_or(WireError::BadValue("token kind"))
    }
}

/// An authentication token as it travels inside a first message.
#[derive(Debug)]
pub struct PresentedToken {
    /// Its kind.
    pub kind: TokenKind,
    /// Its bytes, in the encoding of its room.
    pub body: SecretBytes,
    /// A key that only the two honest sides can compute, if this kind has one: it goes into every
    /// later key.
    pub contribution: Option<Secret<32>>,
}

/// A credential in the initiator's hands.
pub trait InitiatorToken {
    /// Answers for the exchange that `binding` names.
    ///
    /// # Errors
    /// What the device that holds the key gives.
    fn present(&mut self, binding: &TranscriptHash) -> Result<PresentedToken, CryptoError>;

    /// Checks the acceptor's part of the proof, out of the second message.
    ///
    /// # Errors
    /// [`CryptoError::Forged`] when the acceptor did not hold what it should.
    fn confirm(&mut self, reply: &[u8]) -> Result<(), CryptoError> {
        if reply.is_empty() { Ok(()) } else { Err(CryptoError::Forged) }
    }

    /// Recovers the secret of the digital envelope around the session key (A7), encapsulated in
    /// `enc` to the key that was presented. Only [`TokenKind::KemCertificate`] is sent an envelope.
    ///
    /// # Errors
    /// [`CryptoError`] when `enc` is no encapsulation, and what the device that holds the key gives.
    fn open_envelope(&mut self, _crypto: Crypto, _enc: &[u8]) -> Result<Secret<32>, CryptoError> {
        Err(CryptoError::BadKey)
    }
}

/// Evidence that the credential of one exchange was checked. Implemented only by types that the
/// check itself makes.
pub trait TokenProof: Send {
    /// The exchange that it was checked for.
    fn binding(&self) -> &TranscriptHash;

    /// The acceptor's copy of [`PresentedToken::contribution`].
    fn contribution(&self) -> Option<&Secret<32>> {
        None
    }

    /// What the acceptor returns so that the initiator can check it in turn; may be empty.
    fn reply(&self) -> &[u8] {
        &[]
    }

    /// The key that the session key is to be sealed to (A7). Then it is not proved yet that the
    /// initiator holds the private half: its first wrapped message will.
    fn envelope_to(&self) -> Option<&KemPublicKey> {
        None
    }
}
