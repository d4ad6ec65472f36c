use crate::WireError;

/// Takes fields from the front of a buffer. No input makes it panic or allocate more than it holds.
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What has not been read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Demands that everything was read.
    ///
    /// # Errors
    /// [`WireError::TrailingBytes`].
    pub fn finish(self) -> Result<(), WireError> {
        if self.0.is_empty() { Ok(()) } else { Err(WireError::TrailingBytes) }
    }

    /// `n` bytes without a prefix.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.0.split_at_checked(n).ok_or(WireError::Truncated)?;
        self.0 = tail;
        Ok(head)
    }

    /// A field of fixed width.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(WireError::Truncated)?;
        self.0 = tail;
        Ok(*head)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn u8(&mut self) -> Result<u8, WireError> {
        Ok(self.fixed::<1>()?[0])
    }

    /// Two bytes, big-endian.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn u16(&mut self) -> Result<u16, WireError> {
        self.fixed().map(u16::from_be_bytes)
    }

    /// Four bytes, big-endian.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn u32(&mut self) -> Result<u32, WireError> {
        self.fixed().map(u32::from_be_bytes)
    }

    /// Eight bytes, big-endian.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn u64(&mut self) -> Result<u64, WireError> {
        self.fixed().map(u64::from_be_bytes)
    }

    /// A tag byte; only 0 and 1 exist, so that an encoding stays canonical.
    ///
    /// # Errors
    /// [`WireError::Truncated`], [`WireError::BadValue`].
    pub fn flag(&mut self) -> Result<bool, WireError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::BadValue("flag")),
        }
    }

    /// At most 255 bytes.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn bytes8(&mut self) -> Result<&'a [u8], WireError> {
        let n = self.u8()?;
        self.take(n.into())
    }

    /// At most 65,535 bytes.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn bytes16(&mut self) -> Result<&'a [u8], WireError> {
        let n = self.u16()?;
        self.take(n.into())
    }

    /// The zeros that [`crate::Writer::padding`] wrote.
    ///
    /// # Errors
    /// [`WireError::Truncated`], [`WireError::BadValue`] when they are not zeros.
    pub fn padding(&mut self) -> Result<(), WireError> {
        if self.bytes16()?.iter().all(|b| *b == 0) { Ok(()) } else { Err(WireError::BadValue("padding")) }
    }

    /// At most 16 MiB less one byte.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn bytes24(&mut self) -> Result<&'a [u8], WireError> {
        let [a, b, c] = self.fixed()?;
        self.take(u32::from_be_bytes([0, a, b, c]) as usize)
    }

    /// UTF-8 of at most 255 bytes; `what` names the field in an error.
    ///
    /// # Errors
    /// [`WireError::Truncated`], [`WireError::BadValue`] when it is not UTF-8.
    pub fn text8(&mut self, what: &'static str) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes8()?).map_err(|_| WireError::BadValue(what))
    }

    /// UTF-8 of at most 65,535 bytes; `what` names the field in an error.
    ///
    /// # Errors
    /// [`WireError::Truncated`], [`WireError::BadValue`] when it is not UTF-8.
    pub fn text16(&mut self, what: &'static str) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes16()?).map_err(|_| WireError::BadValue(what))
    }

    /// A counted list of at most `max` items; `what` names it in an error.
    ///
    /// # Errors
    /// [`WireError::TooLong`], or what reading an item gives.
    pub fn list16<T>(
        &mut self,
        what: &'static str,
        max: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let n = usize::from(self.u16()?);
        if n > max {
            return Err(WireError::TooLong(what));
        }
        (0..n).map(|_| item(self)).collect()
    }
}
