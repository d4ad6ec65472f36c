//! The hours of the week during which an application may be reached.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use symbolon_wire::Time;

use crate::NameError;
use crate::text::text_form;

/// Minutes in a day; also the `to` of a window that lasts until midnight.
const DAY_MINUTES: u16 = 24 * 60;

const MINUTE_MICROS: u64 = 60_000_000;
const DAY_MICROS: u64 = DAY_MINUTES as u64 * MINUTE_MICROS;

/// The shape that an error names.
const FORM: &str = "mon-fri 08:00-18:00 (days, hours in UTC, or both)";

/// A day of the week, Monday first (ISO 8601).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weekday {
    /// Day 0.
    Monday,
    /// Day 1.
    Tuesday,
    /// Day 2.
    Wednesday,
    /// Day 3.
    Thursday,
    /// Day 4.
    Friday,
    /// Day 5.
    Saturday,
    /// Day 6.
    Sunday,
}

impl Weekday {
    /// All seven, Monday first.
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];

    /// The day on which `time` falls in UTC.
    #[must_use]
    pub fn of(time: Time) -> Self {
        // 1970-01-01 was a Thursday
        Self::ALL[((time.0 / DAY_MICROS + 3) % 7) as usize]
    }

    /// The day before.
    #[must_use]
    pub fn yesterday(self) -> Self {
        Self::ALL[(self as usize + 6) % 7]
    }

    /// `mon` to `sun`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][self as usize]
    }
}

/// Hours of some days of the week, in UTC: `mon-fri 08:00-18:00`. The first minute is inside, the
/// last is not. A window such as `fri 22:00-06:00` starts on its day and ends on the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DailyWindow {
    /// Bit n is set for the n-th of [`Weekday::ALL`]; never empty.
    days: u8,
    /// 0 to 1439.
    from: u16,
    /// 1 to 1440, never equal to `from`.
    to: u16,
}
text_form!(DailyWindow, "hours");

impl DailyWindow {
    /// A window from minute `minutes.start` of each of `days` up to, not including, minute
    /// `minutes.end`, of the next day where the end is not after the start.
    ///
    /// # Errors
    /// [`NameError::Form`] without days, and for minutes outside of 0–1439 and 1–1440 or equal.
    pub fn new(days: &[Weekday], minutes: std::ops::Range<u16>) -> Result<Self, NameError> {
        let (from, to) = (minutes.start, minutes.end);
        if days.is_empty() || from >= DAY_MINUTES || to == 0 || to > DAY_MINUTES || from == to {
            return Err(NameError::Form(FORM));
        }
        Ok(Self { days: days.iter().fold(0, |bits, &d| bits | 1 << d as u8), from, to })
    }

    /// Reads `mon-fri 08:00-18:00`, `sat,sun`, `22:00-06:00`, `fri-mon 00:00-24:00`.
    ///
    /// # Errors
    /// [`NameError::Form`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let malformed = NameError::Form(FORM);
        let mut parts = text.split_ascii_whitespace();
        let first = parts.next().ok_or(malformed.clone())?;
        let (days, hours) = match (first.contains(':'), parts.next()) {
            (true, None) => (None, Some(first)),
            (false, hours) => (Some(first), hours),
            (true, Some(_)) => return Err(malformed),
        };
        if parts.next().is_some() {
            return Err(malformed);
        }
        let days = days.map_or(Some(Weekday::ALL.to_vec()), parse_days).ok_or(malformed.clone())?;
        let minutes = hours.map_or(Some(0..DAY_MINUTES), parse_hours).ok_or(malformed)?;
        Self::new(&days, minutes)
    }

    /// The days on which it starts, Monday first.
    pub fn days(&self) -> impl Iterator<Item = Weekday> + use<> {
        let days = self.days;
        Weekday::ALL.into_iter().filter(move |&d| days >> d as u8 & 1 == 1)
    }

    /// Minute of the day at which it starts, 0 to 1439.
    #[must_use]
    pub fn from_minute(&self) -> u16 {
        self.from
    }

    /// Minute of the day before which it ends, 1 to 1440; of the next day if it [wraps](Self::wraps).
    #[must_use]
    pub fn to_minute(&self) -> u16 {
        self.to
    }

    /// Whether it ends on the day after it started.
    #[must_use]
    pub fn wraps(&self) -> bool {
        self.to < self.from
    }

    /// Whether `time` lies inside.
    #[must_use]
    pub fn contains(&self, time: Time) -> bool {
        let minute = minute_of_day(time);
        let today = Weekday::of(time);
        let on = |day: Weekday| self.days >> day as u8 & 1 == 1;
        if self.wraps() {
            (minute >= self.from && on(today)) || (minute < self.to && on(today.yesterday()))
        } else {
            (self.from..self.to).contains(&minute) && on(today)
        }
    }

    /// The next instant after `now` at which the window opens or closes; `None` if it never does
    /// (it is open all week, or time ends first).
    #[must_use]
    pub fn next_change(&self, now: Time) -> Option<Time> {
        let open = self.contains(now);
        let today = now.0 / DAY_MICROS;
        // eight days reach the same weekday again, and two edges a day are all there are
        (today..=today + 8)
            .flat_map(|day| {
                let mut edges = [self.from, self.to];
                edges.sort_unstable();
                edges
                    .map(|minute| day.checked_mul(DAY_MICROS)?.checked_add(u64::from(minute) * MINUTE_MICROS))
            })
            .flatten()
            .map(Time)
            .find(|&edge| edge > now && self.contains(edge) != open)
    }
}

