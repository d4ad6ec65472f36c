//! Memory files.

use std::os::fd::{AsFd, OwnedFd};
use symbolon_os::{FamilyKey, MAX_NOTE, MemoryFile, MemoryFileError};
use symbolon_session::ConnectionId;
use symbolon_session::ledger::{Geometry, LEDGER_BYTES, Ledger, LedgerError, LedgerMemory, RINGS_AT, Rings};

const RING: usize = 1 << 16;
const NOTE: &[u8] = b"whose connection it is, and to where";
/// Where a note begins: length, checksum, bytes.
const NOTE_AT: u64 = 1024;

fn geometry() -> Geometry {
    Geometry::new(ConnectionId([4; 16]), RING, RING).unwrap()
}

fn created() -> MemoryFile {
    MemoryFile::create(geometry(), NOTE).unwrap().0
}

fn duplicate(memory: &MemoryFile) -> OwnedFd {
    memory.descriptor().try_clone_to_owned().unwrap()
}

/// Bytes that the file takes.
fn taken(memory: &MemoryFile) -> i64 {
    rustix::fs::fstat(memory.descriptor()).unwrap().st_blocks * 512
}

/// How the kernel describes the mappings of files of this name.
fn mappings(name: &str) -> Vec<String> {
    let all = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut found: Vec<String> = vec![];
    let mut inside = false;
    for line in all.lines() {
        if line.split(' ').next().is_some_and(|range| range.contains('-')) {
            inside = line.contains(name);
        }
        if inside && line.starts_with("VmFlags:") {
            found.push(line.into());
        }
    }
    found
}

#[test]
fn a_window_over_the_end_of_a_ring_is_one_piece() {
    let mut memory = created();
    let text = b"over the end and on";
    let position = 7 * RING as u64 - 5;
    memory.client_room(position, text.len()).unwrap().copy_from_slice(text);
    assert_eq!(memory.client(position, text.len()), text);
    assert_eq!(memory.client(position + 5, 5), &text[5..10]);
    assert_eq!(memory.client(5 * RING as u64, 3), &text[5..8]);
    assert_eq!(memory.application(position, 4), [0; 4], "the other ring is another");
    memory.application_room(position, 4).unwrap().copy_from_slice(b"down");
    assert_eq!(memory.application(position, 4), b"down");
    assert_eq!(memory.client(position, text.len()), text);
}

#[test]
fn what_one_process_stores_the_next_one_finds() {
    let mut memory = created();
    memory.store(20, 0x1234);
    memory.publish(4, 99);
    memory.client_room(3, 4).unwrap().copy_from_slice(b"ring");
    let file = duplicate(&memory);
    drop(memory);
    let next = MemoryFile::open(file).unwrap();
    assert_eq!((next.load(20), next.load(4)), (0x1234, 99));
    assert_eq!(next.client(3, 4), b"ring");
    assert_eq!(Ledger::geometry_in(&next), Ok(geometry()));
}

#[test]
fn it_can_be_neither_enlarged_nor_shrunk_nor_executed() {
    let memory = created();
    let size = geometry().file_size() as u64;
    for wrong in [0, 4096, size - 1, size + 1] {
        assert!(rustix::fs::ftruncate(memory.descriptor(), wrong).is_err());
    }
    let seals = rustix::fs::fcntl_get_seals(memory.descriptor()).unwrap();
    assert!(seals.contains(rustix::fs::SealFlags::SEAL), "and that cannot be undone");
    let execute = rustix::fs::Mode::from_raw_mode(0o777);
    assert!(rustix::fs::fchmod(memory.descriptor(), execute).is_err());
}

#[test]
fn it_is_in_no_core_dump_and_no_child() {
    let mut memory = created();
    memory.client_room(0, 1).unwrap()[0] = 1;
    let _family = FamilyKey::create().unwrap();
    // the ledger, and two rings of which each has two images: the middle ones are one mapping
    for (name, count) in [("symbolon-connection", 4), ("symbolon-family", 1)] {
        let mappings = mappings(name);
        assert_eq!(mappings.len(), count);
        for flags in mappings {
            assert!(flags.contains(" dd"), "not dumped: {flags}");
            assert!(flags.contains(" dc"), "not copied to children: {flags}");
        }
    }
}

#[test]
fn memory_comes_with_bytes_and_goes_when_the_connection_rests() {
    let mut memory = created();
    let empty = taken(&memory);
    assert!(empty >= LEDGER_BYTES as i64, "the ledger's memory is there from the beginning");
    assert!(empty <= 65_536, "the rings' is not: {empty}");
    memory.client_room(0, RING).unwrap().fill(1);
    memory.application_room(0, RING).unwrap().fill(2);
    assert_eq!(taken(&memory), empty + 2 * RING as i64);
    memory.store(30, 77);
    memory.rest().unwrap();
    assert_eq!(taken(&memory), empty);
    assert_eq!(mappings("symbolon-connection").len(), 1, "the ledger alone is mapped");
    assert_eq!(memory.load(30), 77);
    assert!(memory.client(123, 0).is_empty());
    memory.client_room(9, 2).unwrap().copy_from_slice(b"on");
    assert_eq!(memory.client(8, 4), b"\0on\0");
}

