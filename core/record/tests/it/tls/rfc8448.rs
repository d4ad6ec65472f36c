//! RFC 8448 §3, the connection after its handshake: TLS_AES_128_GCM_SHA256.

use super::*;
use symbolon_record::Alert;

const CLIENT_SECRET: &str = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
const CLIENT_KEY: &str = "17422dda596ed5d9acd890e3c63f5051";
const CLIENT_IV: &str = "5b78923dee08579033e523d9";
const SERVER_SECRET: &str = "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";
const SERVER_KEY: &str = "9f02283b6c9c07efc26bb9f2ac92e356";
const SERVER_IV: &str = "cf782b88dd83549aadf1e984";

const TICKET: &str = concat!(
    "17030300de3a6b8f90414a97d6959c3487680de5134a2b240e6cffac116e95d41d6af8f6b580dcf3d11d63c758db",
    "289a015940252f55713e061dc13e078891a38efbcf5753ad8ef170ad3c7353d16d9da773b9ca7f2b9fa1b6c0d4a3",
    "d03f75e09c30ba1e62972ac46f75f7b981be63439b2999ce13064615139891d5e4c5b406f16e3fc181a77ca47584",
    "0025db2f0a77f81b5ab05b94c01346755f69232c86519d86cbeeac87aac347d143f9605d64f650db4d023e70e952",
    "ca49fe5137121c74bc2697687e248746d6df353005f3bce18696129c8153556b3b6c6779b37bf15985684f",
);
const CLIENT_DATA: &str = concat!(
    "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a2044",
    "1e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4",
);
const SERVER_DATA: &str = concat!(
    "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a",
    "59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d",
);
const CLIENT_CLOSE: &str = "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3";
const SERVER_CLOSE: &str = "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9";

fn keys(secret: &str, key: &str, iv: &str) -> Keys {
    let bytes = |digits: &str| hex::decode(digits).unwrap();
    Keys { key: bytes(key), iv: bytes(iv).try_into().unwrap(), secret: Some(bytes(secret)) }
}

#[test]
fn records_of_both_sides_are_those_of_rfc_8448() {
    let (up, down) = (keys(CLIENT_SECRET, CLIENT_KEY, CLIENT_IV), keys(SERVER_SECRET, SERVER_KEY, SERVER_IV));
    let session = |role, sending, receiving| {
        let suite = TlsSuite::Tls13Aes128GcmSha256;
        let state = TlsState::after_handshake(crypto(), role, suite, sending, receiving).unwrap();
        TlsSession::resume(crypto(), &state)
    };
    let mut client = session(TlsRole::Client, up.handed_over(0), down.handed_over(0));
    // the handshake's library has sent the ticket
    let mut server = session(TlsRole::Server, down.handed_over(1), up.handed_over(0));
    let payload: Vec<u8> = (0..50).collect();
    let text = String::from_utf8_lossy(&payload).into_owned();

    assert_eq!(seen(&mut client, &hex::decode(TICKET).unwrap()).unwrap(), ["Nothing"]);
    for published in [CLIENT_DATA, SERVER_DATA] {
        let record = data(&mut client, &payload);
        assert_eq!(hex::encode(&record), published);
        assert_eq!(seen(&mut server, &record).unwrap(), std::slice::from_ref(&text));
        std::mem::swap(&mut client, &mut server);
    }
    for published in [CLIENT_CLOSE, SERVER_CLOSE] {
        let record = sent(&mut client, Outgoing::Alert(Alert::CloseNotify));
        assert_eq!(hex::encode(&record), published);
        assert_eq!(seen(&mut server, &record).unwrap(), ["PeerClosed"]);
        assert_eq!(server.end_of_input(), Ok(()));
        std::mem::swap(&mut client, &mut server);
    }
}
