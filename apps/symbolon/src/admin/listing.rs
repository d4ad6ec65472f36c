//! What the node listed, for people as a table; and the word that something was done.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::output::{Page, Report, Table, seconds};

/// A list under its name: `{"users":[…]}`.
pub(crate) struct Listing<const N: usize> {
    name: &'static str,
    rows: Vec<Value>,
    columns: [(&'static str, &'static str); N],
    none: String,
}

impl<const N: usize> Listing<N> {
    /// A list out of the node's answer, which is either the array itself or an object that has it by `name`.
    /// `columns` are headings and fields; `none` is said when there is nothing.
    pub(crate) fn new(
        name: &'static str,
        answer: Value,
        columns: [(&'static str, &'static str); N],
        none: impl Into<String>,
    ) -> Self {
        Self { name, rows: rows(name, answer), columns, none: none.into() }
    }
}

/// The rows of an answer.
pub(crate) fn rows(name: &str, answer: Value) -> Vec<Value> {
    match answer {
        Value::Array(rows) => rows,
        Value::Object(mut object) => match object.remove(name) {
            Some(Value::Array(rows)) => rows,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

impl<const N: usize> Serialize for Listing<N> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = Map::new();
        object.insert(self.name.to_owned(), Value::Array(self.rows.clone()));
        object.serialize(serializer)
    }
}

impl<const N: usize> Report for Listing<N> {
    fn write(&self, page: &mut Page) {
        let mut table = Table::new(self.columns.map(|(head, _)| head));
        for row in &self.rows {
            table.row(self.columns.map(|(_, field)| cell(&row[field])));
        }
        page.table(&table, &self.none);
    }
}

/// A value as a person reads it in a table.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => seconds(text).into_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| format!("{name}: {}", cell(value)))
            .collect::<Vec<_>>()
            .join("; "),
    }
}

/// Something was done: the node's own words for programs, a sentence for people.
pub(crate) struct Done {
    answer: Value,
    sentence: String,
    next: Option<String>,
}

impl Done {
    /// What the node answered, and what it means.
    pub(crate) fn new(answer: Value, sentence: impl Into<String>) -> Self {
        Self { answer, sentence: sentence.into(), next: None }
    }

    /// The same with a command that is likely to be the next.
    pub(crate) fn next(mut self, command: String) -> Self {
        self.next = Some(command);
        self
    }
}

impl Serialize for Done {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.answer.serialize(serializer)
    }
}

impl Report for Done {
    fn write(&self, page: &mut Page) {
        page.line(&self.sentence);
        if let Some(command) = &self.next {
            page.command(command);
        }
    }
}

/// One thing with all its fields.
pub(crate) struct Details(pub(crate) Value);

impl Serialize for Details {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Report for Details {
    fn write(&self, page: &mut Page) {
        let fields = self.0.as_object().into_iter().flatten().filter(|(name, _)| *name != "schema");
        page.pairs(fields.map(|(name, value)| (name.as_str(), cell(value))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const COLUMNS: [(&str, &str); 2] = [("NAME", "name"), ("GROUPS", "groups")];

    fn text(report: &impl Report) -> String {
        let mut page = Page::new(false);
        report.write(&mut page);
        page.text().to_owned()
    }

    #[test]
    fn a_list_is_a_table_for_people_and_an_array_for_programs() {
        let answer = json!({ "users": [{ "name": "alice", "groups": ["staff", "ops"] }] });
        let listing = Listing::new("users", answer.clone(), COLUMNS, "none");
        assert_eq!(text(&listing), "NAME   GROUPS\nalice  staff, ops\n");
        assert_eq!(serde_json::to_value(&listing).unwrap(), answer);
    }

    #[test]
    fn a_list_without_rows_says_what_to_do() {
        let listing = Listing::new("users", json!([]), COLUMNS, "Nobody yet.");
        assert_eq!(text(&listing), "Nobody yet.\n");
    }
}
