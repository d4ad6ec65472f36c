//! A trivial record layer in the place of TLS: length, content under a key stream, tag. It notices a
//! wrong number, a wrong key and an altered byte.

use symbolon_crypto::SecretBytes;
use symbolon_session::ledger::{Due, Fault, Intent, Protection, Received};

/// kind (1) | length (2).
const HEAD: usize = 3;
const TAG: usize = 8;
const LONGEST: usize = 16_384;
const KEY_LASTS: u64 = 200;
const BAD: Fault = Fault(20);

pub(crate) const DATA: u8 = 1;
pub(crate) const KEY_UPDATE: u8 = 2;
pub(crate) const CLOSE: u8 = 3;

fn mix(x: u64) -> u64 {
    let x = (x ^ x >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    (x ^ x >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

/// The byte at a position of an endless stream that both ends know.
pub(crate) fn stream(seed: u64, from: u64, into: &mut [u8]) {
    for (i, byte) in into.iter_mut().enumerate() {
        let at = from + i as u64;
        *byte = (at ^ at >> 8 ^ at >> 16).wrapping_mul(seed | 1) as u8;
    }
}

pub(crate) fn next_key(key: u64) -> u64 {
    mix(key) | 1
}

fn tag(key: u64, number: u64, kind: u8, body: &[u8]) -> [u8; TAG] {
    let mut sum = mix(key ^ number ^ u64::from(kind) << 56);
    for chunk in body.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        sum ^= sum >> 29;
    }
    sum.to_le_bytes()
}

fn encrypt(key: u64, number: u64, body: &mut [u8]) {
    let mut pad = mix(key.wrapping_add(number));
    for chunk in body.chunks_mut(8) {
        for (byte, pad) in chunk.iter_mut().zip(pad.to_le_bytes()) {
            *byte ^= pad;
        }
        pad = pad.wrapping_mul(0x2545_F491_4F6C_DD1D).rotate_left(11);
    }
}

pub(crate) fn seal(key: u64, number: u64, kind: u8, body: &[u8], record: &mut Vec<u8>) {
    let tag = tag(key, number, kind, body);
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    record.extend([kind, length[0], length[1]]);
    let at = record.len();
    record.extend_from_slice(body);
    encrypt(key, number, &mut record[at..]);
    record.extend(tag);
}

pub(crate) fn open(key: u64, number: u64, record: &[u8]) -> Option<(u8, Vec<u8>)> {
    let (body, said) = record.get(HEAD..)?.split_last_chunk::<TAG>()?;
    let mut body = body.to_vec();
    encrypt(key, number, &mut body);
    (*said == tag(key, number, record[0], &body)).then_some((record[0], body))
}

pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.first_chunk::<HEAD>()?;
    Some(HEAD + usize::from(u16::from_be_bytes([head[1], head[2]])) + TAG)
}

/// The record layer of a worker.
#[derive(Debug)]
pub(crate) struct Toy {
    pub(crate) sending: u64,
    pub(crate) receiving: u64,
}

impl Toy {
    pub(crate) fn from_keys(keys: &SecretBytes) -> Self {
        let key = |at: usize| u64::from_le_bytes(keys.expose()[at..at + 8].try_into().unwrap());
        Self { sending: key(0), receiving: key(8) }
    }
}

impl Protection for Toy {
    fn longest_data(&self) -> usize {
        LONGEST
    }

    fn sealed_length(&self, intent: Intent) -> usize {
        HEAD + TAG
            + match intent {
                Intent::Data(length) => length as usize,
                Intent::KeyUpdate => 1,
                Intent::CloseNotify => 0,
                Intent::Alert(_) => 2,
            }
    }

    fn seal(&mut self, number: u64, intent: Intent, data: &[u8], record: &mut Vec<u8>) -> Result<(), Fault> {
        let (kind, body) = match intent {
            Intent::Data(_) => (DATA, data),
            Intent::KeyUpdate => (KEY_UPDATE, &[0][..]),
            Intent::CloseNotify => (CLOSE, &[][..]),
            Intent::Alert(alert) => (4, &alert.to_be_bytes()[..]),
        };
        seal(self.sending, number, kind, body, record);
        Ok(())
    }

    fn due(&self, number: u64) -> Due {
        if number >= KEY_LASTS { Due::KeyUpdate } else { Due::Nothing }
    }

    fn record_length(&self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        Ok(length(bytes))
    }

    fn open(&mut self, number: u64, record: &[u8], content: &mut Vec<u8>) -> Result<Received, Fault> {
        let (kind, body) = open(self.receiving, number, record).ok_or(BAD)?;
        Ok(match kind {
            DATA => {
                content.extend(body);
                Received::Data
            }
            KEY_UPDATE => Received::KeyUpdate { reply: body == [1] },
            CLOSE => Received::CloseNotify,
            _ => Received::Alert(0),
        })
    }

    fn next_sending_keys(&mut self) {
        self.sending = next_key(self.sending);
    }

    fn next_receiving_keys(&mut self) {
        self.receiving = next_key(self.receiving);
    }

    fn keys(&self) -> SecretBytes {
        SecretBytes::new([self.sending.to_le_bytes(), self.receiving.to_le_bytes()].concat())
    }
}
