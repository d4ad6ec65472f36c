//! The sockets on which a node waits: clients', TLS clients', and the one of administration. A holder opens them once
//! for all of its workers.

use crate::config::NodeConfig;
use crate::error::NodeError;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use symbolon_store::{DirectoryLock, Sharing};

/// How long the address of a node that has just been killed is waited for: its last process may be dying still.
const RELEASE: Duration = Duration::from_millis(500);

/// A queue long enough for a crowd that comes at once: with the usual 1,024 the rest of it waits for a second or more.
const QUEUE: i32 = 4096;

/// That a directory is this process's, for as long as it lives: others may share a store, nobody shares a node's id and
/// its socket.
#[derive(Debug)]
pub struct Directory(#[expect(dead_code, reason = "held for its lock")] DirectoryLock);

impl Directory {
    /// Takes the directory of a node; the first makes it.
    ///
    /// # Errors
    /// [`NodeError::Store`] when another process has it, or it cannot be made.
    pub fn take(config: &NodeConfig) -> Result<Self, NodeError> {
        Ok(Self(DirectoryLock::take(&config.dir, Sharing::Exclusive)?))
    }
}

/// Sockets that listen.
#[derive(Debug)]
pub struct Listeners {
    pub(crate) clients: TcpListener,
    pub(crate) tls: Option<TcpListener>,
    pub(crate) administration: UnixListener,
}

impl Listeners {
    /// Opens them, and takes the directory. The ports come first, because what cannot be had should cost nothing; that
    /// of administration last, because it takes the place of one that was left.
    ///
    /// # Errors
    /// [`NodeError`]; then none is open.
    pub fn open(config: &NodeConfig) -> Result<(Self, Directory), NodeError> {
        let until = Instant::now() + RELEASE;
        let port = |address| {
            let listen = || loop {
                match listen(address) {
                    Err(e) if e.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                        std::thread::sleep(Duration::from_millis(10));
                    }
                    other => return other,
                }
            };
            listen().map_err(|source| NodeError::Listen { address, source })
        };
        let clients = port(config.listen)?;
        let tls = config.tls.as_ref().map(|tls| port(tls.listen)).transpose()?;
        let path = socket(&config.dir);
        let directory = Directory::take(config)?;
        let administration = administration(&path).map_err(|source| NodeError::File { path, source })?;
        Ok((Self { clients, tls, administration }, directory))
    }

    /// Where clients connect.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.clients.local_addr()
    }

    /// As a holder shares them with its workers.
    #[must_use]
    pub fn into_descriptors(self) -> Vec<OwnedFd> {
        let tls = self.tls.map(OwnedFd::from);
        [OwnedFd::from(self.clients), OwnedFd::from(self.administration)].into_iter().chain(tls).collect()
    }

    /// What [`Listeners::into_descriptors`] gave; nothing when they are other ones.
    #[must_use]
    pub fn from_descriptors(descriptors: Vec<OwnedFd>) -> Option<Self> {
        let mut descriptors = descriptors.into_iter();
        Some(Self {
            clients: descriptors.next()?.into(),
            administration: descriptors.next()?.into(),
            tls: descriptors.next().map(TcpListener::from),
        })
    }
}

/// The path of the administration socket.
pub(crate) fn socket(dir: &Path) -> PathBuf {
    dir.join("admin.sock")
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    // What is accepted has these from here. A silent peer is asked whether it is there, so that one that vanished is
    // noticed within two minutes.
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_keepalive(&socket, true)?;
    sockopt::set_tcp_keepidle(&socket, Duration::from_secs(60))?;
    sockopt::set_tcp_keepintvl(&socket, Duration::from_secs(15))?;
    sockopt::set_tcp_keepcnt(&socket, 4)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, QUEUE)?;
    Ok(socket.into())
}

/// Only its owner can use it.
fn administration(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
