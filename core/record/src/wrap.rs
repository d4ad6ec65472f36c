//! Wrapping messages (A8).

use crate::WrapError;
use crate::wrap_keys::Generation;
use symbolon_crypto::{Crypto, Secret, SecretBytes, TAG};
use symbolon_wire::{Reader, WireError, Writer};

/// What stands before a wrapped message: `'W' | flags | generation (2) | sequence (8)`, in bytes.
pub const WRAP_HEADER: usize = 12;

/// What a wrapped message is longer than the message: header and tag, in bytes.
pub const WRAP_OVERHEAD: usize = WRAP_HEADER + TAG;

/// How many messages one key wraps before the next generation follows.
pub const MESSAGES_PER_KEY: u64 = 1 << 24;

/// How many blocks of 16 bytes one key encrypts: 256 GiB, as much as [`MESSAGES_PER_KEY`] records
/// of full size. A wrapped message may be 64 times longer than a record, so both are counted; the
/// attacker's chance stays near 2^-57 (RFC 8446 §5.5).
const BLOCKS_PER_KEY: u64 = 1 << 34;

/// The first byte.
const MARK: u8 = b'W';
/// Flag: the sender sends nothing after this message.
const LAST: u8 = 1;

/// The version of an exported state.
const STATE_VERSION: u8 = 1;

/// A parsed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) last: bool,
    pub(crate) generation: u16,
    pub(crate) sequence: u64,
}

impl Header {
    #[inline]
    pub(crate) fn to_bytes(self) -> [u8; WRAP_HEADER] {
        let [g0, g1] = self.generation.to_be_bytes();
        let [a, b, c, d, e, f, g, h] = self.sequence.to_be_bytes();
        [MARK, if self.last { LAST } else { 0 }, g0, g1, a, b, c, d, e, f, g, h]
    }

    #[inline]
    pub(crate) fn parse(header: [u8; WRAP_HEADER]) -> Result<Self, WrapError> {
        let [MARK, flags @ (0 | LAST), g0, g1, sequence @ ..] = header else {
            return Err(WrapError::Malformed);
        };
        Ok(Self {
            last: flags == LAST,
            generation: u16::from_be_bytes([g0, g1]),
            sequence: u64::from_be_bytes(sequence),
        })
    }
}

/// Wraps the messages of one direction, each under the next sequence number, and goes over to the
/// next generation of keys by itself.
#[derive(Debug)]
pub struct Wrapper {
    keys: Generation,
    sequence: u64,
    messages: u64,
    blocks: u64,
    ended: bool,
}

impl Wrapper {
    /// Starts with the first message under `secret`, which is used for this direction only.
    #[must_use]
    pub fn new(crypto: Crypto, secret: Secret<32>) -> Self {
        Self { keys: Generation::new(crypto, secret, 0), sequence: 0, messages: 0, blocks: 0, ended: false }
    }

    /// The number of the next message.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The generation of the key in use.
    #[must_use]
    pub const fn generation(&self) -> u16 {
        self.keys.number()
    }

    /// Wraps the message that stands in `buffer` between [`WRAP_HEADER`] bytes of room and 16 bytes
    /// of room; the whole buffer is then to be sent.
    ///
    /// # Errors
    /// [`WrapError::NoRoom`], [`WrapError::Exhausted`], [`WrapError::AfterLast`].
    #[inline]
    pub fn wrap_in_place(&mut self, buffer: &mut [u8]) -> Result<(), WrapError> {
        self.seal(buffer, false)
    }

    /// The same, and tells the peer that no message follows, so that it notices a cut.
    ///
    /// # Errors
    /// As [`Wrapper::wrap_in_place`].
    pub fn wrap_last_in_place(&mut self, buffer: &mut [u8]) -> Result<(), WrapError> {
        self.seal(buffer, true)?;
        self.ended = true;
        Ok(())
    }

    /// Wraps a copy of `message`.
    ///
    /// # Errors
    /// As [`Wrapper::wrap_in_place`].
    pub fn wrap(&mut self, message: &[u8]) -> Result<Vec<u8>, WrapError> {
        let mut buffer = Vec::with_capacity(message.len() + WRAP_OVERHEAD);
        buffer.resize(WRAP_HEADER, 0);
        buffer.extend_from_slice(message);
        buffer.resize(message.len() + WRAP_OVERHEAD, 0);
        self.wrap_in_place(&mut buffer)?;
        Ok(buffer)
    }

    /// Goes over to the next generation with the next message, before the key asks for it.
    ///
    /// # Errors
    /// [`WrapError::Exhausted`] after 65,536 generations.
    pub fn rekey(&mut self) -> Result<(), WrapError> {
        self.keys = self.keys.next()?;
        (self.messages, self.blocks) = (0, 0);
        Ok(())
    }

    #[inline]
    fn seal(&mut self, buffer: &mut [u8], last: bool) -> Result<(), WrapError> {
        if self.ended {
            return Err(WrapError::AfterLast);
        }
        let length = buffer.len().checked_sub(WRAP_OVERHEAD).ok_or(WrapError::NoRoom)?;
        let next = self.sequence.checked_add(1).ok_or(WrapError::Exhausted)?;
        if self.messages >= MESSAGES_PER_KEY || self.blocks >= BLOCKS_PER_KEY {
            self.rekey()?;
        }
        let (room, rest) = buffer.split_at_mut(WRAP_HEADER);
        let (message, tag) = rest.split_at_mut(length);
        let header = Header { last, generation: self.keys.number(), sequence: self.sequence }.to_bytes();
        room.copy_from_slice(&header);
        tag.copy_from_slice(&self.keys.key().seal(self.sequence, &header, message));
        self.sequence = next;
        self.messages += 1;
        self.blocks += (length / 16) as u64 + 1;
        Ok(())
    }

    /// Everything that a successor needs to carry on; this one must not wrap again. Store it sealed.
    #[must_use]
    pub fn export(self) -> SecretBytes {
        let mut w = Writer::new();
        write_version(&mut w);
        write_generation(&mut w, &self.keys);
        w.u64(self.sequence);
        w.u64(self.messages);
        w.u64(self.blocks);
        w.flag(self.ended);
        SecretBytes::new(w.into_bytes())
    }

    /// Carries on where [`Wrapper::export`] stopped. Whoever imports the same state twice breaks
    /// the key: the store must hand it out once.
    ///
    /// # Errors
    /// [`WireError`] when the bytes are not such a state.
    pub fn import(crypto: Crypto, state: &SecretBytes) -> Result<Self, WireError> {
        let mut r = Reader::new(state.expose());
        read_version(&mut r)?;
        let wrapper = Self {
            keys: read_generation(crypto, &mut r)?,
            sequence: r.u64()?,
            messages: r.u64()?,
            blocks: r.u64()?,
            ended: r.flag()?,
        };
        r.finish()?;
        Ok(wrapper)
    }
}

pub(crate) fn write_version(w: &mut Writer) {
    w.u8(STATE_VERSION);
}

pub(crate) fn read_version(r: &mut Reader<'_>) -> Result<(), WireError> {
    match r.u8()? {
        STATE_VERSION => Ok(()),
        other => Err(WireError::UnknownVersion(other)),
    }
}

pub(crate) fn write_generation(w: &mut Writer, keys: &Generation) {
    w.fixed(keys.secret().expose());
    w.u16(keys.number());
}

pub(crate) fn read_generation(crypto: Crypto, r: &mut Reader<'_>) -> Result<Generation, WireError> {
    let secret = Secret::new(r.fixed()?);
    Ok(Generation::new(crypto, secret, r.u16()?))
}
