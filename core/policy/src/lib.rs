#![forbid(unsafe_code)]
//! symbolon-policy
