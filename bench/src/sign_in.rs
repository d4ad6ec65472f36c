//! A whole sign-in through a node: network, store, replay cache and audit included.

use crate::clock::micros_each;
use crate::context::tls_handshakes;
use crate::measure::{Cost, Samples, interleaved};
use crate::node::NodeChild;
use crate::report::{Report, Target};
use crate::tls::TlsPair;
use crate::user::User;
use anyhow::Result;
use rustls::crypto::aws_lc_rs::kx_group;
use std::time::Instant;

/// Sign-ins in a round.
const BATCH: usize = 16;

/// Signs in again and again, one after the other.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let mut node = NodeChild::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let user = runtime.block_on(User::enrol(node.address, &node.invitation, "alice"))?;
    let tls = TlsPair::new(kx_group::X25519MLKEM768, &rcgen::PKCS_ED25519)?;
    let mut wall = Vec::new();
    let [whole, handshake] = interleaved([
        Box::new(|| {
            let before = node.process.cpu()?;
            for _ in 0..BATCH {
                let began = Instant::now();
                runtime.block_on(user.sign_in())?;
                wall.push(began.elapsed().as_secs_f64() * 1e3);
            }
            let server = micros_each(node.process.cpu()? - before, BATCH);
            Ok(Cost { server, client: 0.0 })
        }),
        tls_handshakes(&tls),
    ])?;
    let wall = Samples::new(wall);
    let name = |what: &str| format!("whole sign-in through a node, SSK, X-Wing: {what}");
    report.median(name("CPU of the node's process"), &whole.server, "µs", Target::None);
    let ratio = whole.server.over(&handshake.server);
    report.median(name("the same ÷ server CPU of TLS 1.3 mutual, Ed25519"), &ratio, "×", Target::None);
    report.value(name("p50 until configured"), wall.at(0.5), "ms", Target::None);
    report.value(name("p99 until configured"), wall.at(0.99), "ms", Target::None);
    report.note(
        "Whole sign-in: from connect until configured, client and node on one machine. The node's part",
    );
    report.note("is mostly its store: replay cache, audit row, session, stream numbers, report.");
    Ok(())
}
