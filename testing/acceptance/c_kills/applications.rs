//! Applications and their own clients, in the middle of what they do for long.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use symbolon_acceptance::{
    LIMIT, Postgres, Running, Sshd, Via, free_port, program, scenario, sha256, step, transcript, until,
};

use crate::counts::Counts;
use crate::killer::through_kills;
use crate::stage::{Stage, VERSIONS, local};

/// Rows that are copied there and back again and again.
const ROWS: usize = 100_000;

/// Bytes of a file that is fetched by HTTP/2.
const FILM: u64 = 20_000_000;

/// Requests on one connection, and bytes of each answer.
const REQUESTS: usize = 100;
const PAGE: u64 = 200_000;

#[test]
fn psql_copies_both_ways_on_one_connection() -> Result<()> {
    scenario!("Ann's psql demands TLS with the right name, and copies there and back");
    let stage = Stage::start("", 0)?;
    let front = &stage.front;
    let postgres = Postgres::start()?;
    let target = local(postgres.port());
    front.publish("db", &target, "postgresql", &["--tls-name", "db.example"])?;
    front.gateway.grant("user:ann", "db")?;
    let rows = format!("select n, md5(n::text) t from generate_series(1, {ROWS}) n");
    Postgres::query(postgres.port(), &format!("create table copied as {rows} limit 0"))?.success()?;
    let sum = "select md5(string_agg(n || t, ',' order by n))";
    let right = Postgres::query(postgres.port(), &format!("{sum} from ({rows}) r"))?.success()?.text();
    let before = postgres.log().matches("connection authorized").count();

    let mut psql = Postgres::psql(front.port)?;
    psql.arg("--host=db.example").current_dir(front.directory()).env("PGHOSTADDR", "127.0.0.1");
    psql.envs([("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", "issuer.pem")]);
    psql.envs([("PGSSLCERT", "ann.pem"), ("PGSSLKEY", "ann.key")]);
    transcript::command(&psql);
    let (mut psql, mut input) = Running::start_with_input("psql", &mut psql)?;
    let mut round = 0;
    let mut copy = || -> Result<()> {
        round += 1;
        let script = format!(
            "truncate copied;\n\\copy ({rows}) to 'rows'\n\\copy copied from 'rows'\n\
             {sum} || ' in round {round}' from copied;\n"
        );
        input.write_all(script.as_bytes())?;
        let end = format!(" in round {round}");
        let line = psql.wait_line(|line| line.ends_with(&end))?;
        ensure!(line.strip_suffix(&end) == Some(&right), "{line} instead of {right}");
        Ok(())
    };
    copy()?;
    through_kills(&front.gateway, Counts::of_this_run().few_kills, |_| copy())?;
    drop(input);
    ensure!(psql.wait_exit()?.success(), "{}", psql.output());
    step!("{round} times, and PostgreSQL has seen one connection");
    let connections = postgres.log().matches("connection authorized").count() - before;
    ensure!(connections == 1, "{connections} connections");
    Ok(())
}

#[test]
fn ssh_inside_tls_copies_a_file_there_and_back() -> Result<()> {
    scenario!("Ann's ssh has openssl s_client as its ProxyCommand");
    let counts = Counts::of_this_run();
    let stage = Stage::start("", 20_000_000)?;
    let sshd = Sshd::start()?;
    stage.publish("shell", sshd.port())?;
    let mut proxy = stage.front.s_client("shell.example", Some("ann"))?;
    proxy.args(["-quiet", "-verify_quiet"]);
    let words = std::iter::once(proxy.get_program()).chain(proxy.get_args());
    let proxy = words.map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let (far, back) = (stage.front.path("far"), stage.front.path("back"));
    through_kills(&stage.front.gateway, counts.few_kills, |kills| {
        let calm = kills.calm();
        for file in [&far, &back] {
            // the first round finds none
            let _ = fs::remove_file(file);
        }
        // 80 Mbit/s: two seconds each way
        let mut sftp = sshd.sftp(Via::ProxyCommand(&proxy), &["-l", "80000"])?;
        let ways = [[&stage.film, &far], [&far, &back]].map(|w| w.map(|p| p.display().to_string()));
        let [put, get] = ways;
        let batch = format!("put {} {}\nget {} {}\nquit\n", put[0], put[1], get[0], get[1]);
        let (mut sftp, mut input) = Running::start_with_input("sftp", &mut sftp)?;
        input.write_all(batch.as_bytes())?;
        let under_way = || fs::metadata(&far).ok().filter(|m| m.len() > 0).map(drop);
        until(LIMIT, "the first bytes", under_way)?;
        drop(calm);
        let status = sftp.wait_exit_within(counts.patience())?;
        ensure!(status.success(), "{status}: {}", sftp.output());
        let sums = sha256(&[&far, &back])?;
        ensure!(sums == [stage.sum.as_str(); 2], "{sums:?}");
        Ok(())
    })
}

