//! Somebody between a client and a gateway, who writes down what passes and may withhold it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use symbolon_acceptance::{LIMIT, until};

/// Kinds of frames, as docs/protocol has them.
pub(crate) const HELLO: u8 = 0xC0;
pub(crate) const OFFER: u8 = 0xC1;
pub(crate) const CONTEXT_FIRST: u8 = 0xC4;
pub(crate) const CONTEXT_SECOND: u8 = 0xC5;
pub(crate) const REGISTRATION_REQUEST: u8 = 0xC6;
pub(crate) const REGISTRATION_REPLY: u8 = 0xC7;
pub(crate) const REGISTRATION_CONFIRM: u8 = 0xC8;
pub(crate) const REGISTRATION_DONE: u8 = 0xC9;
pub(crate) const WRAPPED: u8 = 0xCC;

/// Kind, version and three bytes of length.
const HEADER: usize = 5;

/// What passed on one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Passed {
    pub(crate) from_client: Vec<u8>,
    pub(crate) from_gateway: Vec<u8>,
}

/// A TCP proxy on a port of its own. It lives as long as the test's process.
pub(crate) struct Proxy {
    pub(crate) address: String,
    log: Arc<Mutex<Vec<Passed>>>,
}

/// What the proxy does beside forwarding.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rule {
    /// Frames of this kind are withheld, with all that follows in that direction.
    pub(crate) withhold: Option<u8>,
    /// The address that the gateway sees.
    pub(crate) source: Option<Ipv4Addr>,
}

impl Passed {
    /// Plays to a gateway what the client sent, and returns what it answers until it hangs up.
    pub(crate) fn replay_to(&self, port: u16) -> Result<Vec<u8>> {
        let mut gateway = dial(port, None)?;
        gateway.set_read_timeout(Some(LIMIT))?;
        gateway.write_all(&self.from_client)?;
        gateway.shutdown(Shutdown::Write)?;
        let mut answer = Vec::new();
        // a reset is an answer too
        let _ = gateway.read_to_end(&mut answer);
        Ok(answer)
    }
}

impl Proxy {
    /// Somebody who answers every client with the same bytes.
    pub(crate) fn playing(bytes: Vec<u8>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?.to_string();
        thread::spawn(move || {
            for mut client in listener.incoming().map_while(Result::ok) {
                let bytes = bytes.clone();
                thread::spawn(move || {
                    let mut first = [0; 1];
                    client.read_exact(&mut first)?;
                    client.write_all(&bytes)?;
                    std::io::copy(&mut client, &mut std::io::sink())
                });
            }
        });
        Ok(Self { address, log: Arc::default() })
    }

    pub(crate) fn to(port: u16) -> Result<Self> {
        Self::with(port, Rule::default())
    }

    pub(crate) fn withholding(port: u16, kind: u8) -> Result<Self> {
        Self::with(port, Rule { withhold: Some(kind), ..Rule::default() })
    }

    pub(crate) fn from_source(port: u16, source: Ipv4Addr) -> Result<Self> {
        Self::with(port, Rule { source: Some(source), ..Rule::default() })
    }

    pub(crate) fn with(port: u16, rule: Rule) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?.to_string();
        let log = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::clone(&log);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // a gateway that is down shows as a connection that ends
                if let Ok(gateway) = dial(port, rule.source) {
                    carry(client, gateway, rule, &connections).ok();
                }
            }
        });
        Ok(Self { address, log })
    }

    fn log(&self) -> MutexGuard<'_, Vec<Passed>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All connections so far.
    pub(crate) fn passed(&self) -> Vec<Passed> {
        self.log().clone()
    }

    /// The kinds of the frames that clients sent, over all connections.
    pub(crate) fn from_clients(&self) -> Vec<u8> {
        self.log().iter().flat_map(|p| kinds(&p.from_client)).collect()
    }

    /// Waits until the gateway has sent a frame of this kind, forwarded or not.
    pub(crate) fn wait_for(&self, kind: u8) -> Result<()> {
        until(LIMIT, &format!("a frame {kind:#x} of the gateway"), || {
            self.log().iter().any(|p| kinds(&p.from_gateway).contains(&kind)).then_some(())
        })
    }

    /// Waits until a client has sent a frame of this kind.
}

/// The kinds of the whole frames in `bytes`.
pub(crate) fn kinds(mut bytes: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let Some(end) = first_frame(bytes) {
        kinds.push(bytes[0]);
        bytes = &bytes[end..];
    }
    kinds
}

/// The length of the first frame, if it is there as a whole.
fn first_frame(bytes: &[u8]) -> Option<usize> {
    let [kind, _, a, b, c] = *bytes.first_chunk::<HEADER>()?;
    let end = HEADER + u32::from_be_bytes([0, a, b, c]) as usize;
    ((HELLO..0xD0).contains(&kind) && bytes.len() >= end).then_some(end)
}

fn dial(port: u16, source: Option<Ipv4Addr>) -> Result<TcpStream> {
    let socket: OwnedFd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    if let Some(source) = source {
        bind(&socket, &SocketAddr::from((source, 0)))?;
    }
    connect(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    Ok(socket.into())
}

fn carry(client: TcpStream, gateway: TcpStream, rule: Rule, log: &Arc<Mutex<Vec<Passed>>>) -> Result<()> {
    let number = {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push(Passed::default());
        log.len() - 1
    };
    for (from, to, of) in [
        (
            client.try_clone()?,
            gateway.try_clone()?,
            (|p| &mut p.from_client) as fn(&mut Passed) -> &mut Vec<u8>,
        ),
        (gateway, client, |p| &mut p.from_gateway),
    ] {
        let log = Arc::clone(log);
        thread::spawn(move || {
            forward(from, to, rule.withhold, |bytes| {
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                of(&mut log[number]).extend_from_slice(bytes);
            })
        });
    }
    Ok(())
}

/// Forwards until one side ends; the end is forwarded too, unless something was withheld.
fn forward(mut from: TcpStream, mut to: TcpStream, withhold: Option<u8>, note: impl Fn(&[u8])) -> Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut waiting = Vec::new();
    let mut shut = false;
    loop {
        let n = from.read(&mut buffer).unwrap_or(0);
        if n == 0 {
            // what was withheld is on its way for ever; whatever else has ended has ended
            if shut {
                to.shutdown(Shutdown::Both).ok();
            } else {
                to.shutdown(Shutdown::Write).ok();
            }
            return Ok(());
        }
        note(buffer.get(..n).context("read more than asked")?);
        match withhold {
            None => to.write_all(&buffer[..n])?,
            Some(_) if shut => {}
            Some(kind) => {
                waiting.extend_from_slice(&buffer[..n]);
                while let Some(end) = first_frame(&waiting) {
                    if waiting[0] == kind {
                        shut = true;
                        break;
                    }
                    let frame: Vec<u8> = waiting.drain(..end).collect();
                    to.write_all(&frame)?;
                }
            }
        }
    }
}
