//! What is left of a connection's keys, and where.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, kill_process, setrlimit};
use symbolon_acceptance::{Gateway, LIMIT, Signal, finish, program, scenario, step, until};

use crate::killer::{kill_leader, leader, workers};
use crate::stage::Stage;
use crate::wire::{Seen, Wire};

/// What the application says again and again, so that it is found in the ring of a connection that is open.
const MARK: &[u8] = b"this stands in a ring while it is on its way\n";

/// So slowly that the connection is open all the time.
const SLOWLY: &str = "400k";

#[test]
fn keys_are_sealed_while_a_connection_is_open_and_gone_after_it() -> Result<()> {
    scenario!("Ann's curls write down their secrets; root looks for them in memory files, logs and on disk");
    let mut stage = Stage::start("", 0)?;
    fs::write(&stage.film, MARK.repeat(1_000_000))?;
    stage.sum = symbolon_acceptance::sha256(&[&stage.film])?.swap_remove(0);
    let gateway = &stage.front.gateway;
    let wire = Wire::before(stage.front.port)?;
    let mut open = Vec::new();
    for (version, words) in SUITES {
        let further = [&words[..], &["--limit-rate", SLOWLY]].concat();
        let name = format!("keys-{version}");
        let out = stage.front.path(&name);
        let mut curl = stage.curl(wire.port(), "film", &[&further[..], &["--output", &name]].concat())?;
        curl.env("SSLKEYLOGFILE", stage.front.path(&format!("log-{version}")));
        open.push(crate::stage::Transfer::start(&mut curl, out, &stage.sum)?);
    }
    let seen = wire.seen();
    let log = |version: &str| fs::read_to_string(stage.front.path(&format!("log-{version}")));
    let mut secrets = keys_of_1_2(&log("1.2")?, &seen[0])?;
    secrets.extend(keys_of_1_3(&log("1.3")?)?);
    ensure!(secrets.len() == 10, "only {} secrets", secrets.len());
    for _ in 0..2 {
        let files = memory_files(gateway)?;
        if rustix::process::geteuid().is_root() {
            ensure!(files.iter().any(|(_, bytes)| holds(bytes, MARK)), "what is open is not found");
        } else {
            ensure!(files.is_empty(), "nobody but root may look");
        }
        demand_none(&files, &secrets)?;
        kill_leader(gateway)?;
    }
    excluded_from_dumps(leader(gateway)?)?;
    for mut transfer in open {
        transfer.running().signal(Signal::TERM)?;
        transfer.running().wait_exit()?;
    }
    until(LIMIT, "the connections to be over", || {
        let open = gateway.admin_json(&["connections", "list"]).ok()?;
        open["connections"].as_array().filter(|c| c.is_empty()).map(drop)
    })?;
    step!("after the end: not sealed either, and nothing of what passed");
    let files = memory_files(gateway)?;
    demand_none(&files, &secrets)?;
    ensure!(!files.iter().any(|(_, bytes)| holds(bytes, MARK)), "what passed is still there");
    demand_none(&[("the log".to_owned(), gateway.log().into_bytes())], &secrets)?;
    let mut disk = Vec::new();
    read_all(&gateway.dir(), &mut disk)?;
    demand_none(&disk, &secrets)
}

#[test]
fn a_worker_that_crashes_leaves_no_core_dump() -> Result<()> {
    scenario!("core dumps are allowed, and a worker aborts in the middle of a transfer");
    let before = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: before.maximum, ..before })?;
    let stage = Stage::start("", 10_000_000)?;
    let gateway = &stage.front.gateway;
    let transfer = stage.download(stage.front.port, "film", &["--limit-rate", "5M"])?;
    let leads = leader(gateway)?;
    kill_process(Pid::from_raw(leads.try_into()?).context("no process")?, Signal::ABORT)?;
    until(LIMIT, "another worker to lead", || leader(gateway).ok().filter(|next| *next != leads))?;
    transfer.demand_whole(LIMIT)?;
    for entry in fs::read_dir(gateway.machine().home())? {
        let name = entry?.file_name();
        ensure!(!name.to_string_lossy().contains("core"), "{}", name.display());
    }
    Ok(())
}

/// Versions with one suite each, whose hash and key lengths are known.
const SUITES: [(&str, [&str; 5]); 2] = [
    ("1.2", ["--tlsv1.2", "--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"]),
    ("1.3", ["--tlsv1.3", "--tls-max", "1.3", "--tls13-ciphers", "TLS_AES_256_GCM_SHA384"]),
];

