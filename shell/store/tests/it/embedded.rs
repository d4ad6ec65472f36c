//! What only a directory has: a lock, permissions, a disk that fills up, files that can be stolen.

use crate::home::{NODE_KEY, NOW, admin, open, open_directory, person};
use crate::sealing::{CANARY, hide_canaries};
use serde_json::json;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use symbolon_store::{HotStore, ReplayKey, Sharing, StoreError, StoreOptions};
use symbolon_wire::Time;
use tempfile::TempDir;

#[tokio::test]
async fn a_directory_in_use_is_refused_with_the_process_that_uses_it() {
    let dir = TempDir::new().unwrap();
    let store = open_directory(dir.path()).await.unwrap();
    let in_use = Some(StoreError::InUse { pid: Some(std::process::id()) });
    assert_eq!(open_directory(dir.path()).await.err(), in_use);
    assert_eq!(open(&StoreOptions::shared(dir.path()), NODE_KEY).await.err(), in_use);
    drop(store);
    open_directory(dir.path()).await.unwrap();
}

#[tokio::test]
async fn nodes_that_share_a_directory_keep_an_exclusive_one_out() {
    let dir = TempDir::new().unwrap();
    let options = StoreOptions::shared(dir.path());
    assert_eq!(options.sharing, Sharing::Shared);
    let one = open(&options, NODE_KEY).await.unwrap();
    let two = open(&options, NODE_KEY).await.unwrap();
    drop(one);
    assert!(matches!(open_directory(dir.path()).await, Err(StoreError::InUse { .. })));
    drop(two);
    open_directory(dir.path()).await.unwrap();
}

#[tokio::test]
async fn only_the_owner_reads_the_files() {
    let dir = TempDir::new().unwrap();
    let inner = dir.path().join("state with spaces/100%/a?b#c");
    let store = open_directory(&inner).await.unwrap();
    hide_canaries(&store, "alice", 1).await;
    assert_eq!(std::fs::metadata(&inner).unwrap().permissions().mode() & 0o777, 0o700);
    let mut names = Vec::new();
    for file in std::fs::read_dir(&inner).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
        names.push(file.file_name().into_string().unwrap());
    }
    names.sort();
    let expected =
        ["durable.db", "durable.db-shm", "durable.db-wal", "hot.db", "hot.db-shm", "hot.db-wal", "lock"];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn cve_secrets_in_the_files_of_the_store() {
    let dir = TempDir::new().unwrap();
    let store = open_directory(dir.path()).await.unwrap();
    let alice = hide_canaries(&store, "alice", 1).await;
    let haystack = "laptop"; // a plain value beside the secrets, so that the search is known to bite
    let search = |needle: &[u8]| {
        let files = std::fs::read_dir(dir.path()).unwrap().map(|f| std::fs::read(f.unwrap().path()).unwrap());
        files.filter(|bytes| bytes.windows(needle.len()).any(|w| w == needle)).count()
    };
    assert_eq!((search(CANARY), search(&NODE_KEY)), (0, 0), "in the write-ahead log");
    assert!(search(haystack.as_bytes()) > 0);
    assert_eq!(store.password(alice).await.unwrap().unwrap().expose(), CANARY);
    store.close().await;
    assert_eq!((search(CANARY), search(&NODE_KEY)), (0, 0), "in the database");
    assert!(search(haystack.as_bytes()) > 0);
}

