//! A test in a process of its own: modules read the environment, and are started once in a process.

use std::process::Command;

/// Names the directory of the test in the process that runs it.
const DIRECTORY: &str = "SYMBOLON_HARDWARE_TEST";

/// Runs `test` with the directory and the environment that `prepare` makes, and keeps what `prepare`
/// returns until it ends.
pub(crate) fn apart<Kept>(
    prepare: impl FnOnce(&std::path::Path) -> (Vec<(&'static str, String)>, Kept),
    test: impl FnOnce(&std::path::Path),
) {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        return test(directory.as_ref());
    }
    let directory = tempfile::tempdir().unwrap();
    let (environment, kept) = prepare(directory.path());
    let name = std::thread::current().name().unwrap().to_owned();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([&name, "--exact", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory.path())
        .envs(environment)
        .output()
        .unwrap();
    drop(kept);
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(output.status.success(), "{name} failed:\n{told}");
    assert!(told.contains("1 passed"), "{name} did not run:\n{told}");
}
