//! A client and two hosts on one network, each in a network namespace of its own, with a service address that moves.

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use symbolon_os::ServiceAddress;
use symbolon_os::repair::{Frozen, TcpImage, can_repair};

const PORT: u16 = 8_443;

/// A network namespace. It ends with the process of the test, however that ends.
pub(crate) struct Host {
    keeper: Child,
    network: File,
}

impl Host {
    fn new() -> Self {
        let mut keeper = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo made; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "made\n", "a network namespace needs root (CAP_SYS_ADMIN)");
        let network = File::open(format!("/proc/{}/ns/net", keeper.id())).unwrap();
        let host = Self { keeper, network };
        host.ip("link set lo up");
        host
    }

    /// Does it as a process of that host would; sockets made there stay there.
    pub(crate) fn within<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let there = scope.spawn(|| {
                move_into_link_name_space(self.network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                what()
            });
            there.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    pub(crate) fn ip(&self, what: &str) {
        let done = self.within(|| Command::new("ip").args(what.split(' ')).output().unwrap());
        assert!(done.status.success(), "ip {what}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// How many resets it has sent.
    pub(crate) fn resets(&self) -> u64 {
        let all = self.within(|| std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap());
        let mut lines = all.lines().filter_map(|line| line.strip_prefix("Tcp: "));
        let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
        let at = names.split(' ').position(|name| name == "OutRsts").unwrap();
        values.split(' ').nth(at).unwrap().parse().unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// A host of the service.
pub(crate) struct Node {
    pub(crate) host: Host,
    pub(crate) address: ServiceAddress,
}

/// Two hosts of a service and a client, on one bridge.
pub(crate) struct Network {
    pub(crate) client: Host,
    pub(crate) nodes: [Node; 2],
    _switch: Host,
    service: SocketAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

pub(crate) const BOTH: [Family; 2] = [Family::V4, Family::V6];

impl Network {
    pub(crate) fn new(family: Family) -> Self {
        can_repair().expect("these tests move connections");
        let switch = Host::new();
        switch.ip("link add br0 type bridge mcast_snooping 0");
        switch.ip("link set br0 up");
        let host = |number: usize| {
            let host = Host::new();
            let keeper = host.keeper.id();
            switch.ip(&format!("link add v{number} type veth peer name eth0 netns {keeper}"));
            switch.ip(&format!("link set v{number} master br0 up"));
            host.ip("link set eth0 up");
            match family {
                Family::V4 => host.ip(&format!("addr add 10.9.0.{number}/24 dev eth0")),
                Family::V6 => host.ip(&format!("addr add fd00:9::{number}/64 dev eth0 nodad")),
            }
            host
        };
        let service: IpAddr = match family {
            Family::V4 => [10, 9, 0, 100].into(),
            Family::V6 => [0xFD00, 9, 0, 0, 0, 0, 0, 0x100].into(),
        };
        let node = |number| {
            let host = host(number);
            let address = host.within(|| ServiceAddress::new(service, "eth0").unwrap());
            Node { host, address }
        };
        let (client, nodes) = (host(1), [node(11), node(12)]);
        nodes[0].address.add().unwrap();
        nodes[0].address.announce().unwrap();
        Self { client, nodes, _switch: switch, service: SocketAddr::new(service, PORT) }
    }

    /// A connection to the service on the first host: the client's socket, and ours.
    pub(crate) fn connection(&self) -> (TcpStream, TcpStream) {
        let listener = self.nodes[0].host.within(|| TcpListener::bind(self.service).unwrap());
        let client = self.client.within(|| TcpStream::connect(self.service).unwrap());
        (client, listener.accept().unwrap().0)
    }

    /// Moves a connection and the address from one host to the other, by bytes.
    pub(crate) fn moves(&self, socket: TcpStream, from: usize) -> TcpStream {
        let (old, new) = (&self.nodes[from], &self.nodes[1 - from]);
        old.address.remove().unwrap();
        let frozen = Frozen::freeze(socket.as_fd()).unwrap();
        let bytes = frozen.image().to_bytes();
        frozen.end().unwrap();
        drop(socket);
        new.host.within(|| {
            let restored = TcpImage::parse(bytes.expose()).unwrap().restore().unwrap();
            new.address.add().unwrap();
            new.address.announce().unwrap();
            TcpStream::from(restored.go_on().unwrap())
        })
    }

    pub(crate) fn nobody_was_reset(&self) {
        for host in [&self.client, &self.nodes[0].host, &self.nodes[1].host] {
            assert_eq!(host.resets(), 0);
        }
    }
}
