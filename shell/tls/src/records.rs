//! Taking whole records off a socket, and not one byte more.

use crate::{HandshakeError, MAX_HANDSHAKE};
use rustls::ContentType;
use symbolon_record::RECORD_HEADER;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The longest record of a handshake: plaintext, or ciphertext with the expansion of RFC 5246 §6.2.3.
const LONGEST: usize = (1 << 14) + 2048;

/// How much is asked for at first: more than the first message of most clients.
const FIRST: usize = 4096;

/// Reads records, up to the limit of a whole handshake.
#[derive(Debug)]
pub(crate) struct Records {
    taken: usize,
    /// What came with the beginning of the first message, and how much of it was used. Nothing that follows the
    /// handshake can be among it, since the client has to hear of us before that.
    ahead: Vec<u8>,
    used: usize,
}

impl Records {
    pub(crate) const fn new() -> Self {
        Self { taken: 0, ahead: Vec::new(), used: 0 }
    }

    /// The first byte that was not used, once there is one. Takes more off `stream` than that, and is only for what
    /// comes before our first message.
    pub(crate) async fn first<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> Result<u8, HandshakeError> {
        if self.nothing_ahead() {
            self.ahead.resize(FIRST, 0);
            let count = stream.read(&mut self.ahead).await?;
            self.ahead.truncate(count);
            self.used = 0;
        }
        self.ahead.get(self.used).copied().ok_or_else(closed)
    }

    /// Whether all was used that was taken off the stream.
    pub(crate) const fn nothing_ahead(&self) -> bool {
        self.used == self.ahead.len()
    }

    /// Fills `room`, and takes no more off `stream` than is missing.
    pub(crate) async fn fill<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        room: &mut [u8],
    ) -> Result<(), HandshakeError> {
        let count = room.len().min(self.ahead.len() - self.used);
        room[..count].copy_from_slice(&self.ahead[self.used..self.used + count]);
        self.used += count;
        stream.read_exact(&mut room[count..]).await?;
        Ok(())
    }

    /// The next record, header included.
    pub(crate) async fn next<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
    ) -> Result<Vec<u8>, HandshakeError> {
        let mut record = vec![0; RECORD_HEADER];
        self.fill(stream, &mut record).await?;
        let [kind, major, _, high, low] = record[..] else { return Err(HandshakeError::NotTls) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let known = matches!(
            ContentType::from(kind),
            ContentType::Alert
                | ContentType::Handshake
                | ContentType::ChangeCipherSpec
                | ContentType::ApplicationData
        );
        if !known || major != 3 || length > LONGEST {
            return Err(HandshakeError::NotTls);
        }
        self.taken += RECORD_HEADER + length;
        if self.taken > MAX_HANDSHAKE {
            return Err(HandshakeError::TooLong);
        }
        record.resize(RECORD_HEADER + length, 0);
        self.fill(stream, &mut record[RECORD_HEADER..]).await?;
        Ok(record)
    }
}

fn closed() -> HandshakeError {
    HandshakeError::Broken(std::io::ErrorKind::UnexpectedEof.into())
}
