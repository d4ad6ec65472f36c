//! The matrix of docs/seeds.md: which elements of the five patents work, and what shows it.
//!
//! A row is `| id | element | where | tests | acceptance | state |`. Tests are written
//! `` `path::function` ``, and a function that is named must exist and be a test.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::workspace::root;

/// The rooms and how many elements each has.
const ROOMS: [(char, u32); 5] = [('A', 9), ('B', 11), ('C', 6), ('D', 12), ('E', 12)];

const MATRIX: &str = "docs/seeds.md";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Works,
    Partly,
    NotYet,
}

#[derive(Clone, Debug)]
struct Row {
    id: String,
    element: String,
    tests: Vec<TestName>,
    acceptance: Vec<TestName>,
    state: State,
}

/// A test function in a file of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TestName {
    path: String,
    function: String,
}

/// Prints the matrix; the last line is `N of 50 rows work`.
pub(crate) fn print_and_check() -> Result<ExitCode> {
    let rows = read()?;
    for row in &rows {
        println!("{:<4} {:<8} {}", row.id, row.state.word(), shortened(&row.element));
    }
    let faults = faults(&rows, root());
    for fault in &faults {
        println!("{fault}");
    }
    println!("{}", summary(&rows));
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks the matrix without printing it.
pub(crate) fn check() -> Result<()> {
    let rows = read()?;
    let faults = faults(&rows, root());
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    println!("{}", summary(&rows));
    Ok(())
}

fn read() -> Result<Vec<Row>> {
    let text = std::fs::read_to_string(root().join(MATRIX)).context(MATRIX)?;
    text.lines()
        .filter(|l| is_row(l))
        .map(|l| parse_row(l).with_context(|| format!("{MATRIX}: {l}")))
        .collect()
}

fn summary(rows: &[Row]) -> String {
    let works = rows.iter().filter(|r| r.state == State::Works).count();
    let all: u32 = ROOMS.iter().map(|(_, n)| n).sum();
    format!("{works} of {all} rows work")
}

fn faults(rows: &[Row], root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    let expected = || ROOMS.iter().flat_map(|(room, n)| (1..=*n).map(move |i| format!("{room}{i}")));
    let mut seen = BTreeSet::new();
    for row in rows {
        if !seen.insert(row.id.clone()) {
            faults.push(format!("{}: stands there twice", row.id));
        }
        if !expected().any(|id| id == row.id) {
            faults.push(format!("{}: no patent has this element", row.id));
        }
        if row.state == State::Works && row.tests.is_empty() {
            faults.push(format!("{}: says `works` and names no test", row.id));
        }
        if row.state == State::Works && row.acceptance.is_empty() {
            faults.push(format!("{}: says `works` and names no acceptance demonstration", row.id));
        }
        for name in row.tests.iter().chain(&row.acceptance) {
            if let Err(e) = name.look(root) {
                faults.push(format!("{}: {e:#}", row.id));
            }
        }
        for name in row.acceptance.iter().filter(|n| !n.path.starts_with("testing/acceptance/")) {
            faults.push(format!("{}: {} is no acceptance file", row.id, name.path));
        }
    }
    faults.extend(expected().filter(|id| !seen.contains(id)).map(|id| format!("{id}: is missing")));
    faults
}

fn is_row(line: &str) -> bool {
    let Some(id) = line.strip_prefix("| ").and_then(|l| l.split(' ').next()) else { return false };
    let mut chars = id.chars();
    chars.next().is_some_and(|c| c.is_ascii_uppercase())
        && chars.next().is_some()
        && chars.all(|c| c.is_ascii_digit())
}

fn parse_row(line: &str) -> Result<Row> {
    let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
    let [id, element, _where, tests, acceptance, state] = cells[..] else {
        bail!("a row has six cells, this one {}", cells.len());
    };
    Ok(Row {
        id: id.to_owned(),
        element: element.to_owned(),
        tests: parse_names(tests)?,
        acceptance: parse_names(acceptance)?,
        state: State::parse(state)?,
    })
}

/// Names stand in back quotes; words between them are for the reader.
fn parse_names(cell: &str) -> Result<Vec<TestName>> {
    cell.split('`').skip(1).step_by(2).map(TestName::parse).collect()
}

impl State {
    fn parse(word: &str) -> Result<Self> {
        [Self::Works, Self::Partly, Self::NotYet]
            .into_iter()
            .find(|s| s.word() == word)
            .with_context(|| format!("`{word}` is no state: works, partly or not yet"))
    }

    fn word(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Partly => "partly",
            Self::NotYet => "not yet",
        }
    }
}

