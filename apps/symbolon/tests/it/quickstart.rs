//! The first command that anybody tries.

use std::net::TcpListener;

use crate::binary::{Place, text};

#[test]
fn a_whole_system_comes_up_twice_and_leaves_nothing_behind() {
    let place = Place::new();
    let dir = place.path("q");
    let quickstart = |more: &[&str]| place.json(&[&["quickstart", "--dir", text(&dir)], more].concat()).0;
    let once = ["--once", "--listen", "127.0.0.1:0"];
    for _ in 0..2 {
        let value = quickstart(&once);
        let steps: Vec<&str> =
            value["steps"].as_array().unwrap().iter().map(|s| s["step"].as_str().unwrap()).collect();
        let expected = ["node", "sample-application", "enrol", "publish", "entitle", "sign-in", "request"];
        assert_eq!(steps, expected);
        assert!(value["steps"].as_array().unwrap().iter().all(|s| s["ms"].is_u64()), "{value}");
        assert_eq!((value["user"].as_str(), value["http"]["status"].as_u64()), (Some("alice"), Some(200)));
        assert!(value["http"]["body"].as_str().unwrap().contains("sample application"), "{value}");
    }
    assert_eq!(quickstart(&["--clean"])["left"], serde_json::json!([]));
    assert!(!dir.exists());
}

#[test]
fn a_port_that_is_taken_is_reported_with_the_command_that_takes_another() {
    let place = Place::new();
    let dir = place.path("q");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (value, code) = place.json(&["quickstart", "--dir", text(&dir), "--once", "--listen", &address]);
    let error = &value["error"];
    assert_eq!((code, error["code"].as_str()), (Some(1), Some("port-taken")), "{value}");
    let fix = error["fix"].as_str().unwrap();
    assert!(fix.contains("ss -ltnp") && fix.contains("--listen 127.0.0.1:"), "{fix}");
}
