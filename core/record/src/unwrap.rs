//! Unwrapping messages (A8).

use crate::WrapError;
use crate::window::Window;
use crate::wrap::{
    Header, WRAP_HEADER, WRAP_OVERHEAD, read_generation, read_version, write_generation, write_version,
};
use crate::wrap_keys::Generation;
use symbolon_crypto::{Crypto, Secret, SecretBytes};
use symbolon_wire::{Reader, WireError, Writer};

/// How messages may arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Each exactly after the one before, as over TCP.
    InOrder,
    /// Late, early or never, but at most once, within a window of [`crate::WINDOW`] messages.
    Windowed,
}

/// Unwraps the messages of one direction. A message that is refused changes nothing.
#[derive(Debug)]
pub struct Unwrapper {
    keys: Generation,
    order: Order,
    ended: bool,
}

#[derive(Debug)]
enum Order {
    InOrder { next: u64 },
    Windowed(Box<Window>),
}

impl Unwrapper {
    /// Starts before the first message under `secret`, which is the peer's direction.
    #[must_use]
    pub fn new(crypto: Crypto, secret: Secret<32>, delivery: Delivery) -> Self {
        let order = match delivery {
            Delivery::InOrder => Order::InOrder { next: 0 },
            Delivery::Windowed => Order::Windowed(Box::default()),
        };
        Self { keys: Generation::new(crypto, secret, 0), order, ended: false }
    }

    /// The number after the highest that was accepted.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        match &self.order {
            Order::InOrder { next } => *next,
            Order::Windowed(window) => window.next(),
        }
    }

    /// The generation of the key in use.
    #[must_use]
    pub const fn generation(&self) -> u16 {
        self.keys.number()
    }

    /// Opens a wrapped message where it lies and returns the message within it.
    ///
    /// The sequence number is looked at before the tag, so that floods of old messages are cheap;
    /// which of the errors an attacker provokes therefore says nothing about what was sent.
    ///
    /// # Errors
    /// [`WrapError::Malformed`], [`WrapError::Forged`], [`WrapError::Replayed`],
    /// [`WrapError::TooOld`]; in order also [`WrapError::OutOfOrder`] and [`WrapError::AfterLast`].
    /// `message` then holds nothing of use.
    #[inline]
    pub fn unwrap_in_place<'m>(&mut self, message: &'m mut [u8]) -> Result<&'m mut [u8], WrapError> {
        if message.len() < WRAP_OVERHEAD {
            return Err(WrapError::Malformed);
        }
        let Some((&mut bytes, body)) = message.split_first_chunk_mut::<WRAP_HEADER>() else {
            return Err(WrapError::Malformed);
        };
        let header = Header::parse(bytes)?;
        match &self.order {
            Order::InOrder { .. } if self.ended => return Err(WrapError::AfterLast),
            Order::InOrder { next } if header.sequence < *next => return Err(WrapError::Replayed),
            Order::InOrder { next } if header.sequence > *next => return Err(WrapError::OutOfOrder),
            Order::InOrder { .. } => {}
            Order::Windowed(window) => window.check(header.sequence)?,
        }
        let after = header.sequence.checked_add(1).ok_or(WrapError::Exhausted)?;
        let length = self.open(header, &bytes, body)?;
        match &mut self.order {
            Order::InOrder { next } => *next = after,
            Order::Windowed(window) => window.mark(header.sequence),
        }
        self.ended |= header.last;
        Ok(&mut body[..length])
    }

    /// Opens under the present generation, or under the next and then stays with it.
    #[inline]
    fn open(&mut self, header: Header, aad: &[u8; WRAP_HEADER], body: &mut [u8]) -> Result<usize, WrapError> {
        let forged = |_| WrapError::Forged;
        if header.generation == self.keys.number() {
            return self.keys.key().open(header.sequence, aad, body).map_err(forged);
        }
        if header.generation < self.keys.number() {
            return Err(WrapError::TooOld);
        }
        if header.generation - self.keys.number() > 1 {
            return Err(WrapError::Forged); // no peer skips a generation
        }
        let next = self.keys.next()?;
        let length = next.key().open(header.sequence, aad, body).map_err(forged)?;
        self.keys = next;
        Ok(length)
    }

    /// Whether the peer marked a message as its last.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Says that nothing more can arrive.
    ///
    /// # Errors
    /// [`WrapError::Truncated`] when the peer's last message did not.
    pub const fn end_of_input(&self) -> Result<(), WrapError> {
        if self.ended { Ok(()) } else { Err(WrapError::Truncated) }
    }

    /// Everything that a successor needs to carry on. Store it sealed.
    #[must_use]
    pub fn export(self) -> SecretBytes {
        let mut w = Writer::new();
        write_version(&mut w);
        write_generation(&mut w, &self.keys);
        w.flag(self.ended);
        match &self.order {
            Order::InOrder { next } => {
                w.u8(0);
                w.u64(*next);
            }
            Order::Windowed(window) => {
                w.u8(1);
                window.write(&mut w);
            }
        }
        SecretBytes::new(w.into_bytes())
    }

    /// Carries on where [`Unwrapper::export`] stopped.
    ///
    /// # Errors
    /// [`WireError`] when the bytes are not such a state.
    pub fn import(crypto: Crypto, state: &SecretBytes) -> Result<Self, WireError> {
        let mut r = Reader::new(state.expose());
        read_version(&mut r)?;
        let keys = read_generation(crypto, &mut r)?;
        let ended = r.flag()?;
        let order = match r.u8()? {
            0 => Order::InOrder { next: r.u64()? },
            1 => Order::Windowed(Box::new(Window::read(&mut r)?)),
            _ => return Err(WireError::BadValue("order of delivery")),
        };
        r.finish()?;
        Ok(Self { keys, order, ended })
    }
}
