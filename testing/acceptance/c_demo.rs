//! C, as anybody can watch it: `symbolon demo failover` kills the process that carries two transfers of `curl`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use symbolon_acceptance::{
    LIMIT, Machine, Running, Signal, finish, program, scenario, step, transcript, until,
};

/// A machine with a directory for temporary files of its own.
struct Laptop {
    machine: Machine,
    temporary: PathBuf,
}

impl Laptop {
    fn new() -> Result<Self> {
        program("curl")?;
        let machine = Machine::new("laptop")?;
        let temporary = machine.path("tmp");
        fs::create_dir(&temporary)?;
        Ok(Self { machine, temporary })
    }

    fn demo(&self, further: &[&str]) -> Command {
        let mut command = self.machine.symbolon([&["demo", "failover"], further].concat());
        command.env("TMPDIR", &self.temporary);
        transcript::command(&command);
        command
    }

    /// What lies in the directory for temporary files.
    fn left(&self) -> Result<Vec<PathBuf>> {
        let all = fs::read_dir(&self.temporary)?;
        all.map(|entry| Ok(entry?.path())).collect()
    }

    /// How many processes were told of something in that directory.
    fn processes(&self) -> Result<usize> {
        let told = self.temporary.display().to_string();
        let lines = fs::read_dir("/proc")?.filter_map(|p| fs::read(p.ok()?.path().join("cmdline")).ok());
        Ok(lines.filter(|line| String::from_utf8_lossy(line).contains(&told)).count())
    }
}

#[test]
fn two_transfers_of_curl_outlive_the_worker_that_carries_them_again_and_again() -> Result<()> {
    scenario!("somebody watches a failover on a machine of theirs");
    let laptop = Laptop::new()?;
    // a debug build on two busy cores is slow
    let run = finish(&mut laptop.demo(&["--once", "--json"]), b"", LIMIT * 6)?.success()?;
    let done = run.json()?;
    let kills = done["kills"].as_u64().context("no kills")?;
    ensure!(kills >= 5, "{done}");
    let transfers = done["transfers"].as_array().context("no transfers")?;
    ensure!(transfers.len() == 2, "{done}");
    for transfer in transfers {
        let direction = transfer["direction"].as_str().context("no direction")?;
        let sums = ["sha256_sent", "sha256_received"].map(|sum| transfer[sum].as_str());
        ensure!(sums[0] == sums[1] && sums[0].is_some_and(|sum| sum.len() == 64), "{transfer}");
        ensure!(transfer["equal"] == true && transfer["handshakes"] == 1, "{transfer}");
        ensure!(transfer["bytes"] == 200_000_000 && transfer["carried_on"].as_u64() >= Some(5), "{transfer}");
        step!("{direction}: the longest stall was {} ms", transfer["longest_stall_ms"]);
    }
    step!("{kills} kills; the transfers took {} ms", done["ms"]);
    ensure!(laptop.left()?.is_empty() && laptop.processes()? == 0, "{:?}", laptop.left()?);
    Ok(())
}

#[test]
fn a_demonstration_that_is_told_to_end_leaves_nothing_behind() -> Result<()> {
    scenario!("somebody presses ^C in the middle");
    let laptop = Laptop::new()?;
    let mut demo = Running::start("demo", &mut laptop.demo(&[]))?;
    demo.wait_line(|line| line.contains("kill 1 "))?;
    // one of the node's three may be dead at this moment
    ensure!(laptop.left()?.len() == 1 && laptop.processes()? >= 4, "a node, and two of curl");
    demo.signal(Signal::INT)?;
    let status = demo.wait_exit()?;
    ensure!(status.code() == Some(130), "{status}: {}", demo.output());
    ensure!(laptop.left()?.is_empty(), "{:?}", laptop.left()?);
    until(LIMIT, "the end of its processes", || laptop.processes().ok().filter(|n| *n == 0).map(drop))
}
