//! Somebody on the network between a client and a gateway.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Result;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use crate::{LIMIT, until};

/// Kind, version and three bytes of length.
const HEADER: usize = 5;

/// The first byte of a frame that holds the first message of a context (docs/protocol).
pub const CONTEXT_FIRST: u8 = 0xC4;
/// Of the second message of a context.
pub const CONTEXT_SECOND: u8 = 0xC5;
/// Of the cookie that a busy gateway asks for.
pub const RETRY: u8 = 0xC3;
/// Of a client's greeting.
pub const HELLO: u8 = 0xC0;
/// Of a gateway's certificates.
pub const OFFER: u8 = 0xC1;
/// Of a registration with its first half key.
pub const REGISTRATION_REQUEST: u8 = 0xC6;
/// Of the second half key.
pub const REGISTRATION_REPLY: u8 = 0xC7;
/// Of the proof that the client has both.
pub const REGISTRATION_CONFIRM: u8 = 0xC8;
/// Of the last word of a registration.
pub const REGISTRATION_DONE: u8 = 0xC9;
/// Of a refusal.
pub const REFUSAL: u8 = 0xC2;
/// Of a wrapped message.
pub const WRAPPED: u8 = 0xCC;
/// Of the opening of a stream.
pub const STREAM_OPEN: u8 = 0xCD;
/// Of the answer to it.
pub const STREAM_REPLY: u8 = 0xCE;

/// One of the two who talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Whoever dialled.
    Client,
    /// Whoever answered.
    Gateway,
}

/// What is done to bytes beside forwarding them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tamper {
    /// Nothing.
    Not,
    /// One bit is flipped in the next frame of this kind by that side; once.
    FlipIn(u8, Sender),
    /// One bit is flipped in what follows the next frame of this kind; once.
    FlipBehind(u8),
    /// The next connection on which a frame of this kind passes ends when so many bytes have followed it; once.
    CutBehind(u8, usize),
    /// The gateway's frames of this kind are withheld, and whatever comes after them on that connection.
    Withhold(u8),
}

/// What passed on one connection.
#[derive(Clone, Debug, Default)]
pub struct Passed {
    /// Bytes that the client sent.
    pub from_client: Vec<u8>,
    /// Bytes that the gateway sent.
    pub from_gateway: Vec<u8>,
    /// The kinds of all frames, and whose they were, in the order in which they came.
    pub order: Vec<(u8, Sender)>,
}

impl Passed {
    /// The kinds of the frames that one side sent.
    #[must_use]
    pub fn kinds(&self, of: Sender) -> Vec<u8> {
        self.order.iter().filter(|(_, sender)| *sender == of).map(|(kind, _)| *kind).collect()
    }

    /// Whether a text went by in clear, either way.
    #[must_use]
    pub fn shows(&self, text: &str) -> bool {
        let within = |bytes: &[u8]| bytes.windows(text.len()).any(|w| w == text.as_bytes());
        within(&self.from_client) || within(&self.from_gateway)
    }

    /// Plays to a gateway what the client sent, and returns what it answers until it hangs up.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn replay_to(&self, gateway: u16) -> Result<Vec<u8>> {
        let mut gateway = dial(gateway, None)?;
        gateway.set_read_timeout(Some(LIMIT))?;
        gateway.write_all(&self.from_client)?;
        gateway.shutdown(Shutdown::Write)?;
        let mut answer = Vec::new();
        // A reset is an answer too.
        let _ = gateway.read_to_end(&mut answer);
        Ok(answer)
    }
}

/// A TCP proxy that writes down what passes. It lives as long as the test's process.
#[derive(Debug)]
pub struct Middleman {
    address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    tamper: Tamper,
    passed: Vec<Passed>,
    /// The address that gateways see; any when absent.
    source: Option<Ipv4Addr>,
    /// The clients' sides of all connections.
    clients: Vec<TcpStream>,
}

