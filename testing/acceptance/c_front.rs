//! C, the first step: clients that know nothing of Symbolon reach applications by TLS. `curl`, `openssl s_client`
//! and `psql` are the distribution's, unchanged.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use symbolon_acceptance::{
    Authority, Finished, Front, HttpServer, LIMIT, Machine, Postgres, Running, Signal, curl, finish,
    free_port, program, scenario, step, until,
};

const GREETING: &str = "hello from behind the gateway";

#[test]
fn curl_reaches_an_application_by_its_name_in_either_version() -> Result<()> {
    scenario!("Ann's curl has her certificate, and knows nothing of Symbolon");
    let front = Front::start("")?;
    let web = HttpServer::start()?;
    front.publish("web", &format!("127.0.0.1:{}", web.port()), "http", &["--tls-name", "app.example"])?;
    for person in ["ann", "bea"] {
        front.person(person)?;
    }
    front.gateway.grant("user:ann", "web")?;
    for versions in [["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3", "--tls-max", "1.3"]] {
        let answer = front.curl("app.example", Some("ann"), &versions)?.success()?;
        ensure!(answer.text().contains(GREETING), "{}", answer.text());
    }
    step!("Bea is known and not entitled; somebody without a certificate is told what to do");
    for (person, words) in [(Some("bea"), "Not permitted"), (None, "A certificate is needed")] {
        let refused =
            front.curl("app.example", person, &["--no-fail", "--write-out", "%{http_code}"])?.success()?;
        ensure!(refused.text().contains(words) && refused.text().ends_with("403"), "{}", refused.text());
    }
    ensure!(web.requests() == 2, "nothing reached the application");
    step!("a name that is not served, and a certificate that is not trusted");
    let refused = front.curl("other.example", Some("ann"), &[])?;
    ensure!(
        refused.code != Some(0) && refused.complaint().contains("unrecognized name"),
        "{}",
        refused.complaint()
    );
    step!("an application that does not answer");
    front.publish("web", &format!("127.0.0.1:{}", free_port()?), "http", &["--tls-name", "app.example"])?;
    let down =
        front.curl("app.example", Some("ann"), &["--no-fail", "--write-out", "%{http_code}"])?.success()?;
    ensure!(down.text().contains("does not answer") && down.text().ends_with("502"), "{}", down.text());
    step!("each of Ann's connections was written down before it was opened");
    let audit = front.gateway.admin(&["audit", "list"])?;
    ensure!(audit.matches("tls.open").count() == 3, "{audit}");
    step!("one that is for everybody");
    let target = format!("127.0.0.1:{}", web.port());
    front.publish("web", &target, "http", &["--tls-name", "app.example", "--tls-clients", "anyone"])?;
    ensure!(front.curl("app.example", None, &[])?.success()?.text().contains(GREETING));
    Ok(())
}

#[test]
fn a_right_that_is_withdrawn_ends_the_connection_with_an_alert() -> Result<()> {
    scenario!("Ann talks to an application by openssl s_client while her right is withdrawn");
    let front = Front::start("")?;
    let echo = Echo::start()?;
    front.publish("echo", &format!("127.0.0.1:{}", echo.port), "tcp", &["--tls-name", "echo.example"])?;
    front.person("ann")?;
    let grant = front.gateway.grant("user:ann", "echo")?;
    let talk = || -> Result<(Running, std::process::ChildStdin)> {
        let mut client = front.s_client("echo.example", Some("ann"))?;
        let (running, mut input) = Running::start_with_input("s_client", client.arg("-quiet"))?;
        std::io::Write::write_all(&mut input, b"are you there?\n")?;
        running.wait_line(|line| line == "are you there?")?;
        Ok((running, input))
    };
    let (mut client, input) = talk()?;
    let open = front.gateway.admin_json(&["connections", "list"])?;
    let open = &open["connections"][0];
    ensure!(open["user"] == "ann" && open["app"] == "echo" && open["bytes_up"] == 15, "{open}");
    front.gateway.admin(&["entitlements", "withdraw", &grant])?;
    client.wait_line(|line| line.contains("access denied"))?;
    client.wait_exit()?;
    drop(input);
    let audit = || {
        let audit = front.gateway.admin(&["audit", "list"]).ok()?;
        audit.contains("tls.cut").then_some(audit)
    };
    let audit = until(LIMIT, "the audit to say why", audit)?;
    ensure!(audit.contains("withdrawn"), "{audit}");
    step!("a locked user, a revoked certificate, an administrator: each ends what is open");
    front.gateway.grant("user:ann", "echo")?;
    let serial = front.gateway.admin_json(&["ca", "list"])?["certificates"][0]["serial"].clone();
    let serial = serial.as_str().context("no serial number")?.to_owned();
    for words in [&["connections", "end", "2"][..], &["users", "lock", "ann"], &["ca", "revoke", &serial]] {
        let (mut client, _input) = talk()?;
        front.gateway.admin(words)?;
        client.wait_line(|line| line.contains("access denied"))?;
        client.wait_exit()?;
        if words[0] == "users" {
            front.gateway.admin(&["users", "unlock", "ann"])?;
        }
    }
    let open = front.gateway.admin_json(&["connections", "list"])?;
    ensure!(open["connections"].as_array().is_some_and(Vec::is_empty), "{open}");
    Ok(())
}

