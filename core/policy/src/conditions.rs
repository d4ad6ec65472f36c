//! Under what circumstances an entitlement holds.

use std::fmt;

use serde::{Deserialize, Serialize};
use symbolon_wire::Time;

use crate::{
    Assurance, DailyWindow, NameError, Network, TextError, TokenClass, format_time, free_text, parse_time,
};

/// The most characters in a machine or place label.
pub const MAX_LABEL: usize = 100;

/// The most values in one list of [`Conditions`].
const MAX_LIST: usize = 64;

/// Under what circumstances an entitlement holds: all that are named must. The default names none.
///
/// As JSON a field that is absent is no condition, and an unknown field is an error, because a
/// condition that were overlooked would open an application. `machines` and `places` compare with
/// what the client reports of itself: they guide an honest client and stop no dishonest one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Conditions {
    /// Hours of the week.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<DailyWindow>,
    /// The first instant.
    #[serde(skip_serializing_if = "Option::is_none", with = "optional_time")]
    pub not_before: Option<Time>,
    /// The instant from which it holds no more.
    #[serde(skip_serializing_if = "Option::is_none", with = "optional_time")]
    pub not_after: Option<Time>,
    /// Networks of which the client's address is in one; empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    /// Classes of which the token is one; empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub token_classes: Vec<TokenClass>,
    /// The least assurance that the sign-in must give.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assurance: Option<Assurance>,
    /// Machine labels of which the client reports one; empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<String>,
    /// Place labels of which the client reports one; empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<String>,
}

/// Why pieces of text are no [`Conditions`]. Whoever typed them erred.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionsError {
    /// The piece does not start with a condition's name.
    #[error(
        "unknown condition {0:?}: use hours=, from=, until=, network=, token=, assurance=, machine= or place="
    )]
    Unknown(String),
    /// A condition that can stand once stands twice.
    #[error("{0} is given twice")]
    Twice(&'static str),
    /// The value after the equals sign.
    #[error("{condition}={value}: {error}")]
    Value {
        /// Name of the condition.
        condition: &'static str,
        /// What was typed.
        value: String,
        /// What is wrong with it.
        error: NameError,
    },
    /// More values than a list holds.
    #[error("too many values: use at most {MAX_LIST} for each condition")]
    TooMany,
    /// `until` is not after `from`.
    #[error("until must be after from")]
    NeverHolds,
}

impl Conditions {
    /// Reads what a command line or a form has: `hours=mon-fri 08:00-18:00`,
    /// `from=2026-03-01T00:00:00Z`, `until=…`, `network=10.0.0.0/8`, `token=hardware`,
    /// `assurance=substantial`, `machine=LABEL`, `place=LABEL`; networks, tokens, machines and places
    /// may stand several times and then mean any.
    ///
    /// # Errors
    /// [`ConditionsError`] names the first piece that is wrong.
    pub fn from_pieces<'a>(pieces: impl IntoIterator<Item = &'a str>) -> Result<Self, ConditionsError> {
        let mut conditions = Self::default();
        for piece in pieces {
            conditions.add(piece)?;
        }
        conditions.check()?;
        Ok(conditions)
    }

    /// The pieces from which [`Conditions::from_pieces`] makes the same value.
    #[must_use]
    pub fn to_pieces(&self) -> Vec<String> {
        let mut pieces = Vec::new();
        pieces.extend(self.hours.map(|h| format!("hours={h}")));
        pieces.extend(self.not_before.map(|t| format!("from={}", format_time(t))));
        pieces.extend(self.not_after.map(|t| format!("until={}", format_time(t))));
        pieces.extend(self.networks.iter().map(|n| format!("network={n}")));
        pieces.extend(self.token_classes.iter().map(|c| format!("token={c}")));
        pieces.extend(self.assurance.map(|a| format!("assurance={a}")));
        pieces.extend(self.machines.iter().map(|m| format!("machine={m}")));
        pieces.extend(self.places.iter().map(|p| format!("place={p}")));
        pieces
    }

    /// Whether no condition is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The next instant after `now` at which the conditions on time begin or cease to hold;
    /// `None` if they never change again.
    #[must_use]
    pub fn next_change(&self, now: Time) -> Option<Time> {
        let holds = self.time_holds(now);
        let mut at = now;
        // An edge is no change while another condition fails, as when the hours open before
        // not_before: from there one edge of the hours or not_after decides.
        for _ in 0..4 {
            at = self.next_edge(at)?;
            if self.time_holds(at) != holds {
                return Some(at);
            }
        }
        None
    }

    /// Whether the conditions on time hold at `now`.
    #[must_use]
    pub fn time_holds(&self, now: Time) -> bool {
        self.hours.is_none_or(|h| h.contains(now))
            && self.not_before.is_none_or(|t| now >= t)
            && self.not_after.is_none_or(|t| now < t)
    }

    fn next_edge(&self, now: Time) -> Option<Time> {
        // outside of not_before and not_after the window's edges change nothing
        match (self.not_before, self.not_after) {
            (Some(from), _) if now < from => Some(from),
            (_, Some(until)) if now >= until => None,
            (_, until) => self.hours.and_then(|h| h.next_change(now)).into_iter().chain(until).min(),
        }
    }

    fn add(&mut self, piece: &str) -> Result<(), ConditionsError> {
        let unknown = || ConditionsError::Unknown(piece.to_owned());
        let (condition, value) = piece.split_once('=').ok_or_else(unknown)?;
        let value = value.trim();
        match condition.trim() {
            "hours" => once("hours", &mut self.hours, value, DailyWindow::parse),
            "from" => once("from", &mut self.not_before, value, time),
            "until" => once("until", &mut self.not_after, value, time),
            "network" => another("network", &mut self.networks, value, Network::parse),
            "token" => another("token", &mut self.token_classes, value, str::parse),
            "assurance" => once("assurance", &mut self.assurance, value, str::parse),
            "machine" => another("machine", &mut self.machines, value, reported_label),
            "place" => another("place", &mut self.places, value, reported_label),
            _ => Err(unknown()),
        }
    }

    /// Checks the bounds that reading JSON does not: what is stored passed here once.
    ///
    /// # Errors
    /// [`ConditionsError`] names the first condition that is wrong.
    pub fn check(&self) -> Result<(), ConditionsError> {
        let lengths = [self.networks.len(), self.token_classes.len(), self.machines.len(), self.places.len()];
        if lengths.into_iter().any(|n| n > MAX_LIST) {
            return Err(ConditionsError::TooMany);
        }
        for (condition, labels) in [("machine", &self.machines), ("place", &self.places)] {
            for text in labels {
                let canonical = parse_value(condition, text, reported_label)?;
                if canonical != *text {
                    let (value, error) = (text.clone(), NameError::NoCanonicalForm);
                    return Err(ConditionsError::Value { condition, value, error });
                }
            }
        }
        match (self.not_before, self.not_after) {
            (Some(from), Some(until)) if until <= from => Err(ConditionsError::NeverHolds),
            _ => Ok(()),
        }
    }
}

