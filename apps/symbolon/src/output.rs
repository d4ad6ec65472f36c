//! The one place that writes to standard output and standard error.
//!
//! A command makes a [`Report`]: a value that serialises for programs and can be written for people. [`Output`]
//! chooses. In JSON a report becomes `{"schema":1,"ok":true, …its fields}` on one line of standard output, a
//! complaint `{"schema":1,"ok":false,"error":{"code","message"[,"fix"]}}`; for people a complaint goes to
//! standard error. A command that tells more than one thing prints an object a line, each with the field `event`.

mod page;

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::exit::Complaint;

pub(crate) use page::{Page, Table, printable, seconds};

/// Version of all JSON that this program prints. Fields are added within a version, never changed or taken away.
pub(crate) const SCHEMA: u64 = 1;

/// What a command has to say.
pub(crate) trait Report: Serialize {
    /// Writes it for people.
    fn write(&self, page: &mut Page);
}

/// For whom the output is, and how much of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
}

impl Output {
    /// Says what came of a command.
    pub(crate) fn report(self, report: &impl Report) {
        if self.json {
            self.json_line(succeeded(report));
        } else {
            let mut page = Page::new(colour(&io::stdout()));
            report.write(&mut page);
            to_stdout(page.text().as_bytes());
        }
    }

    /// Says one of several things, for programs under the name of an event.
    pub(crate) fn event(self, event: &str, report: &impl Report) {
        if !self.json {
            return self.report(report);
        }
        self.json_line(named(event, succeeded(report)));
    }

    /// Says in the middle that something does not work: to people on standard error, even if they want quiet.
    pub(crate) fn event_failed(self, event: &str, complaint: &Complaint) {
        if !self.json {
            return self.complain(complaint);
        }
        self.json_line(named(event, failed(complaint)));
    }

    /// Says what was found, and that it is a failure: for people the report, for programs both in one object.
    pub(crate) fn report_failed(self, report: &impl Report, complaint: &Complaint) {
        if !self.json {
            return self.report(report);
        }
        let mut value = succeeded(report);
        value["ok"] = false.into();
        value["error"] = serde_json::json!(complaint);
        self.json_line(value);
    }

    /// Says something on the way, which is no result: to people on standard error, unless they want quiet.
    pub(crate) fn note(self, text: &str) {
        if !self.json && !self.quiet {
            to_stderr(text);
        }
    }

    /// Complains.
    pub(crate) fn complain(self, complaint: &Complaint) {
        if self.json {
            return self.json_line(failed(complaint));
        }
        let mut page = Page::new(colour(&io::stderr()));
        page.problem(&complaint.message);
        if let Some(fix) = &complaint.fix {
            page.hint(fix);
        }
        to_stderr(page.text().trim_end());
    }

    /// Complains on standard error, because standard output is an application's; what is left is the exit code.
    pub(crate) fn complain_aside(self, complaint: Complaint) -> Complaint {
        if !self.json {
            return complaint;
        }
        to_stderr(&failed(&complaint).to_string());
        complaint.said()
    }

    /// Writes bytes as they are: audit rows, which are lines of JSON already.
    pub(crate) fn raw(self, bytes: &[u8]) {
        to_stdout(bytes);
    }

    fn json_line(self, value: Value) {
        to_stdout(format!("{value}\n").as_bytes());
    }
}

/// Whether standard output is a terminal, on which a secret may be shown.
pub(crate) fn on_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard error is a terminal, on which progress may move.
pub(crate) fn progress_on_terminal() -> bool {
    io::stderr().is_terminal()
}

fn succeeded(report: &impl Serialize) -> Value {
    let mut object = Map::new();
    object.insert("schema".to_owned(), SCHEMA.into());
    object.insert("ok".to_owned(), true.into());
    match serde_json::to_value(report) {
        Ok(Value::Object(fields)) => {
            object.extend(fields.into_iter().filter(|(name, _)| name != "schema" && name != "ok"));
        }
        Ok(Value::Null) | Err(_) => {}
        Ok(value) => {
            object.insert("value".to_owned(), value);
        }
    }
    Value::Object(object)
}

fn failed(complaint: &Complaint) -> Value {
    serde_json::json!({ "schema": SCHEMA, "ok": false, "error": complaint })
}

fn named(event: &str, mut object: Value) -> Value {
    object["event"] = event.into();
    object
}

/// Colour belongs on a terminal alone, and not there when <https://no-color.org> says no.
fn colour(stream: &impl io::IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    stream.is_terminal() && !refused && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// A reader that went away (`| head`) is no failure of ours.
fn to_stdout(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
}

fn to_stderr(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Pair {
        name: &'static str,
        ok: bool,
    }

    #[test]
    fn a_result_carries_the_schema_and_cannot_deny_its_success() {
        let value = succeeded(&Pair { name: "db", ok: false });
        assert_eq!(value, serde_json::json!({ "schema": 1, "ok": true, "name": "db" }));
    }

    #[test]
    fn a_bare_value_still_becomes_an_object() {
        assert_eq!(succeeded(&[1, 2]), serde_json::json!({ "schema": 1, "ok": true, "value": [1, 2] }));
        assert_eq!(succeeded(&()), serde_json::json!({ "schema": 1, "ok": true }));
    }

    #[test]
    fn a_complaint_has_the_documented_fields() {
        let complaint = Complaint::denied("no").code("locked").fix("ask");
        let value = serde_json::to_value(&complaint).unwrap();
        assert_eq!(value, serde_json::json!({ "code": "locked", "message": "no", "fix": "ask" }));
    }
}
