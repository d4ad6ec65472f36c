//! Sample applications behind a gateway: what they answer, and that only this machine reaches them.

pub(crate) mod bulk;
pub(crate) mod page;

use std::io;
use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::exit::{Complaint, Outcome, plain};

/// A running sample application; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct SampleApp {
    pub(crate) address: SocketAddr,
    server: JoinHandle<()>,
}

impl SampleApp {
    /// Listens on a free port of this machine alone.
    pub(crate) async fn start(router: Router) -> Outcome<Self> {
        let failed = |e: io::Error| Complaint::failure(format!("the sample application: {}", plain(&e)));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let router = router.into_make_service_with_connect_info::<SocketAddr>();
        let server = tokio::spawn(async move {
            if let Err(e) = axum::serve(listener, router).await {
                tracing::error!("the sample application ended: {e}");
            }
        });
        Ok(Self { address, server })
    }
}

impl Drop for SampleApp {
    fn drop(&mut self) {
        self.server.abort();
    }
}
