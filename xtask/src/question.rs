//! Asking before something outside the repository is changed.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Result, bail};

/// Who answers the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The person at the terminal.
    Ask,
    /// The caller already did, by `--yes` or by being CI.
    Yes,
}

/// Whether `what` may be done.
///
/// # Errors
/// When nobody can be asked: the standard input is no terminal.
pub(crate) fn may_we(what: &str, answer: Answer) -> Result<bool> {
    if answer == Answer::Yes {
        return Ok(true);
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        bail!("{what}: nobody is there to ask; say --yes to allow it");
    }
    print!("{what}? [y/N] ");
    std::io::stdout().flush()?;
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}
