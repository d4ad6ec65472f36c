//! What a client sees when the worker that carries it is killed: the longest silence in a steady stream.

use super::client::connect_here;
use super::servers::{Site, Symbolon};
use crate::measure::Samples;
use crate::report::{Report, Target};
use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use symbolon_acceptance::{LIMIT, until};

/// How often the worker that leads is killed.
const KILLS: usize = 200;
/// The application sends so much so often.
const PIECE: usize = 1024;
const BEAT: Duration = Duration::from_micros(250);
/// Time in which nothing is killed, after the next worker is ready: what is seen in it is the machine's own.
const QUIET: Duration = Duration::from_millis(150);
/// No worker is dead sooner after it was killed, and what it had sent is received.
const DYING: Duration = Duration::from_micros(500);

/// Kills and waits.
pub(super) fn run(report: &mut Report) -> Result<()> {
    let site = Site::new()?;
    let gateway = Symbolon::start(&site, beats()?, "log = \"info,symbolon::serve=debug\"")?;
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let mut tls = connect_here(&site.client, gateway.address)?;
    tls.flush()?;
    let noted = arrivals.clone();
    let reader = thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(1..) = tls.read(&mut buffer) {
            noted.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
        }
    });
    let (mut stalls, mut spans, mut quiet) = (vec![], vec![], vec![]);
    for kill in 0..KILLS {
        let ready = || (gateway.log().matches("worker ready").count() >= kill + 2).then_some(());
        until(LIMIT, "the second worker", ready)?;
        thread::sleep(QUIET);
        let leader = leader(&gateway.log()).context("no worker leads")?;
        arrivals.lock().unwrap_or_else(PoisonError::into_inner).clear();
        thread::sleep(QUIET);
        let killed = Instant::now();
        kill_process(leader, Signal::KILL)?;
        let goes_on = || {
            let last = arrivals.lock().unwrap_or_else(PoisonError::into_inner).last().copied();
            (reader.is_finished() || last.is_some_and(|last| last > killed + DYING)).then_some(())
        };
        until(LIMIT, "the client to get more", goes_on).with_context(|| last_lines(&gateway.log()))?;
        thread::sleep(QUIET);
        ensure!(!reader.is_finished(), "kill {kill} ended the connection:\n{}", last_lines(&gateway.log()));
        let arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let gap = |before: &[Instant]| (before[1] - before[0]).as_secs_f64() * 1e3;
        let longest = |pairs: &mut dyn Iterator<Item = &[Instant]>| pairs.map(gap).fold(0.0, f64::max);
        stalls.push(longest(&mut arrivals.windows(2).filter(|pair| pair[1] >= killed)));
        let span = arrivals.windows(2).find(|pair| pair[1] >= killed + DYING);
        spans.extend(span.map(gap));
        quiet.push(longest(&mut arrivals.windows(2).filter(|pair| pair[1] < killed)));
    }
    let (stalls, spans, quiet) = (Samples::new(stalls), Samples::new(spans), Samples::new(quiet));
    let name = |what: &str| format!("stall of a client whose worker is killed, {KILLS} kills: {what}");
    report.value(name("p50"), stalls.at(0.5), "ms", Target::AtMost(5.0));
    report.value(name("p99"), stalls.at(0.99), "ms", Target::AtMost(50.0));
    report.value("of it the silence in which the worker died: p50", spans.at(0.5), "ms", Target::None);
    report.value("the same: p99", spans.at(0.99), "ms", Target::None);
    report.value("longest silence without a kill: p50", quiet.at(0.5), "ms", Target::None);
    report.value("the same: p99", quiet.at(0.99), "ms", Target::None);
    Ok(())
}

/// An application that sends a little again and again to who comes.
fn beats() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let _ = client.set_nodelay(true);
                while client.write_all(&[7; PIECE]).is_ok() {
                    thread::sleep(BEAT);
                }
            });
        }
    });
    Ok(address)
}

fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// The process that was last said to lead.
fn leader(log: &str) -> Option<Pid> {
    let line = log.lines().rfind(|line| line.contains("worker leads"))?;
    let number = line.rsplit_once("pid=")?.1;
    let digits = number.split(|c: char| !c.is_ascii_digit()).find(|digits| !digits.is_empty())?;
    Pid::from_raw(digits.parse().ok()?)
}
