#![forbid(unsafe_code)]
//! symbolon-token
