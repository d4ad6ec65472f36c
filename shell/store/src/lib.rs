#![forbid(unsafe_code)]
//! symbolon-store
