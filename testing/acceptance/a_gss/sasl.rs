//! The sample programs of Cyrus SASL (Debian's sasl2-bin), which talk over their standard inputs and outputs.

use std::io::Write;

use anyhow::{Result, ensure};
use symbolon_acceptance::{LIMIT, Running, scenario, step, until};

use crate::site::Site;

const SERVICE: &str = "rcmd@localhost";

/// Runs both programs and carries what one says to the other; both outputs at the end.
fn converse(site: &Site, mechanism: &str, configuration: &str) -> Result<[String; 2]> {
    let mut server = site.command("sasl-sample-server")?;
    server.args(["-s", "rcmd", "-d", "localhost", "-m", mechanism]);
    let mut client = site.command("sasl-sample-client")?;
    client.args(["-s", "rcmd", "-n", "localhost", "-m", mechanism, "-u", "alice", "-a", "alice"]);
    let (server, mut to_server) = Running::start_with_input("sasl-sample-server", &mut server)?;
    let client = site.other(&mut client, configuration);
    let (client, mut to_client) = Running::start_with_input("sasl-sample-client", client)?;
    let (mut from_server, mut from_client) = (0, 0);
    until(LIMIT, "the end of the conversation", || {
        for line in said(&server, "S:", &mut from_server) {
            // A program that ended has said why.
            drop(to_client.write_all(line.as_bytes()));
        }
        for line in said(&client, "C:", &mut from_client) {
            drop(to_server.write_all(line.as_bytes()));
        }
        let done = |program: &Running| {
            let output = program.output();
            output.contains("Negotiation complete") || output.contains("sasl-sample-server: ")
        };
        (done(&server) && done(&client)).then_some(())
    })?;
    Ok([server.output(), client.output()])
}

/// The lines for the other side that were not carried yet. An empty one has a blank, which reading took off.
fn said(program: &Running, sign: &str, carried: &mut usize) -> Vec<String> {
    let output = program.output();
    let lines = output.lines().filter_map(|l| l.strip_prefix(sign)).skip(*carried);
    let lines: Vec<String> = lines.map(|l| format!("{sign} {}\n", l.trim_start())).collect();
    *carried += lines.len();
    lines
}

#[test]
fn sasl_offers_the_mechanism_by_itself_and_through_spnego() -> Result<()> {
    scenario!("Cyrus SASL finds the mechanism: as SYMBOLON (GS2, RFC 5801), and within GSS-SPNEGO");
    // The samples have buffers of 2,048 bytes, which X-Wing's first token does not fit in.
    let site = Site::with_suites(&[SERVICE], "X-Wing,X25519")?;
    for mechanism in ["SYMBOLON", "GSS-SPNEGO"] {
        step!("{mechanism}");
        let [server, client] = converse(&site, mechanism, "gss.toml")?;
        for said in [&server, &client] {
            ensure!(said.contains("Negotiation complete"), "{server}\n\n{client}");
            ensure!(said.contains("Username: alice"), "{server}\n\n{client}");
        }
    }
    Ok(())
}
