//! Handshake messages on a connection whose handshake is over.
//!
//! Few may come, and only a KeyUpdate has anything in it for us; the others are skipped as they come,
//! however they are divided into records, and none is kept.

use super::suite::{TlsRole, TlsVersion};
use crate::{KeyUpdateRequest, PeerMisbehaved};

/// The longest message that is skipped, in bytes; rustls draws the same line.
const LONGEST: usize = 0xffff;

const HELLO_REQUEST: u8 = 0;
const CLIENT_HELLO: u8 = 1;
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;

/// What the messages of one record ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Nothing,
    /// The peer changed its key with this record, its last under the old one.
    KeyUpdate(KeyUpdateRequest),
    /// New keys by a new handshake, in TLS 1.2.
    Renegotiation,
}

/// A message of which some came: the bytes of its header, or how many bytes of it are to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PartMessage {
    pub(super) header: [u8; 3],
    /// How many bytes of `header` came.
    pub(super) held: u8,
    pub(super) skip: u16,
}

impl PartMessage {
    /// Whether all messages came whole.
    pub(super) const fn is_none(self) -> bool {
        self.held == 0 && self.skip == 0
    }

    /// Takes the content of one handshake record.
    pub(super) fn take(
        &mut self,
        version: TlsVersion,
        role: TlsRole,
        mut content: &[u8],
    ) -> Result<Asked, PeerMisbehaved> {
        // RFC 8446 §5.1, §5.4: no empty fragments
        if content.is_empty() {
            return Err(PeerMisbehaved::NoContent);
        }
        let mut asked = Asked::Nothing;
        while !content.is_empty() {
            if self.skip > 0 {
                let count = content.len().min(usize::from(self.skip));
                content = &content[count..];
                self.skip -= count as u16;
                continue;
            }
            let Some((header, rest)) = self.header(content) else { break };
            content = rest;
            let length = usize::from(header[1]) << 16 | usize::from(header[2]) << 8 | usize::from(header[3]);
            match (version, role, header[0]) {
                (TlsVersion::Tls13, _, KEY_UPDATE) => {
                    // RFC 8446 §5.1: what comes before a change of keys ends with its record
                    return match (length, content) {
                        (1, []) => Err(PeerMisbehaved::UnexpectedHandshake(KEY_UPDATE)),
                        (1, [_, _, ..]) => Err(PeerMisbehaved::UnexpectedContent(22)),
                        (1, [request]) => KeyUpdateRequest::from_byte(*request).map(Asked::KeyUpdate),
                        _ => Err(PeerMisbehaved::Malformed("key update")),
                    };
                }
                (TlsVersion::Tls13, TlsRole::Client, NEW_SESSION_TICKET) => {}
                (TlsVersion::Tls12, TlsRole::Server, CLIENT_HELLO) => asked = Asked::Renegotiation,
                (TlsVersion::Tls12, TlsRole::Client, HELLO_REQUEST) if length == 0 => {
                    asked = Asked::Renegotiation;
                }
                (_, _, kind) => return Err(PeerMisbehaved::UnexpectedHandshake(kind)),
            }
            if length > LONGEST {
                return Err(PeerMisbehaved::Malformed("handshake message"));
            }
            self.skip = length as u16;
        }
        // A KeyUpdate is alone or last in its record, and begins in it (RFC 8446 §5.1).
        if self.held > 0 && self.header[0] == KEY_UPDATE {
            return Err(PeerMisbehaved::UnexpectedHandshake(KEY_UPDATE));
        }
        Ok(asked)
    }

