//! The few messages of LDAP that are used (RFC 4511 §4).

use symbolon_crypto::SecretBytes;

use super::ber::{BOOLEAN, Ber, ENUMERATED, INTEGER, Malformed, Node, OCTETS, SEQUENCE, SET};
use super::filter::Filled;

const BIND_REQUEST: u8 = 0x60;
const BIND_RESPONSE: u8 = 0x61;
const UNBIND_REQUEST: u8 = 0x42;
const SEARCH_REQUEST: u8 = 0x63;
const SEARCH_ENTRY: u8 = 0x64;
const SEARCH_DONE: u8 = 0x65;
const SEARCH_REFERENCE: u8 = 0x73;
const EXTENDED_REQUEST: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;

/// The password's place in a simple bind: `[0]`.
const SIMPLE: u8 = 0x80;

/// RFC 4511 §4.14.1.
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

const WHOLE_SUBTREE: u32 = 2;
const NEVER_DEREFERENCE: u32 = 0;

/// Result codes (RFC 4511 §A.1).
pub(super) mod code {
    pub(in super::super) const SUCCESS: u32 = 0;
    pub(in super::super) const SIZE_LIMIT_EXCEEDED: u32 = 4;
    pub(in super::super) const STRONGER_AUTH_REQUIRED: u32 = 8;
    pub(in super::super) const REFERRAL: u32 = 10;
    pub(in super::super) const CONFIDENTIALITY_REQUIRED: u32 = 13;
    pub(in super::super) const NO_SUCH_OBJECT: u32 = 32;
    pub(in super::super) const INVALID_DN_SYNTAX: u32 = 34;
    pub(in super::super) const INAPPROPRIATE_AUTHENTICATION: u32 = 48;
    pub(in super::super) const INVALID_CREDENTIALS: u32 = 49;
    pub(in super::super) const BUSY: u32 = 51;
    pub(in super::super) const UNAVAILABLE: u32 = 52;
}

/// What is asked.
pub(super) enum Request<'a> {
    Bind { dn: &'a str, password: &'a [u8] },
    Search(&'a Search<'a>),
    StartTls,
    Unbind,
}

/// A search in a whole subtree.
pub(super) struct Search<'a> {
    pub(super) base: &'a str,
    pub(super) filter: &'a Filled,
    pub(super) attributes: &'a [&'a str],
    /// The most entries that are wanted.
    pub(super) most: u32,
    pub(super) limit_secs: u32,
}

impl Request<'_> {
    pub(super) fn encode(&self, id: u32) -> SecretBytes {
        Node::List(SEQUENCE, vec![Node::Number(INTEGER, id), self.operation()]).encode()
    }

    fn operation(&self) -> Node<'_> {
        match self {
            Self::Bind { dn, password } => Node::List(
                BIND_REQUEST,
                vec![
                    Node::Number(INTEGER, 3),
                    Node::Bytes(OCTETS, dn.as_bytes()),
                    Node::Bytes(SIMPLE, password),
                ],
            ),
            Self::Search(search) => Node::List(
                SEARCH_REQUEST,
                vec![
                    Node::Bytes(OCTETS, search.base.as_bytes()),
                    Node::Number(ENUMERATED, WHOLE_SUBTREE),
                    Node::Number(ENUMERATED, NEVER_DEREFERENCE),
                    Node::Number(INTEGER, search.most),
                    Node::Number(INTEGER, search.limit_secs),
                    Node::Bytes(BOOLEAN, &[0]),
                    search.filter.node(),
                    Node::List(
                        SEQUENCE,
                        search.attributes.iter().map(|a| Node::Bytes(OCTETS, a.as_bytes())).collect(),
                    ),
                ],
            ),
            Self::StartTls => Node::List(EXTENDED_REQUEST, vec![Node::Bytes(SIMPLE, START_TLS)]),
            Self::Unbind => Node::Bytes(UNBIND_REQUEST, &[]),
        }
    }
}

/// What is answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Response {
    Bound(Outcome),
    Entry(Entry),
    /// Somewhere else may be more; nobody goes there.
    Reference,
    Searched(Outcome),
    Extended(Outcome),
}

