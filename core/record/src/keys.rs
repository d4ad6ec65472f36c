//! The key of one direction: sealing and opening of records under numbers that the caller gives.

use crate::frame::{Form, Frame};
use crate::{CallerMisused, Cipher, ContentType, MAX_PLAINTEXT, PeerMisbehaved, RecordError, TrafficSecret};
use symbolon_crypto::{Aead, Crypto, Secret, TAG};

/// A key and an IV as they are, for a direction that has no traffic secret, or beside it so that whoever
/// carries on need not derive them again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeyAndIv {
    /// As long as the cipher's key, and zeros.
    pub(crate) key: Secret<32>,
    pub(crate) iv: Secret<12>,
}

impl KeyAndIv {
    /// Those of `secret` (RFC 8446 §7.3).
    pub(crate) fn derive(crypto: Crypto, cipher: Cipher, secret: &TrafficSecret) -> Self {
        let key = if cipher.key_length() == 16 {
            let half: Secret<16> = secret.expand_label(crypto, b"key");
            Secret::new(std::array::from_fn(|i| half.expose().get(i).copied().unwrap_or(0)))
        } else {
            secret.expand_label(crypto, b"key")
        };
        Self { key, iv: secret.expand_label(crypto, b"iv") }
    }

    pub(crate) const fn duplicate(&self) -> Self {
        Self { key: self.key.duplicate(), iv: self.iv.duplicate() }
    }
}

/// The keys of one direction of a connection, and the secret from which the next come.
///
/// Sealing and opening have no other input than what they are given: the same keys, number, type and
/// content give the same bytes. So whoever remembers what was meant can make a record again, and
/// another content under the same number would break the key.
pub struct RecordKeys {
    crypto: Crypto,
    cipher: Cipher,
    form: Form,
    secret: Option<TrafficSecret>,
    raw: KeyAndIv,
    aead: Box<dyn Aead>,
}

impl RecordKeys {
    /// The keys of native records: AES-256-GCM with SHA-256. Whoever holds the secret and a sequence
    /// number can carry on.
    #[must_use]
    pub fn from_traffic_secret(crypto: Crypto, secret: Secret<32>) -> Self {
        Self::derive(crypto, Cipher::Aes256Gcm, TrafficSecret::Sha256(secret))
    }

    /// The keys of TLS 1.3 records under `secret` (RFC 8446 §7.3).
    #[must_use]
    pub fn derive(crypto: Crypto, cipher: Cipher, secret: TrafficSecret) -> Self {
        let raw = KeyAndIv::derive(crypto, cipher, &secret);
        Self::of_tls13(crypto, cipher, secret, raw)
    }

    /// The same, with key and IV derived before.
    pub(crate) fn of_tls13(crypto: Crypto, cipher: Cipher, secret: TrafficSecret, raw: KeyAndIv) -> Self {
        let aead = cipher.keyed(crypto, &raw.key);
        Self { crypto, cipher, form: Form::Tls13, secret: Some(secret), raw, aead }
    }

    /// The keys of TLS 1.2 records.
    pub(crate) fn of_tls12(crypto: Crypto, cipher: Cipher, raw: KeyAndIv) -> Self {
        let form = match cipher {
            Cipher::Aes128Gcm | Cipher::Aes256Gcm => Form::Tls12ExplicitNonce,
            Cipher::ChaCha20Poly1305 => Form::Tls12,
        };
        let aead = cipher.keyed(crypto, &raw.key);
        Self { crypto, cipher, form, secret: None, raw, aead }
    }

    /// The secret, to be remembered with the sequence number by whoever shall carry on. None in
    /// TLS 1.2, whose keys do not change.
    #[must_use]
    pub const fn traffic_secret(&self) -> Option<&TrafficSecret> {
        self.secret.as_ref()
    }

    /// The cipher.
    #[must_use]
    pub const fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// Bytes of a record before its content: 5, or 13 in TLS 1.2 with GCM.
    #[must_use]
    pub const fn head(&self) -> usize {
        self.form.head()
    }

    /// Bytes of a record after its content: 17, or 16 in TLS 1.2.
    #[must_use]
    pub const fn tail(&self) -> usize {
        self.form.tail()
    }

    /// `application_traffic_secret_N+1` and its keys (RFC 8446 §7.2).
    pub(crate) fn next(&self) -> Result<Self, CallerMisused> {
        let secret = self.secret.as_ref().ok_or(CallerMisused::NotInThisVersion)?;
        Ok(Self::derive(self.crypto, self.cipher, secret.next(self.crypto)))
    }

    pub(crate) const fn form(&self) -> Form {
        self.form
    }

    pub(crate) const fn raw(&self) -> &KeyAndIv {
        &self.raw
    }

