//! The examples of `docs/protocol/record.md`, which another implementation (Python, from the text of
//! that document) made.

use symbolon_crypto::Secret;
use symbolon_provider::crypto;
use symbolon_record::{
    ContentType, KeyUpdateRequest, RecordSealer, SendHalf, StreamEnd, WRAP_HEADER, WRAP_OVERHEAD, Wrapper,
};

fn secret() -> Secret<32> {
    Secret::new(std::array::from_fn(|n| n as u8))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn records_are_as_documented() {
    let mut sealer = RecordSealer::new(crypto(), secret());
    let mut record = Vec::new();
    sealer.seal_into(ContentType::ApplicationData, b"hello", &mut record).unwrap();
    assert_eq!(hex(&record), "170303001661795e75acad4131880bf5a2ebfa47a1ad464c93fea0");

    let mut half = SendHalf::new(sealer);
    let update = half.update_key(KeyUpdateRequest::Requested).unwrap();
    assert_eq!(hex(&update), "170303001636262f71772960797449dc93e2ffe965f4ee5aedbddc");
    let end = half.end(&StreamEnd::new(3, "withdrawn")).unwrap();
    assert_eq!(hex(&end), "170303001b44a43bfcf0c7336cc1e150aaf65c67e0b7ff94e4f12ab8c98f451c");
}

#[test]
fn wrapped_messages_are_as_documented() {
    let mut wrapper = Wrapper::new(crypto(), secret());
    let first = wrapper.wrap(b"hello").unwrap();
    assert_eq!(hex(&first), "57000000000000000000000061795e75ac6604c10042d2d148a134dac02093ad33");

    wrapper.rekey().unwrap();
    let mut last = vec![0; WRAP_OVERHEAD + 3];
    last[WRAP_HEADER..][..3].copy_from_slice(b"bye");
    wrapper.wrap_last_in_place(&mut last).unwrap();
    assert_eq!(hex(&last), "57010001000000000000000163e2e4391c3d7322e4758146cfff5a355bb7da");
}