#[test]
fn files_by_http_2_are_whole_on_one_connection() -> Result<()> {
    scenario!("A web server that speaks HTTP/2 in clear, and Ann's curl that asks for it");
    let stage = Stage::start("", FILM)?;
    let front = &stage.front;
    let port = free_port()?;
    let pages = stage.film.parent().context("a file lies somewhere")?;
    let mut server = Command::new(program("nghttpd")?);
    server.args(["--no-tls", "--address=127.0.0.1", "--htdocs"]).arg(pages).arg(port.to_string());
    let _server = Running::start("nghttpd", &mut server)?;
    until(LIMIT, "nghttpd", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok())?;
    let served = ["--tls-name", "two.example", "--tls-alpn", "h2,http/1.1"];
    front.publish("two", &local(port), "http", &served)?;
    front.gateway.grant("user:ann", "two")?;
    through_kills(&front.gateway, Counts::of_this_run().few_kills, |kills| {
        let calm = kills.calm();
        let got = front.path("by-http-2");
        let mut curl = Command::new(program("curl")?);
        curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--http2", "--limit-rate", "10M"]);
        curl.args(front.curl_words("two.example", front.port, Some("ann"))).arg("--output").arg(&got);
        curl.args(["--write-out", "%{http_version} %{num_connects}\\n"]);
        curl.arg(format!("https://two.example:{}/film", front.port)).current_dir(front.directory());
        let mut running = Running::start("curl", &mut curl)?;
        until(LIMIT, "the first bytes", || fs::metadata(&got).ok().filter(|m| m.len() > 0).map(drop))?;
        drop(calm);
        let status = running.wait_exit_within(LIMIT)?;
        ensure!(status.success() && running.output().contains("2 1"), "{status}: {}", running.output());
        ensure!(sha256(&[&got])? == [stage.sum.clone()], "the file is another");
        fs::remove_file(&got)?;
        Ok(())
    })
    .map(drop)
}

#[test]
fn a_hundred_requests_go_over_one_kept_connection() -> Result<()> {
    scenario!("Ann's curl fetches one page after the other without connecting again");
    let counts = Counts::of_this_run();
    let stage = Stage::start("", PAGE)?;
    for n in 1..=REQUESTS {
        fs::copy(&stage.film, stage.storage.path(&format!("page{n}")))?;
    }
    let mut rounds = 0;
    through_kills(&stage.front.gateway, counts.few_kills, |kills| {
        let calm = kills.calm();
        let (_, version) = VERSIONS[rounds % 2];
        let out = stage.front.directory().join("got#1").display().to_string();
        // the standard output would come at the end
        let told = "%{stderr}%{num_connects} %{http_code}\\n";
        let further = ["--output", &out, "--rate", "25/s", "--write-out", told];
        let path = format!("page[1-{REQUESTS}]");
        let mut curl = stage.curl(stage.front.port, &path, &[&version[..], &further].concat())?;
        let mut running = Running::start("curl", &mut curl)?;
        running.wait_line(|line| line == "1 200")?;
        rounds += 1;
        drop(calm);
        let status = running.wait_exit_within(LIMIT)?;
        let output = running.output();
        ensure!(status.success(), "{status}: {output}");
        let reused = output.lines().filter(|line| *line == "0 200").count();
        ensure!(reused == REQUESTS - 1, "{output}");
        let files: Vec<_> = (1..=REQUESTS).map(|n| stage.front.path(&format!("got{n}"))).collect();
        let files: Vec<_> = files.iter().map(|f| f.as_path()).collect();
        ensure!(sha256(&files)?.iter().all(|sum| *sum == stage.sum), "a page is another");
        Ok(())
    })?;
    ensure!(stage.storage.connections() == rounds, "{} connections", stage.storage.connections());
    Ok(())
}
