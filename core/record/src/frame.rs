//! How records look around their ciphertext, in TLS 1.3 and 1.2.

use crate::content::OUTER_TYPE;
use crate::{CallerMisused, ContentType, MAX_PLAINTEXT, MAX_RECORD, PeerMisbehaved, RECORD_HEADER};
use symbolon_crypto::TAG;

/// How a record is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The type is encrypted with the content (RFC 8446 §5.2). Native records are of this form.
    Tls13,
    /// The type is in the clear, and eight bytes of the nonce come before the ciphertext (RFC 5288 §3).
    Tls12ExplicitNonce,
    /// The type is in the clear, and the nonce is not sent (RFC 7905 §2).
    Tls12,
}

/// The longest header: type, version, length, explicit part of the nonce.
const LONGEST_HEAD: usize = RECORD_HEADER + EXPLICIT_NONCE;
const EXPLICIT_NONCE: usize = 8;

impl Form {
    /// Bytes before the ciphertext.
    #[inline]
    pub(crate) const fn head(self) -> usize {
        match self {
            Self::Tls13 | Self::Tls12 => RECORD_HEADER,
            Self::Tls12ExplicitNonce => RECORD_HEADER + EXPLICIT_NONCE,
        }
    }

    /// Bytes after the content: its type, where that is encrypted, and the tag.
    #[inline]
    pub(crate) const fn tail(self) -> usize {
        match self {
            Self::Tls13 => 1 + TAG,
            Self::Tls12 | Self::Tls12ExplicitNonce => TAG,
        }
    }

    /// The longest record. TLS 1.2 without compression has no use for the 2,048 bytes of expansion that
    /// RFC 5246 §6.2.3 allows.
    const fn longest(self) -> usize {
        match self {
            Self::Tls13 => MAX_RECORD,
            Self::Tls12 | Self::Tls12ExplicitNonce => self.head() + MAX_PLAINTEXT + self.tail(),
        }
    }

    /// How long the record is, header included, that begins so.
    pub(crate) fn announced(self, header: [u8; RECORD_HEADER]) -> Result<usize, PeerMisbehaved> {
        let [kind, major, minor, high, low] = header;
        let known = match self {
            Self::Tls13 => kind == OUTER_TYPE,
            Self::Tls12 | Self::Tls12ExplicitNonce => {
                ContentType::from_byte(kind).is_some_and(|c| c != ContentType::StreamEnd)
            }
        };
        if !known || (major, minor) != (3, 3) {
            return Err(PeerMisbehaved::NotARecord);
        }
        let length = RECORD_HEADER + usize::from(u16::from_be_bytes([high, low]));
        if length > self.longest() {
            return Err(PeerMisbehaved::Oversized);
        }
        if length < self.head() + self.tail() {
            return Err(PeerMisbehaved::Undersized);
        }
        Ok(length)
    }
}

/// What goes into the cipher with a record, and before it on the wire.
pub(crate) struct Frame {
    form: Form,
    head: [u8; LONGEST_HEAD],
    aad: [u8; AAD12],
    pub(crate) nonce: [u8; 12],
}

/// `sequence (8) | type | version (2) | length (2)` (RFC 5246 §6.2.3.3).
const AAD12: usize = 13;

impl Frame {
    /// Of the record with `payload` bytes of `content` and this sequence number.
    #[inline]
    pub(crate) fn sealing(
        form: Form,
        iv: &[u8; 12],
        sequence: u64,
        content: ContentType,
        payload: usize,
    ) -> Result<Self, CallerMisused> {
        if payload > MAX_PLAINTEXT {
            return Err(CallerMisused::PayloadTooLong);
        }
        let kind = if form == Form::Tls13 { OUTER_TYPE } else { content as u8 };
        // A payload was found to be at most 2^14, so both lengths fit two bytes.
        let [high, low] = ((form.head() + payload + form.tail() - RECORD_HEADER) as u16).to_be_bytes();
        let mut head = [0; LONGEST_HEAD];
        head[..RECORD_HEADER].copy_from_slice(&[kind, 3, 3, high, low]);
        let nonce = nonce(iv, sequence);
        head[RECORD_HEADER..].copy_from_slice(&nonce[4..]);
        Ok(Self { form, head, aad: aad12(sequence, kind, payload as u16), nonce })
    }

