/// Appends fields to a buffer.
///
/// The `…8`, `…16` and `…24` methods write a length prefix of that many bits. A field that does
/// not fit its prefix is a mistake of the caller and is cut off by a `debug_assert` in tests; all
/// callers bound their fields when they parse them, so that it cannot happen in production.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self(Vec::with_capacity(256))
    }

    /// An empty buffer with room for `bytes`, so that writing that much leaves no copy behind in
    /// memory that was given back.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// How much was written, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Zeros behind a 16-bit prefix up to the next multiple of `step` bytes (at most 32,768), so that
    /// a ciphertext's length tells little.
    pub fn padding(&mut self, step: usize) {
        let zeros = (self.0.len() + 2).next_multiple_of(step) - self.0.len() - 2;
        self.bytes16(&vec![0; zeros]);
    }

    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// One byte.
    pub fn u8(&mut self, v: u8) {
        self.0.push(v);
    }

    /// Two bytes, big-endian.
    pub fn u16(&mut self, v: u16) {
        self.0.extend_from_slice(&v.to_be_bytes());
    }

    /// Four bytes, big-endian.
    pub fn u32(&mut self, v: u32) {
        self.0.extend_from_slice(&v.to_be_bytes());
    }

    /// Eight bytes, big-endian.
    pub fn u64(&mut self, v: u64) {
        self.0.extend_from_slice(&v.to_be_bytes());
    }

    /// A tag byte, 0 or 1.
    pub fn flag(&mut self, v: bool) {
        self.u8(u8::from(v));
    }

    /// Bytes without a prefix; the reader knows the width.
    pub fn fixed(&mut self, v: &[u8]) {
        self.0.extend_from_slice(v);
    }

    /// At most 255 bytes.
    pub fn bytes8(&mut self, v: &[u8]) {
        debug_assert!(v.len() <= usize::from(u8::MAX), "field exceeds its prefix");
        let v = &v[..v.len().min(usize::from(u8::MAX))];
        self.u8(v.len() as u8);
        self.fixed(v);
    }

    /// At most 65,535 bytes.
    pub fn bytes16(&mut self, v: &[u8]) {
        debug_assert!(v.len() <= usize::from(u16::MAX), "field exceeds its prefix");
        let v = &v[..v.len().min(usize::from(u16::MAX))];
        self.u16(v.len() as u16);
        self.fixed(v);
    }

    /// At most 16 MiB less one byte.
    pub fn bytes24(&mut self, v: &[u8]) {
        const MAX: usize = (1 << 24) - 1;
        debug_assert!(v.len() <= MAX, "field exceeds its prefix");
        let v = &v[..v.len().min(MAX)];
        self.0.extend_from_slice(&(v.len() as u32).to_be_bytes()[1..]);
        self.fixed(v);
    }

    /// UTF-8 of at most 255 bytes.
    pub fn text8(&mut self, v: &str) {
        self.bytes8(v.as_bytes());
    }

    /// UTF-8 of at most 65,535 bytes.
    pub fn text16(&mut self, v: &str) {
        self.bytes16(v.as_bytes());
    }

    /// A counted list of at most 65,535 items.
    pub fn list16<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) {
        debug_assert!(items.len() <= usize::from(u16::MAX), "list exceeds its prefix");
        let items = &items[..items.len().min(usize::from(u16::MAX))];
        self.u16(items.len() as u16);
        for i in items {
            item(self, i);
        }
    }
}
