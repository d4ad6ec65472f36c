//! The stage itself: each program that stands in front of or behind a gateway is reached without one.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use symbolon_acceptance::{
    Behaviour, HttpServer, LIMIT, OddServer, Postgres, Running, Signal, Sshd, Storage, Terminal, Via, curl,
    finish, program, sha256, until,
};

#[test]
fn psql_reaches_postgres_and_needs_the_password() -> Result<()> {
    let postgres = Postgres::start()?;
    assert_eq!(Postgres::query(postgres.port(), "select 6 * 7")?.text(), "42");
    let mut stranger = Postgres::psql(postgres.port())?;
    stranger.env("PGPASSWORD", "wrong").args(["--command", "select 1"]);
    let refused = finish(&mut stranger, b"", LIMIT)?;
    assert!(refused.complaint().contains("password authentication failed"), "{}", refused.complaint());
    assert!(postgres.log().contains("connection authorized"));
    Ok(())
}

#[test]
fn ssh_reaches_sshd_by_a_port_and_by_a_proxy_command() -> Result<()> {
    let sshd = Sshd::start()?;
    let hello = sshd.run(Via::Port(sshd.port()), "cat; exit 3", b"hello")?;
    assert_eq!(
        (hello.text().as_str(), hello.code),
        ("hello", Some(3)),
        "{}\n{}",
        hello.complaint(),
        sshd.log()
    );
    let python = program("python3")?;
    let pipe = "import socket,sys,threading,os\n\
        s=socket.create_connection(('127.0.0.1',int(sys.argv[1])))\n\
        def up():\n    while b:=os.read(0,65536): s.sendall(b)\n\
        threading.Thread(target=up,daemon=True).start()\n\
        while b:=s.recv(65536): os.write(1,b)\n";
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), pipe)?;
    let line = format!("{} {} {}", python.display(), file.path().display(), sshd.port());
    let hello = sshd.run(Via::ProxyCommand(&line), "echo through", b"")?;
    assert_eq!(hello.text(), "through", "{}", hello.complaint());
    Ok(())
}

#[test]
fn curl_reaches_the_web_server() -> Result<()> {
    let server = HttpServer::start()?;
    let url = format!("http://127.0.0.1:{}", server.port());
    assert_eq!(curl(&url, &[])?.stdout, HttpServer::GREETING.as_bytes());
    assert_eq!(curl(&format!("{url}/large"), &[])?.stdout, HttpServer::large());
    assert_eq!(curl(&format!("{url}/nothing"), &[])?.code, Some(22));
    until(LIMIT, "the server's log", || (server.requests() == 3).then_some(()))
}

#[test]
fn a_storage_gives_and_takes_files_on_one_connection() -> Result<()> {
    let storage = Storage::start()?;
    let film = storage.fill("film", 3_000_001)?;
    let far = storage.path("far");
    let url = format!("http://127.0.0.1:{}", storage.port());
    let back = tempfile::NamedTempFile::new()?;
    let [film_text, back_text] = [&film, &back.path().to_path_buf()].map(|p| p.display().to_string());
    let upload = ["--upload-file", &film_text, &format!("{url}/far"), "--next", "--silent"];
    curl(&format!("{url}/far"), &[&upload[..], &["--output", &back_text]].concat())?.success()?;
    let sums = sha256(&[&film, &far, back.path()])?;
    assert!(sums[0] == sums[1] && sums[1] == sums[2], "{sums:?}");
    assert_eq!((std::fs::metadata(far)?.len(), storage.connections()), (3_000_001, 1));
    Ok(())
}

#[test]
fn a_program_asks_for_a_secret_on_its_terminal() -> Result<()> {
    let mut ask = Command::new(program("python3")?);
    ask.args([
        "-c",
        "import getpass; p = getpass.getpass('PIN: '); print('got', len(p)); raise SystemExit(4)",
    ]);
    let mut terminal = Terminal::start(&mut ask)?;
    terminal.expect("PIN: ")?;
    terminal.type_line("123456")?;
    terminal.expect("got 6")?;
    let (status, rest) = terminal.wait_exit()?;
    assert_eq!(status.code(), Some(4));
    assert!(!rest.contains("123456"), "the PIN is not echoed");
    Ok(())
}

#[test]
fn a_program_is_gone_when_its_guard_is_dropped() -> Result<()> {
    let mut stubborn = Command::new(program("sh")?);
    stubborn.args(["-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"]);
    let running = Running::start("sh", &mut stubborn)?;
    running.wait_line(|l| l == "ready")?;
    let process = format!("/proc/{}", running.pid());
    assert!(std::fs::exists(&process)?);
    drop(running);
    assert!(!std::fs::exists(&process)?);
    Ok(())
}

#[test]
fn the_end_of_a_program_is_told_with_its_last_words() -> Result<()> {
    let mut brief = Command::new(program("sh")?);
    brief.args(["-c", "echo one; echo two >&2; exit 7"]);
    let mut running = Running::start("sh", &mut brief)?;
    let error = running.wait_line(|l| l == "three").unwrap_err().to_string();
    assert!(error.contains("one") && error.contains("two"), "{error}");
    assert_eq!(running.wait_exit()?.code(), Some(7));
    assert!(running.signal(Signal::TERM).is_err());
    Ok(())
}

#[test]
fn odd_applications_are_as_odd_as_they_say() -> Result<()> {
    let talk = |behaviour, say: &[u8]| -> Result<(OddServer, std::io::Result<Vec<u8>>)> {
        let server = OddServer::start(behaviour)?;
        let mut socket = TcpStream::connect(("127.0.0.1", server.port()))?;
        socket.set_read_timeout(Some(LIMIT))?;
        socket.write_all(say)?;
        socket.shutdown(std::net::Shutdown::Write)?;
        let mut heard = Vec::new();
        let result = socket.read_to_end(&mut heard).map(|_| heard);
        Ok((server, result))
    };
    assert_eq!(talk(Behaviour::Echo, b"abc")?.1?, b"abc");
    assert_eq!(talk(Behaviour::LateEcho, b"abc")?.1?, b"abc");
    let (server, heard) = talk(Behaviour::HalfClose, b"abcd")?;
    assert_eq!(heard?, OddServer::GREETING);
    until(LIMIT, "the late bytes", || (server.received() == 4).then_some(()))?;
    let (server, heard) = talk(Behaviour::Reset, b"a")?;
    assert_eq!(heard.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(server.connections(), 1);
    assert_eq!(talk(Behaviour::SlowReader, &[0; 20_000])?.1?, b"");
    Ok(())
}

#[test]
fn classes_of_faults_have_the_tests_that_the_documents_name_and_no_others() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut named = Vec::new();
    for page in ["docs/credentials.md", "docs/certificates.md"] {
        let text = std::fs::read_to_string(root.join(page))?;
        named.extend(
            text.split('`').filter(|word| word.starts_with("cve_") && *word != "cve_").map(str::to_owned),
        );
    }
    let mut there = Vec::new();
    for place in ["core", "shell", "apps", "testing"] {
        tests_of_classes(&root.join(place), &mut there)?;
    }
    named.sort();
    there.sort();
    assert_eq!(named, there);
    assert!(there.len() > 90, "only {} were found", there.len());
    Ok(())
}

fn tests_of_classes(directory: &Path, found: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            tests_of_classes(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            let source = std::fs::read_to_string(&path)?;
            let heads = source.lines().filter_map(|line| line.trim().split_once("fn cve_"));
            found.extend(heads.filter_map(|(_, rest)| Some(format!("cve_{}", rest.split_once('(')?.0))));
        }
    }
    Ok(())
}
