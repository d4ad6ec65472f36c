//! Every key-derivation label of the product, each with one purpose and a version.
//!
//! Two keys that serve different purposes never come from the same label, so no byte that is right
//! in one place is right in another.

/// HPKE `info` of a context's first message (A2).
pub const CONTEXT_FIRST: &[u8] = b"symbolon/1 context m1";
/// Key of a context's second message (A6).
pub const CONTEXT_SECOND: &[u8] = b"symbolon/1 context m2";
/// Key of the envelope around a session key, for the holder of a certificate's key (A7).
pub const SESSION_KEY_ENVELOPE: &[u8] = b"symbolon/1 session key envelope";
/// What the key of a certificate signs (A3).
pub const CERTIFICATE_SIGNATURE: &[u8] = b"symbolon/1 context certificate";
/// Cheap check that a first message was made for this key set (before any private-key work).
pub const CHEAP_CHECK: &[u8] = b"symbolon/1 cheap check";
/// Stateless retry cookie.
pub const RETRY_COOKIE: &[u8] = b"symbolon/1 retry cookie";
/// The gateway's own numbers (B8).
pub const GATEWAY_NUMBER: &[u8] = b"symbolon/1 gateway number";

/// HPKE `info` of a registration request (B5).
pub const REGISTRATION_REQUEST: &[u8] = b"symbolon/1 registration request";
/// Key of the reply under the first half key (B6).
pub const REGISTRATION_REPLY: &[u8] = b"symbolon/1 registration reply";
/// The authentication key from both halves (B7).
pub const AUTHENTICATION_KEY: &[u8] = b"symbolon/1 authentication key";
/// Hash under which a store keeps an invitation.
pub const INVITATION: &[u8] = b"symbolon/1 invitation";
/// Proof that the client holds the authentication key.
pub const REGISTRATION_CONFIRM: &[u8] = b"symbolon/1 registration confirm";

/// `k` of challenge and response: HMAC under the authentication key (B8).
pub const CHALLENGE_KEY: &[u8] = b"symbolon/1 challenge key";
/// Encryption of the first number under `k` (B8).
pub const CHALLENGE_NUMBER: &[u8] = b"symbolon/1 challenge number";
/// The session key that both numbers make (B8).
pub const CHALLENGE_SESSION: &[u8] = b"symbolon/1 challenge session";
/// Return of the second number under the session key (B8).
pub const CHALLENGE_RETURN: &[u8] = b"symbolon/1 challenge return";

/// Key that seals the secrets of a software token behind its PIN (B7).
pub const TOKEN_SEAL: &[u8] = b"symbolon/1 token seal";

/// Root of everything a session derives later.
pub const SESSION_ROOT: &[u8] = b"symbolon/1 session root";
/// Wrap keys of one epoch of a session.
pub const SESSION_EPOCH: &[u8] = b"symbolon/1 session epoch";
/// Authenticates who attaches to a session.
pub const SESSION_ATTACH: &[u8] = b"symbolon/1 session attach";
/// What a renewal of a session is bound to.
pub const SESSION_RENEWAL: &[u8] = b"symbolon/1 session renewal";
/// Root of the streams of a session.
pub const STREAM_ROOT: &[u8] = b"symbolon/1 stream root";
/// Records of a stream towards the gateway.
pub const STREAM_TO_GATEWAY: &[u8] = b"symbolon/1 stream to gateway";
/// Records of a stream towards the client.
pub const STREAM_TO_CLIENT: &[u8] = b"symbolon/1 stream to client";
/// The secret of a session ticket, on both sides (A5).
pub const TICKET_SECRET: &[u8] = b"symbolon/1 ticket secret";
/// Root of the keys that seal a domain's session tickets.
pub const TICKET_KEYS: &[u8] = b"symbolon/1 ticket keys";
/// The one of these keys that is used for a time.
pub const TICKET_PERIOD: &[u8] = b"symbolon/1 ticket period";
/// Seals one ticket.
pub const TICKET_SEAL: &[u8] = b"symbolon/1 ticket seal";
/// Shows that a ticket's secret is at hand; names its use in the replay cache.
pub const TICKET_PROOF: &[u8] = b"symbolon/1 ticket proof";
/// What a ticket adds to the keys of the context that it opens.
pub const TICKET_CONTRIBUTION: &[u8] = b"symbolon/1 ticket contribution";
/// Seals the tickets that TLS clients get, for a time.
pub const TLS_TICKET: &[u8] = b"symbolon/1 tls ticket";
/// What the next such key comes from.
pub const TLS_TICKET_NEXT: &[u8] = b"symbolon/1 tls ticket next";
/// Wrapped messages, initiator to acceptor.
pub const WRAP_FROM_INITIATOR: &[u8] = b"symbolon/1 wrap initiator";
/// Wrapped messages, acceptor to initiator.
pub const WRAP_FROM_ACCEPTOR: &[u8] = b"symbolon/1 wrap acceptor";
/// The next generation of a wrap key.
pub const WRAP_REKEY: &[u8] = b"symbolon/1 wrap rekey";
/// Root of both directions' keys for checks of messages that travel by themselves (`GSS_GetMIC`).
pub const MESSAGE_CHECK: &[u8] = b"symbolon/1 message check";
/// Keys that a user of a context may derive (RFC 5705 in spirit).
pub const EXPORTER: &[u8] = b"symbolon/1 exporter";
/// What the GSS-API mechanism binds a context to: options of the first token and the channel.
pub const GSS_BINDINGS: &[u8] = b"symbolon/1 gss bindings";

/// Seals secrets of a node at rest.
pub const STORE_SEAL: &[u8] = b"symbolon/1 store seal";
/// MAC over the head of the audit chain.
pub const AUDIT_HEAD: &[u8] = b"symbolon/1 audit head";
/// The key of what all nodes on one store answer for together.
pub const NODE_DOMAIN: &[u8] = b"symbolon/1 node domain";
/// The part of a user identification code that nobody guesses (B6).
pub const USER_CODE: &[u8] = b"symbolon/1 user code";
/// A gateway's signature over the set of its context keys.
pub const KEY_SET_SIGNATURE: &[u8] = b"symbolon/1 key set\0";
/// A gateway's signature over a configuration (B9).
pub const CONFIGURATION_SIGNATURE: &[u8] = b"symbolon/1 configuration\0";
/// What both issuers sign when one follows the other.
pub const ISSUER_CHANGE_SIGNATURE: &[u8] = b"symbolon/1 issuer change\0";
/// HPKE `info` of the envelope in which a certificate for a KEM key is delivered.
pub const CERTIFICATE_DELIVERY: &[u8] = b"symbolon/1 certificate delivery";
/// The answer that shows that such an envelope was opened.
pub const CERTIFICATE_CONFIRM: &[u8] = b"symbolon/1 certificate confirm";
/// What the old key signs, or opens an envelope for, when a certificate is renewed.
pub const CERTIFICATE_RENEWAL: &[u8] = b"symbolon/1 certificate renewal\0";
