//! Two TCP sockets that are connected to each other, over the loopback interface.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// A pair; nobody else is at either end. The second is reset, and not closed in order, when its process dies.
///
/// # Errors
/// When descriptors or ports are exhausted, or the loopback interface is down.
pub(super) async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    match at(Ipv4Addr::LOCALHOST.into()).await {
        Err(e) if matches!(e.kind(), ErrorKind::AddrNotAvailable | ErrorKind::NetworkUnreachable) => {
            at(Ipv6Addr::LOCALHOST.into()).await
        }
        pair => pair,
    }
}

async fn at(address: IpAddr) -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((address, 0)).await?;
    let ours = TcpStream::connect(listener.local_addr()?).await?;
    let expected = ours.local_addr()?;
    let theirs = loop {
        // whoever else found the port is closed again
        let (theirs, from) = listener.accept().await?;
        if from == expected {
            break theirs;
        }
    };
    ours.set_nodelay(true)?;
    theirs.set_nodelay(true)?;
    reset_when_closed(&theirs)?;
    Ok((ours, theirs))
}

/// A process that dies closes its sockets: the other end must not take that for an end in order.
pub(super) fn reset_when_closed(stream: &TcpStream) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))?)
}

/// Both directions have ended: what was not sent yet still is, after it was closed.
pub(super) fn end_when_closed(stream: &TcpStream) {
    // one that is not connected any more needs none
    let _ = rustix::net::sockopt::set_socket_linger(stream, None);
}
