//! rustls' record layer as a second opinion: it shares no code with ours above aws-lc.

use rustls::crypto::aws_lc_rs::cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384};
use rustls::crypto::cipher::{AeadKey, Iv, MessageDecrypter, MessageEncrypter};
use rustls::crypto::cipher::{InboundOpaqueMessage, OutboundChunks, OutboundPlainMessage};
use rustls::crypto::tls13::{HkdfExpander, OkmBlock};
use rustls::{ContentType as TlsContentType, ProtocolVersion};
use symbolon_crypto::Secret;
use symbolon_provider::crypto;
use symbolon_record::{ContentType, KeyUpdateRequest, RECORD_HEADER, RecordOpener, RecordSealer, SendHalf};

const SECRET: [u8; 32] = [0x5e; 32];

/// RFC 8446 §7.1, written out by hand over rustls' HKDF-SHA-256.
fn expand(secret: &[u8; 32], label: &str, out: &mut [u8]) {
    let label = format!("tls13 {label}");
    let mut info = vec![0, out.len() as u8, label.len() as u8];
    info.extend_from_slice(label.as_bytes());
    info.push(0);
    hkdf(secret).expand_slice(&[&info], out).unwrap();
}

fn hkdf(secret: &[u8; 32]) -> Box<dyn HkdfExpander> {
    let suite = TLS13_AES_128_GCM_SHA256.tls13().unwrap();
    suite.hkdf_provider.expander_for_okm(&OkmBlock::new(secret))
}

fn key_and_iv(secret: &[u8; 32]) -> (AeadKey, Iv) {
    let (mut key, mut iv) = ([0; 32], [0; 12]);
    expand(secret, "key", &mut key);
    expand(secret, "iv", &mut iv);
    (AeadKey::from(key), Iv::from(iv))
}

fn encrypter(secret: &[u8; 32]) -> Box<dyn MessageEncrypter> {
    let (key, iv) = key_and_iv(secret);
    TLS13_AES_256_GCM_SHA384.tls13().unwrap().aead_alg.encrypter(key, iv)
}

fn decrypter(secret: &[u8; 32]) -> Box<dyn MessageDecrypter> {
    let (key, iv) = key_and_iv(secret);
    TLS13_AES_256_GCM_SHA384.tls13().unwrap().aead_alg.decrypter(key, iv)
}

fn rustls_record(secret: &[u8; 32], sequence: u64, typ: TlsContentType, payload: &[u8]) -> Vec<u8> {
    let plain = OutboundPlainMessage {
        typ,
        version: ProtocolVersion::TLSv1_3,
        payload: OutboundChunks::Single(payload),
    };
    encrypter(secret).encrypt(plain, sequence).unwrap().encode()
}

fn rustls_opens(secret: &[u8; 32], sequence: u64, record: &mut [u8]) -> (TlsContentType, Vec<u8>) {
    let message = InboundOpaqueMessage::new(
        TlsContentType::ApplicationData,
        ProtocolVersion::TLSv1_2,
        &mut record[RECORD_HEADER..],
    );
    let opened = decrypter(secret).decrypt(message, sequence).unwrap();
    (opened.typ, opened.payload.to_vec())
}

#[test]
fn our_records_are_those_of_rustls_byte_for_byte() {
    let mut sealer = RecordSealer::new(crypto(), Secret::new(SECRET));
    for (sequence, (ours, theirs, payload)) in [
        (ContentType::ApplicationData, TlsContentType::ApplicationData, &b"hello"[..]),
        (ContentType::ApplicationData, TlsContentType::ApplicationData, b""),
        (ContentType::Alert, TlsContentType::Alert, &[1, 0]),
        (ContentType::Handshake, TlsContentType::Handshake, &[24, 0, 0, 1, 0]),
        (ContentType::ApplicationData, TlsContentType::ApplicationData, &[7; 16_384]),
    ]
    .into_iter()
    .enumerate()
    {
        let mut record = Vec::new();
        sealer.seal_into(ours, payload, &mut record).unwrap();
        assert_eq!(record, rustls_record(&SECRET, sequence as u64, theirs, payload));
        assert_eq!(rustls_opens(&SECRET, sequence as u64, &mut record), (theirs, payload.to_vec()));
    }
}

#[test]
fn we_open_the_records_of_rustls() {
    let mut opener = RecordOpener::new(crypto(), Secret::new(SECRET));
    for sequence in 0..300 {
        let payload = vec![sequence as u8; 50 * sequence as usize];
        let mut record = rustls_record(&SECRET, sequence, TlsContentType::ApplicationData, &payload);
        let (content, opened) = opener.open_in_place(&mut record).unwrap();
        assert_eq!((content, &opened[..]), (ContentType::ApplicationData, &payload[..]));
    }
}

#[test]
fn the_next_key_is_the_one_that_rfc_8446_derives() {
    let mut next = [0; 32];
    expand(&SECRET, "traffic upd", &mut next);

    let mut half = SendHalf::new(RecordSealer::new(crypto(), Secret::new(SECRET)));
    let mut update = half.update_key(KeyUpdateRequest::Requested).unwrap();
    assert_eq!(rustls_opens(&SECRET, 0, &mut update), (TlsContentType::Handshake, vec![24, 0, 0, 1, 1]));
    let mut close = half.close().unwrap();
    assert_eq!(rustls_opens(&next, 0, &mut close), (TlsContentType::Alert, vec![1, 0]));
}
