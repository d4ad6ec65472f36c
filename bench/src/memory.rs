//! What an idle session costs a node.

use crate::node::NodeChild;
use crate::report::{Report, Target};
use crate::user::{Session, User};
use anyhow::Result;
use rustix::process::{Resource, getrlimit};
use std::rc::Rc;
use std::time::Duration;
use tokio::task::{JoinSet, LocalSet};

/// How many sessions the target speaks of.
const SESSIONS: usize = 5000;
/// Sign-ins at the same time.
const AT_ONCE: usize = 16;
/// Descriptors that are needed for other things than sessions.
const OTHER_DESCRIPTORS: u64 = 200;
/// How long the node is left alone before its memory is read.
const SETTLE: Duration = Duration::from_secs(2);

/// Signs in as often as descriptors allow and leaves the sessions idle.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let possible = usize::try_from(descriptors.saturating_sub(OTHER_DESCRIPTORS)).unwrap_or(usize::MAX);
    let count = SESSIONS.min(possible);
    let node = NodeChild::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let user = runtime.block_on(async {
        let user = User::enrol(node.address, &node.invitation, "alice").await?;
        node.publish("db", node.address, &user.access_path()).await?;
        anyhow::Ok(Rc::new(user))
    })?;
    let read = || {
        std::thread::sleep(SETTLE);
        node.process.resident_kib()
    };
    let before = read()?;
    let first = LocalSet::new().block_on(&runtime, sign_in(&user, count / 2))?;
    let half = read()?;
    let second = LocalSet::new().block_on(&runtime, sign_in(&user, count - count / 2))?;
    let all = read()?;
    let held = first.len() + second.len();
    let growth = (all - before) as f64 / held as f64;
    report.value(
        format!("memory of an idle session in the gateway, {held} connected"),
        growth,
        "KiB",
        Target::AtMost(10.0),
    );
    let later = all.saturating_sub(half) as f64 / second.len() as f64;
    report.value("the same, second half of the sessions alone", later, "KiB", Target::None);
    report.value("memory of the node before the first session", before as f64 / 1024.0, "MiB", Target::None);
    report.value(
        format!("memory of the node with {held} sessions"),
        all as f64 / 1024.0,
        "MiB",
        Target::None,
    );
    report.note(
        "VmRSS of the node's process, store and allocator included; the kernel's socket buffers are not.",
    );
    if held < SESSIONS {
        report
            .note(format!("Descriptors allow {held} sessions; the value is taken for {SESSIONS} as it is."));
    }
    drop((first, second));
    Ok(())
}

async fn sign_in(user: &Rc<User>, count: usize) -> Result<Vec<Session>> {
    let mut tasks = JoinSet::new();
    for worker in 0..AT_ONCE {
        let (user, share) = (user.clone(), count / AT_ONCE + usize::from(worker < count % AT_ONCE));
        tasks.spawn_local(async move {
            let mut sessions = Vec::with_capacity(share);
            for _ in 0..share {
                sessions.push(user.sign_in().await?);
            }
            anyhow::Ok(sessions)
        });
    }
    let mut all = Vec::with_capacity(count);
    while let Some(sessions) = tasks.join_next().await {
        all.extend(sessions??);
    }
    Ok(all)
}
