//! A trivial record layer that notices what a real one notices: a wrong number, a wrong key, an
//! altered byte; and one thing more: that a number protects two contents.

use std::{cell::RefCell, collections::HashMap, rc::Rc};
use symbolon_crypto::SecretBytes;
use symbolon_session::ledger::{Due, Fault, Intent, Protection, Received};

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
    sending: u64,
    receiving: u64,
    sealed: Sealed,
}

impl Toy {
    pub(crate) fn new(sending: u64, receiving: u64, sealed: Sealed) -> Self {
        Self { sending, receiving, sealed }
    }

    pub(crate) fn from_keys(keys: &SecretBytes, sealed: Sealed) -> Option<Self> {
        let (sending, receiving) = keys.expose().split_first_chunk::<8>()?;
        let receiving = u64::from_le_bytes(receiving.try_into().ok()?);
        Some(Self { sending: u64::from_le_bytes(*sending), receiving, sealed })
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
            Intent::Data(_) => (1, data.to_vec()),
            Intent::KeyUpdate => (2, vec![0]),
            Intent::CloseNotify => (3, vec![]),
            Intent::Alert(alert) => (4, alert.to_le_bytes().to_vec()),
        };
        let start = record.len();
        seal(self.sending, number, kind, &body, record);
        let mut sealed = self.sealed.borrow_mut();
        let before = sealed.entry((self.sending, number)).or_insert_with(|| record[start..].to_vec());
        assert_eq!(*before, record[start..], "number {number} protects two contents");
        Ok(())
    }

    fn due(&self, number: u64) -> Due {
        if number >= KEY_LASTS { Due::KeyUpdate } else { Due::Nothing }
    }

    fn record_length(&self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        match bytes.first() {
            None | Some(1..=4) => Ok(length(bytes)),
            Some(_) => Err(Fault(BAD_RECORD)),
        }
    }

    fn open(&mut self, number: u64, record: &[u8], content: &mut Vec<u8>) -> Result<Received, Fault> {
        let (kind, body) = open(self.receiving, number, record).ok_or(Fault(BAD_RECORD))?;
        Ok(match kind {
            1 => {
                content.extend(body);
                Received::Data
            }
            2 => Received::KeyUpdate { reply: body == [1] },
            3 => Received::CloseNotify,
            _ => Received::Alert(u16::from_le_bytes(body.try_into().map_err(|_| Fault(BAD_RECORD))?)),
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
