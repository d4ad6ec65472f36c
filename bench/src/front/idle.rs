//! What a connection costs on which nothing happens.

use super::client::connect;
use super::servers::{Site, Symbolon};
use crate::backend;
use crate::report::{Report, Target};
use anyhow::{Context as _, Result};
use rustix::process::{Resource, getrlimit};
use rustls::ClientConfig;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

/// How many connections the target speaks of, after some that warm up.
const CONNECTIONS: usize = 4000;
const WARM_UP: usize = 100;
/// Handshakes at a time.
const AT_A_TIME: usize = 16;
/// The holder and the worker have three descriptors of each.
const DESCRIPTORS: u64 = 3;
const OTHER_DESCRIPTORS: u64 = 200;
/// How long it is left alone before its memory is read: longer than rings take to rest.
const SETTLE: Duration = Duration::from_secs(3);

type Connections = Vec<TlsStream<TcpStream>>;

/// Opens as many as descriptors allow, each with one byte there and back, and leaves them idle.
pub(super) fn run(report: &mut Report) -> Result<()> {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let possible = descriptors.saturating_sub(OTHER_DESCRIPTORS) / DESCRIPTORS;
    let count = CONNECTIONS.min(usize::try_from(possible)?.saturating_sub(WARM_UP));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let site = Site::new()?;
    let gateway = Symbolon::start(&site, runtime.block_on(backend::start())?, "")?;
    let read = || {
        std::thread::sleep(SETTLE);
        Memory::of(&gateway)
    };
    let first = runtime.block_on(open(&site.client, gateway.address, WARM_UP))?;
    let before = read()?;
    let rest = runtime.block_on(open(&site.client, gateway.address, count))?;
    let after = read()?;
    let each = |kib: fn(&Memory) -> u64| (kib(&after) as f64 - kib(&before) as f64) / rest.len() as f64;
    report.value(
        format!("memory of an idle TLS connection, {count} open"),
        each(Memory::all),
        "KiB",
        Target::AtMost(20.0),
    );
    report.value("of it memory of the workers' own", each(|m| m.workers), "KiB", Target::None);
    report.value("of it the holder's", each(|m| m.holder), "KiB", Target::None);
    report.value("of it the memory files, which they share", each(|m| m.files), "KiB", Target::None);
    report.note("Memory: growth of RssAnon and RssFile of holder and workers, and of the files' blocks.");
    if count < CONNECTIONS {
        report.note(format!("Descriptors allow {count}; the value is taken for {CONNECTIONS} as it is."));
    }
    drop((first, rest));
    Ok(())
}

async fn open(client: &Arc<ClientConfig>, address: SocketAddr, count: usize) -> Result<Connections> {
    let mut tasks = JoinSet::new();
    for worker in 0..AT_A_TIME {
        let client = client.clone();
        let share = count / AT_A_TIME + usize::from(worker < count % AT_A_TIME);
        tasks.spawn(async move {
            let mut all = Vec::with_capacity(share);
            for _ in 0..share {
                let mut tls = connect(&client, address).await?;
                tls.write_all(&[&backend::echo()[..], b"?"].concat()).await?;
                tls.read_exact(&mut [0]).await?;
                all.push(tls);
            }
            anyhow::Ok(all)
        });
    }
    let mut all = Vec::with_capacity(count);
    while let Some(some) = tasks.join_next().await {
        all.extend(some??);
    }
    Ok(all)
}

/// KiB.
struct Memory {
    workers: u64,
    holder: u64,
    files: u64,
}

impl Memory {
    fn of(gateway: &Symbolon) -> Result<Self> {
        let workers = gateway.workers().into_iter().map(own).sum::<Result<u64>>()?;
        Ok(Self { workers, holder: own(gateway.holder())?, files: files(gateway.holder())? })
    }

    fn all(&self) -> u64 {
        self.workers + self.holder + self.files
    }
}

/// What a process has for itself.
fn own(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = |name: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no such memory")?;
        Ok(number.parse()?)
    };
    Ok(kib("RssAnon")? + kib("RssFile")?)
}

/// What memory files take that a process has descriptors of, each once.
fn files(pid: u32) -> Result<u64> {
    let mut blocks = BTreeMap::new();
    for descriptor in std::fs::read_dir(format!("/proc/{pid}/fd"))?.flatten() {
        let path = descriptor.path();
        if std::fs::read_link(&path).is_ok_and(|target| target.to_string_lossy().starts_with("/memfd:")) {
            let file = std::fs::metadata(&path)?;
            blocks.insert((file.dev(), file.ino()), file.blocks());
        }
    }
    // blocks of 512 bytes
    Ok(blocks.values().sum::<u64>() / 2)
}
