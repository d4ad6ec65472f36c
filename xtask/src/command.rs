//! Running a command.

use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

/// Runs `command` with its output shown.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", shown(command));
    }
    Ok(())
}

/// Whether `command` can be started and succeeds, with its output hidden.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

/// Looks at a line and says what of it is printed.
pub(crate) type Look<'a> = dyn FnMut(&str) -> Option<String> + Send + 'a;

/// Runs `command`, gives each line of both its outputs to `look` and prints what that returns.
/// Returns whether the command succeeded.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn watch(
    command: &mut Command,
    look: &mut (dyn FnMut(&str) -> Option<String> + Send),
) -> Result<bool> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    let out = child.stdout.take().context("the child has no standard output")?;
    let err = child.stderr.take().context("the child has no standard error")?;
    let look = Mutex::new(look);
    std::thread::scope(|s| {
        s.spawn(|| pass_on(out, &look));
        s.spawn(|| pass_on(err, &look));
    });
    Ok(child.wait()?.success())
}

fn pass_on(from: impl Read, look: &Mutex<&mut Look<'_>>) {
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        let mut look = look.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shown) = look(line.trim_end_matches('\r')) {
            let _ = writeln!(std::io::stdout(), "{shown}");
        }
    }
}

/// The value of a `--color` flag for a command whose output we read and pass on.
pub(crate) fn colour() -> &'static str {
    if std::io::stdout().is_terminal() { "always" } else { "never" }
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or_default().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|a| a.to_string_lossy().into_owned()));
    let line = words.join(" ");
    match line.char_indices().nth(120) {
        Some((cut, _)) => format!("{} …", &line[..cut]),
        None => line,
    }
}
