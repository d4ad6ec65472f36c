//! What workers and the relay say to each other: one packet each way, numbers big-endian.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::time::Duration;
use symbolon_store::{App, OwnCertificate, Target};
use symbolon_wire::{Reader, WireError, Writer};

const VERSION: u8 = 1;

/// The longest sentence of an answer, in bytes.
const MAX_SENTENCE: usize = 600;

/// The most bytes of roots of one application, as PEM.
pub(super) const MAX_ROOTS: usize = symbolon_store::MAX_ROOTS;

/// Where a relay dials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A Unix socket of this machine.
    Unix(PathBuf),
    /// A port that speaks TLS.
    Tls(TlsDestination),
}

/// A port that speaks TLS, and what is demanded of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsDestination {
    /// A name or an address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// For whom its certificate must be.
    pub(crate) name: String,
    /// Certificates (PEM) to which its own must chain; the system's if there are none. Not in the packet: a
    /// descriptor goes with it.
    pub(crate) roots: Option<String>,
    /// The protocol that was agreed on with the client (ALPN).
    pub(crate) alpn: Option<Vec<u8>>,
}

impl Destination {
    /// Where a relay dials for an application; nothing when none is needed. `alpn` is the protocol that its client
    /// agreed on.
    pub(crate) fn of(app: &App, alpn: Option<&[u8]>) -> Option<Self> {
        match &app.target {
            Target::Tcp { .. } => None,
            Target::Unix(path) => Some(Self::Unix(path.clone())),
            Target::Tls { host, port } => {
                let OwnCertificate { name, roots } = app.certificate.clone();
                let (host, port, alpn) = (host.clone(), *port, alpn.map(<[u8]>::to_vec));
                Some(Self::Tls(TlsDestination {
                    name: name.unwrap_or_else(|| host.clone()),
                    host,
                    port,
                    roots,
                    alpn,
                }))
            }
        }
    }

    pub(super) fn roots(&self) -> Option<&str> {
        match self {
            Self::Tls(tls) => tls.roots.as_deref(),
            Self::Unix(_) => None,
        }
    }
}

/// Dial this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) to: Destination,
    /// How long that may take, to the millisecond.
    pub(super) within: Duration,
}

/// Why an application is not reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    sentence: String,
}

/// What kind of failure it is, for who must tell a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// Nobody answers, or not as expected.
    Unreachable,
    /// Its certificate does not count.
    Certificate,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, sentence: impl Into<String>) -> Self {
        let mut sentence = sentence.into();
        sentence.truncate(sentence.floor_char_boundary(MAX_SENTENCE));
        Self { kind, sentence }
    }

    pub(crate) fn unreachable(sentence: impl Into<String>) -> Self {
        Self::new(FailureKind::Unreachable, sentence)
    }
}

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Self {
        Self::unreachable(e.to_string())
    }
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// With a descriptor of the socket.
    Connected,
    /// Not.
    Failed(Failure),
}

impl Request {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(VERSION);
        w.u32(u32::try_from(self.within.as_millis()).unwrap_or(u32::MAX));
        match &self.to {
            Destination::Unix(path) => {
                w.u8(1);
                w.bytes16(path.as_os_str().as_bytes());
            }
            Destination::Tls(tls) => {
                w.u8(2);
                w.text8(&tls.host);
                w.u16(tls.port);
                w.text8(&tls.name);
                w.flag(tls.roots.is_some());
                w.bytes16(tls.alpn.as_deref().unwrap_or_default());
            }
        }
        w.into_bytes()
    }

    /// `roots` is read if the request says that there are some.
    pub(super) fn parse(bytes: &[u8], roots: impl FnOnce() -> Option<String>) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        match r.u8()? {
            VERSION => {}
            other => return Err(WireError::UnknownVersion(other)),
        }
        let within = Duration::from_millis(r.u32()?.into());
        let kind = r.u8()?;
        let to = match kind {
            1 => Destination::Unix(OsString::from_vec(r.bytes16()?.to_vec()).into()),
            2 => {
                let (host, port) = (r.text8("host")?.to_owned(), r.u16()?);
                let name = r.text8("name")?.to_owned();
                let has_roots = r.flag()?;
                let alpn = Some(r.bytes16()?.to_vec()).filter(|alpn| !alpn.is_empty());
                if alpn.as_ref().is_some_and(|alpn| alpn.len() > 255) {
                    return Err(WireError::BadValue("protocol"));
                }
                let roots = match has_roots {
                    true => Some(roots().ok_or(WireError::BadValue("roots"))?),
                    false => None,
                };
                Destination::Tls(TlsDestination { host, port, name, roots, alpn })
            }
            _ => return Err(WireError::BadValue("kind of destination")),
        };
        r.finish()?;
        Ok(Self { to, within })
    }
}