    /// Of a whole record that came and is expected to have this sequence number.
    #[inline]
    pub(crate) fn opening(
        form: Form,
        iv: &[u8; 12],
        sequence: u64,
        record: &[u8],
    ) -> Result<Self, PeerMisbehaved> {
        let header = *record.first_chunk::<RECORD_HEADER>().ok_or(PeerMisbehaved::Undersized)?;
        if form.announced(header)? != record.len() {
            return Err(PeerMisbehaved::Undersized);
        }
        let mut nonce = nonce(iv, sequence);
        if form == Form::Tls12ExplicitNonce {
            nonce[4..].copy_from_slice(&record[RECORD_HEADER..LONGEST_HEAD]);
        }
        let mut head = [0; LONGEST_HEAD];
        head[..RECORD_HEADER].copy_from_slice(&header);
        // A record was found to be at most 2^14 and some hundred bytes long.
        let payload = (record.len() - form.head() - form.tail()) as u16;
        Ok(Self { form, head, aad: aad12(sequence, header[0], payload), nonce })
    }

    /// What stands before the ciphertext.
    #[inline]
    pub(crate) fn head(&self) -> &[u8] {
        &self.head[..self.form.head()]
    }

    /// The associated data (RFC 8446 §5.2, RFC 5246 §6.2.3.3).
    #[inline]
    pub(crate) fn aad(&self) -> &[u8] {
        match self.form {
            Form::Tls13 => &self.head[..RECORD_HEADER],
            Form::Tls12 | Form::Tls12ExplicitNonce => &self.aad,
        }
    }

    /// The type that stands in the clear; in TLS 1.3 that of all records.
    pub(crate) const fn outer_type(&self) -> u8 {
        self.head[0]
    }
}

/// RFC 8446 §5.3, RFC 7905 §2: the sequence number, padded to the left, exclusive or the IV. RFC 5288
/// leaves the explicit part of TLS 1.2 to us: it is that of an IV of 12 bytes, as rustls hands it over,
/// and the sequence number itself where the IV's last eight bytes are zero.
#[inline]
pub(crate) fn nonce(iv: &[u8; 12], sequence: u64) -> [u8; 12] {
    let mut nonce = *iv;
    for (n, s) in nonce[4..].iter_mut().zip(sequence.to_be_bytes()) {
        *n ^= s;
    }
    nonce
}

#[inline]
fn aad12(sequence: u64, kind: u8, payload: u16) -> [u8; AAD12] {
    let [a, b, c, d, e, f, g, h] = sequence.to_be_bytes();
    let [high, low] = payload.to_be_bytes();
    [a, b, c, d, e, f, g, h, kind, 3, 3, high, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_number_enters_the_last_eight_bytes_of_the_nonce() {
        let iv = [9; 12];
        assert_eq!(nonce(&iv, 0), iv);
        let nonce = nonce(&iv, 0x0102_0304_0506_0708);
        let difference: Vec<u8> = nonce.iter().zip(iv).map(|(a, b)| a ^ b).collect();
        assert_eq!(difference, [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn a_header_is_judged_by_the_form_of_the_connection() {
        use PeerMisbehaved::{NotARecord, Oversized, Undersized};
        for (form, header, expected) in [
            (Form::Tls13, [23, 3, 3, 0, 17], Ok(22)),
            (Form::Tls13, [23, 3, 3, 0, 16], Err(Undersized)),
            (Form::Tls13, [23, 3, 3, 0x41, 0], Ok(MAX_RECORD)),
            (Form::Tls13, [23, 3, 3, 0x41, 1], Err(Oversized)),
            (Form::Tls13, [23, 3, 1, 0, 30], Err(NotARecord)),
            (Form::Tls13, [21, 3, 3, 0, 2], Err(NotARecord)),
            (Form::Tls13, [20, 3, 3, 0, 1], Err(NotARecord)),
            (Form::Tls12, [21, 3, 3, 0, 16], Ok(21)),
            (Form::Tls12, [21, 3, 3, 0, 15], Err(Undersized)),
            (Form::Tls12, [22, 3, 3, 0x40, 16], Ok(5 + 16_384 + 16)),
            (Form::Tls12, [22, 3, 3, 0x40, 17], Err(Oversized)),
            (Form::Tls12, [20, 3, 3, 0, 40], Err(NotARecord)),
            (Form::Tls12, [0x45, 3, 3, 0, 40], Err(NotARecord)),
            (Form::Tls12ExplicitNonce, [23, 3, 3, 0, 24], Ok(29)),
            (Form::Tls12ExplicitNonce, [23, 3, 3, 0, 23], Err(Undersized)),
            (Form::Tls12ExplicitNonce, [23, 3, 3, 0x40, 24], Ok(5 + 16_384 + 24)),
            (Form::Tls12ExplicitNonce, [23, 3, 3, 0x40, 25], Err(Oversized)),
        ] {
            assert_eq!(form.announced(header), expected, "{form:?} {header:?}");
        }
    }
}
