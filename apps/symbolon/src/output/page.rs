//! Text for people: lines, aligned tables, and the few colours there are.

use std::borrow::Cow;
use std::fmt::Write as _;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "1;31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

/// A text that grows line by line.
#[derive(Debug, Default)]
pub(crate) struct Page {
    text: String,
    colour: bool,
}

impl Page {
    /// An empty page.
    pub(crate) fn new(colour: bool) -> Self {
        Self { text: String::new(), colour }
    }

    /// What was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// A line.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        self.text.push_str(text.as_ref());
        self.text.push('\n');
    }

    /// An empty line.
    pub(crate) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// A line that heads others.
    pub(crate) fn title(&mut self, text: &str) {
        let line = self.paint(BOLD, text);
        self.line(line);
    }

    /// What went wrong.
    pub(crate) fn problem(&mut self, text: &str) {
        let line = format!("{} {text}", self.paint(RED, "error:"));
        self.line(line);
    }

    /// What to do next.
    pub(crate) fn hint(&mut self, text: &str) {
        let line = format!("{} {text}", self.paint(BOLD, "fix:"));
        self.line(line);
    }

    /// One thing that was looked at.
    pub(crate) fn finding(&mut self, good: bool, text: &str) {
        let mark = if good { self.paint(GREEN, "ok  ") } else { self.paint(RED, "BAD ") };
        self.line(format!("{mark} {text}"));
    }

    /// One thing that works, but should be looked at.
    pub(crate) fn warning(&mut self, text: &str) {
        let mark = self.paint(YELLOW, "look");
        self.line(format!("{mark} {text}"));
    }

    /// A line of less weight.
    pub(crate) fn aside(&mut self, text: &str) {
        let line = self.paint(DIM, text);
        self.line(line);
    }

    /// A command to paste, on a line of its own.
    pub(crate) fn command(&mut self, command: &str) {
        self.line(format!("  {command}"));
    }

    /// Names and values, one pair a line, the values under each other.
    pub(crate) fn pairs<'a>(&mut self, pairs: impl IntoIterator<Item = (&'a str, String)>) {
        let pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let widest = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, value) in pairs {
            let name = self.paint(DIM, &format!("{name:<widest$}"));
            self.line(format!("{name}  {}", printable(&value)));
        }
    }

    /// Rows under their headings; `none` when there are no rows.
    pub(crate) fn table(&mut self, table: &Table, none: &str) {
        if table.rows.is_empty() {
            self.line(none);
            return;
        }
        let columns = table.heads.len();
        let width = |n: usize| {
            let cells = table.rows.iter().map(|row| row[n].chars().count());
            cells.max().unwrap_or(0).max(table.heads[n].chars().count())
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let join = |cells: &[String]| {
            let mut line = String::new();
            for (cell, width) in cells.iter().zip(&widths) {
                let _ = write!(line, "{cell:<width$}  ");
            }
            line.trim_end().to_owned()
        };
        let heads: Vec<String> = table.heads.iter().map(|h| (*h).to_owned()).collect();
        let heads = self.paint(BOLD, &join(&heads));
        self.line(heads);
        for row in &table.rows {
            self.line(join(row));
        }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Rows of cells under headings.
#[derive(Debug)]
pub(crate) struct Table {
    heads: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new<const N: usize>(heads: [&'static str; N]) -> Self {
        Self { heads: heads.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; a cell that is missing stays empty and one too many is left out.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut row: Vec<String> =
            cells.into_iter().take(self.heads.len()).map(|cell| printable(&cell)).collect();
        row.resize(self.heads.len(), String::new());
        self.rows.push(row);
    }
}

/// The text without anything that could drive a terminal: others chose many of the texts that we show.
pub(crate) fn printable(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

/// A time (RFC 3339, UTC) to the second, which is as exact as people read it; any other text as it is.
pub(crate) fn seconds(text: &str) -> Cow<'_, str> {
    match (text.get(..19), text.as_bytes().get(10), text.as_bytes().get(19), text.ends_with('Z')) {
        (Some(to_the_second), Some(b'T'), Some(b'.'), true) if text.len() <= 30 => {
            format!("{to_the_second}Z").into()
        }
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_headings() {
        let mut table = Table::new(["NAME", "WHAT"]);
        table.row(["db".to_owned(), "PostgreSQL".to_owned()]);
        table.row(["intranet".to_owned()]);
        let mut page = Page::new(false);
        page.table(&table, "nothing");
        assert_eq!(page.text(), "NAME      WHAT\ndb        PostgreSQL\nintranet\n");
    }

    #[test]
    fn times_are_shown_to_the_second_and_other_texts_as_they_are() {
        assert_eq!(seconds("2026-11-21T12:56:12.693540Z"), "2026-11-21T12:56:12Z");
        for same in
            ["2026-11-21T12:56:12Z", "", "a long sentence, with T and . in it, Z", "2026-11-21T12:56:é2.1Z"]
        {
            assert_eq!(seconds(same), same);
        }
    }

    #[test]
    fn an_empty_table_says_so() {
        let mut page = Page::new(false);
        page.table(&Table::new(["NAME"]), "No users yet.");
        assert_eq!(page.text(), "No users yet.\n");
    }

    #[test]
    fn nothing_that_others_chose_can_drive_the_terminal() {
        let mut table = Table::new(["NAME"]);
        table.row(["a\u{1b}[2J\u{202e}b\n".to_owned()]);
        let mut page = Page::new(false);
        page.table(&table, "");
        assert_eq!(page.text(), "NAME\na\u{fffd}[2J\u{fffd}b\u{fffd}\n");
    }

    #[test]
    fn colour_is_there_only_when_asked_for() {
        for colour in [false, true] {
            let mut page = Page::new(colour);
            page.problem("no");
            page.finding(true, "yes");
            assert_eq!(page.text().contains('\u{1b}'), colour);
        }
    }
}