#[test]
fn nothing_is_left_of_a_connection_that_is_over() {
    let longest = vec![7; MAX_NOTE];
    let (mut memory, _) = MemoryFile::create(geometry(), &longest).unwrap();
    for word in 0..LEDGER_BYTES / 8 {
        memory.store(word, u64::MAX);
    }
    memory.client_room(0, RING).unwrap().fill(1);
    assert_eq!(memory.note().unwrap(), longest);
    let file = duplicate(&memory);
    memory.erase().unwrap();
    let mut left = vec![9; geometry().file_size()];
    let read = rustix::io::pread(&file, &mut left, 0).unwrap();
    assert_eq!(read, left.len());
    assert!(left.iter().all(|&byte| byte == 0));
}

#[test]
fn a_note_is_the_same_in_each_process_and_whatever_the_connection_does() {
    for length in [0, 1, 7, 8, 9, 3_000, MAX_NOTE] {
        let note: Vec<u8> = (0..length).map(|i| (i * 31) as u8).collect();
        let (mut memory, _) = MemoryFile::create(geometry(), &note).unwrap();
        assert!(taken(&memory) >= 1024 + 8 + length as i64, "its memory is there from the beginning");
        // all but the header
        for word in 4..LEDGER_BYTES / 8 {
            memory.store(word, u64::MAX);
        }
        memory.client_room(0, RING).unwrap().fill(0xFF);
        memory.rest().unwrap();
        assert_eq!(memory.note().unwrap(), note);
        let next = MemoryFile::open(duplicate(&memory)).unwrap();
        assert_eq!(next.note().unwrap(), note);
    }
}

#[test]
fn a_note_that_is_too_long_is_refused() {
    let refused = MemoryFile::create(geometry(), &vec![0; MAX_NOTE + 1]);
    assert!(matches!(refused, Err(MemoryFileError::NoteTooLong(length)) if length == MAX_NOTE + 1));
}

#[test]
fn a_note_that_is_damaged_anywhere_is_refused() {
    let memory = created();
    let damaged = || matches!(memory.note(), Err(MemoryFileError::NoteDamaged));
    for at in NOTE_AT..NOTE_AT + 8 + NOTE.len() as u64 {
        let mut byte = [0];
        rustix::io::pread(memory.descriptor(), &mut byte, at).unwrap();
        for damage in 1..=255 {
            rustix::io::pwrite(memory.descriptor(), &[byte[0] ^ damage], at).unwrap();
            assert!(damaged(), "byte {at} by {damage:#x}");
        }
        rustix::io::pwrite(memory.descriptor(), &byte, at).unwrap();
    }
    assert_eq!(memory.note().unwrap(), NOTE);
    rustix::io::pwrite(memory.descriptor(), &[0; 8], NOTE_AT).unwrap();
    assert!(damaged(), "where there is none");
}

#[test]
fn a_file_that_is_no_memory_file_is_refused() {
    let damaged =
        |file: OwnedFd| matches!(MemoryFile::open(file), Err(MemoryFileError::Ledger(LedgerError::Damaged)));
    let flags = rustix::fs::MemfdFlags::ALLOW_SEALING | rustix::fs::MemfdFlags::CLOEXEC;
    let plain = || rustix::fs::memfd_create("another", flags).unwrap();
    assert!(damaged(plain()), "it could shrink under our hands");
    for size in [0, 4_096, RINGS_AT, geometry().file_size()] {
        let file = plain();
        rustix::fs::ftruncate(&file, size as u64).unwrap();
        let seals = rustix::fs::SealFlags::SHRINK | rustix::fs::SealFlags::GROW;
        rustix::fs::fcntl_add_seals(&file, seals).unwrap();
        assert!(damaged(file), "{size} bytes of nothing");
    }
    assert!(damaged(std::fs::File::open("/dev/null").unwrap().into()));
    assert!(damaged(std::os::unix::net::UnixStream::pair().unwrap().0.into()));
    let memory = created();
    let file = duplicate(&memory);
    rustix::io::pwrite(&file, &[0xFF], 3).unwrap();
    assert!(damaged(file));
}

#[test]
fn rings_are_whole_pages() {
    let odd = Geometry::new(ConnectionId([0; 16]), 64, 64).unwrap();
    assert!(matches!(MemoryFile::create(odd, &[]), Err(MemoryFileError::System(_))));
}

#[test]
fn a_family_has_one_key_and_another_family_another() {
    let (one, other) = (FamilyKey::create().unwrap(), FamilyKey::create().unwrap());
    assert_ne!(one.secret(), other.secret());
    assert_eq!(one.secret(), one.secret());
    assert!(FamilyKey::open(std::fs::File::open("/dev/null").unwrap().into()).is_err());
    assert!(MemoryFile::open(created().descriptor().as_fd().try_clone_to_owned().unwrap()).is_ok());
}
