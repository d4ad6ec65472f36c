//! Descriptors that travel.

use crate::roles;
use rustix::net::{RecvFlags, SendFlags};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use symbolon_os::pass::{self, MAX_DESCRIPTORS, MAX_MESSAGE};

fn numbered(n: usize) -> OwnedFd {
    let mut file = tempfile::tempfile().unwrap();
    write!(file, "{n}").unwrap();
    file.into()
}

fn number(file: OwnedFd) -> usize {
    let (mut file, mut text) = (std::fs::File::from(file), String::new());
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text.parse().unwrap()
}

fn borrow(files: &[OwnedFd]) -> Vec<BorrowedFd<'_>> {
    files.iter().map(AsFd::as_fd).collect()
}

fn send(socket: &OwnedFd, bytes: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
    pass::send(socket.as_fd(), bytes, files, SendFlags::DONTWAIT)
}

#[test]
fn as_many_as_may_be_arrive_in_order_and_closed_by_exec() {
    let (here, there) = pass::pair().unwrap();
    let files: Vec<OwnedFd> = (0..MAX_DESCRIPTORS).map(numbered).collect();
    send(&here, b"all of them", &borrow(&files)).unwrap();
    send(&here, b"none", &[]).unwrap();
    let message = pass::receive(there.as_fd(), RecvFlags::empty()).unwrap().unwrap();
    assert_eq!(message.bytes(), b"all of them");
    assert!(!message.cut && !message.too_long);
    for file in &message.descriptors {
        assert!(rustix::io::fcntl_getfd(file).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
    }
    let numbers: Vec<usize> = message.descriptors.into_iter().map(number).collect();
    assert_eq!(numbers, (0..MAX_DESCRIPTORS).collect::<Vec<_>>());
    let message = pass::receive(there.as_fd(), RecvFlags::empty()).unwrap().unwrap();
    assert_eq!((message.bytes(), message.descriptors.len()), (&b"none"[..], 0));
}

#[test]
fn a_message_has_bounds_on_both_sides() {
    let (here, there) = pass::pair().unwrap();
    let file = numbered(0);
    let many = vec![file.as_fd(); MAX_DESCRIPTORS + 1];
    for (bytes, files) in [(&[1; 1][..], &many[..]), (&[], &[]), (&[1; MAX_MESSAGE + 1], &[])] {
        let refused = send(&here, bytes, files).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }
    // one that does not keep to it
    rustix::net::send(&here, &[7; MAX_MESSAGE + 1], SendFlags::empty()).unwrap();
    let message = pass::receive(there.as_fd(), RecvFlags::DONTWAIT).unwrap().unwrap();
    assert!(message.too_long);
    send(&here, &[8; MAX_MESSAGE], &[]).unwrap();
    let message = pass::receive(there.as_fd(), RecvFlags::DONTWAIT).unwrap().unwrap();
    assert_eq!((message.bytes(), message.too_long), (&[8; MAX_MESSAGE][..], false));
}

#[test]
fn nothing_to_receive_is_told_from_nobody_there() {
    let (here, there) = pass::pair().unwrap();
    let nothing = pass::receive(there.as_fd(), RecvFlags::DONTWAIT).unwrap_err();
    assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    send(&here, b"last words", &[]).unwrap();
    drop(here);
    assert!(pass::receive(there.as_fd(), RecvFlags::DONTWAIT).unwrap().is_some());
    assert!(pass::receive(there.as_fd(), RecvFlags::DONTWAIT).unwrap().is_none());
    assert_eq!(send(&there, b"hello?", &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn what_was_said_before_the_end_is_heard_although_answers_were_not() {
    let (here, there) = pass::pair().unwrap();
    for i in 0..10 {
        send(&there, &[i], &[]).unwrap();
        send(&here, b"an answer that nobody reads", &[]).unwrap();
    }
    drop(there);
    for i in 0..10 {
        let message = pass::receive(here.as_fd(), RecvFlags::DONTWAIT).unwrap().unwrap();
        assert_eq!(message.bytes(), [i]);
    }
    assert!(pass::receive(here.as_fd(), RecvFlags::DONTWAIT).unwrap().is_none());
}

#[test]
fn a_full_socket_would_block() {
    let (here, _there) = pass::pair().unwrap();
    let full = (0..100_000).find_map(|_| send(&here, &[0; 500], &[]).err()).unwrap();
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn descriptors_that_find_no_room_are_missed() {
    // a process of its own: the limit holds for all of it
    assert!(roles::command("few descriptors").status().unwrap().success());
}

/// The process that has few descriptors.
pub(crate) fn few_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let (here, there) = pass::pair().unwrap();
    let files: Vec<OwnedFd> = (0..10).map(numbered).collect();
    let highest = std::os::fd::AsRawFd::as_raw_fd(files.last().unwrap());
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = u64::try_from(highest).unwrap() + 1 + 4;
    setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum }).unwrap();
    send(&here, b"ten", &borrow(&files)).unwrap();
    let message = pass::receive(there.as_fd(), RecvFlags::empty()).unwrap().unwrap();
    assert!(message.cut, "that some are missing is noticed");
    assert_eq!(message.bytes(), b"ten");
    let numbers: Vec<usize> = message.descriptors.into_iter().map(number).collect();
    assert_eq!(numbers, [0, 1, 2, 3], "and those that came are the first");
    send(&here, b"four", &borrow(&files[..4])).unwrap();
    assert!(!pass::receive(there.as_fd(), RecvFlags::empty()).unwrap().unwrap().cut);
}
