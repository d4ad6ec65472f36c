//! What every program says of its process, by the names that are customary.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use rustix::process::{Resource, getrlimit};
use std::sync::atomic::AtomicU64;

/// Fields of `/proc/self/stat` behind the name, from 0: time in user mode and in the kernel, in ticks (proc(5), 14
/// and 15 of all).
const USER: usize = 11;
const KERNEL: usize = 12;

#[derive(Default)]
pub(super) struct ProcessMetrics {
    cpu: Counter<f64, AtomicU64>,
    memory: Gauge,
    descriptors: Gauge,
    most_descriptors: Gauge,
}

impl ProcessMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let process = registry.sub_registry_with_prefix("process");
        let cpu = metrics.cpu.clone();
        process.register_with_unit("cpu", "CPU time of the worker that leads", Unit::Seconds, cpu);
        let memory = metrics.memory.clone();
        process.register_with_unit("resident_memory", "Its resident memory", Unit::Bytes, memory);
        process.register("open_fds", "Its open descriptors", metrics.descriptors.clone());
        let most = metrics.most_descriptors.clone();
        process.register("max_fds", "How many it may open", most);
        metrics
    }

    /// Reads them. What the system does not tell stays as it was.
    pub(super) fn read(&self) {
        if let Some(seconds) = cpu() {
            self.cpu.inc_by((seconds - self.cpu.get()).max(0.0));
        }
        if let Some(bytes) = memory() {
            self.memory.set(bytes);
        }
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            self.descriptors.set(i64::try_from(open.count()).unwrap_or(i64::MAX));
        }
        let most = getrlimit(Resource::Nofile).current.and_then(|most| i64::try_from(most).ok());
        self.most_descriptors.set(most.unwrap_or(i64::MAX));
    }
}

fn cpu() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // the name may have spaces
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<u64>().ok();
    Some((ticks(USER)? + ticks(KERNEL)?) as f64 / rustix::param::clock_ticks_per_second() as f64)
}

fn memory() -> Option<i64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * i64::try_from(rustix::param::page_size()).ok()?)
}
