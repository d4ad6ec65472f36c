//! What stands on the wire between a client and the gateway: a relay that reads the heads of TLS records.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result, ensure};

/// Type, version, length (RFC 8446 §5.1), and the first byte of what follows; no record is empty here.
const PREFIX: usize = 6;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const CLIENT_HELLO: u8 = 1;
/// Shorter than any ClientHello, and longer than a Finished in TLS 1.2, whose first byte is of a random nonce.
const SHORT: usize = 100;
/// Bytes that are kept of each direction.
const KEPT: usize = 256;

/// What one side sent on one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Side {
    /// ClientHellos.
    pub(crate) hellos: usize,
    /// Records of a handshake after application data: of another handshake, in TLS 1.2.
    pub(crate) later_handshakes: usize,
    /// Records of application data.
    pub(crate) data: usize,
    /// Whether it reset the connection.
    pub(crate) reset: bool,
    /// Its first bytes.
    pub(crate) first: Vec<u8>,
    prefix: Vec<u8>,
    rest: usize,
}

/// What passed on one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) client: Side,
    pub(crate) gateway: Side,
}

/// A relay before a gateway. It lives as long as the test's process.
pub(crate) struct Wire {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

#[derive(Clone, Copy)]
enum Sender {
    Client,
    Gateway,
}

impl Wire {
    /// Stands before the gateway at a port of 127.0.0.1.
    pub(crate) fn before(gateway: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let number = {
                    let mut seen = lock(&shared);
                    seen.push(Seen::default());
                    seen.len() - 1
                };
                match TcpStream::connect((Ipv4Addr::LOCALHOST, gateway)) {
                    Ok(gateway) => carry(client, gateway, number, &shared).unwrap_or_default(),
                    Err(_) => lock(&shared)[number].gateway.reset = true,
                }
            }
        });
        Ok(Self { port, seen })
    }

    /// Where clients connect.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// All connections so far, oldest first.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }

    /// Demands that there were so many connections with one handshake each, and that the gateway reset none.
    pub(crate) fn demand_one_handshake_each(&self, connections: usize) -> Result<()> {
        let seen = self.seen();
        ensure!(seen.len() == connections, "{} connections instead of {connections}", seen.len());
        for Seen { client, gateway } in &seen {
            ensure!(client.hellos == 1 && client.data > 0, "{client:?}");
            ensure!(client.later_handshakes + gateway.later_handshakes == 0, "{client:?} {gateway:?}");
            ensure!(!gateway.reset, "the gateway reset a connection");
        }
        Ok(())
    }
}

fn lock(seen: &Mutex<Vec<Seen>>) -> MutexGuard<'_, Vec<Seen>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn carry(client: TcpStream, gateway: TcpStream, number: usize, seen: &Arc<Mutex<Vec<Seen>>>) -> Result<()> {
    let ways =
        [(client.try_clone()?, gateway.try_clone()?, Sender::Client), (gateway, client, Sender::Gateway)];
    for (from, to, sender) in ways {
        let seen = Arc::clone(seen);
        thread::spawn(move || forward(from, to, sender, number, &seen));
    }
    Ok(())
}

fn forward(mut from: TcpStream, mut to: TcpStream, sender: Sender, number: usize, seen: &Mutex<Vec<Seen>>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let passed = match from.read(&mut buffer) {
            // The other direction may have ended the socket: then there is nobody to tell.
            Ok(0) => return to.shutdown(Shutdown::Write).unwrap_or_default(),
            Ok(n) => {
                let mut seen = lock(seen);
                match sender {
                    Sender::Client => seen[number].client.take(&buffer[..n]),
                    Sender::Gateway => seen[number].gateway.take(&buffer[..n]),
                }
                drop(seen);
                to.write_all(&buffer[..n]).map_err(|e| (e, matches!(sender, Sender::Client)))
            }
            Err(e) => Err((e, matches!(sender, Sender::Gateway))),
        };
        if let Err((error, of_gateway)) = passed {
            let gone = matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
            lock(seen)[number].gateway.reset |= gone && of_gateway;
            for socket in [&from, &to] {
                let _ = socket.shutdown(Shutdown::Both);
            }
            return;
        }
    }
}

impl Side {
    fn take(&mut self, mut bytes: &[u8]) {
        let keep = bytes.len().min(KEPT - self.first.len());
        self.first.extend_from_slice(&bytes[..keep]);
        while !bytes.is_empty() {
            let inside = self.rest.min(bytes.len());
            self.rest -= inside;
            bytes = &bytes[inside..];
            let head = (PREFIX - self.prefix.len()).min(bytes.len());
            self.prefix.extend_from_slice(&bytes[..head]);
            bytes = &bytes[head..];
            if let [kind, _, _, high, low, first] = self.prefix[..] {
                self.prefix.clear();
                let length = usize::from(u16::from_be_bytes([high, low]));
                self.rest = length.saturating_sub(1);
                match kind {
                    APPLICATION_DATA => self.data += 1,
                    HANDSHAKE if self.data > 0 => self.later_handshakes += 1,
                    HANDSHAKE if first == CLIENT_HELLO && length >= SHORT => self.hellos += 1,
                    _ => {}
                }
            }
        }
    }
}

impl Seen {
    /// The gateway's random number (RFC 5246 §7.4.1.3): behind the heads of record and message, and the version.
    pub(crate) fn server_random(&self) -> Result<&[u8]> {
        self.gateway.first.get(11..43).context("no ServerHello")
    }
}
