use crate::{Decode, Encode, Reader, WireError, Writer};

/// A point of wall-clock time: microseconds since 1970-01-01T00:00:00Z.
///
/// Cores never read a clock; every step takes the time as an argument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// From whole seconds since the epoch.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub const fn secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// This much later; stays at the end of time rather than wrap.
    #[must_use]
    pub const fn plus_secs(self, secs: u64) -> Self {
        Self(self.0.saturating_add(secs.saturating_mul(1_000_000)))
    }

    /// This much earlier; stays at the epoch rather than wrap.
    #[must_use]
    pub const fn minus_secs(self, secs: u64) -> Self {
        Self(self.0.saturating_sub(secs.saturating_mul(1_000_000)))
    }

    /// Seconds between the two, whichever is earlier.
    #[must_use]
    pub const fn distance_secs(self, other: Self) -> u64 {
        self.0.abs_diff(other.0) / 1_000_000
    }
}

impl Encode for Time {
    fn encode(&self, w: &mut Writer) {
        w.u64(self.0);
    }
}

impl Decode for Time {
    fn decode(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.u64().map(Self)
    }
}