    /// Seals, under `sequence`, the `payload` bytes at `buffer[self.head()..]` and returns the record,
    /// which begins at the start of `buffer` and has [`RecordKeys::tail`] bytes after the payload.
    ///
    /// # Errors
    /// [`CallerMisused::NoRoom`], [`CallerMisused::PayloadTooLong`].
    #[inline]
    pub fn seal_in_place<'b>(
        &self,
        sequence: u64,
        content: ContentType,
        buffer: &'b mut [u8],
        payload: usize,
    ) -> Result<&'b [u8], CallerMisused> {
        let frame = self.sealing(sequence, content, payload)?;
        let record = buffer.get_mut(..self.head() + payload + self.tail()).ok_or(CallerMisused::NoRoom)?;
        let (head, body) = record.split_at_mut(self.head());
        head.copy_from_slice(frame.head());
        let (inner, tag) = body.split_at_mut(body.len() - TAG);
        if self.form == Form::Tls13 {
            inner[payload] = content as u8;
        }
        tag.copy_from_slice(&self.aead.seal(&frame.nonce, frame.aad(), inner));
        Ok(record)
    }

    /// Seals `payload` under `sequence` to the beginning of `out` and returns the record's length.
    ///
    /// # Errors
    /// As [`RecordKeys::seal_in_place`].
    #[inline]
    pub fn seal_from(
        &self,
        sequence: u64,
        content: ContentType,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<usize, CallerMisused> {
        let frame = self.sealing(sequence, content, payload.len())?;
        let length = self.head() + payload.len() + self.tail();
        let record = out.get_mut(..length).ok_or(CallerMisused::NoRoom)?;
        let (head, body) = record.split_at_mut(self.head());
        head.copy_from_slice(frame.head());
        let kind = [content as u8];
        let last: &[u8] = if self.form == Form::Tls13 { &kind } else { &[] };
        self.aead.seal_from(&frame.nonce, frame.aad(), payload, last, body);
        Ok(length)
    }

    /// Opens one whole record, header included, under `sequence`, and returns the type and the content,
    /// which stands within `record`. Padding is accepted and left out.
    ///
    /// # Errors
    /// [`PeerMisbehaved::Forged`], [`PeerMisbehaved::NotARecord`], [`PeerMisbehaved::Undersized`],
    /// [`PeerMisbehaved::Oversized`], [`PeerMisbehaved::NoContent`],
    /// [`PeerMisbehaved::UnexpectedContent`]. `record` then holds nothing of use.
    #[inline]
    pub fn open_in_place<'r>(
        &self,
        sequence: u64,
        record: &'r mut [u8],
    ) -> Result<(ContentType, &'r mut [u8]), PeerMisbehaved> {
        let frame = self.opening(sequence, record)?;
        let body = &mut record[self.head()..];
        let length = self.aead.open(&frame.nonce, frame.aad(), body).map_err(|_| PeerMisbehaved::Forged)?;
        let (content, length) = self.content(&frame, &body[..length])?;
        Ok((content, &mut body[..length]))
    }

    /// Opens one whole record to the beginning of `out`, which is as long as the record or longer, and
    /// returns the type and the content. `record` stays as it was.
    ///
    /// # Errors
    /// As [`RecordKeys::open_in_place`], and [`CallerMisused::NoRoom`].
    #[inline]
    pub fn open_from<'o>(
        &self,
        sequence: u64,
        record: &[u8],
        out: &'o mut [u8],
    ) -> Result<(ContentType, &'o mut [u8]), RecordError> {
        if out.len() < record.len() {
            return Err(CallerMisused::NoRoom.into());
        }
        let frame = self.opening(sequence, record)?;
        let length = self
            .aead
            .open_from(&frame.nonce, frame.aad(), &record[self.head()..], out)
            .map_err(|_| PeerMisbehaved::Forged)?;
        let (content, length) = self.content(&frame, &out[..length])?;
        Ok((content, &mut out[..length]))
    }

    #[inline]
    fn sealing(&self, sequence: u64, content: ContentType, payload: usize) -> Result<Frame, CallerMisused> {
        Frame::sealing(self.form, self.raw.iv.expose(), sequence, content, payload)
    }

    #[inline]
    fn opening(&self, sequence: u64, record: &[u8]) -> Result<Frame, PeerMisbehaved> {
        Frame::opening(self.form, self.raw.iv.expose(), sequence, record)
    }

    /// Type and length of the content of what was decrypted.
    #[inline]
    fn content(&self, frame: &Frame, inner: &[u8]) -> Result<(ContentType, usize), PeerMisbehaved> {
        let (kind, length) = if self.form == Form::Tls13 {
            // RFC 8446 §5.2: the content with its type, without the padding, has at most 2^14 + 1 bytes;
            // §5.4 counts the padding in.
            if inner.len() > MAX_PLAINTEXT + 1 {
                return Err(PeerMisbehaved::Oversized);
            }
            let last = inner.iter().rposition(|b| *b != 0).ok_or(PeerMisbehaved::NoContent)?;
            (inner[last], last)
        } else {
            (frame.outer_type(), inner.len())
        };
        let content = ContentType::from_byte(kind).ok_or(PeerMisbehaved::UnexpectedContent(kind))?;
        Ok((content, length))
    }
}

impl std::fmt::Debug for RecordKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RecordKeys({:?})", self.cipher)
    }
}
