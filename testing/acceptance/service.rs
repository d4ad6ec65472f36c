//! A node and an agent as services of systemd, as `packaging/systemd` has them. No manager runs here: systemd's own
//! programs read the units, and the kernel keeps a node to those of its restrictions that need no manager. What
//! a unit says of directories and memory nobody tries here.

use std::ffi::OsString;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, kill_process};
use symbolon_acceptance::{
    Front, Gateway, HttpServer, LIMIT, Machine, PIN, Person, Running, Signal, Storage, finish, free_port,
    program, scenario, step, until,
};

/// The most that may be left exposed, of 100, as `systemd-analyze security` counts it.
const MOST_EXPOSED: &str = "20";

/// Tries what a node never does, and says what came of it.
const MISDEEDS: &str = r#"
import ctypes, mmap, os, socket
system = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    if getattr(system, name)(*arguments):
        raise OSError(ctypes.get_errno(), name)
for what, deed in {
    "memory to write and run": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC),
    "a socket of another family": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0),
    "a namespace": lambda: call("unshare", 0x10000000),
    "a mount": lambda: call("mount", b"none", b"/nonexistent", b"tmpfs", 0, 0),
    "the rights of another user": lambda: os.chmod("/nonexistent", 0o4755),
    "an ordinary socket": lambda: socket.socket(),
}.items():
    try:
        deed()
        print(what, "was had")
    except (PermissionError, OSError) as e:
        print(what, "was refused" if e.errno in (1, 97) else e)
"#;

fn packaged(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd").join(name)
}

/// A unit on a machine where the program is elsewhere than the unit says.
fn installed(machine: &Machine, name: &str) -> Result<PathBuf> {
    let text = fs::read_to_string(packaged(name))?;
    let program = machine.program().display().to_string();
    ensure!(text.matches("=/usr/bin/symbolon ").count() == 1, "{text}");
    machine.write(&format!("units/{name}"), text.replace("=/usr/bin/symbolon ", &format!("={program} ")))
}

/// A program that becomes another one under the restrictions of a node's unit.
fn confined() -> Result<Vec<OsString>> {
    let python = program("python3")?.into_os_string();
    let script = include_str!("src/confined.py").into();
    Ok(vec![python, "-c".into(), script, packaged("symbolon.service").into_os_string()])
}

fn analyze(machine: &Machine, words: &[&str], unit: &Path) -> Result<String> {
    let mut command = Command::new(program("systemd-analyze")?);
    machine.place(&mut command);
    let said = finish(command.args(words).arg(unit), b"", LIMIT)?.success()?;
    Ok(format!("{}\n{}", said.text(), said.complaint()))
}

#[test]
fn the_units_are_as_systemd_wants_them() -> Result<()> {
    scenario!("systemd's own programs read the units and who the node's user is");
    let machine = Machine::new("server")?;
    let node = installed(&machine, "symbolon.service")?;
    let verify = |words: &[&str], unit: &Path| -> Result<()> {
        let said = analyze(&machine, words, unit)?;
        ensure!(said.trim().is_empty(), "{}: {said}", unit.display());
        Ok(())
    };
    verify(&["verify", "--man=no"], &node)?;
    verify(&["verify", "--man=no", "--user"], &installed(&machine, "symbolon-agent.service")?)?;
    step!("with ports below 1024");
    let further = fs::read_to_string(packaged("low-ports.conf"))?;
    machine.write("units/symbolon.service.d/low-ports.conf", further)?;
    verify(&["verify", "--man=no"], &node)?;
    step!("the user");
    let mut sysusers = Command::new(program("systemd-sysusers")?);
    sysusers
        .arg("--dry-run")
        .arg("--root")
        .arg(machine.path("run"))
        .arg(packaged("sysusers.conf").canonicalize()?);
    let said = finish(&mut sysusers, b"", LIMIT)?.success()?;
    let said = format!("{}\n{}", said.text(), said.complaint());
    ensure!(said.contains("user 'symbolon' (Symbolon node)"), "{said}");
    Ok(())
}