/// Minute of the day in UTC, 0 to 1439.
pub(crate) fn minute_of_day(time: Time) -> u16 {
    (time.0 % DAY_MICROS / MINUTE_MICROS) as u16
}

impl fmt::Display for DailyWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != 0x7f {
            let mut separator = "";
            for run in runs(self.days) {
                let (first, last) = (Weekday::ALL[*run.start()], Weekday::ALL[*run.end()]);
                match run.end() - run.start() {
                    0 => write!(f, "{separator}{}", first.as_str())?,
                    1 => write!(f, "{separator}{},{}", first.as_str(), last.as_str())?,
                    _ => write!(f, "{separator}{}-{}", first.as_str(), last.as_str())?,
                }
                separator = ",";
            }
            f.write_str(" ")?;
        }
        write!(f, "{:02}:{:02}-{:02}:{:02}", self.from / 60, self.from % 60, self.to / 60, self.to % 60)
    }
}

impl FromStr for DailyWindow {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

/// Days that follow each other, Monday to Sunday.
fn runs(days: u8) -> Vec<RangeInclusive<usize>> {
    let mut runs: Vec<RangeInclusive<usize>> = Vec::new();
    for day in (0..7).filter(|d| days >> d & 1 == 1) {
        match runs.last_mut() {
            Some(run) if run.end() + 1 == day => *run = *run.start()..=day,
            _ => runs.push(day..=day),
        }
    }
    runs
}

fn parse_days(text: &str) -> Option<Vec<Weekday>> {
    let day = |name: &str| Weekday::ALL.into_iter().find(|d| d.as_str().eq_ignore_ascii_case(name));
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)? as usize, day(last)? as usize);
        let length = (last + 7 - first) % 7;
        days.extend((0..=length).map(|n| Weekday::ALL[(first + n) % 7]));
    }
    Some(days)
}

fn parse_hours(text: &str) -> Option<std::ops::Range<u16>> {
    let minute = |clock: &str| {
        let (hour, minute) = clock.split_once(':')?;
        let digits = |d: &str| if d.len() == 2 { d.parse::<u16>().ok() } else { None };
        let (hour, minute) = (digits(hour)?, digits(minute).filter(|&m| m < 60)?);
        Some(hour * 60 + minute).filter(|&m| m <= DAY_MINUTES)
    };
    let (from, to) = text.split_once('-')?;
    Some(minute(from)?..minute(to)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_time;

    fn at(text: &str) -> Time {
        parse_time(text).unwrap()
    }

    #[test]
    fn office_hours_hold_on_working_days_and_end_on_the_minute() {
        let hours = DailyWindow::parse("mon-fri 08:00-18:00").unwrap();
        // 2026-03-02 is a Monday
        assert!(!hours.contains(at("2026-03-02T07:59:59.999999Z")));
        assert!(hours.contains(at("2026-03-02T08:00:00Z")));
        assert!(hours.contains(at("2026-03-06T17:59:59.999999Z")));
        assert!(!hours.contains(at("2026-03-06T18:00:00Z")));
        assert!(!hours.contains(at("2026-03-07T12:00:00Z")));
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_starts() {
        let night = DailyWindow::parse("fri 22:00-06:00").unwrap();
        assert!(night.contains(at("2026-03-06T23:00:00Z")));
        assert!(night.contains(at("2026-03-07T05:59:59Z")));
        assert!(!night.contains(at("2026-03-07T06:00:00Z")));
        assert!(!night.contains(at("2026-03-06T05:00:00Z")));
        assert!(!night.contains(at("2026-03-07T23:00:00Z")));
    }

    #[test]
    fn text_is_read_and_written_in_one_form() {
        for (text, canonical) in [
            ("mon-fri 08:00-18:00", "mon-fri 08:00-18:00"),
            ("Sat,SUN", "sat,sun 00:00-24:00"),
            ("22:00-06:00", "22:00-06:00"),
            ("fri-mon 00:00-24:00", "mon,fri-sun 00:00-24:00"),
            ("mon-sun", "00:00-24:00"),
        ] {
            assert_eq!(DailyWindow::parse(text).unwrap().to_string(), canonical);
            assert_eq!(DailyWindow::parse(canonical), DailyWindow::parse(text));
        }
        for text in [
            "",
            "mon 8-18",
            "mon 08:00",
            "08:00-08:00",
            "08:00-25:00",
            "00:60-01:00",
            "someday",
            "mon-",
            "mon 08:00-18:00 x",
        ] {
            assert!(DailyWindow::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn working_days_that_last_until_midnight_change_only_at_the_weekend() {
        let days = DailyWindow::parse("mon-fri").unwrap();
        assert_eq!(days.next_change(at("2026-03-02T12:00:00Z")), Some(at("2026-03-07T00:00:00Z")));
        assert_eq!(days.next_change(at("2026-03-07T00:00:00Z")), Some(at("2026-03-09T00:00:00Z")));
        assert_eq!(DailyWindow::parse("mon-sun").unwrap().next_change(at("2026-03-02T12:00:00Z")), None);
        assert_eq!(days.next_change(Time(u64::MAX)), None);
    }
}
