//! The application behind the gateway, as a process that says on standard output what arrives.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;

use super::flow::Arrivals;
use crate::exit::Outcome;
use crate::output::{Output, Page, Report};
use crate::sample::{SampleApp, bulk};

/// How often it is said what arrived.
const INTERVAL: Duration = Duration::from_millis(50);

/// What the application says.
#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Said {
    /// It answers there.
    Ready {
        /// Where.
        address: SocketAddr,
    },
    /// What was sent to it, and the longest pause since this was said last.
    Arrived {
        /// Bytes in all.
        bytes: u64,
        /// Microseconds.
        pause_us: u64,
    },
}

impl Report for Said {
    fn write(&self, _: &mut Page) {}
}

const OUTPUT: Output = Output { json: true, quiet: true };

/// Runs it until standard input ends, which it does when whoever began it is gone.
pub(super) async fn run() -> Outcome {
    let arrivals = Mutex::new((Arrivals::default(), None));
    let arrived = move |bytes| {
        let now = Instant::now();
        let mut guard = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let (arrivals, told) = &mut *guard;
        if bytes > 0 {
            arrivals.came(now, bytes);
        }
        if bytes == 0 || told.is_none_or(|told| told + INTERVAL < now) {
            *told = Some(now);
            say(arrivals.tell());
        }
    };
    let app = SampleApp::start(bulk::router(arrived)).await?;
    OUTPUT.event("ready", &Said::Ready { address: app.address });
    let mut nothing = [0];
    while tokio::io::stdin().read(&mut nothing).await.is_ok_and(|n| n > 0) {}
    Ok(())
}

fn say((bytes, pause): (u64, Duration)) {
    // a pause of half a million years does not happen
    let pause_us = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
    OUTPUT.event("arrived", &Said::Arrived { bytes, pause_us });
}
