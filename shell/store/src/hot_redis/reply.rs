//! What a server says (RESP2): read with bounds, since even a server that we trust may be replaced.

use std::io::{Error, ErrorKind, Result};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Lists stand in lists at most so deep; our own answers need two.
const MAX_DEPTH: usize = 4;
/// The longest line: an error with what the server says about it, or a number.
const MAX_LINE: u64 = 64 * 1024;
/// The most bytes of one answer. The longest is the list of a million sessions' ids, 96 bytes each.
const MAX_ANSWER: usize = 256 * 1024 * 1024;

/// One answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Text(Vec<u8>),
    Number(i64),
    Nothing,
    List(Vec<Reply>),
    /// A refusal: its first word is a code.
    Error(String),
}

impl Reply {
    /// Reads one answer to its end, and no byte more.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidData`] for what is no answer, or one beyond all bounds;
    /// [`ErrorKind::UnexpectedEof`].
    pub(super) async fn read(source: &mut (impl AsyncBufRead + Unpin)) -> Result<Self> {
        let mut room = MAX_ANSWER;
        // the lists that are not complete yet, the innermost last, each with how many items it lacks
        let mut open: Vec<(i64, Vec<Self>)> = Vec::new();
        loop {
            let line = line(source).await?;
            room = room.checked_sub(line.len() + size_of::<Self>()).ok_or_else(too_much)?;
            let (&kind, rest) = line.split_first().ok_or_else(|| invalid("an empty line"))?;
            let mut reply = match kind {
                b'+' => Self::Text(rest.to_vec()),
                b'-' => Self::Error(String::from_utf8_lossy(rest).into_owned()),
                b':' => Self::Number(number(rest)?),
                b'$' => match number(rest)? {
                    -1 => Self::Nothing,
                    length => {
                        let length = usize::try_from(length).map_err(|_| invalid("a negative length"))?;
                        room = room.checked_sub(length).ok_or_else(too_much)?;
                        Self::Text(bytes(source, length).await?)
                    }
                },
                b'*' => match number(rest)? {
                    -1 => Self::Nothing,
                    0 => Self::List(Vec::new()),
                    items if items > 0 && open.len() < MAX_DEPTH => {
                        open.push((items, Vec::new()));
                        continue;
                    }
                    _ => return Err(invalid("a list of no length, or too deep")),
                },
                _ => return Err(invalid("an unknown kind of answer")),
            };
            loop {
                let Some((mut lacks, mut items)) = open.pop() else { return Ok(reply) };
                items.push(reply);
                lacks -= 1;
                if lacks > 0 {
                    open.push((lacks, items));
                    break;
                }
                reply = Self::List(items);
            }
        }
    }
}

/// A line without its end.
async fn line(source: &mut (impl AsyncBufRead + Unpin)) -> Result<Vec<u8>> {
    let mut line = Vec::new();
    source.take(MAX_LINE).read_until(b'\n', &mut line).await?;
    match line.strip_suffix(b"\r\n") {
        Some(text) => Ok(text.to_vec()),
        None if line.len() as u64 == MAX_LINE => Err(too_much()),
        None if line.ends_with(b"\n") => Err(invalid("a line with half an end")),
        None => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// Memory grows with what comes, not with what is announced.
async fn bytes(source: &mut (impl AsyncBufRead + Unpin), length: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(length as u64 + 2).read_to_end(&mut bytes).await?;
    if bytes.len() < length + 2 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    if !bytes.ends_with(b"\r\n") {
        return Err(invalid("a text of another length"));
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn number(digits: &[u8]) -> Result<i64> {
    let text = std::str::from_utf8(digits).map_err(|_| invalid("a number of other bytes"))?;
    text.parse().map_err(|_| invalid("a number that is none"))
}

fn too_much() -> Error {
    invalid("an answer beyond all bounds")
}

fn invalid(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

/// Appends a command as servers read it: a list of texts.
pub(super) fn command<A: AsRef<[u8]>>(out: &mut Vec<u8>, words: &[A]) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        let word = word.as_ref();
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(mut bytes: &[u8]) -> (std::result::Result<Reply, ErrorKind>, usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let reply = runtime.block_on(Reply::read(&mut bytes)).map_err(|e| e.kind());
        (reply, bytes.len())
    }

    #[test]
    fn every_kind_of_answer_is_read_and_what_follows_is_left() {
        let text = |t: &str| Reply::Text(t.as_bytes().to_vec());
        for (bytes, reply) in [
            ("+OK\r\nrest", text("OK")),
            ("-ERR no\r\nrest", Reply::Error("ERR no".into())),
            (":-7\r\nrest", Reply::Number(-7)),
            ("$-1\r\nrest", Reply::Nothing),
            ("$4\r\na\r\nb\r\nrest", text("a\r\nb")),
            ("*0\r\nrest", Reply::List(vec![])),
            (
                "*3\r\n*1\r\n:1\r\n$0\r\n\r\n$-1\r\nrest",
                Reply::List(vec![Reply::List(vec![Reply::Number(1)]), text(""), Reply::Nothing]),
            ),
        ] {
            assert_eq!(read(bytes.as_bytes()), (Ok(reply), 4), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused_without_taking_memory_for_it() {
        let deep = "*1\r\n".repeat(5);
        for bytes in ["\r\n", "!\r\n", ":x\r\n", "$-2\r\n", "$99999999999\r\n", "$1\r\nab\r\n", &deep, ":1\n"]
        {
            assert_eq!(read(bytes.as_bytes()).0, Err(ErrorKind::InvalidData), "{bytes:?}");
        }
        for bytes in ["", "+O", "$5\r\nab", "*9223372036854775807\r\n:1\r\n"] {
            assert_eq!(read(bytes.as_bytes()).0, Err(ErrorKind::UnexpectedEof), "{bytes:?}");
        }
        assert_eq!(read(&vec![b'+'; MAX_LINE as usize + 1]).0, Err(ErrorKind::InvalidData));
    }

    #[test]
    fn a_command_is_a_list_of_texts() {
        let mut out = Vec::new();
        command(&mut out, &["GET", "a\r\n"]);
        assert_eq!(out, b"*2\r\n$3\r\nGET\r\n$3\r\na\r\n\r\n");
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes in prop::collection::vec(prop_oneof![
            prop::sample::select(b"*$+-:\r\n0123".to_vec()), any::<u8>()], 0..200)) {
            let _ = read(&bytes);
        }
    }
}