#[test]
fn a_session_is_resumed_at_the_next_worker_and_its_right_is_looked_up_again() -> Result<()> {
    scenario!("Ann's openssl keeps its TLS session, and comes back with it alone");
    let front = Front::start("")?;
    let echo = Echo::start()?;
    front.publish("echo", &format!("127.0.0.1:{}", echo.port), "tcp", &["--tls-name", "echo.example"])?;
    front.person("ann")?;
    let grant = front.gateway.grant("user:ann", "echo")?;
    let come = |version: &str, person: Option<&str>, session: &[&str]| -> Result<_> {
        let mut client = front.s_client("echo.example", person)?;
        let (running, mut input) = Running::start_with_input("s_client", client.arg(version).args(session))?;
        running.wait_line(|line| line.starts_with("Reused") || line.starts_with("New"))?;
        std::io::Write::write_all(&mut input, b"are you there?\n")?;
        Ok((running, input))
    };
    let answers = |running: &Running| running.wait_line(|line| line.ends_with("are you there?")).map(drop);
    for version in ["-tls1_2", "-tls1_3"] {
        let file = format!("session{version}");
        let (first, mut input) = come(version, Some("ann"), &["-sess_out", &file])?;
        answers(&first)?;
        std::io::Write::write_all(&mut input, b"Q\n")?;
        drop((first, input));
        until(LIMIT, "the session's file", || front.path(&file).exists().then_some(()))?;
        for worker in ["the same worker", "the next"] {
            step!("{version}: {worker}, without showing the certificate");
            let (again, _input) = come(version, None, &["-sess_in", &file])?;
            answers(&again)?;
            ensure!(again.output().contains("Reused, "), "{}", again.output());
            if worker == "the same worker" {
                front.gateway.admin(&["upgrade"])?;
                let led = || front.gateway.admin_json(&["status"]).ok()?["worker"]["successions"].as_u64();
                let before = if version == "-tls1_2" { 1 } else { 2 };
                until(LIMIT, "the next worker", || led().filter(|&n| n >= before))?;
            }
        }
    }
    step!("without the right a session that is resumed is let in no more");
    front.gateway.admin(&["entitlements", "withdraw", &grant])?;
    for version in ["-tls1_2", "-tls1_3"] {
        let (mut again, _input) = come(version, None, &["-sess_in", &format!("session{version}")])?;
        again.wait_exit()?;
        ensure!(again.output().contains("Reused, ") && !again.output().contains("are you there?"));
    }
    step!("nor with a certificate that was revoked");
    front.gateway.grant("user:ann", "echo")?;
    let serial = front.gateway.admin_json(&["ca", "list"])?["certificates"][0]["serial"].clone();
    front.gateway.admin(&["ca", "revoke", serial.as_str().context("no serial number")?])?;
    let (mut again, _input) = come("-tls1_3", None, &["-sess_in", "session-tls1_3"])?;
    again.wait_exit()?;
    ensure!(!again.output().contains("are you there?"), "{}", again.output());
    let audit = front.gateway.admin(&["audit", "list"])?;
    ensure!(audit.matches("tls.open").count() == 6 && audit.contains("revoked"), "{audit}");
    Ok(())
}

