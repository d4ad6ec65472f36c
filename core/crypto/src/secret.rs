use subtle::ConstantTimeEq;
use symbolon_wire::{Decode, Reader, WireError, Writer};
use zeroize::{Zeroize, ZeroizeOnDrop, optimization_barrier};

/// `N` secret bytes: wiped when dropped, never printed, compared in constant time, copied only by
/// the loud [`Secret::duplicate`].
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes over `bytes`; the caller's array should not live on.
    #[must_use]
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// From a slice of exactly `N` bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes, for a primitive.
    #[must_use]
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }

    /// A second copy that is wiped by itself.
    #[must_use]
    pub const fn duplicate(&self) -> Self {
        Self(self.0)
    }
}

impl<const N: usize> Decode for Secret<N> {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Self::from_slice(r.take(N)?).ok_or(WireError::Truncated)
    }
}

impl<const N: usize> Zeroize for Secret<N> {
    // In one sweep, which a volatile write of each byte is not: a context drops half a hundred
    // secrets, and a first message has more than a kilobyte of them.
    fn zeroize(&mut self) {
        self.0.fill(0);
        optimization_barrier(&self.0);
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl<const N: usize> ZeroizeOnDrop for Secret<N> {}

impl<const N: usize> PartialEq for Secret<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl<const N: usize> Eq for Secret<N> {}

impl<const N: usize> std::fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret<{N}>")
    }
}

/// Secret bytes of a length known only at run time: a password, a PIN, a decrypted message.
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// What `write` writes, at most `bound` bytes: the buffer has that room from the start, because
    /// one that grows leaves copies of the secrets where it was before.
    #[must_use]
    pub fn written(bound: usize, write: impl FnOnce(&mut Writer)) -> Self {
        let mut w = Writer::with_capacity(bound);
        write(&mut w);
        debug_assert!(w.len() <= bound, "a secret outgrew its buffer");
        Self(w.into_bytes())
    }

    /// Takes over `bytes`.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, for a primitive.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// A second copy that is wiped by itself.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Zeroize for SecretBytes {
    // The whole capacity: what was longer once may have left something there.
    fn zeroize(&mut self) {
        self.0.clear();
        self.0.resize(self.0.capacity(), 0);
        optimization_barrier(self.0.as_slice());
        self.0.clear();
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for SecretBytes {}

impl From<String> for SecretBytes {
    fn from(s: String) -> Self {
        Self(s.into_bytes())
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretBytes {}

impl std::fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretBytes")
    }
}

/// Compares public-length values without telling where they differ.
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print_itself() {
        let s = Secret::new(*b"canary-canary-ca");
        assert_eq!(format!("{s:?} {:?}", SecretBytes::new(b"canary".to_vec())), "Secret<16> SecretBytes");
    }

    #[test]
    fn secrets_are_equal_when_their_bytes_are() {
        assert_eq!(Secret::new([1; 4]), Secret::new([1; 4]));
        assert_ne!(Secret::new([1; 4]), Secret::new([2; 4]));
    }
}
