//! A gateway's name may have several addresses, of several nodes: the first that answers is taken (RFC 8305).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long an address may be silent before the next is tried beside it (RFC 8305 §5).
const NEXT_AFTER: Duration = Duration::from_millis(250);

/// How many addresses of a name are tried.
const MOST: usize = 16;

/// Connects to the first of these that answers; each has a quarter of a second before the next is tried as well, and a
/// refusal is followed by the next at once.
///
/// # Errors
/// That of the last one that failed, or `NotFound` when there are none. It waits as long as the kernel does.
pub(crate) async fn first_of(addresses: impl IntoIterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut addresses = addresses.into_iter().take(MOST).peekable();
    let mut attempts = JoinSet::new();
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        if let Some(address) = addresses.next() {
            attempts.spawn(TcpStream::connect(address));
        }
        let patience = if addresses.peek().is_some() { NEXT_AFTER } else { Duration::MAX };
        match timeout(patience, attempts.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(e)))) => failed = e,
            Ok(Some(Err(e))) => failed = io::Error::other(e),
            Ok(None) => return Err(failed),
            // the next one beside it
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Instant;
    use tokio::net::{TcpListener, TcpSocket};

    fn here() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 0).into()
    }

    /// An address where nobody listens.
    fn refuses() -> SocketAddr {
        std::net::TcpListener::bind(here()).unwrap().local_addr().unwrap()
    }

    /// A port whose queue is full, so that the kernel answers nothing; to be kept as long as it is to be silent.
    async fn silent() -> (TcpListener, Vec<TcpStream>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(here()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = vec![];
        while let Ok(Ok(stream)) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
            queue.push(stream);
        }
        (listener, queue)
    }

    #[tokio::test]
    async fn a_node_that_is_gone_keeps_nobody_from_the_next() {
        let node = TcpListener::bind(here()).await.unwrap();
        let (gone, _queue) = silent().await;
        let (there, gone) = (node.local_addr().unwrap(), gone.local_addr().unwrap());
        for addresses in
            [vec![there], vec![refuses(), there], vec![gone, gone, refuses(), there], vec![there, gone]]
        {
            let begun = Instant::now();
            let stream = first_of(addresses.clone()).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), there);
            assert!(begun.elapsed() < Duration::from_secs(5), "{addresses:?}: {:?}", begun.elapsed());
        }
    }

    #[tokio::test]
    async fn when_all_fail_the_last_reason_is_told() {
        let refused = first_of([refuses(), refuses()]).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(first_of([]).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
