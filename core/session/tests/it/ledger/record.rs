//! A trivial record layer that notices what a real one notices: a wrong number, a wrong key, an
//! altered byte; and one thing more: that a number protects two contents.

use super::drive::{ClientSaw, Layer, Says};
use std::{cell::RefCell, collections::HashMap, rc::Rc};
use symbolon_crypto::SecretBytes;
use symbolon_session::ledger::{CONDUCT, Entry, Fault, Intent, Keys, Numbers, Protection, Received};

/// kind | length of the body; after the body a tag.
const HEAD: usize = 2;
const TAG: usize = 4;
pub(crate) const LONGEST: usize = 12;
/// Records under one sending key.
pub(crate) const KEY_LASTS: u64 = 6;
/// What stands for bad_record_mac.
pub(crate) const BAD_RECORD: u16 = 20;

/// What was ever sealed under (key, number), by all processes together.
pub(crate) type Sealed = Rc<RefCell<HashMap<(u64, u64), Vec<u8>>>>;

pub(crate) fn next_key(key: u64) -> u64 {
    (key ^ 0x55).wrapping_mul(0x2545_F491_4F6C_DD1D) | 1
}

fn pad(key: u64, number: u64, i: usize) -> u8 {
    let x = (key ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(i as u64);
    (x.wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 56) as u8
}

fn tag(key: u64, number: u64, kind: u8, body: &[u8]) -> [u8; TAG] {
    let mut sum = key ^ number.rotate_left(17) ^ u64::from(kind);
    for &byte in body {
        sum = (sum ^ u64::from(byte)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        sum ^= sum >> 31;
    }
    (sum as u32).to_le_bytes()
}

pub(crate) fn seal(key: u64, number: u64, kind: u8, body: &[u8], record: &mut Vec<u8>) {
    record.extend([kind, body.len() as u8]);
    record.extend(body.iter().enumerate().map(|(i, b)| b ^ pad(key, number, i)));
    record.extend(tag(key, number, kind, body));
}

/// Kind and body of a whole record.
pub(crate) fn open(key: u64, number: u64, record: &[u8]) -> Option<(u8, Vec<u8>)> {
    let body = record.get(HEAD..record.len() - TAG)?;
    let body: Vec<u8> = body.iter().enumerate().map(|(i, b)| b ^ pad(key, number, i)).collect();
    (record[record.len() - TAG..] == tag(key, number, record[0], &body)).then_some((record[0], body))
}

pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
    bytes.get(1).map(|&body| HEAD + usize::from(body) + TAG)
}

/// The record layer of the process under test.
#[derive(Debug)]
pub(crate) struct Toy {
    keys: [u64; 2],
    numbers: Numbers,
    pinned: Option<Intent>,
    /// The client asked for a key update.
    owes: bool,
    /// What was opened and not received.
    opened: Option<(u8, bool)>,
    sealed: Sealed,
}

const SENDING: u64 = 0x0123_4567_89AB_CDEF;
const RECEIVING: u64 = 0xFEDC_BA98_7654_3211;

impl Layer for Toy {
    const RING: usize = 64;

    fn fresh(sealed: Sealed) -> Self {
        let numbers = Numbers { sending: 0, receiving: 0 };
        Self { keys: [SENDING, RECEIVING], numbers, pinned: None, owes: false, opened: None, sealed }
    }

    fn restored(keys: &SecretBytes, entry: &Entry, sealed: Sealed) -> Self {
        let key = |at: usize| u64::from_le_bytes(keys.expose()[at..at + 8].try_into().unwrap());
        let numbers = Numbers { sending: entry.to_client.number, receiving: entry.to_application.number };
        let (pinned, owes) = (entry.to_client.intent, entry.conduct[0] == 1);
        Self { keys: [key(0), key(8)], numbers, pinned, owes, opened: None, sealed }
    }

    fn client_sends(all: &[Says]) -> Vec<u8> {
        let (mut key, mut number, mut bytes) = (RECEIVING, 0, vec![]);
        for says in all {
            let (kind, body) = match says {
                Says::Data(data) => (1, data.clone()),
                Says::KeyUpdate { reply } => (2, vec![u8::from(*reply)]),
                Says::CloseNotify => (3, vec![]),
                Says::Alert(alert) => (4, alert.to_le_bytes().to_vec()),
                Says::Garbage(garbage) => {
                    bytes.extend(garbage);
                    continue;
                }
            };
            seal(key, number, kind, &body, &mut bytes);
            (key, number) = if kind == 2 { (next_key(key), 0) } else { (key, number + 1) };
        }
        bytes
    }

    fn client_saw(mut bytes: &[u8]) -> ClientSaw {
        let (mut key, mut number, mut saw) = (SENDING, 0, ClientSaw::default());
        while let Some(length) = length(bytes).filter(|&length| length <= bytes.len()) {
            let (now, rest) = bytes.split_at(length);
            let Some((kind, body)) = open(key, number, now).filter(|_| !saw.closed && saw.alert.is_none())
            else {
                saw.wrong = true;
                return saw;
            };
            (bytes, number) = (rest, number + 1);
            match kind {
                1 => saw.data.extend(body),
                2 => (saw.key_updates, key, number) = (saw.key_updates + 1, next_key(key), 0),
                3 => saw.closed = true,
                _ => saw.alert = body.try_into().ok().map(u16::from_le_bytes),
            }
        }
        saw.cut = !bytes.is_empty();
        saw
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
        assert_eq!(self.pinned.replace(intent), None, "one after the other");
        Ok(())
    }

    fn sealed_length(&self) -> usize {
        HEAD + TAG
            + match self.pinned.unwrap() {
                Intent::Data(length) => length as usize,
                Intent::KeyUpdate => 1,
                Intent::CloseNotify => 0,
                Intent::Alert(_) | Intent::Warning(_) => 2,
            }
    }

    fn seal(&mut self, data: &[u8], record: &mut Vec<u8>) -> Result<(), Fault> {
        let (kind, body) = match self.pinned.ok_or(Fault(80))? {
            Intent::Data(_) => (1, data.to_vec()),
            Intent::KeyUpdate => (2, vec![0]),
            Intent::CloseNotify => (3, vec![]),
            Intent::Alert(alert) | Intent::Warning(alert) => (4, alert.to_le_bytes().to_vec()),
        };
        let (key, number) = (self.keys[0], self.numbers.sending);
        record.clear();
        seal(key, number, kind, &body, record);
        let mut sealed = self.sealed.borrow_mut();
        let before = sealed.entry((key, number)).or_insert_with(|| record.clone());
        assert_eq!(*before, *record, "number {number} protects two contents");
        Ok(())
    }

    fn sent(&mut self) -> Result<Keys, Fault> {
        self.numbers.sending += 1;
        if self.pinned.take().ok_or(Fault(80))? != Intent::KeyUpdate {
            return Ok(Keys::Same);
        }
        (self.keys[0], self.numbers.sending, self.owes) = (next_key(self.keys[0]), 0, false);
        Ok(Keys::Changed)
    }

    fn record_length(&self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        match bytes.first() {
            None | Some(1..=4) => Ok(length(bytes)),
            Some(_) => Err(Fault(BAD_RECORD)),
        }
    }

    fn open(&mut self, record: &[u8], content: &mut Vec<u8>) -> Result<Received, Fault> {
        let (kind, body) = open(self.keys[1], self.numbers.receiving, record).ok_or(Fault(BAD_RECORD))?;
        self.opened = Some((kind, body == [1]));
        content.clear();
        Ok(match kind {
            1 => {
                content.extend(body);
                Received::Data
            }
            2 => Received::KeyUpdate,
            3 => Received::CloseNotify,
            _ => Received::Alert(u16::from_le_bytes(body.try_into().map_err(|_| Fault(BAD_RECORD))?)),
        })
    }

    fn received(&mut self) -> Result<Keys, Fault> {
        self.numbers.receiving += 1;
        let (kind, asked) = self.opened.take().ok_or(Fault(80))?;
        if kind != 2 {
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
