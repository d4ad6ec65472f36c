//! What befalls the hosts: crashes, partitions, lost letters, clocks that step, a store that fails over; and what an
//! administrator orders meanwhile.

use crate::letter::Letter;
use crate::node;
use crate::records::Change;
use crate::reference::SKEW_SECS;
use crate::server;
use crate::world::{Host, Instant, MS, SEC, World};

/// Starts a node as it is after `boots` starts.
pub(crate) fn start_node(world: &World, index: u8) {
    let boot = world.kernel().random.next();
    let task = node::run(world.clone(), index, boot);
    world.spawn(Host::Node(index), task);
}

pub(crate) fn start_server(world: &World, index: u8, primary: bool) {
    world.spawn(Host::Server(index), server::serve(world.clone(), index, primary));
}

/// Lets things happen until `end`, then mends all of them.
pub(crate) async fn strike(world: World, nodes: u8, clients: u8, end: Instant) {
    let host = Host::Fate;
    world.kernel().loss = world.random(0, 12);
    let mut term = 1;
    while world.now() < end {
        world.sleep(host, world.random(100 * MS, 1_800 * MS)).await;
        world.refer(|r, _| r.counts.faults += 1);
        let node = u8::try_from(world.random(0, nodes.into())).unwrap_or(0);
        match world.random(0, 100) {
            0..18 => {
                world.crash(Host::Node(node));
                world.kernel().keys.remove(&node);
                let (world, down) = (world.clone(), world.random(20 * MS, 2 * SEC));
                world.clone().spawn(host, async move {
                    world.sleep(host, down).await;
                    // it may have been struck again meanwhile
                    world.crash(Host::Node(node));
                    start_node(&world, node);
                });
            }
            18..40 => {
                let primary = world.kernel().primary;
                let far = match world.random(0, 4) {
                    0 => Host::Client(u8::try_from(world.random(0, clients.into())).unwrap_or(0)),
                    1 => Host::Records,
                    2 => Host::Server(1 - primary),
                    _ => Host::Server(primary),
                };
                let near = match far {
                    Host::Server(s) if world.percent(30) => Host::Server(1 - s),
                    _ => Host::Node(node),
                };
                cut(&world, near, far);
            }
            40..62 => {
                let offset = i64::try_from(world.random(0, SKEW_SECS * SEC)).unwrap_or(0);
                let offset = offset - i64::try_from(SKEW_SECS * SEC / 2).unwrap_or(0);
                world.set_clock(Host::Node(node), offset);
            }
            62..80 => {
                // Only a replica that has what was acknowledged may lead.
                if world.kernel().in_step {
                    fail_over(&world, &mut term);
                }
            }
            80..88 => {
                let replica = 1 - world.kernel().primary;
                world.kernel().in_step = false;
                world.crash(Host::Server(replica));
                start_server(&world, replica, false);
            }
            _ => {
                let many = world.random(0, 160);
                world.kernel().loss = many;
                world.note(|| format!("{many} letters of a thousand are lost"));
                world.sleep(host, world.random(100 * MS, SEC)).await;
                world.kernel().loss = 3;
            }
        }
    }
    let mut kernel = world.kernel();
    (kernel.loss, kernel.blocked) = (0, Default::default());
}

/// Cuts a way for a while, in both directions or in one.
fn cut(world: &World, near: Host, far: Host) {
    let ways = match world.random(0, 3) {
        0 => vec![(near, far)],
        1 => vec![(far, near)],
        _ => vec![(near, far), (far, near)],
    };
    world.note(|| format!("cut: {ways:?}"));
    world.kernel().blocked.extend(ways.iter().copied());
    let (world, time) = (world.clone(), world.random(100 * MS, 3 * SEC));
    world.clone().spawn(Host::Fate, async move {
        world.sleep(Host::Fate, time).await;
        world.note(|| format!("mended: {ways:?}"));
        world.kernel().blocked.retain(|way| !ways.contains(way));
    });
}

/// The primary dies, its replica leads, and the dead one comes back with nothing.
fn fail_over(world: &World, term: &mut u64) {
    let (dead, next) = {
        let mut kernel = world.kernel();
        kernel.in_step = false;
        let dead = kernel.primary;
        kernel.primary = 1 - dead;
        (dead, 1 - dead)
    };
    *term += 1;
    world.refer(|r, _| r.counts.takeovers += 1);
    world.crash(Host::Server(dead));
    world.post(Host::Server(next), Host::Server(next).door(), Letter::Promote { term: *term });
    start_server(world, dead, false);
}

/// What an administrator orders, one thing after the other.
pub(crate) async fn administer(world: World, nodes: u8, clients: u8) {
    let host = Host::Office;
    loop {
        world.sleep(host, world.random(SEC, 4 * SEC)).await;
        let user = u8::try_from(world.random(0, clients.into())).unwrap_or(0);
        match world.random(0, 4) {
            0 => {
                order(&world, nodes, Change::Lock(user)).await;
                world.sleep(host, world.random(4 * SEC, 9 * SEC)).await;
                world.refer(|r, _| r.locked(user, None));
                order(&world, nodes, Change::Unlock(user)).await;
            }
            1 => {
                order(&world, nodes, Change::Withdraw(user)).await;
                world.sleep(host, world.random(4 * SEC, 9 * SEC)).await;
                world.refer(|r, _| r.withdrawn(user, None));
                order(&world, nodes, Change::Entitle(user)).await;
            }
            2 => order(&world, nodes, Change::Revoke(user)).await,
            _ => order(&world, nodes, Change::EndSession(user)).await,
        }
    }
}

/// Asks one node after the other until one has done it.
async fn order(world: &World, nodes: u8, change: Change) {
    let host = Host::Office;
    loop {
        let node = u8::try_from(world.random(0, nodes.into())).unwrap_or(0);
        let reply = world.open_box(host);
        world.post(host, Host::Node(node).door(), Letter::Order { change, reply });
        let answer = world.receive(reply, world.now() + 3 * SEC).await;
        world.close_box(reply);
        if matches!(answer, Some(Letter::Done)) {
            return world.note(|| format!("in force: {change:?}"));
        }
    }
}
