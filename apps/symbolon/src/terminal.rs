//! Questions to the person at the terminal, wherever input and output were redirected.
//!
//! What nobody shall see is read letter by letter, so that ^C can put the terminal in order before it ends us; a signal
//! puts it in order too.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::exit::{Complaint, Outcome};
use crate::interrupt::{self, Interruptible};

/// The longest line that is read, as long as a terminal's own.
const MAX_LINE: usize = 4096;

const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const ERASE_LINE: u8 = 0x15;

/// The terminal of the person, wherever input and output were redirected.
fn terminal() -> Outcome<File> {
    if let Ok(terminal) = File::options().read(true).write(true).open("/dev/tty") {
        return Ok(terminal);
    }
    let stdin = io::stdin();
    let copied: io::Result<OwnedFd> = if stdin.is_terminal() {
        stdin.as_fd().try_clone_to_owned()
    } else {
        Err(io::ErrorKind::NotFound.into())
    };
    copied.map(File::from).map_err(|_| {
        Complaint::usage("there is no terminal to ask on")
            .code("no-terminal")
            .fix("give the answer in a file: --pin-file FILE for the PIN, --answers FILE for the template's questions")
    })
}

/// Whether there is anybody to ask.
pub(crate) fn is_there() -> bool {
    terminal().is_ok()
}

/// Says something to the person.
pub(crate) fn say(text: &str) -> Outcome {
    writeln!(terminal()?, "{text}").map_err(|e| broken(&e))
}

/// Asks a question and reads a line, which the terminal shows and lets be corrected.
pub(crate) fn ask(question: &str) -> Outcome<String> {
    let mut terminal = terminal()?;
    terminal.write_all(question.as_bytes()).map_err(|e| broken(&e))?;
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < MAX_LINE {
        match terminal.read(&mut byte).map_err(|e| broken(&e))? {
            0 if line.is_empty() => return Err(interrupted()),
            0 => break,
            _ if byte == *b"\n" => break,
            _ => line.extend(byte),
        }
    }
    Ok(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned())
}

/// Asks a question and reads what is typed until the end of the line, without showing it.
pub(crate) fn ask_hidden(question: &str) -> Outcome<Zeroizing<String>> {
    let terminal = terminal()?;
    let mut keys_and_screen = &terminal;
    let hidden = Hidden::on(&terminal).map_err(|e| broken(&e))?;
    let typed = keys_and_screen.write_all(question.as_bytes()).and_then(|()| read_line(&mut keys_and_screen));
    drop(hidden);
    let _ = keys_and_screen.write_all(b"\n");
    match typed.map_err(|e| broken(&e))? {
        Some(line) => {
            crate::pin::first_line(&line).ok_or_else(|| Complaint::usage("nothing was typed").code("pin"))
        }
        None => Err(interrupted()),
    }
}

fn interrupted() -> Complaint {
    Complaint::failure("interrupted").code("interrupted")
}

fn broken(error: &io::Error) -> Complaint {
    Complaint::failure(format!("the terminal: {}", crate::exit::plain(error)))
}

/// The bytes of a line; nothing when the person gave up.
#[expect(
    clippy::unbuffered_bytes,
    reason = "a buffer would keep a copy of the secret, and take what is typed after it"
)]
fn read_line(terminal: &mut impl io::Read) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    // room from the start: a vector that grows leaves copies behind
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE));
    for byte in terminal.bytes() {
        match byte? {
            b'\r' | b'\n' => return Ok(Some(line)),
            END if !line.is_empty() => return Ok(Some(line)),
            INTERRUPT | END => return Ok(None),
            ERASE_LINE => line.clear(),
            // backspace takes a whole character away
            0x08 | 0x7f => while line.pop().is_some_and(|b| b & 0xc0 == 0x80) {},
            byte if line.len() < line.capacity() => line.push(byte),
            _ => {}
        }
    }
    Ok(Some(line).filter(|l| !l.is_empty()))
}

/// A terminal that shows nothing and leaves every key to us; on drop it is as it was.
struct Hidden<'a> {
    terminal: &'a File,
    before: Termios,
    _undo: Interruptible,
}

impl<'a> Hidden<'a> {
    fn on(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let (same, modes) = (terminal.try_clone()?, before.clone());
        let undo = interrupt::undo(move || {
            let _ = tcsetattr(&same, OptionalActions::Now, &modes);
            let _ = (&same).write_all(b"\n");
        });
        let mut modes = before.clone();
        modes.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(terminal, OptionalActions::Drain, &modes)?;
        Ok(Self { terminal, before, _undo: undo })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Drain, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[u8]) -> Option<Vec<u8>> {
        read_line(&mut &keys[..]).unwrap().map(|line| line.to_vec())
    }

    #[test]
    fn a_person_can_correct_what_nobody_sees() {
        assert_eq!(typed("12x\u{7f}3ü\u{7f}4\r".as_bytes()).as_deref(), Some(&b"1234"[..]));
        assert_eq!(typed(b"wrong\x15right\n").as_deref(), Some(&b"right"[..]));
        assert_eq!(typed(b"\x7f\x7f1\n").as_deref(), Some(&b"1"[..]));
    }

    #[test]
    fn a_person_can_give_up() {
        assert_eq!(typed(b"12\x03"), None);
        assert_eq!(typed(b"\x04"), None);
        assert_eq!(typed(b""), None);
    }
}
