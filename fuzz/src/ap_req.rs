//! AP-REQs as a KDC and a client make them (RFC 4120 §5.5.1, RFC 4121 §4.1.1), every part of which can be replaced
//! before it is sealed. Both keys are known here, so that hostile bytes reach the parsers behind the encryption too.
//!
//! Encryption is aes128-cts-hmac-sha256-128 (RFC 8009).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use symbolon_policy::format_time;
use symbolon_wire::Time;

/// The realm of everybody.
pub(crate) const REALM: &str = "EXAMPLE.ORG";
/// The content of the frame's identifier (RFC 4121 §1) as DER, and the AP-REQ that follows.
pub(crate) const MECHANISM: [u8; 13] =
    [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x01, 0x00];

/// aes128-cts-hmac-sha256-128 (RFC 8009 §8).
const ENCRYPTION: u8 = 19;
/// The key of the service, which its keytab has, and the one that its tickets are good for.
const SERVICE_KEY: [u8; 16] = [0x11; 16];
const SESSION_KEY: [u8; 16] = [0x22; 16];
/// RFC 4120 §7.5.1.
const TICKET_USAGE: u8 = 2;
const AUTHENTICATOR_USAGE: u8 = 11;
/// Types of names (RFC 4120 §6.2).
const PERSON: u8 = 1;
const SERVICE: u8 = 3;

/// The parts that stand under encryption, in DER.
pub(crate) struct Parts {
    pub(crate) ticket: Vec<u8>,
    pub(crate) authenticator: Vec<u8>,
}

impl Parts {
    /// Of `alice`, now, bound by `bound` (MD5 of the channel bindings).
    pub(crate) fn good(bound: &[u8; 16]) -> Self {
        Self { ticket: ticket_part(), authenticator: authenticator(&checksum(bound), &[]) }
    }

    /// The token of the mechanism, in its frame.
    pub(crate) fn token(&self) -> Vec<u8> {
        let sealed = seal(&SERVICE_KEY, TICKET_USAGE, &self.ticket);
        let ticket = sequence(&[
            field(0, integer(5)),
            field(1, text(REALM)),
            field(2, name(SERVICE, &["symbolon", "gw.example.org"])),
            field(3, sealed),
        ]);
        let request = sequence(&[
            field(0, integer(5)),
            field(1, integer(14)),
            // mutual-required
            field(2, der(0x03, &[0, 0x20, 0, 0, 0])),
            field(3, der(0x61, &ticket)),
            field(4, seal(&SESSION_KEY, AUTHENTICATOR_USAGE, &self.authenticator)),
        ]);
        der(0x60, &[&MECHANISM[..], &der(0x6e, &request)].concat())
    }
}

/// The checksum of type 0x8003 (RFC 4121 §4.1.1): mutual, in order, each once, with protection.
pub(crate) fn checksum(bound: &[u8; 16]) -> Vec<u8> {
    [&16_u32.to_le_bytes()[..], bound, &0x3e_u32.to_le_bytes()].concat()
}

/// An Authenticator with this checksum and further fields.
pub(crate) fn authenticator(checksum: &[u8], further: &[Vec<u8>]) -> Vec<u8> {
    let kind = der(0x02, &[0, 0x80, 0x03]);
    let mut fields = vec![
        field(0, integer(5)),
        field(1, text(REALM)),
        field(2, name(PERSON, &["alice"])),
        field(3, sequence(&[field(0, kind), field(1, der(0x04, checksum))])),
        field(4, integer(7)),
        field(5, time(0)),
    ];
    fields.extend_from_slice(further);
    der(0x62, &sequence(&fields))
}

/// What an Authenticator may have besides: a key of the client's, a number, restrictions.
pub(crate) fn further_fields() -> [Vec<u8>; 3] {
    let restriction = sequence(&[field(0, integer(1)), field(1, der(0x04, &der(0x30, &[])))]);
    [field(6, key(&[0x33; 16])), field(7, integer(9)), field(8, sequence(&[restriction]))]
}

/// An EncTicketPart for `alice`, from a minute ago until in a day.
pub(crate) fn ticket_part() -> Vec<u8> {
    let transited = sequence(&[field(0, integer(1)), field(1, der(0x04, &[]))]);
    let fields = [
        // initial, pre-authenticated
        field(0, der(0x03, &[0, 0x00, 0x60, 0, 0])),
        field(1, key(&SESSION_KEY)),
        field(2, text(REALM)),
        field(3, name(PERSON, &["alice"])),
        field(4, transited),
        field(5, time(-60)),
        field(6, time(-60)),
        field(7, time(86_400)),
    ];
    der(0x63, &sequence(&fields))
}

