//! Answers to a registration template out of a file: a TOML or JSON map of field ids.

use std::collections::BTreeMap;
use std::path::Path;

use crate::exit::{AtPath as _, Complaint, Outcome};

/// Reads a file of answers.
pub(crate) fn read(path: &Path) -> Outcome<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path).at(path)?;
    parse(&text).map_err(|problem| {
        Complaint::usage(format!("{}: {problem}", path.display()))
            .code("answers")
            .fix("write one answer a line, such as: user-name = \"alice\"")
    })
}

/// JSON when it starts as an object of it does, otherwise TOML.
fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let values: serde_json::Map<String, serde_json::Value> = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|e| e.to_string())?
    } else {
        let table: toml::Table =
            text.parse().map_err(|e: toml::de::Error| e.to_string().trim_end().to_owned())?;
        table.into_iter().map(|(name, value)| Ok((name, from_toml(value)?))).collect::<Result<_, String>>()?
    };
    values
        .into_iter()
        .filter_map(|(name, value)| answer(&name, value).map(|a| a.map(|a| (name, a))).transpose())
        .collect()
}

/// A date is a value of its own in TOML, and text everywhere else.
fn from_toml(value: toml::Value) -> Result<serde_json::Value, String> {
    match value {
        toml::Value::Datetime(date) => Ok(date.to_string().into()),
        value => serde_json::to_value(value).map_err(|e| e.to_string()),
    }
}

/// The text of one answer; nothing for `null`, which leaves the field out.
fn answer(name: &str, value: serde_json::Value) -> Result<Option<String>, String> {
    use serde_json::Value;
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Bool(yes) => Ok(Some(yes.to_string())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Array(values) => {
            let texts: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
            texts.map(|t| Some(t.join(", "))).ok_or_else(|| format!("{name} must be a list of texts"))
        }
        Value::Object(_) => Err(format!("{name} must be one answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn answers_are_written_in_toml_or_json() {
        let toml = "user-name = \"alice\"\nbirth-date = 1985-04-23\nlimit = 500\nterms = true\nservices = [\"a\", \"b\"]";
        let expected = map(&[
            ("user-name", "alice"),
            ("birth-date", "1985-04-23"),
            ("limit", "500"),
            ("terms", "true"),
            ("services", "a, b"),
        ]);
        assert_eq!(parse(toml).unwrap(), expected);
        let json = r#" {"user-name": "alice", "phone": null}"#;
        assert_eq!(parse(json).unwrap(), map(&[("user-name", "alice")]));
    }

    #[test]
    fn what_is_no_map_of_answers_is_refused_with_the_place() {
        for wrong in ["user-name", "{\"a\": {}}", "{", "[a]\nb = 1", "a = [1]"] {
            assert!(!parse(wrong).unwrap_err().is_empty(), "{wrong}");
        }
    }
}
