//! A TPM of the test's own: swtpm, a resource manager, and the bus that it is reached over.

use crate::apart::apart;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The PIN of the TPM's token.
pub(crate) const PIN: &str = "4321";

/// How long a program may take to be there.
const LIMIT: Duration = Duration::from_secs(20);

/// The programs; they end with the test.
struct Running(Vec<Child>);

impl Drop for Running {
    fn drop(&mut self) {
        for child in self.0.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Running {
    fn start(
        &mut self,
        directory: &Path,
        program: &str,
        args: &[&str],
        environment: &[(&'static str, String)],
    ) {
        let log = || std::fs::File::options().create(true).append(true).open(directory.join("log")).unwrap();
        // the resource manager is where programs of administrators are
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let child = Command::new(program)
            .args(args)
            .env("PATH", path)
            .envs(environment.iter().cloned())
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(log())
            .stderr(log())
            .spawn()
            .unwrap_or_else(|e| panic!("{program} is not installed (cargo xtask setup): {e}"));
        self.0.push(child);
    }
}

impl Running {
    fn last_ended(&mut self) -> bool {
        self.0.last_mut().is_some_and(|child| child.try_wait().is_ok_and(|status| status.is_some()))
    }
}

fn until(what: &str, directory: &Path, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        let log = || std::fs::read_to_string(directory.join("log")).unwrap_or_default();
        assert!(start.elapsed() < LIMIT, "{what} is not there:\n{}", log());
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Runs a test with a TPM that has one token.
pub(crate) fn with_tpm(label: &str, test: impl FnOnce(&Path)) {
    apart(|directory| prepare(directory, label), test);
}

fn prepare(directory: &Path, label: &str) -> (Vec<(&'static str, String)>, Running) {
    for name in ["state", "store"] {
        std::fs::create_dir(directory.join(name)).unwrap();
    }
    let path = |name: &str| directory.join(name).display().to_string();
    let bus = format!(
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
         \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n<busconfig><type>session</type>\
         <listen>unix:path={}</listen><auth>EXTERNAL</auth><policy context=\"default\">\
         <allow send_destination=\"*\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>",
        path("bus")
    );
    std::fs::write(directory.join("bus.conf"), bus).unwrap();
    let tcti = "tabrmd:bus_type=session".to_owned();
    let environment = vec![
        ("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", path("bus"))),
        ("TPM2TOOLS_TCTI", tcti.clone()),
        ("TPM2_PKCS11_TCTI", tcti),
        ("TPM2_PKCS11_STORE", path("store")),
        ("TSS2_LOG", "all+none".to_owned()),
    ];
    let mut running = Running(Vec::new());
    let server = format!("type=unixio,path={}", path("tpm"));
    let control = format!("type=unixio,path={}", path("tpm.ctrl"));
    let state = format!("dir={}", path("state"));
    let flags = ["--flags", "not-need-init,startup-clear"];
    let args = ["socket", "--tpm2", "--tpmstate", &state, "--server", &server, "--ctrl", &control];
    running.start(directory, "swtpm", &[&args[..], &flags].concat(), &[]);
    running.start(directory, "dbus-daemon", &["--config-file=bus.conf", "--nofork", "--nopidfile"], &[]);
    until("the TPM", directory, || directory.join("tpm").exists());
    until("the bus", directory, || UnixStream::connect(directory.join("bus")).is_ok());
    let tcti = format!("--tcti=swtpm:path={}", path("tpm"));
    let manager = ["--session", "--allow-root", &tcti];
    running.start(directory, "tpm2-abrmd", &manager, &environment);
    until("the resource manager", directory, || {
        // it ends when it finds the TPM's socket before the TPM listens there
        if running.last_ended() {
            running.start(directory, "tpm2-abrmd", &manager, &environment);
        }
        let ask =
            Command::new("tpm2_getcap").arg("properties-fixed").envs(environment.iter().cloned()).output();
        ask.expect("tpm2_getcap is installed (cargo xtask setup)").status.success()
    });
    tool(&environment, "tpm2_ptool", &["init"]);
    let label = format!("--label={label}");
    let pin = format!("--userpin={PIN}");
    tool(&environment, "tpm2_ptool", &["addtoken", "--pid=1", &label, "--sopin=12345678", &pin]);
    (environment, running)
}

fn tool(environment: &[(&'static str, String)], program: &str, args: &[&str]) {
    let output = Command::new(program)
        .args(args)
        .envs(environment.iter().cloned())
        .output()
        .unwrap_or_else(|e| panic!("{program} is not installed (cargo xtask setup): {e}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}
