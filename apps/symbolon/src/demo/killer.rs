//! Whoever kills the worker that leads, again and again, and looks who carries the connections on.

use std::convert::Infallible;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep_until, timeout};

use super::screen::Screen;
use super::stage::{leader, not_in_time, until};
use super::{Picture, seen};
use crate::admin::{AdminClient, rows};
use crate::exit::{Complaint, Outcome, plain};

/// Between two kills: several times what a worker needs to lead.
const PAUSE: Duration = Duration::from_millis(700);

/// How long a worker may take that is asked while it is killed.
const ASKED: Duration = Duration::from_secs(1);

/// It.
pub(super) struct Killer<'a> {
    admin: &'a AdminClient,
    picture: &'a Picture,
    screen: &'a Screen,
}

impl<'a> Killer<'a> {
    pub(super) const fn new(admin: &'a AdminClient, picture: &'a Picture, screen: &'a Screen) -> Self {
        Self { admin, picture, screen }
    }

    /// Kills for as long as it is asked to.
    pub(super) async fn run(&self) -> Outcome<Infallible> {
        let nobody = || not_in_time("no worker leads");
        until(async || self.both_flow().then_some(())).await.ok_or_else(|| not_in_time("nothing arrives"))?;
        let mut leads = until(async || self.leader().await).await.ok_or_else(nobody)?;
        loop {
            let next_kill = Instant::now() + PAUSE;
            sleep_until(next_kill).await;
            self.screen.tell_kill();
            self.kill(leads)?;
            let other = async || self.leader().await.filter(|pid| *pid != leads);
            leads = until(other).await.ok_or_else(nobody)?;
            seen(self.picture).leader = Some(leads);
            self.look().await;
        }
    }

    fn both_flow(&self) -> bool {
        let seen = seen(self.picture);
        seen.download.bytes > 0 && seen.upload.bytes > 0
    }

    async fn leader(&self) -> Option<u32> {
        timeout(ASKED, leader(self.admin)).await.ok()?
    }

    fn kill(&self, worker: u32) -> Outcome {
        let failed = |e: rustix::io::Errno| {
            Complaint::failure(format!("worker {worker} cannot be killed: {}", plain(&e.into())))
        };
        let pid = i32::try_from(worker).ok().and_then(Pid::from_raw).ok_or(rustix::io::Errno::SRCH);
        {
            let mut seen = seen(self.picture);
            seen.kills += 1;
            seen.leader = None;
            seen.download.killed();
            seen.upload.killed();
        }
        pid.and_then(|pid| kill_process(pid, Signal::KILL)).map_err(failed)
    }

    /// Looks how often each connection was carried on; a worker that has just begun may not have it yet.
    async fn look(&self) {
        let Ok(Ok(all)) = timeout(ASKED, self.admin.get("/v1/connections")).await else { return };
        let mut seen = seen(self.picture);
        for connection in rows("connections", all) {
            let number = |field: &str| connection[field].as_u64().unwrap_or(0);
            let way = usize::from(number("bytes_up") > number("bytes_down"));
            seen.carried_on[way] = seen.carried_on[way].max(number("adopted"));
        }
    }
}
