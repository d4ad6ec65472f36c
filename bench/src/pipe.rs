//! What a gateway's streams are compared with: a process that terminates TLS and copies bytes.

use crate::child::answer_parent;
use crate::tls::{server_from_files, trusted_server};
use anyhow::Result;
use rustls::crypto::aws_lc_rs::kx_group;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The role's name.
pub(crate) const ROLE: &str = "tls-pipe";

/// Bytes that are copied at once: as many as rustls makes into records before it waits. With tokio's 8 KiB
/// the pipe would need a good deal more, and we would look better than we are.
const COPY: usize = 64 << 10;

/// The child's side: terminates TLS and copies to and from `backend`.
pub(crate) fn run(backend: &str) -> Result<()> {
    let (server, authority) = trusted_server(kx_group::X25519)?;
    copy(backend, server, authority.as_ref())
}

/// The same with a certificate of others, and its key, from files.
pub(crate) fn run_with(backend: &str, certificate: &str, key: &str) -> Result<()> {
    copy(backend, server_from_files(certificate, key)?, &[])
}

fn copy(backend: &str, server: Arc<rustls::ServerConfig>, authority: &[u8]) -> Result<()> {
    let backend: SocketAddr = backend.parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let greeting = json!({ "address": listener.local_addr()?.to_string(), "authority": authority });
    runtime.spawn(async move {
        let acceptor = TlsAcceptor::from(server);
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(carry(acceptor.clone(), client, backend));
        }
    });
    answer_parent(&greeting)
}

async fn carry(acceptor: TlsAcceptor, client: TcpStream, backend: SocketAddr) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut client = acceptor.accept(client).await?;
    let mut backend = TcpStream::connect(backend).await?;
    backend.set_nodelay(true)?;
    tokio::io::copy_bidirectional_with_sizes(&mut client, &mut backend, COPY, COPY).await?;
    Ok(())
}
