//! An application that behaves badly on purpose.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// What the application does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Returns every byte, and the end when the client's end comes.
    Echo,
    /// Reads to the client's end, and only then returns every byte and its own end.
    LateEcho,
    /// Says nothing, reads nothing, and keeps the connection.
    Silent,
    /// Sends a greeting and its end at once, then counts what the client still sends.
    HalfClose,
    /// Sends a greeting, then resets the connection.
    Reset,
    /// Sends a greeting, hears something, and closes without the end that TLS wants.
    BreaksOff,
    /// Reads 4 KiB every 20 ms and answers nothing, so that the sender must be held back.
    SlowReader,
}

/// A TCP server on 127.0.0.1 with one [`Behaviour`]. It lives as long as the test's process.
#[derive(Debug)]
pub struct OddServer {
    port: u16,
    connections: Arc<AtomicUsize>,
    received: Arc<AtomicUsize>,
}

impl OddServer {
    /// What [`Behaviour::HalfClose`] and [`Behaviour::Reset`] send first.
    pub const GREETING: &'static [u8] = b"so long\n";

    /// Starts the server on a free port.
    ///
    /// # Errors
    /// When the machine has none.
    pub fn start(behaviour: Behaviour) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        Ok(Self::behaving(behaviour, port, move || Ok(listener.accept()?.0)))
    }

    /// Starts the server on a Unix socket; its port is 0.
    ///
    /// # Errors
    /// When the path cannot be had.
    pub fn at_unix_socket(path: &Path, behaviour: Behaviour) -> Result<Self> {
        let listener = UnixListener::bind(path)?;
        Ok(Self::behaving(behaviour, 0, move || Ok(listener.accept()?.0)))
    }

    /// Starts the server on a free port; it speaks TLS with a certificate and key (PEM), and these protocols (ALPN).
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn behind_tls(certificate: &Path, key: &Path, alpn: &[&str], behaviour: Behaviour) -> Result<Self> {
        let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let config = Arc::new(config);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        Ok(Self::behaving(behaviour, port, move || {
            Ok(StreamOwned::new(ServerConnection::new(Arc::clone(&config))?, listener.accept()?.0))
        }))
    }

    fn behaving<S: Socket>(
        behaviour: Behaviour,
        port: u16,
        mut next: impl FnMut() -> Result<S> + Send + 'static,
    ) -> Self {
        let server = Self {
            port,
            connections: Arc::new(AtomicUsize::new(0)),
            received: Arc::new(AtomicUsize::new(0)),
        };
        let (connections, received) = (Arc::clone(&server.connections), Arc::clone(&server.received));
        thread::spawn(move || {
            while let Ok(socket) = next() {
                connections.fetch_add(1, Ordering::SeqCst);
                let received = Arc::clone(&received);
                // The client sees an error of ours as the end of its connection.
                thread::spawn(move || behave(behaviour, socket, &received).ok());
            }
        });
        server
    }

    /// The TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many bytes came in, over all connections.
    #[must_use]
    pub fn received(&self) -> usize {
        self.received.load(Ordering::SeqCst)
    }
}

/// A connection of the server's.
trait Socket: Read + Write + Send + 'static {
    /// Ends what the server says.
    fn end(&mut self) -> Result<()>;
    /// Has the client see a reset when this is closed, with something unread.
    fn reset(&mut self) -> Result<()>;
}

impl Socket for TcpStream {
    fn end(&mut self) -> Result<()> {
        Ok(self.shutdown(Shutdown::Write)?)
    }

    fn reset(&mut self) -> Result<()> {
        Ok(rustix::net::sockopt::set_socket_linger(self, Some(Duration::ZERO))?)
    }
}

impl Socket for StreamOwned<ServerConnection, TcpStream> {
    fn end(&mut self) -> Result<()> {
        self.conn.send_close_notify();
        Ok(self.flush()?)
    }

    fn reset(&mut self) -> Result<()> {
        self.sock.reset()
    }
}

impl Socket for UnixStream {
    fn end(&mut self) -> Result<()> {
        Ok(self.shutdown(Shutdown::Write)?)
    }

    /// What is unread is enough (`unix(7)`).
    fn reset(&mut self) -> Result<()> {
        Ok(())
    }
}

fn behave(behaviour: Behaviour, mut socket: impl Socket, received: &AtomicUsize) -> Result<()> {
    let mut buffer = [0; 4096];
    match behaviour {
        Behaviour::Echo => {
            loop {
                let n = socket.read(&mut buffer)?;
                if n == 0 {
                    break;
                }
                received.fetch_add(n, Ordering::SeqCst);
                socket.write_all(&buffer[..n])?;
            }
            socket.end()?;
        }
        Behaviour::LateEcho => {
            let mut heard = Vec::new();
            socket.read_to_end(&mut heard)?;
            received.fetch_add(heard.len(), Ordering::SeqCst);
            socket.write_all(&heard)?;
            socket.end()?;
        }
        Behaviour::Silent => loop {
            thread::park();
        },
        Behaviour::HalfClose => {
            socket.write_all(OddServer::GREETING)?;
            socket.end()?;
            count(&mut socket, &mut buffer, received, Duration::ZERO)?;
        }
        Behaviour::Reset => {
            socket.write_all(OddServer::GREETING)?;
            // Closing with zero linger sends a reset in place of an orderly end; the greeting must have left first.
            socket.read_exact(&mut buffer[..1])?;
            socket.reset()?;
        }
        Behaviour::BreaksOff => {
            socket.write_all(OddServer::GREETING)?;
            // what is left unread would make a reset of it
            socket.read(&mut buffer).map(drop)?;
        }
        Behaviour::SlowReader => count(&mut socket, &mut buffer, received, Duration::from_millis(20))?,
    }
    Ok(())
}

fn count(socket: &mut impl Socket, buffer: &mut [u8], received: &AtomicUsize, pause: Duration) -> Result<()> {
    loop {
        let n = socket.read(buffer)?;
        if n == 0 {
            return Ok(());
        }
        received.fetch_add(n, Ordering::SeqCst);
        thread::sleep(pause);
    }
}
