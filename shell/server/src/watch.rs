//! A node that lost a part must not seem to be well: without upkeep it would go on to let in whoever was
//! locked. So a part that stops unasked ends the node.

use crate::node::Shared;
use std::sync::Arc;

impl Shared {
    /// Runs a part that lasts as long as the node.
    pub(crate) async fn watch_over(self: Arc<Self>, part: &'static str, work: impl Future<Output = ()>) {
        let watch = Watch { shared: self, part };
        work.await;
        watch.over("it came to its end");
    }
}

/// Sees a part of the node end; one that is stopped from outside just goes.
struct Watch {
    shared: Arc<Shared>,
    part: &'static str,
}

impl Watch {
    fn over(&self, reason: &str) {
        let Self { shared, part } = self;
        if shared.stopping.send_replace(true) {
            return;
        }
        tracing::error!("{part} stopped: {reason}; the node lets nobody in any more");
        shared.failure.send_replace(Some((part, reason.to_owned())));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.over("it panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Node, NodeConfig, NodeError};

    #[tokio::test]
    async fn a_part_that_panics_or_ends_ends_the_node() {
        for (panics, why) in [(true, "it panicked"), (false, "it came to its end")] {
            let dir = tempfile::tempdir().unwrap();
            let mut config = NodeConfig::in_dir(dir.path().join("node"));
            config.listen = "127.0.0.1:0".parse().unwrap();
            config.name = Some("gw.example".into());
            let mut node = Node::start(config).await.unwrap();
            node.run_part("a part", async move { assert!(!panics, "as the test wants it") });
            let failure = node.failure().await;
            assert!(
                matches!(&failure, NodeError::Failed { part: "a part", reason } if reason == why),
                "{failure}"
            );
            // the door closes
            while tokio::net::TcpStream::connect(node.address()).await.is_ok() {}
            node.shutdown().await;
        }
    }
}
