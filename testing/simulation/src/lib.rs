#![forbid(unsafe_code)]
//! Nodes, their stores and their clients in one deterministic world, with a reference model beside them.
//!
//! ```text
//!   clients ── attach, streams, tickets, wrapped messages (the real cores of room C) ── nodes ── records
//!      │                                                                                  │
//!      └── recorded and shown again                          HotStore over letters ───────┴── primary ── replica
//!   fate: crashes, cuts (one-way too), loss, delay, clock steps, takeovers; an administrator who withdraws rights
//!   reference model: looks at everything that happens, and knows the true time
//! ```
//! A seed decides everything, so what went wrong once goes wrong again: [`run`], and `docs/simulation.md`.

mod bug;
mod client;
mod fate;
mod letter;
mod node;
mod random;
mod records;
mod reference;
mod remote;
mod server;
mod tables;
mod watched;
mod world;

pub use bug::Bug;
pub use reference::Counts;

use records::Records;
use world::{Host, SEC, World};

const NODES: u8 = 3;
const CLIENTS: u8 = 3;
/// When fate rests, and when the world ends.
const STORM: u64 = 30 * SEC;
const END: u64 = 36 * SEC;

/// What became of a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The first rule that was broken, if one was.
    pub violation: Option<String>,
    /// What happened, a line each, if that was asked for.
    pub trace: Vec<String>,
    /// How much of what happened.
    pub counts: Counts,
}

/// Lets the world of `seed` run to its end, or to the first rule that is broken.
#[must_use]
pub fn run(seed: u64, bug: Option<Bug>, traced: bool) -> Outcome {
    watched::begin();
    let world = World::new(seed, bug, traced);
    fate::start_server(&world, 0, true);
    fate::start_server(&world, 1, false);
    world.spawn(Host::Records, records::keep(world.clone(), Records::new(CLIENTS)));
    for node in 0..NODES {
        fate::start_node(&world, node);
    }
    for client in 0..CLIENTS {
        world.spawn(Host::Client(client), client::live(world.clone(), client, NODES));
    }
    world.spawn(Host::Office, fate::administer(world.clone(), NODES, CLIENTS));
    world.spawn(Host::Fate, fate::strike(world.clone(), NODES, CLIENTS, STORM));
    world.run(END);
    let (violation, counts) = {
        let kernel = world.kernel();
        let repeated =
            watched::repeated().map(|what| format!("a key sealed two things under one nonce: {what}"));
        (kernel.reference.violation().map(str::to_owned).or(repeated), kernel.reference.counts)
    };
    Outcome { violation, trace: world.take_trace(), counts }
}