/// The master secret, and both keys made of it (RFC 5246 §6.3).
fn keys_of_1_2(log: &str, seen: &Seen) -> Result<Vec<Vec<u8>>> {
    let line = log.lines().find_map(|l| l.strip_prefix("CLIENT_RANDOM ")).context("no master secret")?;
    let (client, master) = line.split_once(' ').context("half a line")?;
    let server = hex(seen.server_random()?);
    let block = kdf(&[
        "-keylen",
        "32",
        "-kdfopt",
        "digest:SHA256",
        "-kdfopt",
        &format!("hexsecret:{master}"),
        "-kdfopt",
        &format!("hexseed:{}{server}{client}", hex(b"key expansion")),
        "TLS1-PRF",
    ])?;
    Ok(vec![bytes(master)?, block[..16].to_vec(), block[16..].to_vec()])
}

/// All secrets of the log, and the keys made of those of the traffic (RFC 8446 §7.3).
fn keys_of_1_3(log: &str) -> Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for line in log.lines().filter(|l| !l.starts_with('#')) {
        let [label, _, secret] = line.split(' ').collect::<Vec<_>>()[..] else {
            bail!("an odd line: {line}")
        };
        all.push(bytes(secret)?);
        if label.contains("TRAFFIC_SECRET_0") {
            let info = [&[0, 32, 9], &b"tls13 key"[..], &[0]].concat();
            all.push(kdf(&[
                "-keylen",
                "32",
                "-kdfopt",
                "digest:SHA384",
                "-kdfopt",
                "mode:EXPAND_ONLY",
                "-kdfopt",
                &format!("hexkey:{secret}"),
                "-kdfopt",
                &format!("hexinfo:{}", hex(&info)),
                "HKDF",
            ])?);
        }
    }
    Ok(all)
}

fn kdf(words: &[&str]) -> Result<Vec<u8>> {
    let mut command = Command::new(program("openssl")?);
    let made = finish(command.arg("kdf").args(words), b"", LIMIT)?.success()?.text();
    bytes(&made.replace(':', ""))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn bytes(hex: &str) -> Result<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}

/// Every memory file that holder and workers have, with what names it. Without the rights of root, those are none.
fn memory_files(gateway: &Gateway) -> Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    for pid in workers(gateway)?.into_iter().chain([gateway.pid()?]) {
        let descriptors = match fs::read_dir(format!("/proc/{pid}/fd")) {
            Err(e) if e.kind() == ErrorKind::PermissionDenied => continue,
            descriptors => descriptors?,
        };
        for entry in descriptors {
            let path = entry?.path();
            // one that was closed meanwhile
            let Ok(name) = fs::read_link(&path) else { continue };
            if name.to_string_lossy().starts_with("/memfd:") {
                let mut bytes = Vec::new();
                File::open(&path)?.read_to_end(&mut bytes)?;
                found.push((format!("{} of process {pid}", name.display()), bytes));
            }
        }
    }
    Ok(found)
}

/// Demands that each mapping of a memory file is in no core dump (proc(5): `dd`).
fn excluded_from_dumps(pid: u32) -> Result<()> {
    let maps = match fs::read_to_string(format!("/proc/{pid}/smaps")) {
        Err(e) if e.kind() == ErrorKind::PermissionDenied => return Ok(()),
        maps => maps?,
    };
    let mut mapping = None;
    let mut count = 0;
    for line in maps.lines() {
        if line.contains("/memfd:symbolon") {
            mapping = Some(line);
        } else if let Some(flags) = line.strip_prefix("VmFlags:")
            && let Some(name) = mapping.take()
        {
            ensure!(flags.split(' ').any(|flag| flag == "dd"), "{name} would be in a core dump");
            count += 1;
        }
    }
    ensure!(count > 0, "no memory file is mapped");
    Ok(())
}

fn read_all(directory: &Path, found: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            read_all(&path, found)?;
        } else if path.is_file() {
            found.push((path.display().to_string(), fs::read(&path)?));
        }
    }
    Ok(())
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn demand_none(places: &[(String, Vec<u8>)], secrets: &[Vec<u8>]) -> Result<()> {
    for (name, bytes) in places {
        for secret in secrets {
            ensure!(!holds(bytes, secret), "a key of {} bytes stands in {name}", secret.len());
            let text = hex(secret);
            ensure!(!holds(bytes, text.as_bytes()), "a key stands in {name}, written out");
        }
    }
    Ok(())
}
