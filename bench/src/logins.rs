//! Ten thousand sign-ins through one node, client and node each on what the machine has.

use crate::measure::Samples;
use crate::node::NodeChild;
use crate::report::{Report, Target};
use crate::user::User;
use anyhow::Result;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

/// Sign-ins in all.
const LOGINS: usize = 10_000;
/// How many are under way at a time.
const AT_ONCE: usize = 32;

/// Signs in, is configured and leaves, again and again.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let mut node = NodeChild::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let user = Rc::new(runtime.block_on(User::enrol(node.address, &node.invitation, "alice"))?);
    let left = Rc::new(Cell::new(LOGINS));
    let (before, began) = (node.process.cpu()?, Instant::now());
    let all = runtime.block_on(tokio::task::LocalSet::new().run_until(async {
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            clients.spawn_local(client(user.clone(), left.clone()));
        }
        let mut all = Outcome::default();
        while let Some(outcome) = clients.join_next().await {
            all.add(outcome?);
        }
        anyhow::Ok(all)
    }))?;
    let (cpu, wall) = (node.process.cpu()? - before, began.elapsed());
    let waited = Samples::new(all.waited);
    let name = |what: &str| format!("{LOGINS} logins through one node, {AT_ONCE} at a time: {what}");
    report.value(name("errors"), all.errors as f64, "", Target::AtMost(0.0));
    report.value(name("a second"), LOGINS as f64 / wall.as_secs_f64(), "/s", Target::None);
    report.value(name("p50 until configured"), waited.at(0.5), "ms", Target::None);
    report.value(name("p99 until configured"), waited.at(0.99), "ms", Target::None);
    report.value(name("CPU of the node, each"), cpu.as_secs_f64() * 1e6 / LOGINS as f64, "µs", Target::None);
    if let Some(first) = all.first_error {
        report.note(format!("The first login that failed: {first}"));
    }
    Ok(())
}

#[derive(Default)]
struct Outcome {
    waited: Vec<f64>,
    errors: usize,
    first_error: Option<String>,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.waited.extend(other.waited);
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }
}

async fn client(user: Rc<User>, left: Rc<Cell<usize>>) -> Outcome {
    let mut outcome = Outcome::default();
    while let Some(rest) = left.get().checked_sub(1) {
        left.set(rest);
        let began = Instant::now();
        match user.sign_in().await {
            Ok(session) => {
                outcome.waited.push(began.elapsed().as_secs_f64() * 1e3);
                if let Err(e) = session.leave().await {
                    outcome.failed(&e);
                }
            }
            Err(e) => outcome.failed(&e),
        }
    }
    outcome
}

impl Outcome {
    fn failed(&mut self, e: &anyhow::Error) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| format!("{e:#}"));
    }
}