#[tokio::test]
async fn a_full_disk_is_reported_and_loses_nothing_acknowledged() {
    let dir = TempDir::new().unwrap();
    let options = StoreOptions { quota: Some(256 * 1024), ..StoreOptions::exclusive(dir.path()) };
    let store = open(&options, NODE_KEY).await.unwrap();
    let alice = store.create_user(&admin(), &person("alice"), NOW).await.unwrap();
    let mut acknowledged = 1;
    let refused = loop {
        let detail = json!({ "padding": "x".repeat(900) });
        match store.record(&admin(), "note", "", &detail, NOW).await {
            Ok(()) => acknowledged += 1,
            Err(e) => break e,
        }
        assert!(acknowledged < 10_000, "the quota was never reached");
    };
    assert_eq!(refused, StoreError::DiskFull);
    // it is still full, and still answers
    assert_eq!(store.create_user(&admin(), &person("bob"), NOW).await.err(), Some(StoreError::DiskFull));
    assert_eq!(store.user(alice.id).await.unwrap(), alice);
    assert_eq!(store.verify_audit().await.unwrap().rows, acknowledged);

    let mut seen = 0_u32;
    let key = |n: u32| ReplayKey(std::array::from_fn(|i| n.to_be_bytes()[i % 4]));
    let refused = loop {
        match store.hot().put_if_absent(key(seen), NOW.plus_secs(60), NOW).await {
            Ok(true) => seen += 1,
            other => break other,
        }
    };
    assert_eq!(refused, Err(StoreError::DiskFull), "a replay key that was not kept is no first one");
    drop(store);

    let store = open_directory(dir.path()).await.unwrap();
    let report = store.verify_audit().await.unwrap();
    assert_eq!((report.rows, report.first_bad), (acknowledged, None));
    for n in 0..seen {
        assert_eq!(
            store.hot().put_if_absent(key(n), Time(NOW.0 + 1), NOW).await,
            Ok(false),
            "key {n} of {seen}"
        );
    }
    // with room again, it goes on
    store.create_user(&admin(), &person("bob"), NOW).await.unwrap();
    assert_eq!(store.verify_audit().await.unwrap().first_bad, None);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_reported_and_left_alone() {
    let dir = TempDir::new().unwrap();
    let garbage = b"this is not a database, and nobody should overwrite it".repeat(100);
    std::fs::write(dir.path().join("durable.db"), &garbage).unwrap();
    assert!(matches!(open_directory(dir.path()).await, Err(StoreError::Corrupt(_))));
    assert_eq!(std::fs::read(dir.path().join("durable.db")).unwrap(), garbage);
}

#[tokio::test]
async fn a_damaged_database_is_reported() {
    let dir = TempDir::new().unwrap();
    let store = open_directory(dir.path()).await.unwrap();
    for i in 0..200 {
        store.record(&admin(), "note", &"x".repeat(500), &json!({ "i": i }), NOW).await.unwrap();
    }
    store.close().await;
    let file = dir.path().join("durable.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let half = (bytes.len() / 2) & !4095;
    bytes[half..].fill(0xff);
    std::fs::write(&file, bytes).unwrap();
    let verdict = match open_directory(dir.path()).await {
        Ok(store) => store.verify_audit().await.map(drop),
        Err(e) => Err(e),
    };
    assert!(matches!(verdict, Err(StoreError::Corrupt(_))), "{verdict:?}");
}

/// Set for the process that [`a_directory_that_may_only_be_read_is_reported`] starts.
const READ_ONLY_DIR: &str = "SYMBOLON_STORE_TEST_READ_ONLY";

#[tokio::test]
async fn a_directory_that_may_only_be_read_is_reported() {
    if let Some(dir) = std::env::var_os(READ_ONLY_DIR) {
        let refused = open_directory(Path::new(&dir)).await.err();
        assert_eq!(refused, Some(StoreError::ReadOnly));
        return;
    }
    let dir = TempDir::new().unwrap();
    open_directory(dir.path()).await.unwrap().close().await;
    let mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    // the lock may be taken, the databases may not be written
    mode(&dir.path().join("lock"), 0o666);
    mode(&dir.path().join("durable.db"), 0o444);
    mode(&dir.path().join("hot.db"), 0o444);
    mode(dir.path(), 0o755);
    for what in ["files", "lock too"] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        // permissions do not bind root: let it be nobody
        if std::fs::metadata(dir.path()).unwrap().uid() == 0 {
            child.uid(65534).gid(65534);
        }
        let output = child
            .args(["--exact", "embedded::a_directory_that_may_only_be_read_is_reported"])
            .env(READ_ONLY_DIR, dir.path())
            .current_dir(dir.path())
            .output()
            .unwrap();
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && report.contains("1 passed"), "{what}: {report}");
        mode(&dir.path().join("lock"), 0o444);
    }
}
