//! Many clients at once, and one that waits for an answer.

use super::client::{AT_ONCE, connect_here};
use super::servers::{Server, Site, Symbolon};
use crate::backend;
use crate::measure::{ROUNDS, Samples};
use crate::report::{Report, Target};
use anyhow::Result;
use rustls::ClientConfig;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Clients that download at once, for how long, and how long before that.
const CLIENTS: usize = 64;
const DOWNLOAD: Duration = Duration::from_secs(20);
const BEFORE: Duration = Duration::from_secs(1);
/// Echoes in a round, and their length.
const ECHOES: usize = 300;
const ECHO: usize = 100;

/// Shares of many, then echoes.
pub(super) fn run(report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let site = Site::new()?;
    let application = pours()?;
    let ours = Symbolon::start(&site, application, "")?.into_server("TLS port");
    let pipe = Server::pipe(&site, application)?;
    for (server, target) in [(&ours, Target::AtMost(20.0)), (&pipe, Target::None)] {
        let shares = shares(&site.client, server.address)?;
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        let furthest = shares.iter().map(|share| (share / mean - 1.0).abs()).fold(0.0, f64::max);
        let name = format!("{CLIENTS} downloads at once, {}: share furthest from the mean", server.name);
        report.value(name, furthest * 100.0, "%", target);
        let rate = mean * shares.len() as f64 / DOWNLOAD.as_secs_f64() / 1e6;
        report.value(format!("the same, {}: all together", server.name), rate, "MB/s", Target::None);
    }
    drop((ours, pipe));
    let application = runtime.block_on(backend::start())?;
    let ours = Symbolon::start(&site, application, "")?.into_server("TLS port");
    let pipe = Server::pipe(&site, application)?;
    echoes(report, &site, application, [&ours, &pipe])
}

/// How many bytes each got in the same time. Clients and application have a thread for each connection, so that the
/// kernel shares the processors among them: who is unfair is the server.
fn shares(config: &Arc<ClientConfig>, address: SocketAddr) -> Result<Vec<f64>> {
    let counts: Vec<Arc<AtomicU64>> = (0..CLIENTS).map(|_| Arc::default()).collect();
    let over = Arc::new(AtomicBool::new(false));
    for count in &counts {
        let (count, over) = (count.clone(), over.clone());
        let mut tls = connect_here(config, address)?;
        tls.flush()?;
        thread::spawn(move || {
            let mut buffer = vec![0; AT_ONCE];
            while let Ok(got @ 1..) = tls.read(&mut buffer) {
                count.fetch_add(got as u64, Ordering::Relaxed);
                if over.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
    }
    let now = || counts.iter().map(|count| count.load(Ordering::Relaxed)).collect::<Vec<_>>();
    thread::sleep(BEFORE);
    let before = now();
    thread::sleep(DOWNLOAD);
    let after = now();
    over.store(true, Ordering::Relaxed);
    Ok(after.iter().zip(before).map(|(after, before)| (after - before) as f64).collect())
}

/// An application that sends without end to who comes.
fn pours() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || while client.write_all(&[7; AT_ONCE]).is_ok() {});
        }
    });
    Ok(address)
}

/// Direct, through us, and through the others in turn.
fn echoes<const N: usize>(
    report: &mut Report,
    site: &Site,
    application: SocketAddr,
    servers: [&Server; N],
) -> Result<()> {
    let mut direct = TcpStream::connect(application)?;
    direct.set_nodelay(true)?;
    direct.write_all(&backend::echo())?;
    let mut through = vec![];
    for server in servers {
        let mut tls = connect_here(&site.client, server.address)?;
        tls.write_all(&backend::echo())?;
        through.push((server.name, tls, vec![], vec![]));
    }
    let mut bare = vec![];
    for _ in 0..=ROUNDS {
        let unprotected = Samples::new(round_trips(&mut direct)?);
        bare.push(unprotected.median());
        for (_, tls, added, longest) in &mut through {
            let took = Samples::new(round_trips(tls)?);
            added.push((took.median() - unprotected.median()) / 1e3);
            longest.push(took.at(0.99) / 1e3);
        }
    }
    for (name, _, added, longest) in through {
        let target = if name == "TLS port" { Target::AtMost(0.2) } else { Target::None };
        let what = format!("echo of {ECHO} bytes, {name}: p50 above that of a direct connection without TLS");
        report.median(what, &Samples::new(added), "ms", target);
        report.median(format!("the same, {name}: p99"), &Samples::new(longest), "ms", Target::None);
    }
    report.median("the same, direct: p50", &Samples::new(bare), "µs", Target::None);
    Ok(())
}

/// Microseconds of each.
fn round_trips(stream: &mut (impl Read + Write)) -> Result<Vec<f64>> {
    let mut buffer = [7; ECHO];
    let mut took = Vec::with_capacity(ECHOES);
    for _ in 0..ECHOES {
        let began = Instant::now();
        stream.write_all(&buffer)?;
        stream.flush()?;
        stream.read_exact(&mut buffer)?;
        took.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(took)
}
