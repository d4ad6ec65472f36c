//! The mechanism's memory, watched by valgrind in programs that are not ours.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use symbolon_acceptance::{Running, finish, free_port, program, scenario, step, transcript};

use crate::samples::client;
use crate::site::{PASSWORD, Site, USER};

const SERVICE: &str = "host@localhost";

/// A program runs some fifty times as long.
const PATIENCE: Duration = Duration::from_secs(300);

fn watched(site: &Site, name: &str, log: &str) -> Result<Command> {
    let mut command = Command::new(program("valgrind")?);
    command.args(["-v", "--leak-check=full", "--show-leak-kinds=definite,indirect", "--num-callers=50"]);
    command.arg(format!("--log-file={}", site.path(log).display())).arg(program(name)?);
    site.surround(&mut command);
    Ok(command)
}

/// The paragraphs of a log that name our library; the layer above us loses some bytes of its own.
fn complaints(site: &Site, log: &str) -> Result<Vec<String>> {
    let log = fs::read_to_string(site.path(log))?;
    ensure!(log.contains("ERROR SUMMARY"), "valgrind did not come to its end:\n{log}");
    let loaded = log.lines().any(|l| l.contains("Reading syms from") && l.contains("libsymbolon_gss.so"));
    ensure!(loaded, "valgrind did not see the mechanism:\n{log}");
    let bare: Vec<&str> = log.lines().map(|l| l.rsplit("== ").next().unwrap_or(l)).collect();
    let paragraphs = bare.split(|l| l.ends_with("==") || l.is_empty());
    let ours = |line: &&str| {
        let frame = line.trim_start();
        (frame.starts_with("at 0x") || frame.starts_with("by 0x"))
            && (frame.contains("symbolon") || frame.contains(".rs:"))
    };
    Ok(paragraphs.filter(|p| p.iter().any(ours)).map(|p| p.join("\n")).collect())
}

#[test]
fn valgrind_finds_nothing_of_ours_in_gss_client_and_gss_server() -> Result<()> {
    scenario!("Both sample programs under valgrind: SPNEGO, many messages, export and import, and a refusal");
    let site = Site::new(&[SERVICE])?;
    let whole = ["-spnego", "-user", USER, "-pass", PASSWORD, "-mcount", "3"];
    let refused = ["-user", USER, "-pass", "wrong"];
    for (what, options, ends_well) in [("a whole context", &whole[..], true), ("a refusal", &refused, false)]
    {
        step!("{what}");
        let port = free_port()?;
        let mut server = watched(&site, "gss-server", "server.log")?;
        server.args(["-port", &port.to_string(), "-once", "-export", SERVICE]);
        transcript::command(&server);
        let mut server = Running::start("gss-server", &mut server)?;
        server.wait_line(|l| l.contains("starting"))?;
        let mut call = watched(&site, "gss-client", "client.log")?;
        client(&mut call, port, options);
        transcript::command(&call);
        let said = finish(&mut call, b"", PATIENCE)?;
        ensure!((said.code == Some(0)) == ends_well, "{}\n{}", said.text(), said.complaint());
        server.wait_exit()?;
        for log in ["client.log", "server.log"] {
            let found = complaints(&site, log)?;
            ensure!(found.is_empty(), "{log}:\n{}", found.join("\n\n"));
        }
    }
    Ok(())
}
