//! Whose connection it is: written once into its memory file, and read by who carries it on.

use std::net::{IpAddr, Ipv6Addr};
use symbolon_policy::AppName;
use symbolon_session::SessionId;
use symbolon_store::UserId;
use symbolon_wire::{Reader, Time, WireError, Writer};

/// More certificates than any client shows.
const MAX_CHAIN: usize = 16;

/// What is true of a connection from its beginning to its end.
pub(crate) struct Note {
    pub(crate) app: AppName,
    pub(crate) source: IpAddr,
    pub(crate) since: Time,
    /// What the counters of the application's socket said at the beginning: up, down.
    pub(super) base: (u64, u64),
    pub(crate) owner: Owner,
}

/// Who has it.
pub(crate) enum Owner {
    /// A TLS client of an application for everybody.
    Anyone { number: u64 },
    /// A TLS client that showed these certificates.
    Entitled { number: u64, user: UserId, chain: Vec<Vec<u8>> },
    /// A native stream of a session.
    Stream { session: SessionId, number: u64 },
}

impl Note {
    pub(crate) const fn new(app: AppName, source: IpAddr, since: Time, owner: Owner) -> Self {
        Self { app, source, since, base: (0, 0), owner }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(1);
        w.text8(self.app.as_str());
        let source = match self.source {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        w.fixed(&source.octets());
        w.u64(self.since.0);
        w.u64(self.base.0);
        w.u64(self.base.1);
        match &self.owner {
            Owner::Anyone { number } => {
                w.u8(1);
                w.u64(*number);
            }
            Owner::Entitled { number, user, chain } => {
                w.u8(2);
                w.u64(*number);
                w.fixed(&user.0);
                w.list16(chain, |w, certificate| w.bytes24(certificate));
            }
            Owner::Stream { session, number } => {
                w.u8(3);
                w.u64(*number);
                w.fixed(&session.0);
            }
        }
        w.into_bytes()
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        match r.u8()? {
            1 => {}
            other => return Err(WireError::UnknownVersion(other)),
        }
        let app = AppName::parse(r.text8("application")?).map_err(|_| WireError::BadValue("application"))?;
        let source = IpAddr::V6(Ipv6Addr::from(r.fixed::<16>()?)).to_canonical();
        let (since, base) = (Time(r.u64()?), (r.u64()?, r.u64()?));
        let (kind, number) = (r.u8()?, r.u64()?);
        let owner = match kind {
            1 => Owner::Anyone { number },
            2 => Owner::Entitled {
                number,
                user: UserId(r.fixed()?),
                chain: r.list16("certificates", MAX_CHAIN, |r| Ok(r.bytes24()?.to_vec()))?,
            },
            3 => Owner::Stream { session: SessionId(r.fixed()?), number },
            _ => return Err(WireError::BadValue("owner")),
        };
        r.finish()?;
        Ok(Self { app, source, since, base, owner })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written_and_not_cut_off() {
        let owners = [
            Owner::Anyone { number: 7 },
            Owner::Entitled { number: 8, user: UserId([3; 16]), chain: vec![vec![1; 700], vec![2; 9]] },
            Owner::Stream { session: SessionId([4; 16]), number: 9 },
        ];
        for owner in owners {
            let app = AppName::parse("wiki").unwrap();
            let note = Note { base: (5, 6), ..Note::new(app, [192, 0, 2, 1].into(), Time(77), owner) };
            let bytes = note.to_bytes();
            let read = Note::parse(&bytes).unwrap();
            assert_eq!(read.to_bytes(), bytes);
            assert_eq!(read.source.to_string(), "192.0.2.1");
            for length in 0..bytes.len() {
                assert!(Note::parse(&bytes[..length]).is_err());
            }
        }
    }
}
