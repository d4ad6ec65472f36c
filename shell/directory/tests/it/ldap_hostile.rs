//! Servers that answer something else than LDAP says: never a yes, never a panic, never a long wait.

use std::time::{Duration, Instant};

use symbolon_directory::{BackendError, Checked, LdapConfig, LdapDirectory, Protection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::slapd::{ask, by_dn, by_search, config_at};

const LIMIT: Duration = Duration::from_millis(500);

const SUCCESS: &[u8] = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";

/// A server that answers the n-th message of each connection with the n-th of `answers`, whatever it
/// was asked; after the last it keeps silent.
async fn server(answers: &[&[u8]]) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answers: Vec<Vec<u8>> = answers.iter().map(|a| a.to_vec()).collect();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answers = answers.clone();
            tokio::spawn(async move {
                let mut question = [0; 4096];
                for answer in answers {
                    if !matches!(stream.read(&mut question).await, Ok(1..)) {
                        return;
                    }
                    let _ = stream.write_all(&answer).await;
                }
                while matches!(stream.read(&mut question).await, Ok(1..)) {}
            });
        }
    });
    port
}

fn directory(port: u16, search: bool) -> LdapDirectory {
    let users = if search { by_search("(uid={user})") } else { by_dn() };
    LdapDirectory::new(LdapConfig { limit: LIMIT, ..config_at(port, users) }).unwrap()
}

async fn asked(answers: &[&[u8]], search: bool) -> Result<Checked, BackendError> {
    let directory = directory(server(answers).await, search);
    let begun = Instant::now();
    let result = ask(&directory, "alice", "alice-pw").await;
    assert!(begun.elapsed() < LIMIT * 10, "{:?}", begun.elapsed());
    result
}

#[tokio::test]
async fn the_scripted_server_is_believed_when_it_answers_properly() {
    assert!(asked(&[SUCCESS], false).await.unwrap().is_right());
}

#[tokio::test]
async fn cve_malformed_ldap_answer_never_fails_open() {
    let answers: [&[u8]; 12] = [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"\x30\x84\x7f\xff\xff\xff",
        b"\x30\x80\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00\0\0",
        b"\x30\x00",
        b"\x30\x05\x02\x01\x01\x61\x00",
        // no result code, one of two bytes with a sign, one that is no number
        b"\x30\x0b\x02\x01\x01\x61\x06\x0a\x00\x04\x00\x04\x00",
        b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x80\x04\x00\x04\x00",
        b"\x30\x0c\x02\x01\x01\x61\x07\x04\x01\x00\x04\x00\x04\x00",
        // the answer to another question, to none, and of another kind
        b"\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
        b"\x30\x0c\x02\x01\x00\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
        b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00",
        // our own request, sent back
        b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00",
    ];
    for answer in answers {
        let result = asked(&[answer], false).await;
        assert!(matches!(result, Err(BackendError::Unavailable(_))), "{answer:02x?}: {result:?}");
    }
}

#[tokio::test]
async fn an_answer_that_comes_in_part_or_not_at_all_is_no_success() {
    for end in 0..SUCCESS.len() {
        let result = asked(&[&SUCCESS[..end]], false).await;
        assert!(matches!(result, Err(BackendError::Unavailable(_))), "{end}: {result:?}");
    }
}

#[tokio::test]
async fn what_a_refused_bind_means_is_told_apart() {
    let answer = |code: u8| [&SUCCESS[..9], &[code], &SUCCESS[10..]].concat();
    for (code, wrong) in
        [(49, true), (32, true), (48, true), (10, false), (53, false), (80, false), (14, false)]
    {
        let result = asked(&[&answer(code)], false).await;
        match wrong {
            true => assert_eq!(result, Ok(Checked::Wrong), "{code}"),
            false => assert!(matches!(result, Err(BackendError::Denied(_))), "{code}: {result:?}"),
        }
    }
    for (code, busy) in [(51, true), (52, true), (13, false), (8, false), (34, false)] {
        match asked(&[&answer(code)], false).await {
            Err(BackendError::Unavailable(_)) => assert!(busy, "{code}"),
            Err(BackendError::Misconfigured(_)) => assert!(!busy, "{code}"),
            other => panic!("{code}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn cve_ssrf_by_a_referral() {
    let elsewhere = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("ldap://127.0.0.1:{}/", elsewhere.local_addr().unwrap().port());
    let length = url.len() as u8;
    let head =
        [0x30, length + 16, 2, 1, 1, 0x61, length + 11, 0x0a, 1, 10, 4, 0, 4, 0, 0xa3, length + 2, 4, length];
    let answer = [&head[..], url.as_bytes()].concat();
    let result = asked(&[&answer], false).await;
    assert!(matches!(result, Err(BackendError::Denied(_))), "{result:?}");
    let visit = tokio::time::timeout(Duration::ZERO, elsewhere.accept()).await;
    assert!(visit.is_err(), "the referral was followed");
}

#[tokio::test]
async fn cve_wrong_dn_mapping_an_entry_without_a_name() {
    // An empty name would make the bind anonymous, which succeeds.
    let entry = b"\x30\x18\x02\x01\x02\x64\x13\x04\x00\x30\x0f\x30\x0d\x04\x03uid\x31\x06\x04\x04alic";
    let entry_alice = {
        let mut bytes = entry.to_vec();
        bytes.extend(b"e");
        for place in [1, 6, 10, 12, 19, 21] {
            bytes[place] += 1;
        }
        bytes
    };
    let done = b"\x30\x0c\x02\x01\x02\x65\x07\x0a\x01\x00\x04\x00\x04\x00";
    let found = [&entry_alice[..], done].concat();
    let third = b"\x30\x0c\x02\x01\x03\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
    let result = asked(&[SUCCESS, &found, third], true).await;
    assert!(matches!(result, Err(BackendError::Denied(_))), "{result:?}");
}

#[tokio::test]
async fn a_search_that_never_stops_finding_is_ended() {
    let reference = b"\x30\x05\x02\x01\x02\x73\x00".repeat(1000);
    let result = asked(&[SUCCESS, &reference], true).await;
    assert!(matches!(result, Err(BackendError::Unavailable(_))), "{result:?}");
}

#[tokio::test]
async fn cve_starttls_injection() {
    let granted = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
    let injected = [&granted[..], SUCCESS].concat();
    let refused = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00";
    let authority = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
    let answers: [(&[u8], &str); 3] =
        [(&injected, "not asked"), (refused, "TLS is refused"), (SUCCESS, "not asked")];
    for (answer, why) in answers {
        let config = LdapConfig {
            limit: LIMIT,
            protection: Protection::start_tls(authority.as_bytes()).unwrap(),
            ..config_at(server(&[answer]).await, by_dn())
        };
        let result = ask(&LdapDirectory::new(config).unwrap(), "alice", "alice-pw").await;
        assert!(result.as_ref().is_err_and(|e| e.to_string().contains(why)), "{result:?}");
    }
}
