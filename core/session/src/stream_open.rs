//! Opening a stream, the client's side, and what both sides derive.

use crate::{EndReason, Line, SessionId, SessionSecret, StreamError, StreamNumber};
use symbolon_crypto::{Crypto, Secret, label};
use symbolon_policy::AppName;
use symbolon_record::{ContentType, RECORD_OVERHEAD, ReceiveHalf, RecordOpener, RecordSealer, SendHalf};
use symbolon_wire::{Decode, Encode, Reader, WireError, Writer};

/// From which the keys of all streams of a session come. Derive it once and keep it: that spares
/// each stream one hash in seven.
#[derive(Debug)]
pub struct StreamRoot {
    crypto: Crypto,
    session: SessionId,
    root: Secret<32>,
}

impl StreamRoot {
    /// Of one session.
    #[must_use]
    pub fn new(crypto: Crypto, session: SessionId, secret: &SessionSecret) -> Self {
        Self { crypto, session, root: secret.stream_root(crypto, session) }
    }

    /// The session whose streams these are.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Opens a stream. Data may follow at once through [`OpeningStream::send`].
    ///
    /// # Errors
    /// [`StreamError::Record`] never happens with a fresh key, and is passed on all the same.
    pub fn open(&self, number: StreamNumber, request: &StreamRequest) -> Result<OpeningStream, StreamError> {
        let number = number.get();
        let mut sealer = RecordSealer::new(self.crypto, self.to_gateway(number));
        let content = request.to_bytes();
        let mut body = Vec::with_capacity(24 + content.len() + RECORD_OVERHEAD);
        body.extend_from_slice(&self.session.0);
        body.extend_from_slice(&number.to_be_bytes());
        sealer.seal_into(ContentType::Handshake, &content, &mut body)?;
        Ok(OpeningStream {
            body,
            send: SendHalf::new(sealer),
            reply: AwaitReply { root: self.duplicate(), number },
        })
    }

    pub(crate) fn duplicate(&self) -> Self {
        Self { crypto: self.crypto, session: self.session, root: self.root.duplicate() }
    }

    /// The key is bound to the number, so a record opens under its own number only.
    pub(crate) fn to_gateway(&self, number: u64) -> Secret<32> {
        self.crypto.derive(&self.root, label::STREAM_TO_GATEWAY, &[&number.to_be_bytes()])
    }

    /// Fresh with each answer: should a store that was set back let a number act twice, no key
    /// and nonce of the gateway meet again.
    pub(crate) fn to_client(&self, number: u64, random: &[u8; 32]) -> Secret<32> {
        self.crypto.derive(&self.root, label::STREAM_TO_CLIENT, &[&number.to_be_bytes(), random])
    }

    pub(crate) fn sealer(&self, secret: Secret<32>) -> RecordSealer {
        RecordSealer::new(self.crypto, secret)
    }

    pub(crate) fn opener(&self, secret: Secret<32>) -> RecordOpener {
        RecordOpener::new(self.crypto, secret)
    }
}

/// A stream that the client has opened.
#[derive(Debug)]
pub struct OpeningStream {
    /// The body of the StreamOpen frame.
    pub body: Vec<u8>,
    /// Sends records after it, before the answer too.
    pub send: SendHalf,
    /// Awaits the answer.
    pub reply: AwaitReply,
}

/// The client awaits the node's answer to its opening.
#[derive(Debug)]
pub struct AwaitReply {
    root: StreamRoot,
    number: u64,
}

/// The node's answer.
#[derive(Debug)]
pub enum StreamReply {
    /// The application is reached; its records follow.
    Accepted(ReceiveHalf),
    /// It is not, and nothing follows.
    Refused(Refusal),
}

/// Why a stream was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// By number.
    pub reason: EndReason,
    /// More about it, or nothing.
    pub detail: Line,
}

impl AwaitReply {
    /// The stream's number, by which the session speaks of it.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Reads the body of a StreamReply frame.
    ///
    /// # Errors
    /// [`StreamError::Malformed`], [`StreamError::Record`], [`StreamError::UnexpectedContent`].
    pub fn receive(self, mut body: Vec<u8>) -> Result<StreamReply, StreamError> {
        let (&mut random, record) = body.split_first_chunk_mut::<32>().ok_or(WireError::Truncated)?;
        let mut opener = self.root.opener(self.root.to_client(self.number, &random));
        match opener.open_in_place(record)? {
            (ContentType::Handshake, content) => match Answer::from_bytes(content)? {
                Answer::Accepted => Ok(StreamReply::Accepted(ReceiveHalf::new(opener))),
                Answer::Refused(refusal) => Ok(StreamReply::Refused(refusal)),
            },
            _ => Err(StreamError::UnexpectedContent),
        }
    }
}

/// First byte of a [`StreamRequest`]; that of no TLS handshake message.
const REQUEST: u8 = 0xF1;
/// First byte of an [`Answer`].
const ANSWER: u8 = 0xF2;

/// What a client asks for with a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamRequest {
    /// The application to be reached.
    pub app: AppName,
    /// What on the client's machine wants it, for the audit; empty when nobody knows.
    pub origin: Line,
}

impl Encode for StreamRequest {
    fn encode(&self, w: &mut Writer) {
        w.u8(REQUEST);
        self.app.encode(w);
        self.origin.encode(w);
    }
}

impl Decode for StreamRequest {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        expect(r, REQUEST)?;
        Ok(Self { app: AppName::decode(r)?, origin: Line::decode(r)? })
    }
}

/// What a node answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    Refused(Refusal),
}

impl Encode for Answer {
    fn encode(&self, w: &mut Writer) {
        w.u8(ANSWER);
        match self {
            Self::Accepted => w.u8(0),
            Self::Refused(refusal) => {
                refusal.reason.encode(w);
                refusal.detail.encode(w);
            }
        }
    }
}

impl Decode for Answer {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        expect(r, ANSWER)?;
        match r.u8()? {
            0 => Ok(Self::Accepted),
            code => Ok(Self::Refused(Refusal {
                reason: EndReason::from_code(code).ok_or(WireError::BadValue("reason"))?,
                detail: Line::decode(r)?,
            })),
        }
    }
}

fn expect(r: &mut Reader<'_>, kind: u8) -> Result<(), WireError> {
    if r.u8()? == kind { Ok(()) } else { Err(WireError::BadValue("stream message")) }
}
