//! Points of time as people write them (RFC 3339), always in UTC.

use chrono::{DateTime, SecondsFormat};
use symbolon_wire::Time;

/// `2026-03-01T08:00:00Z`, with as many decimals of a second as the time has. A time after the
/// year 262,000, which chrono cannot name, reads as the last one that it can.
#[must_use]
pub fn format_time(time: Time) -> String {
    i64::try_from(time.0)
        .ok()
        .and_then(DateTime::from_timestamp_micros)
        .unwrap_or(DateTime::<chrono::Utc>::MAX_UTC)
        .to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Reads RFC 3339 text, of any offset; `None` for anything else and for times before 1970.
#[must_use]
pub fn parse_time(text: &str) -> Option<Time> {
    let micros = DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros();
    u64::try_from(micros).ok().map(Time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_utc_and_read_back() {
        let time = Time::from_secs(1_772_352_000);
        assert_eq!(format_time(time), "2026-03-01T08:00:00Z");
        assert_eq!(parse_time("2026-03-01T08:00:00Z"), Some(time));
        assert_eq!(parse_time("2026-03-01T10:00:00+02:00"), Some(time));
        assert_eq!(parse_time(&format_time(Time(1_234_567))), Some(Time(1_234_567)));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "2026-03-01", "2026-02-30T00:00:00Z", "1969-12-31T23:59:59Z", "tomorrow"] {
            assert_eq!(parse_time(text), None, "{text:?}");
        }
        assert!(format_time(Time(u64::MAX)).starts_with('+'));
    }
}