impl Middleman {
    /// Stands before the gateway at a port of 127.0.0.1.
    ///
    /// # Errors
    /// When there is no port to be had.
    pub fn before(gateway: u16) -> Result<Self> {
        Self::with_source(gateway, None)
    }

    /// The same, from another address of this machine, as if from another network.
    ///
    /// # Errors
    /// When there is no port to be had.
    pub fn from(source: Ipv4Addr, gateway: u16) -> Result<Self> {
        Self::with_source(gateway, Some(source))
    }

    /// Stands where no gateway is, and answers whoever says something with the same bytes.
    ///
    /// # Errors
    /// When there is no port to be had.
    pub fn playing(bytes: Vec<u8>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?.to_string();
        thread::spawn(move || {
            for mut client in listener.incoming().map_while(Result::ok) {
                let bytes = bytes.clone();
                thread::spawn(move || {
                    client.read_exact(&mut [0; 1])?;
                    client.write_all(&bytes)?;
                    std::io::copy(&mut client, &mut std::io::sink())
                });
            }
        });
        Ok(Self { address, state: state(None) })
    }

    fn with_source(gateway: u16, source: Option<Ipv4Addr>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?.to_string();
        let state = state(source);
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A gateway that is down shows as a connection that ends.
                let source = lock(&shared).source;
                if let Ok(gateway) = dial(gateway, source) {
                    carry(client, gateway, &shared).ok();
                }
            }
        });
        Ok(Self { address, state })
    }

    /// Where clients connect, `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Tampers with what comes from now on.
    pub fn tamper(&self, how: Tamper) {
        lock(&self.state).tamper = how;
    }

    /// Takes the clients to another network: their connections end, and new ones come from `source`.
    pub fn move_to(&self, source: Ipv4Addr) {
        let mut state = lock(&self.state);
        state.source = Some(source);
        for client in state.clients.drain(..) {
            // one that has ended already is gone as it should be
            let _ = client.shutdown(Shutdown::Both);
        }
    }

    /// Whether what was to be tampered with has come.
    #[must_use]
    pub fn has_tampered(&self) -> bool {
        lock(&self.state).tamper == Tamper::Not
    }

    /// All connections so far, oldest first.
    #[must_use]
    pub fn passed(&self) -> Vec<Passed> {
        lock(&self.state).passed.clone()
    }

    /// Waits until the gateway has sent a frame of this kind, whatever became of it.
    ///
    /// # Errors
    /// When it has not within [`LIMIT`].
    pub fn wait_for(&self, kind: u8) -> Result<()> {
        until(LIMIT, &format!("a frame {kind:#x} of the gateway"), || {
            let passed = self.passed();
            passed.iter().any(|p| p.order.contains(&(kind, Sender::Gateway))).then_some(())
        })
    }

    /// The newest connection on which the client's first byte was `kind`.
    #[must_use]
    pub fn newest(&self, kind: u8) -> Option<Passed> {
        lock(&self.state).passed.iter().rev().find(|p| p.from_client.first() == Some(&kind)).cloned()
    }
}

fn state(source: Option<Ipv4Addr>) -> Arc<Mutex<State>> {
    let state = State { tamper: Tamper::Not, passed: Vec::new(), source, clients: Vec::new() };
    Arc::new(Mutex::new(state))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn dial(gateway: u16, source: Option<Ipv4Addr>) -> Result<TcpStream> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    if let Some(source) = source {
        bind(&socket, &SocketAddr::from((source, 0)))?;
    }
    connect(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, gateway)))?;
    Ok(socket.into())
}

fn carry(client: TcpStream, gateway: TcpStream, state: &Arc<Mutex<State>>) -> Result<()> {
    let connection = {
        let mut state = lock(state);
        state.passed.push(Passed::default());
        state.clients.push(client.try_clone()?);
        state.passed.len() - 1
    };
    for (from, to, sender) in
        [(client.try_clone()?, gateway.try_clone()?, Sender::Client), (gateway, client, Sender::Gateway)]
    {
        let way = Way {
            state: Arc::clone(state),
            connection,
            sender,
            frames: Vec::new(),
            raw: None,
            cut: None,
            withheld: false,
        };
        // Either end breaking off is the affair of those who talk.
        thread::spawn(move || way.forward(from, to).ok());
    }
    Ok(())
}

