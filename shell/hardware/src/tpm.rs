//! Importing a key into a TPM. tpm2-pkcs11 does not create secret keys itself; its tool does, and the
//! module sees the new key after a new start. Everything else is as with any other device.

use crate::{Device, HardwareError, OpenDevice};
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use symbolon_crypto::Secret;
use symbolon_token::container::ObjectId;

/// Who makes the module that stands before a TPM.
const MANUFACTURER: &str = "tpm2-software.github.io";

/// The tool, a Python program.
const TOOL: &str = "tpm2_ptool";

/// Starts the tool so that the PIN does not stand on a command line, where everybody can read it.
const WITHOUT_PIN: &str = "import runpy, sys; \
    sys.argv = [*sys.argv[1:], '--userpin=' + sys.stdin.readline().rstrip('\\n')]; \
    runpy.run_path(sys.argv[0], run_name='__main__')";

/// The most that is told of what the tool complains about, in bytes.
const MAX_COMPLAINT: usize = 400;

/// Whether a TPM is behind the module.
pub(crate) fn is_tpm(device: &Device) -> Result<bool, HardwareError> {
    let started = device.module().enter();
    let library = started.pkcs11().get_library_info().map_err(|e| device.complaint(&e))?;
    Ok(library.manufacturer_id() == MANUFACTURER)
}

/// The tool takes an id as text.
pub(crate) fn object_id(id: &[u8; 16]) -> ObjectId {
    let text: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(id);
    ObjectId::new(text.into_bytes()).unwrap_or_else(|| ObjectId::from(bytes))
}

/// Imports a key with `tpm2_ptool`. The key passes in memory that no file system sees.
pub(crate) fn import(
    device: &OpenDevice,
    id: &ObjectId,
    label: &str,
    key: &Secret<32>,
) -> Result<(), HardwareError> {
    let failed = |e: std::io::Error| HardwareError::TpmTools { why: e.to_string() };
    let token = &device.device().identity().label;
    let pin = device.pin().ok_or_else(|| HardwareError::PinNoLonger { token: token.clone() })?;
    let memory = memfd_create("symbolon-key", MemfdFlags::CLOEXEC).map_err(|e| failed(e.into()))?;
    let mut memory = File::from(memory);
    memory.write_all(key.expose()).map_err(failed)?;
    // by our own process id: the tool hands the name on to another program
    let file = format!("/proc/{}/fd/{}", std::process::id(), memory.as_raw_fd());
    let label: String = label.chars().filter(|c| !c.is_control()).collect();
    let id = String::from_utf8_lossy(id.as_bytes()).into_owned();
    let (interpreter, program) = tool()?;
    let mut tool = Command::new(interpreter)
        .args(["-c", WITHOUT_PIN])
        .arg(program)
        .args(["import", "--algorithm=hmac"])
        .args([format!("--label={token}"), format!("--key-label={label}")])
        .args([format!("--id={id}"), format!("--privkey={file}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = tool.stdin.take() {
        // a tool that ended early says itself why
        let _ = input.write_all(pin.expose()).and_then(|()| input.write_all(b"\n"));
    }
    let output = tool.wait_with_output().map_err(failed)?;
    // wiped before the memory is given back
    let _ = memory.set_len(0);
    if !output.status.success() {
        return Err(HardwareError::TpmTools { why: complaint(&output.stderr) });
    }
    let module = device.device().module();
    module.restart(&mut module.enter())
}

/// The tool and the Python that it names in its first line.
fn tool() -> Result<(PathBuf, PathBuf), HardwareError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing = || HardwareError::TpmTools { why: format!("{TOOL} is not installed") };
    let file = std::env::split_paths(&path).map(|dir| dir.join(TOOL)).find(|file| file.is_file());
    let file = file.ok_or_else(missing)?;
    let text = std::fs::read(&file).map_err(|e| HardwareError::TpmTools { why: e.to_string() })?;
    let first = text.split(|byte| *byte == b'\n').next().and_then(|line| line.strip_prefix(b"#!"));
    let interpreter = first.and_then(|line| std::str::from_utf8(line).ok()).map(str::trim);
    match interpreter.filter(|i| i.starts_with('/') && !i.contains(' ')) {
        Some(interpreter) => Ok((interpreter.into(), file)),
        None => Ok(("python3".into(), file)),
    }
}

/// The last line that says something.
fn complaint(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("they say nothing");
    line.chars().filter(|c| !c.is_control()).take(MAX_COMPLAINT).collect()
}