    /// A message's header, of which some may have come before, and what follows it. None when it is
    /// not whole; what there is of it has then been kept.
    fn header<'c>(&mut self, content: &'c [u8]) -> Option<([u8; 4], &'c [u8])> {
        let held = usize::from(self.held);
        let (missing, rest) = content.split_at(content.len().min(4 - held));
        if held + missing.len() < 4 {
            self.header[held..held + missing.len()].copy_from_slice(missing);
            self.held += missing.len() as u8;
            return None;
        }
        let mut header = [0; 4];
        header[..held].copy_from_slice(&self.header[..held]);
        header[held..].copy_from_slice(missing);
        *self = Self::default();
        Some((header, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TlsRole::{Client, Server};
    use TlsVersion::{Tls12, Tls13};

    fn taken(version: TlsVersion, role: TlsRole, records: &[&[u8]]) -> Result<Vec<Asked>, PeerMisbehaved> {
        let mut part = PartMessage::default();
        let asked = records.iter().map(|r| part.take(version, role, r)).collect::<Result<_, _>>()?;
        assert!(part.is_none(), "every message came whole");
        Ok(asked)
    }

    #[test]
    fn tickets_are_skipped_however_they_are_divided() {
        let ticket = [&[4, 0, 1, 4][..], &[9; 260]].concat();
        let three = ticket.repeat(3);
        for size in 1..three.len() {
            let records: Vec<&[u8]> = three.chunks(size).collect();
            let asked = taken(Tls13, Client, &records).unwrap();
            assert!(asked.iter().all(|a| *a == Asked::Nothing));
        }
        assert_eq!(taken(Tls13, Client, &[&ticket, &[24, 0, 0, 1, 1]]).unwrap()[1], UPDATE);
        let together = [&ticket[..], &[24, 0, 0, 1, 1]].concat();
        assert_eq!(taken(Tls13, Client, &[&together]), Ok(vec![UPDATE]));
        assert_eq!(
            taken(Tls13, Server, &[&ticket]),
            Err(PeerMisbehaved::UnexpectedHandshake(4)),
            "a client issues none"
        );
    }

    const UPDATE: Asked = Asked::KeyUpdate(KeyUpdateRequest::Requested);

    #[test]
    fn a_key_update_is_whole_and_last_in_its_record() {
        for role in [Client, Server] {
            assert_eq!(taken(Tls13, role, &[&[24, 0, 0, 1, 1]]), Ok(vec![UPDATE]));
            for cut in 1..5 {
                let (head, tail) = [24, 0, 0, 1, 1].split_at(cut);
                let divided = taken(Tls13, role, &[head, tail]);
                assert_eq!(divided, Err(PeerMisbehaved::UnexpectedHandshake(24)), "cut at {cut}");
            }
            for (content, error) in [
                (&[24, 0, 0, 1, 2][..], PeerMisbehaved::IllegalValue("key update")),
                (&[24, 0, 0, 0], PeerMisbehaved::Malformed("key update")),
                (&[24, 0, 0, 2, 0, 0], PeerMisbehaved::Malformed("key update")),
                (&[24, 0, 0, 1, 0, 24, 0, 0, 1, 0], PeerMisbehaved::UnexpectedContent(22)),
            ] {
                assert_eq!(taken(Tls13, role, &[content]), Err(error));
            }
            assert_eq!(
                taken(Tls12, role, &[&[24, 0, 0, 1, 0]]),
                Err(PeerMisbehaved::UnexpectedHandshake(24))
            );
        }
    }

    #[test]
    fn a_new_handshake_is_noticed_by_its_first_message() {
        let hello = [&[1, 0, 0, 50][..], &[7; 50]].concat();
        assert_eq!(taken(Tls12, Server, &[&hello]), Ok(vec![Asked::Renegotiation]));
        let (head, tail) = hello.split_at(30);
        assert_eq!(taken(Tls12, Server, &[head, tail]), Ok(vec![Asked::Renegotiation, Asked::Nothing]));
        assert_eq!(taken(Tls12, Client, &[&[0, 0, 0, 0]]), Ok(vec![Asked::Renegotiation]));
        for (version, role, content) in [
            (Tls12, Client, &[0, 0, 0, 1, 9][..]),
            (Tls12, Client, &hello),
            (Tls12, Server, &[0, 0, 0, 0]),
            (Tls13, Server, &hello),
            (Tls13, Client, &[13, 0, 0, 3, 0, 0, 0]),
        ] {
            let refused = Err(PeerMisbehaved::UnexpectedHandshake(content[0]));
            assert_eq!(taken(version, role, &[content]), refused);
        }
    }

    #[test]
    fn a_message_that_is_too_long_or_a_record_that_is_empty_is_refused() {
        let long = Err(PeerMisbehaved::Malformed("handshake message"));
        assert_eq!(taken(Tls13, Client, &[&[4, 1, 0, 0]]), long);
        assert_eq!(taken(Tls12, Server, &[&[1, 0xff, 0xff, 0xff]]), long);
        assert_eq!(taken(Tls13, Client, &[&[]]), Err(PeerMisbehaved::NoContent));
    }
}