/// One direction of a connection.
struct Way {
    state: Arc<Mutex<State>>,
    connection: usize,
    sender: Sender,
    /// Bytes that are not a whole frame yet.
    frames: Vec<u8>,
    /// The kind of the frame after which everything is records, once it has passed.
    raw: Option<u8>,
    /// Bytes until the connection is cut.
    cut: Option<usize>,
    /// Whether nothing is sent on any more.
    withheld: bool,
}

impl Way {
    fn forward(mut self, mut from: TcpStream, mut to: TcpStream) -> Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let n = from.read(&mut buffer).unwrap_or(0);
            if n == 0 && self.withheld {
                // What was withheld is lost, and so is the connection.
                return Ok(to.shutdown(Shutdown::Both)?);
            }
            if n == 0 {
                to.write_all(&self.frames)?;
                return Ok(to.shutdown(Shutdown::Write)?);
            }
            let mut out = self.take(&buffer[..n]);
            if let Some(left) = &mut self.cut {
                out.truncate(*left);
                *left -= out.len();
            }
            to.write_all(&out)?;
            if self.cut == Some(0) {
                to.shutdown(Shutdown::Both)?;
                return Ok(from.shutdown(Shutdown::Both)?);
            }
        }
    }

    /// Writes down what came; returns what is to be sent on.
    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let state = Arc::clone(&self.state);
        let mut state = lock(&state);
        let passed = &mut state.passed[self.connection];
        match self.sender {
            Sender::Client => passed.from_client.extend_from_slice(bytes),
            Sender::Gateway => passed.from_gateway.extend_from_slice(bytes),
        }
        if let Some(kind) = self.raw {
            return self.tampered(&mut state, kind, bytes.to_vec());
        }
        self.frames.extend_from_slice(bytes);
        let mut out = Vec::new();
        while let Some(end) = first_frame(&self.frames) {
            let mut frame: Vec<u8> = self.frames.drain(..end).collect();
            let kind = frame[0];
            state.passed[self.connection].order.push((kind, self.sender));
            self.withheld |= state.tamper == Tamper::Withhold(kind) && self.sender == Sender::Gateway;
            if self.withheld {
                continue;
            }
            if state.tamper == Tamper::FlipIn(kind, self.sender) {
                state.tamper = Tamper::Not;
                let middle = HEADER + (end - HEADER) / 2;
                frame[middle] ^= 0x10;
            }
            out.extend(frame);
            if matches!(kind, STREAM_OPEN | STREAM_REPLY) {
                self.raw = Some(kind);
                let rest = std::mem::take(&mut self.frames);
                let rest = self.tampered(&mut state, kind, rest);
                if let Some(left) = &mut self.cut {
                    *left += out.len();
                }
                out.extend(rest);
                break;
            }
        }
        out
    }

    fn tampered(&mut self, state: &mut State, kind: u8, mut bytes: Vec<u8>) -> Vec<u8> {
        match state.tamper {
            Tamper::FlipBehind(k) if k == kind && !bytes.is_empty() => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0x10;
                state.tamper = Tamper::Not;
            }
            Tamper::CutBehind(k, length) if k == kind => {
                self.cut = Some(length);
                state.tamper = Tamper::Not;
            }
            _ => {}
        }
        bytes
    }
}

/// The length of the first frame, if it is there as a whole.
fn first_frame(bytes: &[u8]) -> Option<usize> {
    let [kind, _, a, b, c] = *bytes.first_chunk::<HEADER>()?;
    let end = HEADER + u32::from_be_bytes([0, a, b, c]) as usize;
    ((HELLO..0xD0).contains(&kind) && bytes.len() >= end).then_some(end)
}
