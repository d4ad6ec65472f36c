//! A worker of `serve`: the node itself, or the one that is ready to be it.

use std::mem::ManuallyDrop;

use symbolon_server::{Node, NodeConfig, Order, ReadyWorker, Worker};

use super::{ServeArgs, Signals, node_complaint, settings, started};
use crate::cli::Global;
use crate::exit::{Complaint, Outcome, plain};
use crate::paste::Paste;
use crate::runtime;

/// Does what its holder says, to the end.
pub(super) fn run(
    global: &Global,
    args: &ServeArgs,
    config: NodeConfig,
    reload: impl Fn(Option<&str>),
) -> Outcome {
    let not_a_worker = |e| Complaint::failure(format!("no holder began this worker: {}", plain(&e)));
    let worker = Worker::begin().map_err(not_a_worker)?;
    // Whatever the end: dropped, its tasks would reset connections that others are to carry on.
    let runtime = ManuallyDrop::new(runtime::large()?);
    runtime.block_on(async {
        // A service manager tells all processes of a service to stop; its workers are stopped by the holder, in order.
        let _unheeded = Signals::new()?;
        let paste = Paste::new(global).about(&config.dir);
        let complain = |e| node_complaint(e, &config, &paste);
        let mut worker = worker.prepare(config.clone()).await.map_err(complain)?;
        let mut node = None;
        let mut told = worker.told_already().await;
        if let Some(Order::Lead { before }) = told {
            node = Some(lead(global, &mut worker, &config, &paste, before).await?);
            told = None;
        }
        worker.ready().map_err(not_a_worker)?;
        loop {
            let order = match told.take() {
                Some(order) => order,
                None => tokio::select! {
                    order = worker.next() => order,
                    failure = failure(node.as_ref()) => {
                        std::mem::forget(node);
                        return Err(failure);
                    }
                },
            };
            match order {
                Order::Lead { before } => {
                    node = Some(lead(global, &mut worker, &config, &paste, before).await?)
                }
                Order::Reload => match settings::load(global, args.table()) {
                    Ok((new, log)) => {
                        reload(log.as_deref());
                        // told once, by the one that leads
                        node.iter().for_each(|node| settings::take_in_changes(node, &config, &new));
                    }
                    Err(complaint) => tracing::error!("the configuration stays as it was: {complaint}"),
                },
                Order::Stop { last: true } => {
                    if let Some(node) = node.take() {
                        node.shutdown().await;
                    }
                    return Ok(());
                }
                Order::Stop { last: false } => {
                    if let Some(node) = node.take() {
                        node.hand_over().await;
                    }
                    leave();
                }
                Order::HolderGone => {
                    return Err(Complaint::failure("the holder is gone, and all connections with it"));
                }
            }
        }
    })
}

async fn lead(
    global: &Global,
    worker: &mut ReadyWorker,
    config: &NodeConfig,
    paste: &Paste,
    before: u64,
) -> Outcome<Node> {
    let node = worker.lead(before).await.map_err(|e| node_complaint(e, config, paste))?;
    if before == 0 {
        started(global.output(), &node, &config.dir, paste.clone())?;
    }
    Ok(node)
}

/// Ends this process at once: whatever cleaned up would end the connections that others are to carry on.
#[expect(clippy::disallowed_methods, reason = "nothing may be dropped")]
fn leave() -> ! {
    std::process::exit(0)
}

/// A failure of the node itself.
async fn failure(node: Option<&Node>) -> Complaint {
    match node {
        Some(node) => Complaint::failure(node.failure().await.to_string()),
        None => std::future::pending().await,
    }
}