impl TestName {
    fn parse(text: &str) -> Result<Self> {
        let (path, function) =
            text.rsplit_once("::").with_context(|| format!("`{text}` is not written path::function"))?;
        Ok(Self { path: path.to_owned(), function: function.to_owned() })
    }

    /// Demands that the function is there and is a test.
    fn look(&self, root: &Path) -> Result<()> {
        let text = std::fs::read_to_string(root.join(&self.path)).with_context(|| self.path.clone())?;
        let head = format!("fn {}(", self.function);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let at = lines
            .iter()
            .position(|l| l.contains(&head))
            .with_context(|| format!("{} has no function {}", self.path, self.function))?;
        let is_test = lines[..at]
            .iter()
            .rev()
            .take_while(|l| l.starts_with("#[") || l.starts_with("//"))
            .any(|l| l.starts_with("#[") && l.contains("test"));
        if !is_test {
            bail!("{}: {} is not a test", self.path, self.function);
        }
        Ok(())
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(90) {
        Some((cut, _)) => format!("{} …", text[..cut].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "xtask/src/seeds.rs::a_row_is_read";

    fn row(id: &str, tests: &str, acceptance: &str, state: &str) -> Row {
        parse_row(&format!("| {id} | an element | core/x | {tests} | {acceptance} | {state} |")).unwrap()
    }

    fn faults_of(row: Row) -> Vec<String> {
        faults(&[row], root()).into_iter().filter(|f| !f.ends_with("is missing")).collect()
    }

    #[test]
    fn a_row_is_read() {
        let row = row("A1", &format!("`{HERE}`, and `a/b.rs::c`"), "", "partly");
        assert_eq!(row.state, State::Partly);
        assert_eq!(row.tests[1], TestName { path: "a/b.rs".into(), function: "c".into() });
        assert!(row.acceptance.is_empty());
    }

    #[test]
    fn lines_that_are_no_rows_are_passed_over() {
        for line in ["| id | element |", "|---|---|", "", "A1 is a row", "| A | x |"] {
            assert!(!is_row(line), "{line}");
        }
        assert!(is_row("| E12 | x |"));
    }

    #[test]
    fn a_row_that_works_must_show_it() {
        let faults = faults_of(row("A1", "", "", "works"));
        assert_eq!(faults.len(), 2, "{faults:?}");
    }

    #[test]
    fn a_named_function_must_exist_and_be_a_test() {
        assert_eq!(faults_of(row("A1", &format!("`{HERE}`"), "", "partly")), Vec::<String>::new());
        assert_eq!(faults_of(row("A1", "`xtask/src/seeds.rs::is_row`", "", "partly")).len(), 1);
        assert_eq!(faults_of(row("A1", "`xtask/src/seeds.rs::nobody_wrote_this`", "", "partly")).len(), 1);
        assert_eq!(faults_of(row("A1", "`xtask/src/no.rs::f`", "", "partly")).len(), 1);
    }

    #[test]
    fn an_acceptance_demonstration_lies_in_an_acceptance_file() {
        assert_eq!(faults_of(row("A1", "", &format!("`{HERE}`"), "partly")).len(), 1);
    }

    #[test]
    fn unknown_states_are_refused() {
        assert!(parse_row("| A1 | e | w | t | a | done |").is_err());
        assert!(parse_row("| A1 | e | w | t | works |").is_err());
    }

    #[test]
    fn missing_and_doubled_rows_are_noticed() {
        let twice =
            [row("A1", "", "", "not yet"), row("A1", "", "", "not yet"), row("A10", "", "", "not yet")];
        let faults = faults(&twice, root());
        assert!(faults.contains(&"A1: stands there twice".to_owned()));
        assert!(faults.contains(&"A10: no patent has this element".to_owned()));
        assert!(faults.contains(&"E12: is missing".to_owned()));
        assert_eq!(faults.len(), 49 + 2);
    }
}