#[test]
fn a_nodes_unit_leaves_little_exposed() -> Result<()> {
    scenario!("systemd-analyze counts what the unit leaves open");
    let machine = Machine::new("server")?;
    let node = installed(&machine, "symbolon.service")?;
    let threshold = format!("--threshold={MOST_EXPOSED}");
    let said = analyze(&machine, &["security", "--offline=true", "--no-pager", &threshold], &node)?;
    step!("{}", said.lines().find(|line| line.contains("Overall exposure")).context("no sum")?.trim());
    Ok(())
}

/// The holder and its workers.
fn family(gateway: &Gateway) -> Result<Vec<u32>> {
    let holder = gateway.pid()?;
    let children = fs::read_to_string(format!("/proc/{holder}/task/{holder}/children"))?;
    let children = children.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>()?;
    Ok([vec![holder], children].concat())
}

fn all_are_confined(gateway: &Gateway) -> Result<()> {
    let family = family(gateway)?;
    ensure!(family.len() > 2, "{family:?}");
    for process in family {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000"] {
            ensure!(status.lines().any(|told| told == line), "{line} of {process}: {status}");
        }
    }
    Ok(())
}

#[test]
fn a_node_serves_under_the_restrictions_of_its_unit() -> Result<()> {
    scenario!("the kernel refuses whatever the unit does not allow");
    let mut misdeeds = Command::new(&confined()?[0]);
    misdeeds.args(&confined()?[1..]).arg(program("python3")?.canonicalize()?).args(["-c", MISDEEDS]);
    let said = finish(&mut misdeeds, b"", LIMIT)?.success()?.text();
    ensure!(
        said.matches("was refused").count() == 5 && said.contains("an ordinary socket was had"),
        "{said}"
    );

    step!("a node does all that nodes do");
    let mut front = Front::launched_by(confined()?, "", "")?;
    all_are_confined(&front.gateway)?;
    let (web, files) = (HttpServer::start()?, Storage::at_unix_socket()?);
    let anyone = |name| ["--tls-name", name, "--tls-clients", "anyone"];
    // by name, which takes a lookup
    front.publish("web", &format!("localhost:{}", web.port()), "http", &anyone("web.example"))?;
    let socket = format!("unix:{}", files.path("socket").display());
    front.publish("files", &socket, "http", &anyone("files.example"))?;
    let alice = Person::enrolled("alice", &front.gateway)?;
    front.gateway.grant("user:alice", "web")?;
    alice.login()?;
    let serves = |front: &Front| -> Result<()> {
        for name in ["web.example", "files.example"] {
            front.curl(name, None, &[])?.success()?;
        }
        let request = b"GET / HTTP/1.0\r\n\r\n";
        let answer = alice.machine().run_with(["connect", "web", "--stdio"], request, LIMIT)?.success()?;
        ensure!(answer.stdout.ends_with(HttpServer::GREETING.as_bytes()), "{}", answer.text());
        Ok(())
    };
    serves(&front)?;
    step!("a worker is killed");
    let leader = front.gateway.node_pid()?;
    kill_process(Pid::from_raw(leader.try_into()?).context("a process has a number")?, Signal::KILL)?;
    until(LIMIT, "the next worker", || front.gateway.node_pid().ok().filter(|&pid| pid != leader))?;
    serves(&front)?;
    step!("the program is replaced");
    let leader = front.gateway.node_pid()?;
    front.gateway.admin(&["upgrade"])?;
    until(LIMIT, "a worker of the new one", || front.gateway.node_pid().ok().filter(|&pid| pid != leader))?;
    serves(&front)?;
    all_are_confined(&front.gateway)?;
    front.gateway.stop()
}

/// What a service tells its manager.
struct Manager {
    socket: UnixDatagram,
    at: PathBuf,
}

impl Manager {
    fn of(machine: &Machine) -> Result<Self> {
        let at = machine.path("notify");
        let socket = UnixDatagram::bind(&at)?;
        socket.set_read_timeout(Some(LIMIT))?;
        rustix::net::sockopt::set_socket_passcred(&socket, true)?;
        Ok(Self { socket, at })
    }

    fn starts(&self, name: &str, command: &mut Command) -> Result<Running> {
        Running::start(name, command.env("NOTIFY_SOCKET", &self.at))
    }

