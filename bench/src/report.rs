//! Figures: one JSON object a line for programs, a table for people.

use crate::measure::Samples;
use serde_json::{Value, json};

/// What a figure must keep to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// Only reported.
    None,
}

impl Target {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
            Self::None => true,
        }
    }

    fn text(self) -> Option<String> {
        match self {
            Self::AtMost(limit) => Some(format!("≤ {limit}")),
            Self::AtLeast(limit) => Some(format!("≥ {limit}")),
            Self::None => None,
        }
    }
}

#[derive(Debug)]
struct Figure {
    name: String,
    value: f64,
    spread: Option<(f64, f64)>,
    unit: &'static str,
    target: Target,
}

/// All figures of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
    notes: Vec<String>,
}

impl Report {
    /// The median of all rounds, with the span of the middle half of them.
    pub(crate) fn median(
        &mut self,
        name: impl Into<String>,
        samples: &Samples,
        unit: &'static str,
        target: Target,
    ) {
        let spread = Some((samples.at(0.25), samples.at(0.75)));
        self.figures.push(Figure { name: name.into(), value: samples.median(), spread, unit, target });
    }

    /// A single value.
    pub(crate) fn value(&mut self, name: impl Into<String>, value: f64, unit: &'static str, target: Target) {
        self.figures.push(Figure { name: name.into(), value, spread: None, unit, target });
    }

    /// What a person should know who reads the table.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// One object a line. `target` is null for what is only reported.
    pub(crate) fn to_json_lines(&self) -> String {
        let line = |f: &Figure| {
            let object: Value = json!({
                "figure": f.name,
                "value": rounded(f.value),
                "unit": f.unit,
                "target": f.target.text(),
                "holds": f.target.holds(f.value),
            });
            format!("{object}\n")
        };
        self.figures.iter().map(line).collect()
    }

    /// Aligned columns, and the notes.
    pub(crate) fn to_table(&self) -> String {
        let width = self.figures.iter().map(|f| f.name.chars().count()).max().unwrap_or(0);
        let mut out = String::new();
        for f in &self.figures {
            let padding = " ".repeat(width - f.name.chars().count());
            let spread = f
                .spread
                .map_or_else(String::new, |(low, high)| format!("{} … {}", rounded(low), rounded(high)));
            let target = match f.target.text() {
                None => String::new(),
                Some(text) if f.target.holds(f.value) => format!("{text}  holds"),
                Some(text) => format!("{text}  MISSED"),
            };
            let line =
                format!("{}{padding}  {:>9} {:<6} {spread:<20} {target}", f.name, rounded(f.value), f.unit);
            out.push_str(line.trim_end());
            out.push('\n');
        }
        for note in &self.notes {
            out.push_str(&format!("  {note}\n"));
        }
        out
    }
}

/// To four digits that say something.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 6);
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}
