//! Feeds every target for some seconds: `fuzz-smoke [--seconds N] [--seed N] [--target NAME]`.
//!
//! A line that begins with `held` or `FAILED` stands for a target. A finding is written to `artifacts/`, and moved
//! into `corpus/` by whoever mends it.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use symbolon_fuzz::{Mutator, TARGETS, Target};

struct Options {
    seconds: u64,
    seed: u64,
    target: Option<String>,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse(std::env::args().skip(1))?;
    println!("seed {}", options.seed);
    let mut all_held = true;
    for target in TARGETS.iter().filter(|t| options.target.as_deref().is_none_or(|name| name == t.name)) {
        let start = Instant::now();
        match feed(target, &options)? {
            Ok(count) => println!(
                "held    {:<22} {count} inputs in {:.1} s",
                target.name,
                start.elapsed().as_secs_f64()
            ),
            Err(finding) => {
                all_held = false;
                println!("FAILED  {:<22} {}", target.name, finding.display());
            }
        }
    }
    Ok(if all_held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The count of inputs that were fed, or the file with the one that was a finding.
fn feed(target: &Target, options: &Options) -> Result<Result<u64, PathBuf>> {
    let deadline = Instant::now() + Duration::from_secs(options.seconds);
    let mut seeds = (target.seeds)();
    seeds.extend(corpus(target.name)?);
    let mut mutator = Mutator::new(options.seed, seeds.clone());
    let mut known = seeds.into_iter();
    let mut count = 0;
    while Instant::now() < deadline {
        let input = known.next().unwrap_or_else(|| mutator.next_input());
        if catch_unwind(|| (target.feed)(&input)).is_err() {
            return Ok(Err(keep(target.name, &input)?));
        }
        count += 1;
    }
    Ok(Ok(count))
}

/// Inputs that were findings once.
fn corpus(target: &str) -> Result<Vec<Vec<u8>>> {
    let directory = here().join("corpus").join(target);
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let mut files: Vec<PathBuf> = fs::read_dir(directory)?.map(|e| Ok(e?.path())).collect::<Result<_>>()?;
    files.sort();
    files.iter().map(|file| fs::read(file).with_context(|| file.display().to_string())).collect()
}

fn keep(target: &str, input: &[u8]) -> Result<PathBuf> {
    let directory = here().join("artifacts").join(target);
    fs::create_dir_all(&directory)?;
    let name = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let file = directory.join(format!("{name:016x}"));
    fs::write(&file, input)?;
    Ok(file)
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self { seconds: 5, seed: clock_seed(), target: None };
        while let Some(flag) = args.next() {
            let value = args.next().with_context(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--seconds" => options.seconds = value.parse().context("--seconds")?,
                "--seed" => options.seed = value.parse().context("--seed")?,
                "--target" if TARGETS.iter().any(|t| t.name == value) => options.target = Some(value),
                "--target" => {
                    let names: Vec<_> = TARGETS.iter().map(|t| t.name).collect();
                    bail!("there is no target `{value}`; there are {}", names.join(", "));
                }
                _ => bail!("`{flag}` is not a flag"),
            }
        }
        Ok(options)
    }
}

/// Every run looks elsewhere; the seed is printed.
fn clock_seed() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |d| d.as_secs())
}
