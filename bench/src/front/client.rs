//! A TLS client, on an executor or on a thread.

use crate::backend;
use crate::tls::SERVER_NAME;
use anyhow::{Context as _, Result};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Bytes that a client writes or reads at once.
pub(super) const AT_ONCE: usize = 64 << 10;

/// A connection whose handshake is over.
pub(super) async fn connect(config: &Arc<ClientConfig>, address: SocketAddr) -> Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let name = SERVER_NAME.try_into().context("a DNS name")?;
    Ok(TlsConnector::from(config.clone()).connect(name, tcp).await?)
}

/// The same on a thread.
pub(super) fn connect_here(
    config: &Arc<ClientConfig>,
    address: SocketAddr,
) -> Result<StreamOwned<ClientConnection, std::net::TcpStream>> {
    let tcp = std::net::TcpStream::connect(address)?;
    tcp.set_nodelay(true)?;
    let name = SERVER_NAME.try_into().context("a DNS name")?;
    Ok(StreamOwned::new(ClientConnection::new(config.clone(), name)?, tcp))
}

/// Gives an order, sends `up` bytes, and reads to the end.
pub(super) async fn exchange(
    config: &Arc<ClientConfig>,
    address: SocketAddr,
    order: [u8; backend::ORDER],
    up: u64,
) -> Result<()> {
    let mut tls = connect(config, address).await?;
    tls.write_all(&order).await?;
    let mut buffer = vec![0; if up > 0 { AT_ONCE } else { 0 }];
    let mut left = up;
    while left > 0 {
        let count = left.min(AT_ONCE as u64);
        left -= count;
        tls.write_all(&buffer[..count as usize]).await?;
    }
    tls.flush().await?;
    buffer.resize(AT_ONCE, 0);
    let mut received = 0;
    loop {
        match tls.read(&mut buffer).await? {
            0 => break,
            n => received += n as u64,
        }
    }
    // a server that is gone already needs no word of the end
    let _ = tls.shutdown().await;
    backend::check(&order, received)
}
