//! The application behind all: it sends as many bytes as it is told to, takes them, or sends back what comes.

use anyhow::{Result, bail};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Length of an order: which way, and how many bytes.
pub(crate) const ORDER: usize = 9;
const SEND: u8 = b'S';
const TAKE: u8 = b'T';
const ECHO: u8 = b'E';
const CHUNK: usize = 64 << 10;

/// "Send me `count` bytes."
pub(crate) fn send(count: u64) -> [u8; ORDER] {
    order(SEND, count)
}

/// "Take `count` bytes and say when you have them."
pub(crate) fn take(count: u64) -> [u8; ORDER] {
    order(TAKE, count)
}

/// "Send back what comes."
pub(crate) fn echo() -> [u8; ORDER] {
    order(ECHO, 0)
}

fn order(way: u8, count: u64) -> [u8; ORDER] {
    let mut order = [way; ORDER];
    order[1..].copy_from_slice(&count.to_be_bytes());
    order
}

fn parse(order: &[u8; ORDER]) -> (u8, u64) {
    let [way, count @ ..] = *order;
    (way, u64::from_be_bytes(count))
}

/// Whether that many bytes answer the order; one byte says that all were taken.
pub(crate) fn check(order: &[u8; ORDER], received: u64) -> Result<()> {
    let expected = match parse(order) {
        (SEND, count) => count,
        _ => 1,
    };
    if received == expected { Ok(()) } else { bail!("{received} bytes came instead of {expected}") }
}

/// Starts it on a port of its own.
pub(crate) async fn start() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    Ok(address)
}

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut order = [0; ORDER];
    stream.read_exact(&mut order).await?;
    let mut buffer = vec![0; CHUNK];
    match parse(&order) {
        (SEND, mut left) => {
            while left > 0 {
                let count = left.min(CHUNK as u64) as usize;
                stream.write_all(&buffer[..count]).await?;
                left -= count as u64;
            }
        }
        (ECHO, _) => loop {
            match stream.read(&mut buffer).await? {
                0 => break,
                n => stream.write_all(&buffer[..n]).await?,
            }
        },
        (_, count) => {
            let mut taken = 0;
            while taken < count {
                match stream.read(&mut buffer).await? {
                    0 => return Ok(()),
                    n => taken += n as u64,
                }
            }
            stream.write_all(&[1]).await?;
        }
    }
    stream.shutdown().await
}
