//! PINs and passwords: from the terminal without echo, or from a file that only its owner reads; never from the
//! command line, where every user of the machine could read them.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use symbolon_agent::DevicePin;
use symbolon_token::container::Pin;
use zeroize::Zeroizing;

use crate::exit::{AtPath as _, Complaint, Outcome};
use crate::terminal;

/// More than any PIN or password has; a larger file is another file by mistake.
const MAX_FILE: u64 = 4096;

/// Where the PIN comes from when no terminal is there to ask on.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PinArgs {
    /// Read the PIN from a file that only its owner may read, instead of asking for it
    #[arg(long, env = "SYMBOLON_PIN_FILE", value_name = "FILE", hide_env_values = true)]
    pub(crate) pin_file: Option<PathBuf>,
}

impl PinArgs {
    /// The PIN of a token that has one.
    pub(crate) fn ask(&self) -> Outcome<Pin> {
        pin(self.secret()?)
    }

    /// The PIN of the device that holds a token's keys; how long it must be is the device's rule.
    pub(crate) fn ask_for_device(&self) -> Outcome<DevicePin> {
        Ok(DevicePin::new(std::mem::take(&mut *self.secret_of_device()?)))
    }

    /// The same as text, to be handed to another process.
    pub(crate) fn secret_of_device(&self) -> Outcome<Zeroizing<String>> {
        match &self.pin_file {
            Some(path) => read_file(path),
            None => prompt("PIN of the device: "),
        }
    }

    /// The same as text, to be handed to another process.
    pub(crate) fn secret(&self) -> Outcome<Zeroizing<String>> {
        match &self.pin_file {
            Some(path) => read_file(path),
            None => prompt("PIN: "),
        }
    }
}

/// A PIN out of what somebody typed.
pub(crate) fn pin(mut text: Zeroizing<String>) -> Outcome<Pin> {
    Pin::new(std::mem::take(&mut *text)).map_err(|e| Complaint::usage(e.to_string()).code("pin"))
}

/// Asks for a secret on the terminal.
pub(crate) fn prompt(question: &str) -> Outcome<Zeroizing<String>> {
    terminal::ask_hidden(question)
}

/// Asks for a new secret until both spellings agree.
pub(crate) fn prompt_twice(what: &str) -> Outcome<Zeroizing<String>> {
    loop {
        let first = prompt(&format!("{what}: "))?;
        if *prompt(&format!("{what} again: "))? == *first {
            return Ok(first);
        }
        terminal::say("These were not the same; once more.")?;
    }
}

/// The first line of a file that only its owner may read.
pub(crate) fn read_file(path: &Path) -> Outcome<Zeroizing<String>> {
    let file = File::open(path).at(path)?;
    let metadata = file.metadata().at(path)?;
    let me = rustix::process::geteuid().as_raw();
    if !metadata.is_file() {
        return Err(Complaint::usage(format!("{} is not a file", path.display())).code("pin-file"));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(Complaint::denied(format!(
            "{} can be read by others (mode {:o})",
            path.display(),
            metadata.mode() & 0o777
        ))
        .code("pin-file")
        .fix(format!("chmod 600 {}", crate::paste::quote(&path.display().to_string()))));
    }
    if metadata.uid() != me && metadata.uid() != 0 {
        return Err(
            Complaint::denied(format!("{} belongs to somebody else", path.display())).code("pin-file")
        );
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize + 1));
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).at(path)?;
    first_line(&bytes).ok_or_else(|| {
        Complaint::usage(format!("{} does not hold one line of text", path.display())).code("pin-file")
    })
}

/// One line of UTF-8, with or without its end.
pub(crate) fn first_line(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).ok()?;
    let one_line = !text.is_empty() && !text.contains(char::is_control) && bytes.len() as u64 <= MAX_FILE;
    one_line.then(|| Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn file(name: &str, mode: u32) -> PathBuf {
        let path = std::env::temp_dir().join(format!("symbolon-pin-{}-{name}", std::process::id()));
        std::fs::write(&path, "123456\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_pin_file_that_others_can_read_is_refused_with_the_command_that_mends_it() {
        let path = file("open", 0o644);
        let complaint = read_file(&path).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert!(complaint.fix.is_some_and(|fix| fix.starts_with("chmod 600 ")));
    }

    #[test]
    fn a_pin_file_of_its_owner_alone_is_read_without_the_end_of_line() {
        let path = file("private", 0o600);
        let pin = read_file(&path);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(*pin.unwrap(), "123456");
    }

    #[test]
    fn a_file_of_several_lines_is_no_pin() {
        assert!(first_line(b"123456\n789\n").is_none());
        assert!(first_line(b"").is_none() && first_line(b"\n").is_none() && first_line(&[0xff; 8]).is_none());
        assert_eq!(*first_line(b"12 34\r\n").unwrap(), "12 34");
    }
}
