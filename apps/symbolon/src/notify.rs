//! Telling the service manager how far we are (`sd_notify(3)`), when one asked for it.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The service is up.
pub(crate) fn ready(status: &str) {
    notify(&format!("READY=1\nSTATUS={status}"));
}

/// The service takes in its configuration again; `ready` ends it.
pub(crate) fn reloading() {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000);
    notify(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
}

/// The service finishes what it has begun.
pub(crate) fn stopping() {
    notify("STOPPING=1");
}

fn notify(message: &str) {
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET") {
        // without a service manager that listens there is nobody to complain to
        let _ = send(&socket, message);
    }
}

/// `@` stands for the zero byte with which Linux marks a name that is no file.
fn send(socket: &OsStr, message: &str) -> io::Result<usize> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_manager_hears_by_file_and_by_abstract_name() {
        let name = format!("symbolon-notify-{}", std::process::id());
        let file = std::env::temp_dir().join(&name);
        let by_file = UnixDatagram::bind(&file).unwrap();
        let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send(file.as_os_str(), "READY=1").unwrap();
        send(format!("@{name}").as_ref(), "STOPPING=1").unwrap();
        std::fs::remove_file(&file).unwrap();
        let mut buffer = [0; 32];
        let read = by_file.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..read], b"READY=1");
        let read = by_name.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..read], b"STOPPING=1");
    }
}
