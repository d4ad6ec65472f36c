//! As much of the WebSocket protocol (RFC 6455) as an application needs that says texts again.

use std::io::{Read, Write};
use std::process::Command;

use anyhow::{Result, bail, ensure};
use symbolon_acceptance::{LIMIT, finish, program};

/// What is appended to a client's key (§1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A whole message, and the length of another form (§5.2).
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
const TWO_BYTES: u8 = 126;

/// Opcodes (§11.8).
const TEXT: u8 = 1;
const CLOSE: u8 = 8;

/// What a client says.
pub(crate) enum Frame {
    Text(Vec<u8>),
    Close(Vec<u8>),
}

/// The answer to a client's `Sec-WebSocket-Key`, made by OpenSSL.
pub(crate) fn accept(key: &str) -> Result<String> {
    let openssl = |words: &[&str], input: &[u8]| {
        finish(Command::new(program("openssl")?).args(words), input, LIMIT)?.success()
    };
    let hash = openssl(&["dgst", "-sha1", "-binary"], format!("{key}{GUID}").as_bytes())?;
    Ok(openssl(&["base64", "-A"], &hash.stdout)?.text())
}

impl Frame {
    /// Reads one of a client, which is masked.
    pub(crate) fn read(mut from: impl Read) -> Result<Self> {
        let (mut head, mut length) = ([0; 2], [0; 2]);
        from.read_exact(&mut head)?;
        let [kind, short] = head;
        ensure!(kind & FINAL != 0 && short & MASKED != 0, "a frame with the head {head:02x?}");
        let length = match short & !MASKED {
            TWO_BYTES => {
                from.read_exact(&mut length)?;
                u16::from_be_bytes(length)
            }
            short if short < TWO_BYTES => short.into(),
            _ => bail!("a frame of more than 64 KB"),
        };
        let mut key = [0; 4];
        from.read_exact(&mut key)?;
        let mut payload = vec![0; length.into()];
        from.read_exact(&mut payload)?;
        payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        match kind & !FINAL {
            TEXT => Ok(Self::Text(payload)),
            CLOSE => Ok(Self::Close(payload)),
            other => bail!("a frame with the opcode {other}"),
        }
    }

    /// Writes it as a server does: in the clear, in one piece.
    pub(crate) fn write(&self, mut to: impl Write) -> Result<()> {
        let (opcode, payload) = match self {
            Self::Text(payload) => (TEXT, payload),
            Self::Close(payload) => (CLOSE, payload),
        };
        let mut frame = vec![FINAL | opcode];
        match u8::try_from(payload.len()) {
            Ok(short) if short < TWO_BYTES => frame.push(short),
            _ => {
                frame.push(TWO_BYTES);
                frame.extend_from_slice(&u16::try_from(payload.len())?.to_be_bytes());
            }
        }
        frame.extend_from_slice(payload);
        Ok(to.write_all(&frame)?)
    }
}