#[test]
fn the_node_tells_how_it_is() -> Result<()> {
    scenario!("an operator's curl asks for metrics before and after Ann's, and a worker is killed");
    let port = free_port()?;
    let front = Front::start(&format!("[metrics]\nlisten = \"127.0.0.1:{port}\""))?;
    let web = HttpServer::start()?;
    let target = format!("127.0.0.1:{}", web.port());
    front.publish("web", &target, "http", &["--tls-name", "app.example", "--tls-clients", "anyone"])?;
    let ask = |path: &str| curl(&format!("http://127.0.0.1:{port}{path}"), &["--fail"]);
    let told = |name: &str| -> Option<f64> {
        let text = ask("/metrics").ok()?.text();
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    };
    for path in ["/healthz", "/readyz"] {
        ensure!(ask(path)?.success()?.text() == "ok", "{path}");
    }
    ensure!(told("symbolon_tls_connections_total") == Some(0.0), "{}", ask("/metrics")?.text());
    let answer = front.curl("app.example", None, &[])?.success()?.text();
    let down = "symbolon_traffic_bytes_total{direction=\"down\"}";
    until(LIMIT, "the answer to be counted", || (told(down)? >= answer.len() as f64).then_some(()))?;
    ensure!(told("symbolon_tls_connections_total") == Some(1.0) && told("symbolon_apps") == Some(1.0));
    ensure!(told("symbolon_ready") == Some(1.0), "{}", ask("/metrics")?.text());
    let (open, most) = (told("process_open_fds"), told("process_max_fds"));
    ensure!(open > Some(10.0) && most > open, "{open:?} of {most:?}");
    ensure!(ask("/metrics")?.text().ends_with("# EOF"), "OpenMetrics has an end");
    step!("the next worker tells it");
    front.gateway.admin(&["upgrade"])?;
    until(LIMIT, "the next worker", || told("symbolon_successions").filter(|&n| n >= 1.0))?;
    ensure!(ask("/readyz")?.success()?.text() == "ok");
    step!("a node that stops says so as long as clients are there");
    let echo = Echo::start()?;
    front.publish(
        "echo",
        &format!("127.0.0.1:{}", echo.port),
        "tcp",
        &["--tls-name", "echo.example", "--tls-clients", "anyone"],
    )?;
    let mut client = front.s_client("echo.example", None)?;
    let (running, mut input) = Running::start_with_input("s_client", client.arg("-quiet"))?;
    std::io::Write::write_all(&mut input, b"are you there?\n")?;
    running.wait_line(|line| line == "are you there?")?;
    front.gateway.signal(Signal::TERM)?;
    let readyz = format!("http://127.0.0.1:{port}/readyz");
    until(LIMIT, "the node to stop", || {
        (curl(&readyz, &["--no-fail"]).ok()?.text() == "the node stops").then_some(())
    })?;
    drop(input);
    Ok(())
}

#[test]
fn a_gateway_that_takes_no_certificates_takes_none_here_either() -> Result<()> {
    scenario!("an administrator has switched certificates off");
    let front = Front::start("[credentials]\ncertificates = false")?;
    let web = HttpServer::start()?;
    front.publish("web", &format!("127.0.0.1:{}", web.port()), "http", &["--tls-name", "app.example"])?;
    front.person("ann")?;
    front.gateway.grant("user:ann", "web")?;
    let refused =
        front.curl("app.example", Some("ann"), &["--no-fail", "--write-out", "%{http_code}"])?.success()?;
    ensure!(refused.text().ends_with("403") && web.requests() == 0, "{}", refused.text());
    Ok(())
}

#[test]
fn psql_verifies_the_gateway_and_works_through_it() -> Result<()> {
    scenario!("Ann's psql demands TLS with the right name");
    let front = Front::start("")?;
    let postgres = Postgres::start()?;
    front.publish(
        "db",
        &format!("127.0.0.1:{}", postgres.port()),
        "postgresql",
        &["--tls-name", "db.example"],
    )?;
    front.person("ann")?;
    front.gateway.grant("user:ann", "db")?;
    let psql = |sql: &str, certificate: bool| -> Result<Finished> {
        let mut command = Postgres::psql(front.port)?;
        // The key is ours alone, or psql does not take it.
        command.args(["--command", sql, "--host=db.example"]).current_dir(front.directory());
        command
            .env("PGHOSTADDR", "127.0.0.1")
            .env("PGSSLMODE", "verify-full")
            .env("PGSSLROOTCERT", "issuer.pem");
        if certificate {
            command.env("PGSSLCERT", "ann.pem").env("PGSSLKEY", "ann.key");
        }
        finish(&mut command, b"", LIMIT)
    };
    let rows = psql("copy (select generate_series(1, 200000)) to stdout", true)?.success()?.text();
    ensure!(rows.lines().count() == 200_000 && rows.ends_with("200000"), "{} rows", rows.lines().count());
    let refused = psql("select 1", false)?;
    ensure!(refused.code != Some(0), "without a certificate");
    Ok(())
}

