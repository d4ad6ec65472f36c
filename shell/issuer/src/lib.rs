#![forbid(unsafe_code)]
//! symbolon-issuer
