//! A trivial record layer in the place of TLS: length, content under a key stream, tag. It notices a
//! wrong number, a wrong key and an altered byte.

use symbolon_crypto::SecretBytes;
use symbolon_session::ledger::{CONDUCT, Entry, Fault, Intent, Keys, Numbers, Protection, Received};

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
    keys: [u64; 2],
    numbers: Numbers,
    pinned: Option<Intent>,
    /// The client asked for a key update.
    owes: bool,
    /// What was opened and not received.
    opened: Option<(u8, bool)>,
}

impl Toy {
    pub(crate) fn new(sending: u64, receiving: u64) -> Self {
        let numbers = Numbers { sending: 0, receiving: 0 };
        Self { keys: [sending, receiving], numbers, pinned: None, owes: false, opened: None }
    }

    /// As a dead process left it.
    pub(crate) fn restored(keys: &SecretBytes, entry: &Entry) -> Self {
        let key = |at: usize| u64::from_le_bytes(keys.expose()[at..at + 8].try_into().unwrap());
        let numbers = Numbers { sending: entry.to_client.number, receiving: entry.to_application.number };
        let (pinned, owes) = (entry.to_client.intent, entry.conduct[0] == 1);
        Self { keys: [key(0), key(8)], numbers, pinned, owes, opened: None }
    }
}

impl Protection for Toy {
    fn longest_data(&self) -> usize {
        LONGEST
    }

    fn due(&self) -> Option<Intent> {
        (self.owes || self.numbers.sending >= KEY_LASTS).then_some(Intent::KeyUpdate)
    }

    fn pin(&mut self, intent: Intent) -> Result<(), Fault> {
        self.pinned = Some(intent);
        Ok(())
    }

    fn sealed_length(&self) -> usize {
        HEAD + TAG
            + match self.pinned {
                Some(Intent::Data(length)) => length as usize,
                Some(Intent::KeyUpdate) => 1,
                Some(Intent::CloseNotify) | None => 0,
                Some(Intent::Alert(_) | Intent::Warning(_)) => 2,
            }
    }

    fn seal(&mut self, data: &[u8], record: &mut Vec<u8>) -> Result<(), Fault> {
        let (key, number) = (self.keys[0], self.numbers.sending);
        record.clear();
        match self.pinned.ok_or(BAD)? {
            Intent::Data(_) => seal(key, number, DATA, data, record),
            Intent::KeyUpdate => seal(key, number, KEY_UPDATE, &[0], record),
            Intent::CloseNotify => seal(key, number, CLOSE, &[], record),
            Intent::Alert(alert) | Intent::Warning(alert) => {
                seal(key, number, 4, &alert.to_be_bytes(), record);
            }
        }
        Ok(())
    }

    fn sent(&mut self) -> Result<Keys, Fault> {
        self.numbers.sending += 1;
        if self.pinned.take().ok_or(BAD)? != Intent::KeyUpdate {
            return Ok(Keys::Same);
        }
        (self.keys[0], self.numbers.sending, self.owes) = (next_key(self.keys[0]), 0, false);
        Ok(Keys::Changed)
    }

    fn record_length(&self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        Ok(length(bytes))
    }

    fn open(&mut self, record: &[u8], content: &mut Vec<u8>) -> Result<Received, Fault> {
        let (kind, body) = open(self.keys[1], self.numbers.receiving, record).ok_or(BAD)?;
        self.opened = Some((kind, body == [1]));
        content.clear();
        Ok(match kind {
            DATA => {
                content.extend(body);
                Received::Data
            }
            KEY_UPDATE => Received::KeyUpdate,
            CLOSE => Received::CloseNotify,
            _ => Received::Alert(0),
        })
    }

    fn received(&mut self) -> Result<Keys, Fault> {
        self.numbers.receiving += 1;
        let (kind, asked) = self.opened.take().ok_or(BAD)?;
        if kind != KEY_UPDATE {
            return Ok(Keys::Same);
        }
        (self.keys[1], self.numbers.receiving) = (next_key(self.keys[1]), 0);
        self.owes |= asked;
        Ok(Keys::Changed)
    }

    fn conduct(&self) -> (Numbers, [u8; CONDUCT]) {
        let mut conduct = [0; CONDUCT];
        conduct[0] = u8::from(self.owes);
        (self.numbers, conduct)
    }

    fn keys(&self) -> SecretBytes {
        SecretBytes::new(self.keys.map(u64::to_le_bytes).concat())
    }
}
