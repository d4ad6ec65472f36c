//! Whether the gateway is still there, and whether the machine still is where it was.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use symbolon_session::ControlMessage;
use tokio::net::UdpSocket;
use tokio::time::Instant;

/// How long an answer to a ping may take before the connection counts as lost.
const PONG: Duration = Duration::from_secs(15);

/// Pings and what came of them.
#[derive(Debug, Default)]
pub(crate) struct Pings {
    number: u64,
    waiting: Option<Instant>,
}

impl Pings {
    /// The next ping, or nothing when the last one was not answered in time.
    pub(crate) fn next(&mut self) -> Option<ControlMessage> {
        if self.waiting.is_some_and(|since| since.elapsed() > PONG) {
            return None;
        }
        self.number += 1;
        self.waiting = Some(Instant::now());
        Some(ControlMessage::Ping(self.number))
    }

    /// How long the answer to the last ping took, if this is it.
    pub(crate) fn answered(&mut self, number: u64) -> Option<Duration> {
        let since = self.waiting.take_if(|_| number == self.number)?;
        Some(since.elapsed())
    }
}

/// Where the machine is in the network, as far as its address towards the gateway tells.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) gateway: Option<SocketAddr>,
    pub(crate) local: Option<IpAddr>,
}

impl Place {
    /// Whether the address changed since the last look. No packet is sent for that.
    pub(crate) async fn moved(&mut self) -> bool {
        let Some(now) = self.look().await else { return false };
        self.local.replace(now).is_some_and(|before| before != now)
    }

    async fn look(&self) -> Option<IpAddr> {
        let gateway = self.gateway?;
        let any = if gateway.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
        let socket = UdpSocket::bind(any).await.ok()?;
        socket.connect(gateway).await.ok()?;
        socket.local_addr().ok().map(|a| a.ip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unanswered_ping_is_noticed_and_an_old_answer_is_not_taken() {
        let mut pings = Pings::default();
        assert_eq!(pings.next(), Some(ControlMessage::Ping(1)));
        assert_eq!(pings.answered(7), None);
        assert!(pings.answered(1).is_some());
        pings.waiting = Instant::now().checked_sub(PONG + Duration::from_secs(1));
        assert!(pings.waiting.is_none() || pings.next().is_none());
    }

    #[tokio::test]
    async fn another_address_towards_the_gateway_is_noticed_once() {
        let elsewhere = Some(IpAddr::from([192, 0, 2, 1]));
        let mut place = Place { gateway: Some(([127, 0, 0, 1], 7843).into()), local: elsewhere };
        assert!(place.moved().await);
        assert!(!place.moved().await);
    }
}
