//! Why a node does not start, in words that say how to mend it.

use std::io;
use std::net::SocketAddr;

use symbolon_server::{NodeConfig, NodeError, StoreError};

use crate::exit::{Complaint, Kind, plain};
use crate::paste::Paste;

/// What to tell whoever started the node.
pub(crate) fn node_complaint(error: NodeError, config: &NodeConfig, paste: &Paste) -> Complaint {
    match error {
        NodeError::Listen { address, source } => {
            let other = SocketAddr::new(address.ip(), other_port(address.port()));
            let another = paste.node(["serve", "--listen", &other.to_string()]);
            listen_complaint(address, &source, &another)
        }
        NodeError::File { path, source } => Complaint::file(&path, &source),
        NodeError::Config(words) => Complaint::usage(words).code("configuration"),
        NodeError::Damaged { .. } => Complaint::failure(error.to_string()).code("damaged").fix(
            "put that file back from your copy of the directory, or start anew in another one with --dir",
        ),
        NodeError::Store(e) => {
            Complaint::new(Kind::Failure, e.to_string()).code("store").fix(store_fix(&e, config, paste))
        }
        other => Complaint::failure(other.to_string()),
    }
}

/// What to do about a store that does not open.
fn store_fix(error: &StoreError, config: &NodeConfig, paste: &Paste) -> String {
    let dir = config.dir.display();
    match error {
        StoreError::InUse { .. } => {
            format!("a node runs in {dir} already: manage or stop that one, or choose another --dir")
        }
        StoreError::HotElsewhere(_) => format!(
            "name as `hot` what the store's other nodes name; if that is lost or given up, stop them all and run: {}",
            paste.node(["serve", "--new-hot-store"])
        ),
        StoreError::Unreachable(_) | StoreError::NotReplicated => {
            "look after the server that `hot` names".to_owned()
        }
        StoreError::ReadOnly if config.hot.is_some() => {
            format!("make {dir} writable for the user who runs the node, and have `hot` lead to the primary")
        }
        StoreError::Moved(place) => format!("name {place} as `store` in the configuration of this node"),
        StoreError::NotEmpty => "name an empty database, or a directory without a node".to_owned(),
        StoreError::DiskFull => "free some space on that file system".to_owned(),
        StoreError::ReadOnly => format!("make {dir} writable for the user who runs the node"),
        StoreError::Sealed => {
            format!("node.key in {dir} is not the key of this store: put back the pair from one copy")
        }
        StoreError::Other(words) if words.starts_with("hot store") => {
            "look after the server that `hot` names".to_owned()
        }
        _ => match &config.store {
            Some(url) => format!("look after the database {url}"),
            None => format!("look after the store in {dir}/store"),
        },
    }
}

/// A port that cannot be had, with the command that takes another one.
pub(crate) fn listen_complaint(address: SocketAddr, source: &io::Error, another: &str) -> Complaint {
    let port = address.port();
    let complaint = Complaint::failure(format!("cannot listen on {address}: {}", plain(source)));
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            Complaint::failure(format!("port {port} is taken on this machine ({address})"))
                .code("port-taken")
                .fix(format!("see who has it: ss -ltnp 'sport = :{port}'   or take another one: {another}"))
        }
        io::ErrorKind::PermissionDenied => complaint
            .code("port-denied")
            .fix(format!("ports below 1024 are for root; take another one: {another}")),
        io::ErrorKind::AddrNotAvailable => complaint
            .code("address")
            .fix("this machine does not have that address; 0.0.0.0 stands for all it has"),
        _ => complaint.code("listen"),
    }
}

/// A neighbour, which is likely to be free and can be had without being root.
pub(crate) const fn other_port(port: u16) -> u16 {
    if port < 1024 {
        7844
    } else if port == u16::MAX {
        port - 1
    } else {
        port + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_comes_with_who_has_it_and_how_to_take_another() {
        let address = "127.0.0.1:7843".parse().unwrap();
        let complaint =
            listen_complaint(address, &io::ErrorKind::AddrInUse.into(), "symbolon serve --listen x");
        let fix = complaint.fix.unwrap();
        assert!(fix.contains("ss -ltnp 'sport = :7843'") && fix.contains("--listen"), "{fix}");
        assert_eq!((complaint.kind, complaint.code.as_str()), (Kind::Failure, "port-taken"));
    }

    #[test]
    fn the_port_that_is_proposed_is_another_one() {
        assert_eq!([other_port(80), other_port(7843), other_port(65535)], [7844, 7844, 65534]);
    }
}
