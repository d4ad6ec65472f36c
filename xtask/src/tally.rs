//! Counting tests from what test programs print.

use std::ops::AddAssign;

/// How many checks held and how many did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// One check that held.
    pub(crate) const HELD: Self = Self { passed: 1, failed: 0 };

    /// Reads the summary line of nextest or of a libtest program; other lines give `None`.
    pub(crate) fn of_line(line: &str) -> Option<Self> {
        let line = without_colours(line);
        if let Some((_, counts)) = line.trim().strip_prefix("Summary [").and_then(|l| l.split_once(" run: "))
        {
            return Some(Self::of_counts(&without_parentheses(counts), ','));
        }
        // An indented one is part of what nextest repeats of a test that failed, which it has counted.
        let (_, counts) = line.strip_prefix("test result: ")?.trim_end().split_once(". ")?;
        Some(Self::of_counts(counts, ';'))
    }

    fn of_counts(counts: &str, separator: char) -> Self {
        let mut tally = Self::default();
        for part in counts.split(separator) {
            let Some((n, what)) = part.trim().split_once(' ') else { continue };
            let Ok(n) = n.parse::<u64>() else { continue };
            match what.trim() {
                "passed" => tally.passed += n,
                "failed" | "timed out" | "exec failed" => tally.failed += n,
                _ => {}
            }
        }
        tally
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// `line` without terminal escapes of the form `ESC [ … letter`.
fn without_colours(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            chars.by_ref().skip(1).find(char::is_ascii_alphabetic);
        } else {
            out.push(c);
        }
    }
    out
}

fn without_parentheses(text: &str) -> String {
    let mut depth = 0_u32;
    text.chars()
        .filter(|c| {
            match c {
                '(' => depth += 1,
                ')' => {
                    depth = depth.saturating_sub(1);
                    return false;
                }
                _ => {}
            }
            depth == 0
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nextest_repeats_of_a_failed_test_is_not_counted_again() {
        assert_eq!(Tally::of_line("    test result: FAILED. 0 passed; 1 failed; 0 ignored"), None);
        let counted = Tally { passed: 0, failed: 1 };
        assert_eq!(Tally::of_line("test result: FAILED. 0 passed; 1 failed; 0 ignored"), Some(counted));
    }

    #[test]
    fn a_summary_of_nextest_is_read() {
        let line = "     Summary [   4.120s] 12 tests run: 9 passed (1 slow, 2 leaky), 2 failed, 1 timed out, 3 skipped";
        assert_eq!(Tally::of_line(line), Some(Tally { passed: 9, failed: 3 }));
        let one = "     Summary [   0.001s] 1 test run: 1 passed, 0 skipped";
        assert_eq!(Tally::of_line(one), Some(Tally::HELD));
    }

    #[test]
    fn a_coloured_summary_is_read_too() {
        let line = "\u{1b}[32;1m     Summary\u{1b}[0m [   0.1s] \u{1b}[1m2\u{1b}[0m tests run: \u{1b}[1m2\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, 0 skipped";
        assert_eq!(Tally::of_line(line), Some(Tally { passed: 2, failed: 0 }));
    }

    #[test]
    fn a_result_of_libtest_is_read() {
        let line = "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(Tally::of_line(line), Some(Tally { passed: 3, failed: 2 }));
    }

    #[test]
    fn other_lines_count_nothing() {
        for line in ["", "test a ... ok", "Summary", "3 passed, 2 failed"] {
            assert_eq!(Tally::of_line(line), None, "{line}");
        }
    }
}