    /// Demands that the next message begins so, and comes from the service's main process.
    fn hears(&self, service: &Running, beginning: &str) -> Result<()> {
        use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut message = [0; 256];
        let mut parts = [std::io::IoSliceMut::new(&mut message)];
        let length = recvmsg(&self.socket, &mut parts, &mut ancillary, RecvFlags::empty())
            .with_context(|| format!("nothing instead of {beginning}: {}", service.output()))?
            .bytes;
        let text = String::from_utf8_lossy(&message[..length]).into_owned();
        ensure!(text.starts_with(beginning), "{text} instead of {beginning}: {}", service.output());
        let sender = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(credentials) => Some(credentials.pid),
            _ => None,
        });
        let main = i32::try_from(service.pid()).ok().and_then(Pid::from_raw);
        ensure!(sender.is_some() && sender == main, "{sender:?} says {text}");
        Ok(())
    }
}

#[test]
fn the_manager_hears_of_the_holder_how_far_a_node_is() -> Result<()> {
    scenario!("a node whose place the environment names, as its unit does");
    let machine = Machine::new("server")?;
    let manager = Manager::of(&machine)?;
    let mut command = machine.symbolon(["serve"]);
    command.env("SYMBOLON_DIR", machine.path("state")).env("SYMBOLON_NAME", "gw.example");
    command.env("SYMBOLON_LISTEN", format!("127.0.0.1:{}", free_port()?));
    let mut node = manager.starts("node", &mut command)?;
    manager.hears(&node, "READY=1")?;
    ensure!(machine.path("state/admin.sock").exists(), "{}", node.output());
    step!("reload");
    node.signal(Signal::HUP)?;
    manager.hears(&node, "RELOADING=1")?;
    manager.hears(&node, "READY=1")?;
    step!("another program in its place, which is the same process");
    node.signal(Signal::USR2)?;
    manager.hears(&node, "READY=1")?;
    step!("stop");
    node.signal(Signal::TERM)?;
    manager.hears(&node, "STOPPING=1")?;
    ensure!(node.wait_exit()?.code() == Some(0), "{}", node.output());
    step!("a mistake in the configuration ends with the code after which nothing is tried again");
    let mut mistaken = machine.symbolon(["serve"]);
    mistaken.env("SYMBOLON_DIR", machine.path("state")).env("SYMBOLON_LISTEN", "nowhere");
    ensure!(finish(&mut mistaken, b"", LIMIT)?.code == Some(2));
    Ok(())
}

#[test]
fn the_manager_hears_of_an_agent_and_starts_none_again_whose_pin_is_wrong() -> Result<()> {
    scenario!("alice's agent is a service of hers, with the PIN in a file");
    let gateway = Gateway::start("gw.example")?;
    let alice = Person::enrolled("alice", &gateway)?;
    let manager = Manager::of(alice.machine())?;
    fs::create_dir_all(alice.machine().home().join(".config/symbolon"))?;
    let start = |pin: &str| -> Result<Running> {
        let pin = alice.secret_file(".config/symbolon/pin", pin)?;
        manager.starts("agent", alice.machine().symbolon(["agent"]).env("SYMBOLON_PIN_FILE", pin))
    };
    let ended =
        |agent: &mut Running| -> Result<Option<i32>> { agent.wait_exit().map(|s: ExitStatus| s.code()) };
    let mut agent = start(PIN)?;
    manager.hears(&agent, "READY=1")?;
    ensure!(gateway.sessions()?.len() == 1);
    agent.signal(Signal::TERM)?;
    manager.hears(&agent, "STOPPING=1")?;
    ensure!(ended(&mut agent)? == Some(0) && gateway.sessions()?.is_empty(), "{}", agent.output());
    step!("a wrong PIN");
    let mut agent = start("correct pony")?;
    ensure!(ended(&mut agent)? == Some(3), "{}", agent.output());
    let unit = fs::read_to_string(packaged("symbolon-agent.service"))?;
    ensure!(unit.contains("\nRestartPreventExitStatus=2 3\n"), "{unit}");
    Ok(())
}