impl Answer {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::new();
        match self {
            Self::Connected => w.u8(0),
            Self::Failed(failure) => {
                w.u8(match failure.kind {
                    FailureKind::Unreachable => 1,
                    FailureKind::Certificate => 2,
                });
                w.bytes16(failure.sentence.as_bytes());
            }
        }
        w.into_bytes()
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let kind = match r.u8()? {
            0 => None,
            1 => Some(FailureKind::Unreachable),
            2 => Some(FailureKind::Certificate),
            _ => return Err(WireError::BadValue("kind of answer")),
        };
        let answer = match kind {
            None => Self::Connected,
            Some(kind) => Self::Failed(Failure::new(kind, String::from_utf8_lossy(r.bytes16()?))),
        };
        r.finish()?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use symbolon_os::pass::MAX_MESSAGE;

    fn requests() -> Vec<Request> {
        let tls = |roots: Option<&str>, alpn: Option<&[u8]>| {
            Destination::Tls(TlsDestination {
                host: "h".repeat(253),
                port: 8443,
                name: "n".repeat(253),
                roots: roots.map(str::to_owned),
                alpn: alpn.map(<[u8]>::to_vec),
            })
        };
        let all = [
            Destination::Unix(format!("/{}", "p".repeat(106)).into()),
            tls(None, None),
            tls(Some("roots"), Some(&[b'a'; 255])),
        ];
        all.into_iter().map(|to| Request { to, within: Duration::from_millis(10_000) }).collect()
    }

    #[test]
    fn a_request_is_read_as_it_was_written_and_not_cut_off() {
        for request in requests() {
            let bytes = request.to_bytes();
            assert!(bytes.len() <= MAX_MESSAGE);
            let roots = || Some("roots".to_owned());
            assert_eq!(Request::parse(&bytes, roots).unwrap(), request);
            for length in 0..bytes.len() {
                assert!(Request::parse(&bytes[..length], roots).is_err());
            }
        }
    }

    #[test]
    fn a_request_whose_roots_are_missing_is_refused() {
        let with_roots = requests().pop().unwrap();
        assert!(Request::parse(&with_roots.to_bytes(), || None).is_err());
    }

    #[test]
    fn no_bytes_bring_a_parser_down() {
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            (state >> 33) as usize
        };
        let mut seeds: Vec<Vec<u8>> = requests().iter().map(Request::to_bytes).collect();
        seeds.push(Answer::Failed(Failure::unreachable("no")).to_bytes());
        for _ in 0..20_000 {
            let mut bytes = seeds[random() % seeds.len()].clone();
            for _ in 0..=random() % 4 {
                let at = random() % bytes.len();
                bytes[at] = random() as u8;
            }
            bytes.truncate(random() % (bytes.len() + 1));
            let _ = Request::parse(&bytes, || Some(String::new()));
            let _ = Answer::parse(&bytes);
        }
    }

    #[test]
    fn an_answer_is_read_as_it_was_written_and_never_too_long() {
        let long = Failure::new(FailureKind::Certificate, "\u{e9}".repeat(2000));
        for answer in [Answer::Connected, Answer::Failed(long), Answer::Failed(Failure::unreachable("no"))] {
            let bytes = answer.to_bytes();
            assert!(bytes.len() <= MAX_MESSAGE);
            assert_eq!(Answer::parse(&bytes).unwrap(), answer);
        }
    }
}
