//! Taking whole records off a socket, and not one byte more.

use crate::{HandshakeError, MAX_HANDSHAKE};
use rustls::ContentType;
use symbolon_record::RECORD_HEADER;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The longest record of a handshake: plaintext, or ciphertext with the expansion of RFC 5246 §6.2.3.
const LONGEST: usize = (1 << 14) + 2048;

/// Reads records, up to the limit of a whole handshake.
#[derive(Debug)]
pub(crate) struct Records {
    taken: usize,
}

impl Records {
    pub(crate) const fn new() -> Self {
        Self { taken: 0 }
    }

    /// The next record, header included; nothing when the client closed before it.
    pub(crate) async fn next<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
    ) -> Result<Option<Vec<u8>>, HandshakeError> {
        let mut record = vec![0; RECORD_HEADER];
        let first = stream.read(&mut record).await?;
        if first == 0 {
            return Ok(None);
        }
        stream.read_exact(&mut record[first..]).await?;
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
        stream.read_exact(&mut record[RECORD_HEADER..]).await?;
        Ok(Some(record))
    }
}
