use crate::IssuerError;
use std::time::Duration;
use symbolon_wire::Time;
use x509_cert::der::DateTime;

/// How far every certificate is backdated, in seconds: a client whose clock is ten minutes slow
/// still finds a new certificate valid.
pub const CLOCK_LEEWAY_SECS: u64 = 600;

/// From when until when a certificate is valid, both inclusive, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    from: Time,
    until: Time,
}

impl Validity {
    /// From `now`, less [`CLOCK_LEEWAY_SECS`], until `secs` seconds after `now`.
    #[must_use]
    pub const fn starting(now: Time, secs: u64) -> Self {
        Self { from: now.minus_secs(CLOCK_LEEWAY_SECS), until: now.plus_secs(secs) }
    }

    /// The first moment.
    #[must_use]
    pub const fn from(self) -> Time {
        self.from
    }

    /// The last moment.
    #[must_use]
    pub const fn until(self) -> Time {
        self.until
    }

    /// Ends no later than the signer's own certificate, since paths do not either. Something must
    /// be left beside the leeway.
    pub(crate) fn within(self, signer: Self) -> Result<Self, IssuerError> {
        let until = self.until.min(signer.until);
        if self.from.plus_secs(CLOCK_LEEWAY_SECS) < until {
            Ok(Self { until, ..self })
        } else {
            Err(IssuerError::OutsideValidity)
        }
    }

    pub(crate) fn to_x509(self) -> Result<x509_cert::time::Validity, IssuerError> {
        let time = |t: Time| {
            DateTime::from_unix_duration(Duration::from_secs(t.secs()))
                .map(x509_cert::time::Time::from)
                .map_err(|_| IssuerError::OutsideValidity)
        };
        Ok(x509_cert::time::Validity::new(time(self.from)?, time(self.until)?))
    }

    pub(crate) fn from_x509(validity: &x509_cert::time::Validity) -> Self {
        let time = |t: x509_cert::time::Time| Time::from_secs(t.to_unix_duration().as_secs());
        Self { from: time(validity.not_before), until: time(validity.not_after) }
    }
}
