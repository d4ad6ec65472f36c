//! A relay of `serve`: it dials applications that a worker cannot carry on by itself.

use symbolon_server::RelayProcess;

use super::Signals;
use crate::exit::{Complaint, Outcome, plain};
use crate::runtime;

/// Does what workers ask, until its holder says stop.
pub(super) fn run() -> Outcome {
    let failed = |e| Complaint::failure(format!("no relay: {}", plain(&e)));
    let relay = RelayProcess::begin().map_err(failed)?;
    let runtime = runtime::large()?;
    let ended = runtime.block_on(async {
        // A service manager tells all processes of a service to stop; this one is stopped by the holder, as the last.
        let _unheeded = Signals::new()?;
        relay.run().await.map_err(failed)
    });
    // a name that is being looked up is not waited for
    runtime.shutdown_background();
    ended
}
