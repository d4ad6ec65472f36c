//! `curl --negotiate` and a web server on Debian's python3-gssapi.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use symbolon_acceptance::{Finished, Running, scenario, step};

use crate::site::{MECHANISM, Site};

const SERVICE: &str = "HTTP@localhost";

struct Web {
    running: Running,
    url: String,
}

impl Web {
    fn start(site: &Site) -> Result<Self> {
        // Debian's own, since another python3 in PATH does not see Debian's modules.
        let mut command = Command::new("/usr/bin/python3");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/a_gss/web.py"));
        site.surround(&mut command);
        let running = Running::start("web.py", &mut command).context("python3 and python3-gssapi")?;
        let port = running.wait_value(|l| l.strip_prefix("port ").map(str::to_owned))?;
        Ok(Self { running, url: format!("http://localhost:{port}/") })
    }

    /// What it answered, by the codes.
    fn answers(&self) -> Vec<String> {
        let lines = self.running.output();
        lines.lines().skip(1).map(|l| l.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
    }
}

fn curl(site: &Site, web: &Web, options: &[&str]) -> Result<Finished> {
    let mut command = site.command("curl")?;
    command.args(["--silent", "--show-error", "--negotiate", "--user", ":"]).args(options).arg(&web.url);
    site.run(&mut command)
}

#[test]
fn curl_signs_in_to_a_web_server_in_one_round_trip() -> Result<()> {
    scenario!("curl signs in by HTTP Negotiate");
    let site = Site::new(&[SERVICE])?;
    let web = Web::start(&site)?;
    let hello = format!("hello alice by <OID {MECHANISM}>");
    ensure!(curl(&site, &web, &[])?.success()?.text() == hello, "{}", web.running.output());
    ensure!(web.answers() == ["200 with"], "{}", web.running.output());
    step!("without published keys it takes two, on one connection");
    site.unpublish()?;
    ensure!(curl(&site, &web, &[])?.success()?.text() == hello, "{}", web.running.output());
    ensure!(web.answers()[1..] == ["401 with", "200 with"], "{}", web.running.output());
    step!("a wrong password");
    site.password_is("wrong", "wrong")?;
    site.configure("wrong.toml", "issuer/issuer.crt", "wrong", site.services(), &["X-Wing"])?;
    let mut command = site.command("curl")?;
    command.args(["--silent", "--negotiate", "--user", ":", &web.url]);
    let refused = site.run(site.other(&mut command, "wrong.toml"))?.text();
    ensure!(refused.contains("wrong password or unknown user"), "{refused}");
    Ok(())
}

#[test]
fn a_recorded_first_token_is_refused_by_every_process() -> Result<()> {
    scenario!("Somebody recorded a request and sends it again");
    let site = Site::new(&[SERVICE])?;
    let (one, other) = (Web::start(&site)?, Web::start(&site)?);
    let said = curl(&site, &one, &["--verbose"])?.success()?.complaint();
    let recorded = said.lines().find_map(|l| l.strip_prefix("> ").filter(|l| l.starts_with("Authorization")));
    let recorded = recorded.context("no header")?;
    for web in [&one, &other] {
        let mut command = Command::new(symbolon_acceptance::program("curl")?);
        command.args(["--silent", "--header", recorded, &web.url]);
        let refused = site.run(&mut command)?.text();
        ensure!(refused.contains("the first message was seen before"), "{refused}");
        ensure!(web.answers().last().is_some_and(|a| a == "403 with"), "{}", web.running.output());
    }
    step!("it lies in the cache as a file, and nothing but its hash");
    let spans = walk(&site.path("services/_http.localhost/replay"))?;
    ensure!(spans.len() == 1 && spans[0].len() == 64, "{spans:?}");
    Ok(())
}

/// The names of all files in the directories of a directory.
fn walk(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for span in std::fs::read_dir(directory)? {
        for file in std::fs::read_dir(span?.path())? {
            names.push(file?.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}