/// How an operation ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) code: u32,
    /// The server's words, for the operator.
    pub(super) words: String,
}

/// One entry of a result.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) dn: String,
    attributes: Vec<(String, Vec<String>)>,
}

impl Entry {
    /// The values of an attribute that are text; its name is compared without case (RFC 4512 §2.5).
    pub(super) fn values(&self, attribute: &str) -> impl Iterator<Item = &str> {
        let of_it = move |(name, _): &&(String, Vec<String>)| name.eq_ignore_ascii_case(attribute);
        self.attributes.iter().filter(of_it).flat_map(|(_, values)| values.iter().map(String::as_str))
    }
}

/// A message's number and content.
pub(super) fn decode(message: &[u8]) -> Result<(u32, Response), Malformed> {
    let mut outer = Ber(message);
    let mut content = Ber(outer.expect(SEQUENCE)?);
    if !outer.is_empty() {
        return Err(Malformed);
    }
    let id = content.number(INTEGER)?;
    let (tag, operation) = content.next()?;
    let operation = Ber(operation);
    let response = match tag {
        BIND_RESPONSE => Response::Bound(outcome(operation)?),
        SEARCH_ENTRY => Response::Entry(entry(operation)?),
        SEARCH_REFERENCE => Response::Reference,
        SEARCH_DONE => Response::Searched(outcome(operation)?),
        EXTENDED_RESPONSE => Response::Extended(outcome(operation)?),
        _ => return Err(Malformed),
    };
    Ok((id, response))
}

fn outcome(mut operation: Ber<'_>) -> Result<Outcome, Malformed> {
    let code = operation.number(ENUMERATED)?;
    let _matched = operation.expect(OCTETS)?;
    let words = String::from_utf8_lossy(operation.expect(OCTETS)?);
    let words = words.chars().filter(|c| !c.is_control()).take(200).collect();
    Ok(Outcome { code, words })
}

fn entry(mut operation: Ber<'_>) -> Result<Entry, Malformed> {
    let dn = operation.text()?.to_owned();
    let mut list = Ber(operation.expect(SEQUENCE)?);
    let mut attributes = Vec::new();
    while !list.is_empty() {
        let mut attribute = Ber(list.expect(SEQUENCE)?);
        let name = attribute.text()?.to_owned();
        let mut set = Ber(attribute.expect(SET)?);
        let mut values = Vec::new();
        while !set.is_empty() {
            // Values that are no text are of no use here.
            if let Ok(value) = std::str::from_utf8(set.expect(OCTETS)?) {
                values.push(value.to_owned());
            }
        }
        attributes.push((name, values));
    }
    Ok(Entry { dn, attributes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bind_is_written_as_the_standard_says() {
        let request = Request::Bind { dn: "cn=a", password: b"pw" };
        assert_eq!(
            request.encode(1).expose(),
            b"\x30\x12\x02\x01\x01\x60\x0d\x02\x01\x03\x04\x04cn=a\x80\x02pw"
        );
    }

    #[test]
    fn an_answer_to_a_bind_is_read() {
        let answer = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\x00\x04\x00";
        let wrong = Outcome { code: code::INVALID_CREDENTIALS, words: String::new() };
        assert_eq!(decode(answer), Ok((1, Response::Bound(wrong))));
    }

    #[test]
    fn an_answer_that_was_cut_is_no_success() {
        let answer = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
        for end in 0..answer.len() {
            assert_eq!(decode(&answer[..end]), Err(Malformed), "{end}");
        }
        assert_eq!(decode(b"\x30\x05\x02\x01\x01\x61\x00"), Err(Malformed));
        assert_eq!(decode(b"\x30\x0b\x02\x01\x01\x61\x06\x0a\x00\x04\x00\x04\x00"), Err(Malformed));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode(&bytes);
            let framed = Node::List(SEQUENCE, vec![Node::Number(INTEGER, 1), Node::Bytes(SEARCH_ENTRY, &bytes)]);
            let _ = decode(framed.encode().expose());
        }
    }
}
