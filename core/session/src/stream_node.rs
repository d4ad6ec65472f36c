//! Opening a stream, the node's side: read, authenticate, claim, and only then act.
//!
//! ```text
//! ClaimedStream ──StreamRoot::authenticate──> AuthenticStream ──StreamClaims::claim──> StreamClaimed
//!  (anybody's)                                 (the client's)                           (may dial)
//!                                                    └────────── refuse ──────────────────┤
//!                                                                                       accept
//! ```

use crate::stream_open::Answer;
use crate::{ClaimError, Refusal, SessionId, StreamError, StreamRequest, StreamRoot};
use symbolon_crypto::Entropy;
use symbolon_record::{ContentType, RECORD_OVERHEAD, RecordOpener, StreamRecords};
use symbolon_wire::{Decode, Encode, Reader};

/// What a StreamOpen frame says; nothing is proved yet.
#[derive(Clone, Debug)]
pub struct ClaimedStream {
    session: SessionId,
    number: u64,
    body: Vec<u8>,
}

/// Where the record begins in the body: after session id and number.
const RECORD_AT: usize = 24;

impl ClaimedStream {
    /// Reads the body of a StreamOpen frame.
    ///
    /// # Errors
    /// [`StreamError::Malformed`].
    pub fn receive(body: Vec<u8>) -> Result<Self, StreamError> {
        let mut r = Reader::new(&body);
        let (session, number) = (SessionId::decode(&mut r)?, r.u64()?);
        Ok(Self { session, number, body })
    }

    /// Of which session it says to be: find its [`StreamRoot`].
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }
}

impl StreamRoot {
    /// Opens the first record, which only the session's client can have made under that number.
    ///
    /// # Errors
    /// [`StreamError::OtherSession`], [`StreamError::Record`], [`StreamError::UnexpectedContent`],
    /// [`StreamError::Malformed`].
    pub fn authenticate(&self, stream: ClaimedStream) -> Result<AuthenticStream, StreamError> {
        let ClaimedStream { session, number, mut body } = stream;
        if session != self.session() {
            return Err(StreamError::OtherSession);
        }
        let mut opener = self.opener(self.to_gateway(number));
        match opener.open_in_place(&mut body[RECORD_AT..])? {
            (ContentType::Handshake, content) => {
                let request = StreamRequest::from_bytes(content)?;
                Ok(AuthenticStream { root: self.duplicate(), number, request, opener })
            }
            _ => Err(StreamError::UnexpectedContent),
        }
    }
}

/// A stream that the session's client asked for, perhaps not for the first time. Made by
/// [`StreamRoot::authenticate`] only.
#[derive(Debug)]
pub struct AuthenticStream {
    root: StreamRoot,
    number: u64,
    request: StreamRequest,
    opener: RecordOpener,
}

impl AuthenticStream {
    /// Of which session.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.root.session()
    }

    /// Under which number.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// What it asks for.
    #[must_use]
    pub const fn request(&self) -> &StreamRequest {
        &self.request
    }

    /// Tells the client why not. Returns the body of a StreamReply frame, after which the
    /// connection is to be closed.
    ///
    /// # Errors
    /// [`StreamError::Record`] never happens with a fresh key, and is passed on all the same.
    pub fn refuse(self, refusal: &Refusal, entropy: &mut dyn Entropy) -> Result<Vec<u8>, StreamError> {
        self.answer(&Answer::Refused(refusal.clone()), entropy).map(|(body, _)| body)
    }

    fn answer(
        self,
        answer: &Answer,
        entropy: &mut dyn Entropy,
    ) -> Result<(Vec<u8>, StreamRecords), StreamError> {
        let random: [u8; 32] = entropy.number();
        let mut sealer = self.root.sealer(self.root.to_client(self.number, &random));
        let content = answer.to_bytes();
        let mut body = Vec::with_capacity(random.len() + content.len() + RECORD_OVERHEAD);
        body.extend_from_slice(&random);
        sealer.seal_into(ContentType::Handshake, &content, &mut body)?;
        Ok((body, StreamRecords::new(sealer, self.opener)))
    }
}

/// A stream whose number was used up by it: it may act. Made by [`crate::StreamClaims::claim`] only.
#[derive(Debug)]
pub struct StreamClaimed(AuthenticStream);

impl StreamClaimed {
    pub(crate) const fn new(stream: AuthenticStream) -> Self {
        Self(stream)
    }

    /// Under which number.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.0.number
    }

    /// What it asks for.
    #[must_use]
    pub const fn request(&self) -> &StreamRequest {
        &self.0.request
    }

    /// Tells the client that the application is reached. Returns the body of a StreamReply frame
    /// and the stream, which may have data already.
    ///
    /// # Errors
    /// [`StreamError::Record`] never happens with a fresh key, and is passed on all the same.
    pub fn accept(self, entropy: &mut dyn Entropy) -> Result<(Vec<u8>, StreamRecords), StreamError> {
        self.0.answer(&Answer::Accepted, entropy)
    }

    /// Tells the client why not: [`AuthenticStream::refuse`].
    ///
    /// # Errors
    /// As there.
    pub fn refuse(self, refusal: &Refusal, entropy: &mut dyn Entropy) -> Result<Vec<u8>, StreamError> {
        self.0.refuse(refusal, entropy)
    }
}

/// A stream that may not act.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct NotClaimed {
    /// Why not.
    pub why: ClaimError,
    /// The stream, to be refused.
    pub stream: AuthenticStream,
}
