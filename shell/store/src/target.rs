//! Where the gateway dials for an application.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Longest host name (RFC 1035 §2.3.4), and far more than any address literal.
const MAX_HOST: usize = 253;
/// Longest path of a Unix socket on Linux, with its final zero byte (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// The most bytes of certificates (PEM) against which an application's is checked: some dozens.
pub const MAX_ROOTS: usize = 64 * 1024;

/// Where the gateway dials: `tcp:db.internal:5432`, `tcp:[2001:db8::1]:22`, `tls:wiki.internal:443` or
/// `unix:/run/app.sock`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A TCP port of a host.
    Tcp {
        /// A name or an address, without brackets.
        host: String,
        /// 1 to 65,535.
        port: u16,
    },
    /// A TCP port of a host that speaks TLS, and whose certificate is for it.
    Tls {
        /// A name or an address, without brackets.
        host: String,
        /// 1 to 65,535.
        port: u16,
    },
    /// A Unix socket of this machine, by its absolute path.
    Unix(PathBuf),
}

/// What is wrong with the text of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// None of the three forms.
    #[error("use tcp:HOST:PORT, tls:HOST:PORT or unix:/PATH")]
    Form,
    /// The host is empty, too long or has characters that no host has.
    #[error("the host is not a name or an address (an IPv6 address stands in brackets)")]
    Host,
    /// The port.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// The path.
    #[error("the socket's path must be absolute and at most {MAX_SOCKET_PATH} bytes long")]
    Path,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "tcp:{}:{port}", Bracketed(host)),
            Self::Tls { host, port } => write!(f, "tls:{}:{port}", Bracketed(host)),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A host as it stands before a port.
struct Bracketed<'a>(&'a str);

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(f, "[{}]", self.0) } else { f.write_str(self.0) }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(s: &str) -> Result<Self, TargetError> {
        match s.split_once(':') {
            Some(("tcp", rest)) => place(rest).map(|(host, port)| Self::Tcp { host, port }),
            Some(("tls", rest)) => place(rest).map(|(host, port)| Self::Tls { host, port }),
            Some(("unix", path)) => {
                let whole = path.starts_with('/')
                    && path.len() <= MAX_SOCKET_PATH
                    && !path.contains(char::is_control);
                if whole { Ok(Self::Unix(path.into())) } else { Err(TargetError::Path) }
            }
            _ => Err(TargetError::Form),
        }
    }
}

fn place(text: &str) -> Result<(String, u16), TargetError> {
    let (host, port) = text.rsplit_once(':').ok_or(TargetError::Form)?;
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let port = port.parse().ok().filter(|&p: &u16| digits && p > 0).ok_or(TargetError::Port)?;
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let fits = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            (1..=MAX_HOST).contains(&host.len())
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        }
    };
    if !fits {
        return Err(TargetError::Host);
    }
    Ok((bracketed.unwrap_or(host).to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_reads_what_it_prints() {
        let tcp = ["tcp:db.internal:5432", "tcp:127.0.0.1:22", "tcp:[2001:db8::1]:22"];
        for text in tcp.into_iter().chain(["tls:wiki:443", "tls:[2001:db8::1]:8443", "unix:/run/app.sock"]) {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_dialled_is_refused_with_the_reason() {
        for (text, error) in [
            ("", TargetError::Form),
            ("db:5432", TargetError::Form),
            ("tcp:db", TargetError::Form),
            ("tcp::5432", TargetError::Host),
            ("tcp:2001:db8::1:22", TargetError::Host),
            ("tcp:a b:22", TargetError::Host),
            ("tcp:db:0", TargetError::Port),
            ("tcp:db:+22", TargetError::Port),
            ("tcp:db:65536", TargetError::Port),
            ("tls:wiki", TargetError::Form),
            ("tls:wi/ki:443", TargetError::Host),
            ("tls:wiki:", TargetError::Port),
            ("ssl:wiki:443", TargetError::Form),
            ("unix:run/app.sock", TargetError::Path),
        ] {
            assert_eq!(text.parse::<Target>(), Err(error), "{text}");
        }
    }
}