/// A keytab with the service's key: version 2 of the format, big-endian.
pub(crate) fn keytab() -> Vec<u8> {
    let counted = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let entry = [
        &2_u16.to_be_bytes()[..],
        &counted(REALM.as_bytes()),
        &counted(b"symbolon"),
        &counted(b"gw.example.org"),
        &u32::from(SERVICE).to_be_bytes(),
        &0_u32.to_be_bytes(),
        // version of the key, its type, itself, and its version once more
        &[1],
        &u16::from(ENCRYPTION).to_be_bytes(),
        &counted(&SERVICE_KEY),
        &1_u32.to_be_bytes(),
    ]
    .concat();
    [&[5, 2], &(entry.len() as u32).to_be_bytes()[..], &entry].concat()
}

/// A length in its shortest form, and the content.
pub(crate) fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().take_while(|b| **b == 0).count()..];
    let mut head = vec![tag];
    match content.len() {
        0..=0x7f => head.push(content.len() as u8),
        _ => head.extend([&[0x80 | digits.len() as u8], digits].concat()),
    }
    [&head, content].concat()
}

fn field(number: u8, content: Vec<u8>) -> Vec<u8> {
    der(0xa0 | number, &content)
}

fn sequence(fields: &[Vec<u8>]) -> Vec<u8> {
    der(0x30, &fields.concat())
}

fn integer(value: u8) -> Vec<u8> {
    der(0x02, &[value])
}

/// A GeneralString.
fn text(text: &str) -> Vec<u8> {
    der(0x1b, text.as_bytes())
}

fn name(kind: u8, parts: &[&str]) -> Vec<u8> {
    let parts: Vec<_> = parts.iter().map(|part| text(part)).collect();
    sequence(&[field(0, integer(kind)), field(1, sequence(&parts))])
}

fn key(key: &[u8; 16]) -> Vec<u8> {
    sequence(&[field(0, integer(ENCRYPTION)), field(1, der(0x04, key))])
}

/// So many seconds from now, as `20260301080000Z`. The library has the machine's clock and takes no other.
fn time(from_now: i64) -> Vec<u8> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let written = format_time(Time::from_secs(since.saturating_add_signed(from_now)));
    der(0x18, written.replace(['-', ':', 'T'], "").as_bytes())
}

/// EncryptedData. The confounder is counted, so that nothing is taken for a replay.
fn seal(key: &[u8; 16], usage: u8, content: &[u8]) -> Vec<u8> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let start = u64::from(std::process::id()).to_be_bytes();
    let encrypted = cbc_cts(&derived(key, usage, 0xaa), &[&start, &count, content].concat());
    let tag = hmac_sha256(&derived(key, usage, 0x55), &[&[0; 16], &encrypted[..]].concat());
    let cipher = [&encrypted[..], &tag[..16]].concat();
    sequence(&[field(0, integer(ENCRYPTION)), field(1, integer(1)), field(2, der(0x04, &cipher))])
}

/// KDF-HMAC-SHA2 (RFC 8009 §3), 128 bits.
fn derived(key: &[u8; 16], usage: u8, purpose: u8) -> [u8; 16] {
    let label = [0, 0, 0, 1, 0, 0, 0, usage, purpose, 0, 0, 0, 0, 128];
    let mut derived = [0; 16];
    derived.copy_from_slice(&hmac_sha256(key, &label)[..16]);
    derived
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

/// CBC with ciphertext stealing, the last two blocks always exchanged (RFC 8009 §5).
fn cbc_cts(key: &[u8; 16], plain: &[u8]) -> Vec<u8> {
    let mut blocks = plain.to_vec();
    blocks.resize(plain.len().next_multiple_of(16), 0);
    let key = UnboundCipherKey::new(&AES_128, key).and_then(EncryptingKey::cbc).expect("16 bytes are a key");
    let zero = EncryptionContext::Iv128(FixedLength::from([0; 16]));
    key.less_safe_encrypt(&mut blocks, zero).expect("whole blocks are encrypted");
    // The confounder alone is one block, with which there is nothing to exchange.
    if blocks.len() == 16 {
        return blocks;
    }
    let last = blocks.split_off(blocks.len() - 16);
    let stolen = blocks.split_off(blocks.len() - 16);
    let mut cipher = [blocks, last, stolen].concat();
    cipher.truncate(plain.len());
    cipher
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_derived_as_in_the_published_vector() {
        // RFC 8009 appendix A: base key, and Ke for usage 2
        let base =
            [0x37, 0x05, 0xd9, 0x60, 0x80, 0xc1, 0x77, 0x28, 0xa0, 0xe8, 0x00, 0xea, 0xb6, 0xe0, 0xd2, 0x3c];
        let encryption =
            [0x9b, 0x19, 0x7d, 0xd1, 0xe8, 0xc5, 0x60, 0x9d, 0x6e, 0x67, 0xc3, 0xe3, 0x7c, 0x62, 0xc7, 0x2e];
        assert_eq!(derived(&base, 2, 0xaa), encryption);
    }
}