/// The pieces, joined by `; `, or `always`.
impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("always");
        }
        f.write_str(&self.to_pieces().join("; "))
    }
}

fn once<T>(
    condition: &'static str,
    place: &mut Option<T>,
    value: &str,
    parse: impl Fn(&str) -> Result<T, NameError>,
) -> Result<(), ConditionsError> {
    if place.is_some() {
        return Err(ConditionsError::Twice(condition));
    }
    *place = Some(parse_value(condition, value, parse)?);
    Ok(())
}

fn another<T: PartialEq>(
    condition: &'static str,
    list: &mut Vec<T>,
    value: &str,
    parse: impl Fn(&str) -> Result<T, NameError>,
) -> Result<(), ConditionsError> {
    let value = parse_value(condition, value, parse)?;
    if !list.contains(&value) {
        list.push(value);
    }
    Ok(())
}

fn parse_value<T>(
    condition: &'static str,
    value: &str,
    parse: impl Fn(&str) -> Result<T, NameError>,
) -> Result<T, ConditionsError> {
    parse(value).map_err(|error| ConditionsError::Value { condition, value: value.to_owned(), error })
}

fn time(value: &str) -> Result<Time, NameError> {
    parse_time(value).ok_or(NameError::Form("2026-03-01T08:00:00Z"))
}

/// A machine or place label in its canonical spelling ([`free_text`], without spaces around it), 1 to
/// [`MAX_LABEL`] characters: bring into it what a client reports before it is compared.
///
/// # Errors
/// [`NameError`].
pub fn reported_label(text: &str) -> Result<String, NameError> {
    let label = free_text(text).map_err(|e| match e {
        TextError::Character(c) => NameError::Character(c),
        TextError::NoCanonicalForm => NameError::NoCanonicalForm,
    })?;
    let label = label.trim_matches(' ');
    match label.chars().count() {
        0 => Err(NameError::Empty),
        1..=MAX_LABEL => Ok(label.to_owned()),
        _ => Err(NameError::TooLong(MAX_LABEL)),
    }
}

/// RFC 3339 text for `Option<Time>`.
mod optional_time {
    use serde::{Deserialize, Deserializer, Serializer};
    use symbolon_wire::Time;

    pub(super) fn serialize<S: Serializer>(time: &Option<Time>, s: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => s.serialize_str(&crate::format_time(*time)),
            None => s.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Time>, D::Error> {
        Option::<String>::deserialize(d)?
            .map(|text| {
                super::time(&text).map_err(|e| serde::de::Error::custom(format_args!("{text:?} {e}")))
            })
            .transpose()
    }
}
