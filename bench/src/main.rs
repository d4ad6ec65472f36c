#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool that talks to the person who called it"
)]
//! The figures of `docs/benchmarks.md`: `symbolon-bench NAME [--json]`.
//!
//! ```text
//! context         context.rs   room A against its primitives and against TLS
//!                 wrap.rs      wrapped messages against the cipher
//!                 sign_in.rs   a whole sign-in through a node
//! credentials     credentials.rs  certificates and tickets against TLS
//!                 kerberos.rs  Kerberos tickets, and a KDC beside them
//!                 id_tokens.rs ID tokens of a provider
//!                 hardware.rs  a key in a PKCS#11 token
//!                 logins.rs    ten thousand sign-ins through a node
//! stream          opening.rs   opening a stream against a TLS handshake
//!                 gateway.rs   bytes through a node against a TLS pipe
//!                 registration.rs
//! gateway         carried.rs   records of TLS, and taking a connection over
//!                 front.rs     the TLS port of `serve` beside other programs that terminate TLS
//! session-memory  memory.rs    what an idle session costs a node
//! timing          timing.rs    whether the time of a check tells what its answer does not
//! ```
//! `measure.rs` takes rounds, `bare.rs` and `tls.rs` are what we measure ourselves against, and
//! `child.rs` runs a node or a TLS pipe in a process of its own, so that only its cost is counted.

mod backend;
mod bare;
mod carried;
mod child;
mod clock;
mod context;
mod credentials;
mod front;
mod gateway;
mod hardware;
mod id_tokens;
mod kerberos;
mod logins;
mod measure;
mod memory;
mod node;
mod opening;
mod parties;
mod pipe;
mod registration;
mod report;
mod sign_in;
mod timing;
mod tls;
mod user;
mod wrap;

use anyhow::{Result, bail};
use report::Report;
use std::process::ExitCode;

const USAGE: &str = "symbolon-bench context|credentials|stream|gateway[-traffic|-connections|-waiting|-idle|-stall]|session-memory|timing [--json]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("symbolon-bench: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[&str]) -> Result<()> {
    match words {
        [child::ROLE, node::ROLE, dir] => node::run(dir)?,
        [child::ROLE, pipe::ROLE, backend] => pipe::run(backend)?,
        [child::ROLE, pipe::ROLE, backend, certificate, key] => pipe::run_with(backend, certificate, key)?,
        [child::ROLE, hardware::ROLE] => println!("{}", hardware::measure()?),
        [child::ROLE, kerberos::ROLE, keytab] => println!("{}", kerberos::measure(keytab)?),
        [name] => print!("{}", measured(name)?.to_table()),
        [name, "--json"] | ["--json", name] => print!("{}", measured(name)?.to_json_lines()),
        _ => bail!("{USAGE}"),
    }
    Ok(())
}

fn measured(name: &str) -> Result<Report> {
    let mut report = Report::default();
    match name {
        "context" => {
            context::run(&mut report)?;
            wrap::run(&mut report)?;
            sign_in::run(&mut report)?;
        }
        "credentials" => {
            credentials::run(&mut report)?;
            kerberos::run(&mut report)?;
            id_tokens::run(&mut report)?;
            hardware::run(&mut report)?;
            logins::run(&mut report)?;
        }
        "stream" => {
            opening::run(&mut report)?;
            gateway::run(&mut report)?;
            registration::run(&mut report)?;
        }
        "gateway" => {
            carried::run(&mut report)?;
            front::run(&mut report)?;
        }
        part if part.starts_with("gateway-") => front::part(part, &mut report)?,
        "session-memory" => memory::run(&mut report)?,
        "timing" => timing::run(&mut report)?,
        other => bail!("`{other}` is not a bench\n{USAGE}"),
    }
    Ok(report)
}