#[test]
fn a_certificate_of_others_is_replaced_while_connections_go_on() -> Result<()> {
    scenario!("the name has a certificate of a public authority, in files");
    let authority = Authority::new("Public authority")?;
    let issue = |name: &str, at: &Path| -> Result<()> {
        let names = "DNS:app.example";
        let (certificate, key) =
            authority.issue(name, "ec -pkeyopt ec_paramgen_curve:P-256", "serverAuth", names)?;
        std::fs::copy(key, at.with_extension("key"))?;
        std::fs::copy(certificate, at.with_extension("pem"))?;
        Ok(())
    };
    let machine = Machine::new("files")?;
    let at = machine.path("app");
    issue("first", &at)?;
    let [certificate, key] = ["pem", "key"].map(|e| at.with_extension(e).display().to_string());
    let front = Front::start(&format!(
        "[[tls.certificate]]\nname = \"app.example\"\ncertificate = {certificate:?}\nkey = {key:?}\n"
    ))?;
    let echo = Echo::start()?;
    let tls = ["--tls-name", "app.example", "--tls-clients", "anyone"];
    front.publish("echo", &format!("127.0.0.1:{}", echo.port), "tcp", &tls)?;
    let talk = || -> Result<(Running, std::process::ChildStdin)> {
        let mut client = Command::new(program("openssl")?);
        client.args(["s_client", "-quiet", "-servername", "app.example", "-connect"]);
        client.arg(format!("127.0.0.1:{}", front.port)).arg("-CAfile").arg(authority.certificate());
        client.arg("-verify_return_error");
        let (running, mut input) = Running::start_with_input("s_client", &mut client)?;
        std::io::Write::write_all(&mut input, b"first\n")?;
        running.wait_line(|line| line == "first")?;
        Ok((running, input))
    };
    let (old, mut old_input) = talk()?;
    ensure!(old.output().contains("CN = first"), "{}", old.output());
    step!("half of a replacement leaves the old one in use; the whole is taken up at once");
    std::fs::write(&certificate, "-----BEGIN CERTIFICATE-----\n")?;
    let (half, _) = talk()?;
    ensure!(half.output().contains("CN = first"), "{}", half.output());
    let next = machine.path("next");
    issue("second", &next)?;
    for (part, shown) in [("pem", "CN = first"), ("key", "CN = second")] {
        std::fs::copy(next.with_extension(part), at.with_extension(part))?;
        let comes = || talk().ok().filter(|(client, _)| client.output().contains(shown)).map(drop);
        until(LIMIT, "the certificate that is right", comes)?;
    }
    let (new, _) = talk()?;
    ensure!(new.output().contains("CN = second"), "{}", new.output());
    std::io::Write::write_all(&mut old_input, b"still here\n")?;
    old.wait_line(|line| line == "still here").map(drop)
}

/// An application that says everything again, line by line.
struct Echo {
    port: u16,
    _running: Running,
}

impl Echo {
    fn start() -> Result<Self> {
        let port = free_port()?;
        let script = "import socketserver, sys\n\
            class H(socketserver.StreamRequestHandler):\n\
            \x20   def handle(self):\n\
            \x20       for line in self.rfile:\n\
            \x20           self.wfile.write(line)\n\
            class S(socketserver.ThreadingTCPServer):\n\
            \x20   allow_reuse_address = True\n\
            s = S(('127.0.0.1', int(sys.argv[1])), H)\n\
            print('ready', flush=True)\n\
            s.serve_forever()\n";
        let mut python = Command::new(program("python3")?);
        python.args(["-c", script, &port.to_string()]);
        let running = Running::start("echo", &mut python)?;
        running.wait_line(|line| line == "ready")?;
        Ok(Self { port, _running: running })
    }
}
